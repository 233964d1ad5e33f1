"""Reload and drain with requests in flight, units that fig issues, and what observers are told."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from proxy.dataplane import plane
from rules.buckets import unit_hash
from rules.table import Table
from tests.fakes.planes import FakeCopies, running, table, until
from tests.fakes.wires import Answering, Service, Wire, answer

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Gated(Service):
    """Answers `body`, each request only once its gate is open."""

    def __init__(self, body: bytes) -> None:
        super().__init__(self._answer)
        self.body = body
        self.gate = asyncio.Event()
        self.waiting = 0

    async def _answer(self, wire: Wire) -> None:
        while True:
            await wire.message()
            self.waiting += 1
            await self.gate.wait()
            wire.send(answer(self.body))


def canary(legacy: str, candidate: str, share: str, **more: Any) -> Table:
    route = {
        "name": "r",
        "match": {"path": "/**"},
        "candidate": "candidate",
        "stage": "canary",
        "share": share,
        "unit": {"cookie": "fig_unit", "issue": True},
        **more,
    }
    return table({"legacy": legacy, "candidate": candidate}, route)


# --- reload ---


async def test_a_request_ends_as_it_was_decided_and_the_next_one_follows_the_new_table() -> None:
    async with (
        Gated(b"former") as former,
        Answering(lambda _: answer(b"latter")) as latter,
        running(table({"legacy": former.url})) as fig,
    ):
        in_flight = await fig.connect()
        in_flight.send(GET)
        await until(lambda: former.waiting, "the request at the service")
        fig.plane.load(table({"legacy": latter.url}, generation=2))
        other = await fig.connect()
        other.send(GET)
        assert (await other.message()).body == b"latter"
        former.gate.set()
        assert (await in_flight.message()).body == b"former"
        in_flight.send(GET)
        assert (await in_flight.message()).body == b"latter"

        assert [f.generation for f in await fig.finished(3)] == [2, 1, 2]
        await until(lambda: former.ended == former.connections, "the end of every connection to the former service")


async def test_a_request_that_waits_for_a_connection_survives_the_end_of_its_service_in_the_table() -> None:
    async with Gated(b"former") as former:
        first = table({"legacy": {"url": former.url, "max_connections": 1}})
        async with Answering() as latter, running(first) as fig:
            clients = [await fig.connect() for _ in range(3)]
            for client in clients:
                client.send(GET)
            pool = fig.plane.services["legacy"]
            await until(lambda: len(pool.waiting) == 2, "two requests in the queue")
            fig.plane.load(table({"legacy": latter.url}, generation=2))
            former.gate.set()

            for client in clients:
                assert (await client.message()).body == b"former"
            await until(lambda: not pool.open, "the end of the former service's connections")


async def test_services_that_stay_the_same_keep_their_connections() -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        for generation in range(2, 6):
            client.send(GET)
            await client.message()
            fig.plane.load(table({"legacy": legacy.url}, generation=generation))

        assert legacy.connections == 1


# --- drain ---


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plane, "DRAIN_IDLE", 0.1)


async def test_a_drain_ends_what_runs_and_says_that_the_connection_ends(impatient: None) -> None:
    async with Gated(b"done") as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(GET)
        await until(lambda: legacy.waiting, "the request at the service")
        draining = asyncio.create_task(fig.plane.drain(10))
        await asyncio.sleep(0.05)
        legacy.gate.set()
        got = await client.message()

        assert (got.body, got.get("connection")) == (b"done", "close")
        assert await client.rest() == (b"", True)
        assert await draining == 0


async def test_a_drain_closes_what_is_idle_and_answers_what_was_on_its_way(impatient: None) -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url})) as fig:
        idle, busy = await fig.connect(), await fig.connect()
        busy.send(GET)
        await busy.message()
        draining = asyncio.create_task(fig.plane.drain(10))
        await asyncio.sleep(0.05)
        busy.send(GET)
        got = await busy.message()

        assert (got.body, got.get("connection")) == (b"ok", "close")
        assert await idle.rest() == (b"", True)
        assert await draining == 0


async def test_a_drain_answers_all_that_was_pipelined_or_closes_before_it(impatient: None) -> None:
    async with Gated(b"x") as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(GET * 2)
        await until(lambda: legacy.waiting, "the request at the service")
        draining = asyncio.create_task(fig.plane.drain(10))
        await asyncio.sleep(0)
        legacy.gate.set()

        first = await client.message()
        assert (first.body, first.get("connection")) == (b"x", "close")  # RFC 9112 9.6: the second may be repeated
        assert await client.rest() == (b"", True)
        assert await draining == 0


async def test_a_drain_aborts_what_does_not_end_and_says_how_many(impatient: None) -> None:
    async with Gated(b"never") as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(GET)
        await until(lambda: legacy.waiting, "the request at the service")

        assert await fig.plane.drain(0.1) == 1


async def test_a_drain_waits_for_the_outcome_of_a_write_whose_client_is_gone(impatient: None) -> None:
    copies = FakeCopies()
    async with Gated(b"written") as legacy:
        rules = table(
            {"legacy": legacy.url},
            {"name": "w", "match": {"path": "/**"}, "candidate": "legacy", "stage": "shadow", "writes": {}},
        )
        async with running(rules, copies=copies) as fig:
            client = await fig.connect()
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
            await until(lambda: legacy.waiting, "the write at the service")
            client.reset()
            await until(lambda: fig.plane.orphans, "the client's end")
            draining = asyncio.create_task(fig.plane.drain(10))
            await asyncio.sleep(0.05)
            assert not draining.done()
            legacy.gate.set()

            assert await draining == 0
            assert copies.log[-1] == ("outcome", 1, 200, "")


# --- units ---


@pytest.mark.parametrize("share", ["0%", "100%"])
async def test_a_unit_is_issued_whichever_side_answers_and_the_answer_is_its_own(share: str) -> None:
    raw = answer(
        b"page", "200 OK", "Cache-Control: public, max-age=60", "cache-control: s-maxage=1", "Set-Cookie: app=1"
    )
    async with (
        Answering(lambda _: raw) as legacy,
        Answering(lambda _: raw) as candidate,
        running(canary(legacy.url, candidate.url, share)) as fig,
    ):
        client = await fig.connect()
        client.send(GET)
        got = await client.message()

        assert got.all("cache-control") == ["private, max-age=60"]
        application, unit = got.all("set-cookie")
        assert application == "app=1"
        assert re.fullmatch(r"fig_unit=[0-9a-f]{24}; Path=/; .*", unit)
        (done,) = await fig.finished()
        assert done.exchange.choice.unit_hash == unit_hash("r", unit.split("=")[1].split(";")[0])
        assert done.side == ("legacy" if share == "0%" else "candidate")
        assert done.exchange.decision.counted


async def test_a_unit_that_came_is_not_issued_again_and_nothing_is_made_private() -> None:
    async with (
        Answering(lambda _: answer(b"page", "200 OK", "Cache-Control: public")) as legacy,
        Answering() as candidate,
        running(canary(legacy.url, candidate.url, "0%")) as fig,
    ):
        client = await fig.connect()
        client.send(GET.replace(b"\r\n\r\n", b"\r\nCookie: app=1; fig_unit=mine\r\n\r\n"))
        got = await client.message()

        assert got.all("set-cookie") == []
        assert got.get("cache-control") == "public"
        assert legacy.requests[0].get("cookie") == "app=1; fig_unit=mine"


async def test_a_unit_is_issued_though_connection_names_the_caching_away() -> None:
    raw = answer(b"page", "200 OK", "Cache-Control: public", "Connection: cache-control")
    async with (
        Answering(lambda _: raw) as legacy,
        running(canary(legacy.url, legacy.url, "0%")) as fig,
    ):
        client = await fig.connect()
        client.send(GET)

        assert (await client.message()).all("cache-control") == ["private"]


# --- observers ---


async def test_the_times_of_an_exchange_are_in_order_and_complete() -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        await client.message()

        exchange = (await fig.finished())[0].exchange
        assert exchange.started <= exchange.sent <= exchange.answer <= exchange.ended
        assert exchange.wall > 1_600_000_000
        assert (exchange.bytes_in, exchange.bytes_out) == (3, 2)
        assert exchange.client.address == "127.0.0.1"


async def test_an_exchange_without_an_answer_has_no_times_of_one() -> None:
    async with running(table({"legacy": "http://127.0.0.1:1"})) as fig:
        client = await fig.connect()
        client.send(GET)
        await client.message()

        exchange = (await fig.finished())[0].exchange
        assert (exchange.sent, exchange.answer) == (0.0, 0.0)
        assert exchange.ended >= exchange.started
        assert exchange.wall > 0
