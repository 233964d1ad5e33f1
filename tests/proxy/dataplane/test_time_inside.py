"""What counts as time inside fig, by a clock that only the ends of the wire move: whatever passes there is waiting."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from proxy.dataplane.recording import Recording
from rules.table import Table
from tests.fakes.planes import FakeCopies, Fig, running, table, until
from tests.fakes.wires import Service, Wire, answer

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Late(Service):
    """Answers each request after `head` seconds, the last byte `rest` seconds later; the first `closes` never."""

    def __init__(self, clock: Clock, head: float, rest: float = 0.0, *, closes: int = 0) -> None:
        super().__init__(self._answer)
        self._clock, self._head, self._rest, self._closes = clock, head, rest, closes

    async def _answer(self, wire: Wire) -> None:
        while (await wire.message()).is_complete:
            self._clock.now += self._head
            if self._closes:
                self._closes -= 1
                return
            whole = answer(b"12")
            if not self._rest:
                wire.send(whole)
                continue
            wire.send(whole[:-1])
            await asyncio.sleep(0.05)
            self._clock.now += self._rest
            wire.send(whole[-1:])


def on(fig: Fig, clock: Clock) -> None:
    """Have the plane read this clock; no patience ends by it, for less passes than any deadline allows."""
    fig.plane.now = clock
    for service in fig.plane.services.values():
        service.world = replace(service.world, now=clock)


def routed(legacy: str, candidate: str, **more: object) -> Table:
    route = {"name": "r", "match": {"path": "/**"}, "candidate": "candidate", "stage": "live", **more}
    return table({"legacy": {"url": legacy, "max_connections": 1}, "candidate": candidate}, route)


async def test_waiting_for_the_service_and_for_the_rest_of_its_answer_is_not_time_inside() -> None:
    clock = Clock()
    async with Late(clock, 3.0, 7.0) as legacy, running(table({"legacy": legacy.url})) as fig:
        on(fig, clock)
        client = await fig.connect()
        client.send(GET)
        assert (await client.message()).body == b"12"
        [told] = await fig.finished()

    exchange = told.exchange
    assert (exchange.answer - exchange.sent, exchange.ended - exchange.started) == (3.0, 10.0)
    assert exchange.inside == 0.0


async def test_waiting_for_a_connection_is_not_time_inside() -> None:
    clock = Clock()
    async with (
        Late(clock, 4.0) as legacy,
        running(table({"legacy": {"url": legacy.url, "max_connections": 1}})) as fig,
    ):
        on(fig, clock)
        clients = [await fig.connect() for _ in range(3)]
        for client in clients:
            client.send(GET)
        for client in clients:
            await client.message()
        finished = await fig.finished(3)

    assert [one.exchange.answer - one.exchange.sent for one in finished] == [4.0, 4.0, 4.0]
    assert [one.exchange.ended - one.exchange.started for one in finished] == [4.0, 8.0, 12.0]
    assert [one.exchange.inside for one in finished] == [0.0, 0.0, 0.0]


async def test_the_time_of_a_side_that_failed_before_the_fallback_is_not_time_inside() -> None:
    clock = Clock()
    async with (
        Late(clock, 1.0) as legacy,
        Late(clock, 2.0, closes=1) as candidate,
        running(routed(legacy.url, candidate.url, fallback="legacy")) as fig,
    ):
        on(fig, clock)
        client = await fig.connect()
        client.send(GET)
        await client.message()
        [told] = await fig.finished()

    exchange = told.exchange
    assert (told.fallback, exchange.answer - exchange.sent) == ("reset", 1.0)
    assert exchange.inside == 0.0


async def test_all_attempts_of_a_routes_retries_are_the_services_time() -> None:
    clock = Clock()
    async with Late(clock, 2.0, closes=1) as candidate:
        rules = routed(candidate.url, candidate.url, retries={"attempts": 1, "on": ["reset"]})
        async with running(rules) as fig:
            on(fig, clock)
            client = await fig.connect()
            client.send(GET)
            assert (await client.message()).status == 200
            [told] = await fig.finished()

    assert told.exchange.answer - told.exchange.sent == 4.0
    assert told.exchange.inside == 0.0


@pytest.mark.parametrize("journal", [0.0, 2.0])
async def test_the_journal_is_time_inside_and_the_client_s_body_is_not(journal: float) -> None:
    clock = Clock()

    def take_time(recording: Recording) -> bool:
        clock.now += journal
        return copies.grant_soon(recording)

    copies = FakeCopies(take_time)
    async with Late(clock, 1.0) as legacy, Late(clock, 1.0) as candidate:
        rules = routed(legacy.url, candidate.url, writes={})
        async with running(rules, copies=copies) as fig:
            on(fig, clock)
            client = await fig.connect()
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1")
            await until(lambda: fig.plane.clients and next(iter(fig.plane.clients)).exchange, "the request")
            clock.now += 5.0
            client.send(b"2")
            await client.message()
            [told] = await fig.finished()

    assert told.exchange.ended - told.exchange.started == 6.0 + journal
    assert told.exchange.inside == journal
