"""How much one service may have: requests under way, a queue that is fair and bounded, and what others notice of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.fakes.endpoints import GET, POST, ask, endpoints, service
from tests.fakes.gates import Gate
from tests.fakes.planes import FakeCopies, Fig, running, table, until
from tests.fakes.wires import Answering, Service, Wire, answer

ROUTE = {"name": "r", "match": {"path": "/slow"}, "candidate": "candidate", "stage": "live"}
SLOW = GET.replace(b"/ ", b"/slow ")


async def queue_of(fig: Fig, count: int, name: str = "legacy") -> list[Wire]:
    """So many clients whose requests wait, one behind the other."""
    clients = []
    for number in range(count):
        clients.append(await fig.connect())
        clients[-1].send(GET.replace(b"\r\n\r\n", b"\r\nX-Number: %d\r\n\r\n" % number))
        await until(
            lambda number=number: len(fig.plane.services[name].waiting) == number + 1, "the request in the queue"
        )  # type: ignore[misc]
    return clients


async def test_no_more_requests_are_under_way_than_max_requests_over_all_endpoints() -> None:
    async with endpoints(3) as several:
        for each in several:
            each.delay = 0.05
        async with running(table({"legacy": service(several, max_requests=2)})) as fig:
            most = 0
            clients = [await fig.connect() for _ in range(10)]
            for client in clients:
                client.send(GET)
            ending = asyncio.gather(*(client.message() for client in clients))
            while not ending.done():
                most = max(most, fig.plane.services["legacy"].in_flight)
                await asyncio.sleep(0.001)

            assert [got.status for got in ending.result()] == [200] * 10
            assert most == 2


async def test_the_queue_is_fair_and_who_leaves_it_holds_nobody_up() -> None:
    gate = Gate()
    async with gate.service as slow, running(table({"legacy": {"url": slow.url, "max_requests": 1}})) as fig:
        first = await fig.connect()
        first.send(GET)
        await until(lambda: gate.held, "the first request at the service")
        clients = await queue_of(fig, 6)
        for leaving in (clients[1], clients[4]):
            leaving.reset()
        await until(lambda: len(fig.plane.services["legacy"].waiting) == 4, "two fewer in the queue")
        gate.let_one_go()
        order = []
        for _ in range(4):
            await until(lambda: gate.held, "the next one at the service")
            order.append(gate.held[0][1].get("x-number"))
            gate.let_one_go()

        assert order == ["0", "2", "3", "5"]
        assert slow.connections == 1


async def test_a_slow_service_does_not_starve_another() -> None:
    """Of 100 requests five hang at one service, ten wait for it and the rest is refused; the other service answers all
    of its own meanwhile, on the connections of clients that were refused."""
    hanging = {"max_requests": 5, "max_pending": 10}

    async def silent(wire: Wire) -> None:
        while await wire.some():
            pass

    async with Answering() as legacy, Service(silent) as candidate:
        services = {"legacy": legacy.url, "candidate": {"url": candidate.url, **hanging}}
        async with running(table(services, ROUTE)) as fig:
            clients = [await fig.connect() for _ in range(100)]
            for client in clients:
                client.send(SLOW)
            refused = [await client.message() for client in clients[15:]]
            assert [got.status for got in refused] == [503] * 85
            for client in clients[15:] * 3:
                client.send(GET)
                assert (await client.message()).status == 200

            slow = fig.plane.services["candidate"]
            assert (slow.in_flight, len(slow.waiting)) == (5, 10)
            assert len(legacy.requests) == 255
            assert fig.notes.counts["service_turned_away", "full", "candidate"] == 85


async def test_waiting_ends_with_503_and_says_nothing_about_the_service() -> None:
    async def silent(wire: Wire) -> None:
        while await wire.some():
            pass

    spec = {"max_connections": 1, "timeout": "100ms", "breaker": {"consecutive": 2}}
    async with Service(silent) as legacy, running(table({"legacy": {"url": legacy.url, **spec}})) as fig:
        clients = [await fig.connect() for _ in range(3)]
        for client in clients:
            client.send(GET)
            await until(lambda: fig.plane.services["legacy"].in_flight, "the first at the service")
        got = [await client.message() for client in clients]

        assert sorted(each.status for each in got)[0] == 503
        waited = [f for f in await fig.finished(3) if f.failure == "overloaded"]
        assert waited
        assert {f.exchange.refused for f in waited} == {"overloaded"}
        assert fig.notes.counts["service_turned_away", "waited", "legacy"] == len(waited)


async def test_what_waited_in_vain_falls_back() -> None:
    async def silent(wire: Wire) -> None:
        while await wire.some():
            pass

    async with Answering() as legacy, Service(silent) as candidate:
        services = {"legacy": legacy.url, "candidate": {"url": candidate.url, "max_connections": 1, "timeout": "100ms"}}
        async with running(table(services, {**ROUTE, "fallback": "legacy"})) as fig:
            first, second = await fig.connect(), await fig.connect()
            for client in (first, second):
                client.send(SLOW)
                await until(lambda: candidate.connections, "the first at the candidate")
            for client in (first, second):
                assert (await client.message()).status == 200


async def test_a_retry_that_finds_no_room_falls_back() -> None:
    """The candidate has failed it already, so it is no part of a flood that would fall on legacy."""
    retries = {"attempts": 1, "on": ["503"], "budget": "100%"}
    taken = asyncio.Event()

    async def play(wire: Wire) -> None:
        got = await wire.message()
        if got.get("x-hang"):
            await asyncio.sleep(60)
        wire.send(answer(b"", "503 Busy", "Connection: close"))
        taken.set()

    async with Answering() as legacy, Service(play) as candidate:
        spec = {"url": candidate.url, "max_connections": 1, "max_pending": 0}
        route = {**ROUTE, "fallback": "legacy", "retries": retries}
        async with running(table({"legacy": legacy.url, "candidate": spec}, route)) as fig:
            client, hanging = await fig.connect(), await fig.connect()
            client.send(SLOW)
            await taken.wait()
            await until(lambda: not fig.plane.services["candidate"].in_flight, "room")
            hanging.send(SLOW.replace(b"\r\n\r\n", b"\r\nX-Hang: 1\r\n\r\n"))

            assert (await client.message()).status == 200
            assert len(legacy.requests) == 1
            assert (await fig.finished())[0].fallback == "overloaded"


async def test_a_write_that_found_no_room_never_left() -> None:
    """So its journal need not doubt."""
    copies = FakeCopies()
    gate = Gate()
    route = {**ROUTE, "stage": "canary", "share": "100%", "unit": {"header": "x-unit"}, "writes": {}}
    async with Answering() as legacy, gate.service as slow:
        spec = {"url": slow.url, "max_connections": 1, "max_pending": 0}
        async with running(table({"legacy": legacy.url, "candidate": spec}, route), copies=copies) as fig:
            request = POST.replace(b"/ ", b"/slow ").replace(b"\r\n\r\n", b"\r\nX-Unit: u\r\n\r\n")
            first, second = await fig.connect(), await fig.connect()
            first.send(request)
            await until(lambda: gate.held, "the first write at the candidate")
            second.send(request)

            assert (await second.message()).status == 503
            (over,) = await fig.finished()
            assert (over.failure, over.exchange.sent) == ("overloaded", 0.0)
            assert ("outcome", 2, 503, "overloaded") in copies.log
            gate.let_one_go()
            assert (await first.message()).status == 200


@pytest.mark.parametrize("spec", [{"max_requests": 1}, {"max_connections": 1}])
async def test_a_queue_is_served_also_when_connections_end(spec: dict[str, Any]) -> None:
    async def once(wire: Wire) -> None:
        await wire.message()
        await asyncio.sleep(0.01)
        wire.send(answer(b"", "200 OK", "Connection: close"))

    async with Service(once) as legacy, running(table({"legacy": {"url": legacy.url, **spec}})) as fig:
        clients = [await fig.connect() for _ in range(5)]
        for client in clients:
            client.send(GET)

        assert [(await client.message()).status for client in clients] == [200] * 5
        assert legacy.connections == 5


async def test_an_endpoint_that_is_full_leaves_its_turn_to_one_that_is_not() -> None:
    async with endpoints(2) as several, running(table({"legacy": service(several, max_connections=1)})) as fig:
        several[0].delay = float("inf")
        hanging = [await fig.connect() for _ in range(2)]
        for client in hanging:
            client.send(GET)
        await until(lambda: several[0].requests, "a request that hangs")

        assert {(await ask(fig)).body for _ in range(5)} == {b"b"}


@pytest.mark.parametrize("busy", [1, 2])
async def test_nobody_who_waits_is_handed_a_connection_of_an_endpoint_that_its_last_answer_ejected(busy: int) -> None:
    """It goes to the other endpoint, also where that one is busy, and it has to wait for longer."""
    gates = [Gate(), Gate()]
    ejection = {"consecutive_5xx": 1, "success_rate": "off"}
    limit = {"max_requests": 1} if busy == 1 else {"max_connections": 1}
    async with gates[0].service as one, gates[1].service as other:
        spec = {"urls": [one.url, other.url], "ejection": ejection, **limit}
        async with running(table({"legacy": spec})) as fig:
            for _ in range(busy):
                (await fig.connect()).send(GET)
            await until(lambda: len(gates[0].held) + len(gates[1].held) == busy, "requests under way")
            (waiting,) = await queue_of(fig, 1)
            bad = next(gate for gate in gates if gate.held)
            well = gates[1 - gates.index(bad)]
            bad.let_one_go("500 Broken")
            await fig.finished(1)
            if busy == 2:
                well.let_one_go()
            await until(lambda: bad.held or any(got.get("x-number") for _, got in well.held), "the one that waited")
            assert not bad.held
            well.let_one_go()

            assert (await waiting.message()).status == 200
