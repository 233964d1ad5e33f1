"""What the access log says of an exchange, and what it leaves out."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

import structlog

from proxy.dataplane.refusals import malformed
from proxy.worker import access
from proxy.worker.access import AccessLog
from proxy.worker.tallies import Tallies
from rules.buckets import unit_hash
from rules.table import Table
from tests.fakes.planes import Fig, running
from tests.fakes.planes import table as make_table
from tests.fakes.wires import Answering

GET = b"GET /api/7?token=s3cret HTTP/1.1\r\nHost: shop\r\nCookie: unit=s3cret-unit\r\nX-Key: s3cret\r\n\r\n"


def table(url: str, **route: Any) -> Table:
    one = {"name": "r", "match": {"path": "/api/{id}"}, **route}
    return make_table({"legacy": url, "candidate": url}, one)


async def line(fig: Fig, request: bytes = GET) -> dict[str, Any]:
    """What is logged of this request."""
    log = AccessLog(1_000_000, lambda: 0, time.time)
    wire = await fig.connect()
    wire.send(request)
    await wire.message()
    log.finished((await fig.finished())[-1].exchange)
    return log._lines[0]


async def test_a_line_holds_the_bucket_and_never_the_unit() -> None:
    async with Answering() as service:
        rules = table(service.url, candidate="candidate", stage="canary", share="50%", unit={"cookie": "unit"})
        async with running(rules) as fig:
            logged = await line(fig)
            without = await line(fig, b"GET /elsewhere HTTP/1.1\r\nHost: shop\r\n\r\n")

    assert logged["bucket"] == unit_hash("r", "s3cret-unit") % 1_000_000
    assert (logged["stage"], logged["endpoint"]) == ("canary", service.url)
    assert without["bucket"] is None
    assert "s3cret" not in json.dumps(logged)


async def test_the_clients_path_is_logged_and_the_sent_one_where_it_differs() -> None:
    rewrite = {"path": "/v2/{id}?lang=en"}
    async with Answering() as service:
        async with running(table(service.url, candidate="candidate", stage="live", rewrite=rewrite)) as fig:
            rewritten = await line(fig)
        async with running(table(service.url, candidate="candidate", stage="live")) as fig:
            plain = await line(fig)

    assert (rewritten["path"], rewritten["sent_path"]) == ("/api/7", "/v2/7")
    assert (plain["path"], plain["sent_path"], plain["retries"]) == ("/api/7", None, 0)
    assert "s3cret" not in json.dumps(rewritten)


async def test_a_query_that_the_rules_put_into_a_path_is_not_logged_with_it() -> None:
    rewrite = {"path": "/v2/{query}"}
    async with Answering() as service:
        async with running(table(service.url, candidate="candidate", stage="live", rewrite=rewrite)) as fig:
            logged = await line(fig)
        assert "s3cret" in service.requests[0].start

    assert "s3cret" not in json.dumps(logged)


async def test_an_answer_of_figs_own_names_no_side_and_no_service() -> None:
    async with running(table("http://127.0.0.1:1", redirect={"path": "/new/{id}"})) as fig:
        logged = await line(fig)

    assert (logged["route"], logged["reason"], logged["status"]) == ("r", "redirect", 302)
    assert (logged["side"], logged["service"], logged["service_ms"], logged["sent_path"]) == (None, None, None, None)


async def test_a_line_tells_when_the_request_began_and_whose_time_it_took() -> None:
    before = time.time()
    async with Answering() as service, running(table(service.url, candidate="candidate", stage="live")) as fig:
        logged = await line(fig)

    began = datetime.fromisoformat(logged["ts"]).timestamp()
    assert before - 0.002 <= began <= time.time()
    assert logged["ts"].endswith("Z")
    assert 0 <= logged["inside_ms"] <= logged["ms"]
    assert logged["inside_ms"] + logged["service_ms"] <= logged["ms"] + 0.002
    assert (logged["protocol"], logged["scheme"], logged["tls"]) == ("HTTP/1.1", "http", None)


async def test_an_exchange_without_an_answer_has_no_service_time() -> None:
    async with running(table("http://127.0.0.1:1", legacy="legacy")) as fig:
        logged = await line(fig)

    assert (logged["status"], logged["failure"], logged["refused"]) == (502, "connect", "connect")
    assert (logged["service_ms"], logged["inside_ms"], logged["endpoint"]) == (None, None, None)


async def test_a_request_that_was_refused_before_it_had_a_route_is_logged_by_its_reason() -> None:
    log = AccessLog(0, lambda: 999_999, time.time)
    async with running(table("http://127.0.0.1:1", legacy="legacy"), observer=Tallies(also_refused=log.refused)) as fig:
        wire = await fig.connect()
        wire.send(b"GET /s3cret?s3cret HTTP/1.1\r\nHost: a\r\nHost: s3cret\r\n\r\n")
        message = await wire.message()

    with structlog.testing.capture_logs() as written:
        log.flush()
    [told] = written
    assert told.items() >= {"event": "refused", "status": 400, "refused": "host", "client": "127.0.0.1"}.items()
    assert told["request_id"] == message.get("x-request-id")
    assert "s3cret" not in json.dumps(told)


def test_nonsense_without_end_makes_few_lines_and_a_count_of_the_others() -> None:
    log = AccessLog(0, lambda: 999_999, time.time)
    for _ in range(5000):
        log.refused(malformed("host", "there is no Host header"), "127.0.0.1", "id")

    with structlog.testing.capture_logs() as written:
        log.flush()
        log.flush()
    assert [told["event"] for told in written[:-1]] == ["refused"] * access.REFUSED_LIMIT
    assert written[-1]["count"] == 5000 - access.REFUSED_LIMIT


async def test_lines_leave_a_few_at_a_time_and_each_once_whoever_writes_them_meanwhile() -> None:
    log = AccessLog(1_000_000, lambda: 0, time.time)
    async with Answering() as service, running(table(service.url, legacy="legacy")) as fig:
        wire = await fig.connect()
        wire.send(GET)
        await wire.message()
        exchange = (await fig.finished())[-1].exchange
    for _ in range(3 * access.LINES_AT_ONCE):
        log.finished(exchange)

    with structlog.testing.capture_logs() as written:
        flushing = log.flushing()
        next(flushing)
        assert len(written) == access.LINES_AT_ONCE
        log.finished(exchange)
        log.flush()
        assert list(flushing) == []
    assert [told["event"] for told in written] == ["exchange"] * (3 * access.LINES_AT_ONCE + 1)
