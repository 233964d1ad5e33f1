"""A route that speaks to its candidate in other words: each side is asked in its own, and their answers agree."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from proxy.wire import Hello
from proxy.worker.copies import ShadowLink
from rules.document import Rules
from rules.effective import Effective
from rules.table import compile_table
from shadow.pairs.reader import PairReader
from tests.fakes.planes import running, until
from tests.fakes.shadowing import ROUTE, Service, eventually, shadowing

LEGACY_HOST = "shop.example"


def effective(legacy: int, candidate: int, stage: str) -> Effective:
    route = {
        "name": ROUTE,
        "match": {"path": "/orders/{order}"},
        "candidate": "shop",
        "stage": stage,
        "writes": {"order_by": "path:order", "dedupe": "idempotency-key"},
        "rewrite": {"path": "/v2/orders/{order}?from={host}", "host": "service"},
        "request_headers": {"set": {"X-Order": "{order}"}, "remove": ["Cookie"]},
        "response_headers": {"set": {"Content-Type": "application/json"}, "remove": ["X-Powered-By"]},
    }
    services = {"legacy": {"url": f"http://127.0.0.1:{legacy}"}, "shop": {"url": f"http://127.0.0.1:{candidate}"}}
    rules = {"version": 1, "services": services, "legacy": "legacy", "routes": [route]}
    return Effective(generation=1, rules=Rules.model_validate(rules))


def pairs(state: Path) -> tuple[int, int]:
    """(how many, how many of them differ)."""
    with PairReader(state / "pairs.db") as reader:
        windows = reader.windows(ROUTE)
        return (windows[0].pairs, windows[0].differing) if windows else (0, 0)


@pytest.mark.parametrize("stage", ["shadow", "live"])
async def test_reads_and_writes_reach_each_side_in_its_own_words_and_are_equal(tmp_path: Path, stage: str) -> None:
    legacy = await Service(body=lambda target: b'{"order":7}').up()
    candidate = await Service(body=lambda target: b'{"order":7}').up()
    table = effective(legacy.port, candidate.port, stage)
    async with shadowing(tmp_path, table):
        link = ShadowLink(tmp_path / "shadow.sock", lambda: Hello("worker", 0, 1, 1), lambda *_: None, time.time)
        link.start()
        await until(lambda: link.is_open, "the link")
        async with running(compile_table(table), copies=link) as fig:
            client = await fig.connect()
            for number, request in enumerate((b"GET %b\r\n", b"POST %bContent-Length: 2\r\n\r\n{}"), 1):
                client.send(request % b"/orders/7 HTTP/1.1\r\nHost: shop.example\r\nCookie: a=1\r\n")
                assert (await client.message()).status == 201
                # A read is no pair while a write of its route is under way, so one after the other.
                await eventually(lambda number=number: pairs(tmp_path) == (number, 0), f"pair {number}, and equal")
        await link.stop()

    for target, headers, _ in legacy.requests:
        assert target == "/orders/7"
        assert (headers["host"], headers.get("cookie"), headers.get("x-order")) == (LEGACY_HOST, "a=1", None)
    for target, headers, _ in candidate.requests:
        assert target == f"/v2/orders/7?from={LEGACY_HOST}"
        own = f"127.0.0.1:{candidate.port}"
        assert (headers["host"], headers.get("cookie"), headers.get("x-order")) == (own, None, "7")
    assert legacy.keys == candidate.keys
    assert [headers["x-request-id"] for _, headers, _ in legacy.requests] == [
        headers["x-request-id"] for _, headers, _ in candidate.requests
    ]
    await legacy.down()
    await candidate.down()
