"""`retries` through real sockets: what is sent again, how often, and what the client gets of it."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest

from proxy.dataplane import retries as retries_module
from proxy.wire import Record, Tally
from proxy.worker.access import AccessLog
from proxy.worker.tallies import Tallies
from rules.table import Table
from tests.fakes.planes import FakeCopies, running, until
from tests.fakes.planes import table as make_table
from tests.fakes.wires import Answering, Message, Service, Wire, answer

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
PUT = b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = b"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
POST = PUT.replace(b"PUT", b"POST")
BUSY = answer(b"busy", "503 Service Unavailable")


def table(candidate: str | dict[str, Any], legacy: str = "http://127.0.0.1:1", **route: Any) -> Table:
    defaults = {"attempts": 2, "on": ["connect", "reset", "timeout", "503"], "budget": "100%"}
    retries = {**defaults, **route.pop("retries", {})}
    more = {"stage": "live", "retries": retries, **route}
    one = {"name": "r", "match": {"path": "/**"}, "candidate": "candidate", **more}
    return make_table({"legacy": legacy, "candidate": candidate}, one)


class Failing(Service):
    """Does the next of `script` to each request: an answer's bytes, ``break``, or ``hang``; its last one for ever."""

    def __init__(self, *script: bytes | str) -> None:
        super().__init__(self._play)
        self.script = list(script)
        self.requests: list[Message] = []

    async def _play(self, wire: Wire) -> None:
        while True:
            request = await wire.message()
            self.requests.append(request)
            act = self.script.pop(0) if len(self.script) > 1 else self.script[0]
            if isinstance(act, bytes):
                wire.send(act)
            elif act == "hang":
                await asyncio.sleep(3600)
            else:
                return


def retried(tallies: Tallies) -> dict[str, float]:
    got: list[Record] = []
    tallies.flush(lambda record: not got.append(record), [])
    (tally,) = got
    assert isinstance(tally, Tally)
    return {dict(labels)["result"]: amount for name, labels, amount in tally.counts if name == "retries"}


@pytest.mark.parametrize("request_", [GET, PUT, CHUNKED])
@pytest.mark.parametrize("how", ["break", BUSY, BUSY + b"more than was said", b"HTTP/1.1 503 X\r\n\r\nendless"])
async def test_a_request_that_is_safe_to_repeat_is_sent_again_whole(request_: bytes, how: bytes | str) -> None:
    tallies = Tallies()
    async with (
        Failing(how, answer(b"well")) as candidate,
        running(table(candidate.url), observer=tallies) as fig,
    ):
        client = await fig.connect()
        client.send(request_)
        got = await client.message()

        assert (got.status, got.body) == (200, b"well")
        first, second = candidate.requests
        assert first == second
        assert (second.is_complete, second.body) == (True, b"" if request_ is GET else b"abc")
        (done,) = await fig.finished()
        assert (done.status, done.failure, done.exchange.actions.retries) == (200, "", 1)
        assert retried(tallies) == {"answered": 1}


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_the_statuses_that_are_named_are_asked_again_and_no_others(status: int) -> None:
    failing = answer(b"broken", f"{status} Broken")
    async with (
        Failing(failing, answer(b"well")) as asked_again,
        Failing(failing) as kept,
        running(table(asked_again.url, retries={"on": [status]})) as fig,
        running(table(kept.url, retries={"on": ["503"]})) as other,
    ):
        for proxy, expected in ((fig, 200), (other, status)):
            client = await proxy.connect()
            client.send(GET)
            assert (await client.message()).status == expected
        assert (len(asked_again.requests), len(kept.requests)) == (2, 1)


async def test_a_service_that_comes_up_meanwhile_answers() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        held.close()
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Wire(reader, writer).message()
        writer.write(answer(b"up", "200 OK", "Connection: close"))
        writer.close()
        await writer.wait_closed()
        done.set()

    rules = table(f"http://127.0.0.1:{port}", retries={"attempts": 5})
    async with running(rules, roll=0) as fig:
        client = await fig.connect()
        client.send(GET)
        await until(
            lambda: any(c.exchange and c.exchange.actions.retries for c in fig.plane.clients), "the first retry"
        )
        async with await asyncio.start_server(serve, "127.0.0.1", port):
            assert (await client.message()).body == b"up"
            await done.wait()


@pytest.mark.parametrize("how", ["break", BUSY])
async def test_when_attempts_are_spent_the_client_gets_the_last_failure(how: bytes | str) -> None:
    tallies = Tallies()
    async with Failing(how) as candidate, running(table(candidate.url), observer=tallies) as fig:
        client = await fig.connect()
        client.send(GET)
        got = await client.message()

        assert got.status == (502 if how == "break" else 503)
        assert len(candidate.requests) == 3
        (done,) = await fig.finished()
        assert (done.failure, done.exchange.actions.retries) == ("reset" if how == "break" else "", 2)
        assert retried(tallies) == {"failed": 2}


@pytest.mark.parametrize("request_", [POST, GET.replace(b"GET", b"PATCH")])
@pytest.mark.parametrize("how", ["break", BUSY])
async def test_what_is_not_safe_to_repeat_is_sent_once(request_: bytes, how: bytes | str) -> None:
    async with Failing(how) as candidate, running(table(candidate.url)) as fig:
        client = await fig.connect()
        client.send(request_)

        assert (await client.message()).status in (502, 503)
        assert len(candidate.requests) == 1


async def test_a_write_of_the_journal_is_sent_once() -> None:
    copies = FakeCopies()
    async with Failing(BUSY) as candidate, running(table(candidate.url, writes={}), copies=copies) as fig:
        client = await fig.connect()
        client.send(PUT)

        assert (await client.message()).status == 503
        assert len(candidate.requests) == 1


async def test_a_body_too_large_to_keep_is_sent_once() -> None:
    body = b"x" * 200_000
    async with Failing(BUSY) as candidate, running(table(candidate.url)) as fig:
        client = await fig.connect()
        client.send(b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + body)

        assert (await client.message()).status == 503
        assert len(candidate.requests) == 1


@pytest.mark.parametrize("status", ["500 X", "502 X", "504 X", "429 X"])
async def test_a_status_that_is_not_listed_is_passed_on(status: str) -> None:
    async with Failing(answer(b"no", status)) as candidate, running(table(candidate.url)) as fig:
        client = await fig.connect()
        client.send(GET)

        assert (await client.message()).status == int(status[:3])
        assert len(candidate.requests) == 1


async def test_nothing_is_repeated_once_the_client_has_a_part_of_an_answer() -> None:
    async with (
        Failing(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "break") as candidate,
        running(table(candidate.url)) as fig,
    ):
        candidate.handler = one_half
        client = await fig.connect()
        client.send(GET)
        got = await client.message()

        assert (got.status, got.is_complete) == (200, False)
        assert candidate.connections == 1


async def one_half(wire: Wire) -> None:
    await wire.message()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")


async def test_all_attempts_together_take_no_longer_than_the_routes_timeout() -> None:
    candidate_timeout = "50ms"
    async with Failing("hang") as candidate:
        rules = table(
            {"url": candidate.url, "timeout": candidate_timeout},
            timeout="120ms",
            retries={"attempts": 5, "on": ["timeout"]},
        )
        async with running(rules) as fig:
            client = await fig.connect()
            client.send(GET)

            assert (await client.message()).status == 504
            assert 1 < len(candidate.requests) < 5
            (done,) = await fig.finished()
            assert done.failure == "timeout"


async def test_the_fallback_comes_after_the_retries() -> None:
    tallies = Tallies()
    async with Answering(lambda _: answer(b"legacy")) as legacy, Failing("break") as candidate:
        rules = table(candidate.url, legacy.url, fallback="legacy", timeout="5s")
        async with running(rules, observer=tallies) as fig:
            client = await fig.connect()
            client.send(GET)

            assert (await client.message()).body == b"legacy"
            assert len(candidate.requests) == 3
            (done,) = await fig.finished()
            assert (done.side, done.fallback, done.exchange.actions.retries) == ("legacy", "reset", 2)
            assert retried(tallies) == {"failed": 2}
            assert done.exchange.answer - done.exchange.sent < done.exchange.answer - done.exchange.started


async def test_a_service_that_is_down_is_not_beaten_by_its_own_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries_module, "RESERVE", 0)
    tallies = Tallies()
    rules = table("http://127.0.0.1:1", retries={"attempts": 1, "budget": "10%"})
    async with running(rules, observer=tallies) as fig:
        client = await fig.connect()
        for _ in range(50):
            client.send(GET)
            assert (await client.message()).status == 502

        made = sum(done.exchange.actions.retries for done in await fig.finished(50))
        assert 0 < made <= 5
        counts = retried(tallies)
        assert (counts["failed"], counts["over_budget"]) == (made, 50 - made)


async def test_a_connection_that_was_closed_between_two_requests_costs_no_retry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retries_module, "RESERVE", 0)

    async def once(wire: Wire) -> None:
        await wire.message()
        wire.send(answer())
        await wire.message()

    async with Service(once) as candidate, running(table(candidate.url, retries={"budget": "0%"})) as fig:
        client = await fig.connect()
        for _ in range(3):
            client.send(GET)
            assert (await client.message()).status == 200

        assert [done.exchange.actions.retries for done in await fig.finished(3)] == [0, 0, 0]
        assert candidate.connections == 3


async def test_a_client_that_leaves_during_the_pause_stops_the_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries_module, "FIRST_DELAY", 0.2)
    async with Failing("break") as candidate, running(table(candidate.url)) as fig:
        client = await fig.connect()
        client.send(GET)
        await until(lambda: any(c.exchange and c.exchange.actions.retries for c in fig.plane.clients), "the pause")
        client.reset()

        (done,) = await fig.finished()
        assert done.failure == "client"
        await asyncio.sleep(0.3)
        assert len(candidate.requests) == 1


async def test_the_access_log_tells_how_often() -> None:
    log = AccessLog(1_000_000, lambda: 0, time.time)
    async with Failing("break", answer()) as candidate, running(table(candidate.url)) as fig:
        client = await fig.connect()
        client.send(GET)
        await client.message()
        log.finished((await fig.finished())[0].exchange)

        assert log._lines[0]["retries"] == 1
