"""Connections that come, or come to nothing, when whoever they were opened for has gone or has turned elsewhere."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from tests.fakes.endpoints import GET, Clock, ask, endpoints
from tests.fakes.gates import Gate
from tests.fakes.planes import Fig, running, table, until
from tests.fakes.wires import Answering, answer

SLOW = {"timeout": "1s", "connect_timeout": "30s"}
LATE = 32
"""Seconds after which an exchange waits no longer for a connection to such a service."""
ROUTE = {"name": "r", "match": {"path": "/slow"}, "candidate": "candidate", "stage": "live"}
ONCE_MORE = {**ROUTE, "retries": {"attempts": 1, "on": ["timeout"], "budget": "100%"}}
TO_CANDIDATE = GET.replace(b"/ ", b"/slow ")


class Names:
    """Has whoever looks a host up wait until the test says what it leads to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._found: dict[str, asyncio.Future[list[str]]] = {}

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return await asyncio.shield(self._of(host))

    def open(self, host: str) -> None:
        self._of(host).set_result(["127.0.0.1"])

    def fail(self, host: str) -> None:
        self._of(host).set_exception(socket.gaierror(socket.EAI_NONAME, "no such name"))

    def forget(self, host: str) -> None:
        """The next lookup waits anew."""
        del self._found[host]

    def _of(self, host: str) -> asyncio.Future[list[str]]:
        return self._found.setdefault(host, asyncio.get_running_loop().create_future())


def failures(fig: Fig) -> float:
    """How often no connection came about."""
    return sum(count for (name, *_), count in fig.notes.counts.items() if name == "service_connect_failures")


async def test_no_other_endpoint_is_asked_for_a_client_that_has_left() -> None:
    names = Names()
    async with endpoints(1) as (one,):
        spec = {"urls": ["http://late.internal:80", one.url]}
        async with running(table({"legacy": spec}), lookup=names) as fig:
            assert (await ask(fig)).body == b"a", "it leaves an idle connection behind"
            client = await fig.connect()
            client.send(GET)
            await until(lambda: names.asked, "a connection being opened")
            client.reset()
            await fig.finished(2)
            names.fail("late.internal")
            await until(lambda: failures(fig), "its failure")
            await ask(fig)

            assert len(one.requests) == 2
            assert fig.notes.counts["service_failovers", "legacy"] == 0


@pytest.mark.parametrize("how", ["opens", "fails"])
async def test_what_waits_at_legacy_by_then_gets_legacys_answer(how: str) -> None:
    names, clock, gate = Names(), Clock(), Gate()
    async with gate.service as legacy, Answering(lambda _: answer(b"candidate")) as candidate:
        services: dict[str, Any] = {
            "legacy": {"url": legacy.url, "max_connections": 1, "timeout": "10m"},
            "candidate": {"url": f"http://late.internal:{candidate.port}", **SLOW},
        }
        async with running(table(services, {**ROUTE, "fallback": "legacy"}), lookup=names, now=clock) as fig:
            busy, client = await fig.connect(), await fig.connect()
            busy.send(GET)
            await until(lambda: gate.held, "legacy without room")
            client.send(TO_CANDIDATE)
            await until(lambda: names.asked, "a connection being opened")
            clock.forward(LATE)
            await until(lambda: fig.plane.services["legacy"].waiting, "the exchange in legacy's queue")
            if how == "opens":
                names.open("late.internal")
                await until(lambda: candidate.connections, "the connection")
            else:
                names.fail("late.internal")
                await until(lambda: failures(fig), "its failure")
            for _ in range(2):
                await until(lambda: gate.held, "a request at legacy")
                gate.let_one_go()

            assert (await client.message()).status == 200
            assert candidate.requests == []
            assert [f.fallback for f in await fig.finished(2)] == ["", "timeout"]


async def test_an_exchange_that_another_endpoint_is_connected_to_for_waits_on() -> None:
    names, clock = Names(), Clock()
    async with endpoints(1) as (legacy,), Answering() as candidate:
        urls = [f"http://{name}.internal:{candidate.port}" for name in ("a", "b")]
        services = {"legacy": legacy.url, "candidate": {"urls": urls, **SLOW}}
        async with running(table(services, ONCE_MORE), lookup=names, now=clock) as fig:
            client = await fig.connect()
            client.send(TO_CANDIDATE)
            await until(lambda: len(names.asked) == 1, "a connection being opened")
            clock.forward(LATE)
            await until(lambda: len(names.asked) == 2, "another one")
            first, second = names.asked
            names.fail(first)
            await until(lambda: failures(fig), "the failure of the first")
            names.open(second)

            assert (await client.message()).status == 200
            assert fig.notes.counts["service_failovers", "candidate"] == 0
            assert candidate.connections == 1


async def test_an_exchange_that_is_back_in_the_queue_keeps_its_turn_when_its_first_connection_fails() -> None:
    names, clock = Names(), Clock()
    async with endpoints(1) as (legacy,), Answering() as candidate:
        spec = {"url": f"http://late.internal:{candidate.port}", "max_connections": 1, "resolve": "off", **SLOW}
        async with running(table({"legacy": legacy.url, "candidate": spec}, ONCE_MORE), lookup=names, now=clock) as fig:
            client = await fig.connect()
            client.send(TO_CANDIDATE)
            await until(lambda: names.asked, "a connection being opened")
            clock.forward(LATE)
            await until(lambda: fig.plane.services["candidate"].waiting, "the exchange in the queue")
            names.fail("late.internal")
            names.forget("late.internal")
            names.open("late.internal")

            assert (await client.message()).status == 200
            assert failures(fig) == 1


async def test_an_exchange_that_a_late_connection_takes_out_of_the_queue_holds_no_place_there() -> None:
    names, clock, gate = Names(), Clock(), Gate()
    async with endpoints(1) as (legacy,), gate.service as candidate:
        spec = {"url": f"http://late.internal:{candidate.port}", "max_connections": 1, "max_pending": 1, **SLOW}
        async with running(table({"legacy": legacy.url, "candidate": spec}, ONCE_MORE), lookup=names, now=clock) as fig:
            client, other = await fig.connect(), await fig.connect()
            client.send(TO_CANDIDATE)
            await until(lambda: names.asked, "a connection being opened")
            clock.forward(LATE)
            await until(lambda: fig.plane.services["candidate"].waiting, "the exchange in the queue")
            names.open("late.internal")
            await until(lambda: gate.held, "its request at the candidate")
            assert not fig.plane.services["candidate"].waiting
            other.send(TO_CANDIDATE)
            await until(lambda: fig.plane.services["candidate"].waiting, "the other one in the queue")
            gate.let_one_go()
            assert (await client.message()).status == 200
            await until(lambda: gate.held, "the other one's request at the candidate")
            gate.let_one_go()

            assert (await other.message()).status == 200
