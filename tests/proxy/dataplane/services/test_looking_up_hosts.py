"""A service named by a host: which of its addresses are connected to, and what a change of them means."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from proxy.dataplane.services.resolving import SOONEST, Addresses, interleaved
from tests.fakes.endpoints import GET, Clock, Endpoint, ask
from tests.fakes.planes import SWEEP, running, table, until

A, B, C = "127.0.0.1", "127.0.0.2", "127.0.0.3"


class Names:
    """What a host's name leads to; empty for a failing lookup."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.lookups = 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.lookups += 1
        if not self.addresses:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return list(self.addresses)


@contextlib.asynccontextmanager
async def listening(name: str, address: str, port: int = 0) -> AsyncIterator[Endpoint]:
    endpoint = Endpoint(name, address, port)
    await endpoint.start()
    try:
        yield endpoint
    finally:
        await endpoint.kill()


@contextlib.asynccontextmanager
async def hosts() -> AsyncIterator[dict[str, Endpoint]]:
    """An endpoint at each of two addresses, on one port."""
    async with listening("at 1", A) as first, listening("at 2", B, first.port) as second:
        yield {A: first, B: second}


def legacy(at: dict[str, Endpoint], **more: Any) -> dict[str, Any]:
    return {"legacy": {"url": f"http://shop.internal:{at[A].port}", **more}}


async def settle() -> None:
    """Let a sweep pass, and what it began."""
    await asyncio.sleep(5 * SWEEP)


async def test_all_addresses_are_used_in_turn() -> None:
    async with hosts() as at, running(table(legacy(at)), lookup=Names(A, B)) as fig:
        for each in at.values():
            each.delay = 0.05
        clients = [await fig.connect() for _ in range(6)]
        for client in clients:
            client.send(GET)
        got = [(await client.message()).body for client in clients]

        assert (got.count(b"at 1"), got.count(b"at 2")) == (3, 3)


async def test_an_address_that_takes_no_connection_is_passed_over_and_tried_last_from_then_on() -> None:
    names = Names(C, A)
    async with hosts() as at, running(table(legacy(at)), lookup=names) as fig:
        for each in at.values():
            each.delay = 0.05
        clients = [await fig.connect() for _ in range(6)]
        for client in clients:
            client.send(GET)

        assert [(await client.message()).body for client in clients] == [b"at 1"] * 6
        assert not fig.notes.counts[
            "service_connect_failures", f"http://shop.internal:{at[A].port}", "connect", "legacy"
        ]


@contextlib.contextmanager
def deaf_at(address: str, port: int) -> Iterator[None]:
    """Connecting there does not end, for the queue of connections is full."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex((address, port))
        yield


async def test_an_address_that_is_slow_is_tried_last_from_then_on_also_when_it_is_slow_no_more() -> None:
    """Until the name is looked up again: it has cost a pause, and may cost each further connection one."""
    async with hosts() as at, running(table(legacy(at)), lookup=Names(C, A)) as fig:
        with deaf_at(C, at[A].port):
            assert (await ask(fig)).body == b"at 1"
        async with listening("at 3", C, at[A].port):
            at[A].delay = 0.05
            clients = [await fig.connect() for _ in range(6)]
            for client in clients:
                client.send(GET)

            # In turn it would be half of them. What a busy machine keeps waiting may try the other address as well.
            assert [(await client.message()).body for client in clients].count(b"at 1") > 3


async def test_an_address_that_was_hardly_given_time_is_not_held_to_be_slow() -> None:
    spec = {"connect_timeout": "50ms"}
    stands_still = 1.0
    async with hosts() as at, running(table(legacy(at, **spec)), lookup=Names(C, A), now=lambda: stands_still) as fig:
        with deaf_at(C, at[A].port):
            assert (await ask(fig)).status == 504
        async with listening("at 3", C, at[A].port) as third:
            at[A].delay = third.delay = 0.05
            clients = [await fig.connect() for _ in range(6)]
            for client in clients:
                client.send(GET)

            assert sorted([(await client.message()).body for client in clients]) == [b"at 1"] * 3 + [b"at 3"] * 3


async def test_a_changed_answer_leads_new_connections_elsewhere_and_lets_kept_ones_end() -> None:
    names, clock = Names(A), Clock()
    async with hosts() as at, running(table(legacy(at, resolve="30s")), lookup=names, now=clock) as fig:
        client = await fig.connect()
        client.send(GET)
        assert (await client.message()).body == b"at 1"
        names.addresses = [B]
        clock.forward(15)
        await settle()
        assert names.lookups == 1, "not yet"
        clock.forward(15)
        await settle()
        client.send(GET)

        assert (await client.message()).body == b"at 2"
        assert names.lookups == 2


async def test_a_request_under_way_to_an_address_that_is_gone_ends_in_peace() -> None:
    names, clock = Names(A), Clock()
    async with hosts() as at, running(table(legacy(at, timeout="10m")), lookup=names, now=clock) as fig:
        at[A].delay = 0.2
        client = await fig.connect()
        client.send(GET)
        await until(lambda: at[A].requests, "the request at the service")
        names.addresses = [B]
        clock.forward(31)
        await until(lambda: names.lookups == 2, "another lookup")
        assert (await client.message()).body == b"at 1"
        client.send(GET)

        assert (await client.message()).body == b"at 2"
        assert at[A].connections == 1


async def test_a_failing_lookup_keeps_the_last_good_addresses_and_is_counted() -> None:
    names, clock = Names(A), Clock()
    async with hosts() as at, running(table(legacy(at)), lookup=names, now=clock) as fig:
        assert (await ask(fig)).status == 200
        names.addresses = []
        for _ in range(3):
            clock.forward(31)
            await settle()

        assert (await ask(fig)).status == 200
        assert names.lookups == 4
        assert fig.notes.counts["resolution_failures", f"http://shop.internal:{at[A].port}", "legacy"] == 3


async def test_when_no_address_takes_connections_the_name_is_soon_looked_up_anew() -> None:
    names, clock = Names(C), Clock()
    async with hosts() as at, running(table(legacy(at)), lookup=names, now=clock) as fig:
        assert (await ask(fig)).status == 502
        names.addresses = [A]
        assert (await ask(fig)).status == 502, "not for every request that fails"
        clock.forward(SOONEST)
        await settle()

        assert (await ask(fig)).status == 200


async def test_without_resolve_a_name_is_looked_up_for_each_connection() -> None:
    names = Names(A)
    async with hosts() as at, running(table(legacy(at, resolve="off")), lookup=names) as fig:
        assert (await ask(fig)).body == b"at 1"
        await at[A].kill()
        names.addresses = [B]
        assert (await ask(fig)).body == b"at 2"
        names.addresses = []
        await at[B].kill()
        await at[B].start()

        assert (await ask(fig)).body == b"at 2"
        assert names.lookups == 3


async def test_a_name_that_is_never_found_is_a_502_for_each_request_and_one_lookup_for_all_that_wait() -> None:
    class Slow(Names):
        async def __call__(self, host: str, port: int) -> list[str]:
            await asyncio.sleep(0.05)
            return await super().__call__(host, port)

    names = Slow()
    async with hosts() as at, running(table(legacy(at)), lookup=names) as fig:
        clients = [await fig.connect() for _ in range(5)]
        for client in clients:
            client.send(GET)

        assert {(await client.message()).status for client in clients} == {502}
        assert names.lookups == 1


async def test_a_lookup_that_hangs_is_a_504_in_time() -> None:
    async def never(host: str, port: int) -> list[str]:
        await asyncio.sleep(3600)
        return []

    async with hosts() as at, running(table(legacy(at, connect_timeout="50ms")), lookup=never) as fig:
        assert (await ask(fig)).status == 504


async def test_what_nobody_foresaw_ends_the_exchange_is_told_and_costs_no_place_and_no_later_lookup() -> None:
    """As where the process may begin no further thread."""
    names, clock = Names(A), Clock()
    failures = [RuntimeError("can't start new thread")] * 2

    async def lookup(host: str, port: int) -> list[str]:
        if failures:
            raise failures.pop()
        return await names(host, port)

    spec = {"max_requests": 1, "max_pending": 0, "resolve": "5s"}
    async with hosts() as at, running(table(legacy(at, **spec)), lookup=lookup, now=clock) as fig:
        for _ in range(2):
            with capture_logs() as told:
                assert (await ask(fig)).status == 502
            assert [each["event"] for each in told] == ["opening a connection failed"]
            assert fig.plane.services["legacy"].in_flight == 0
        clock.forward(5)
        await until(lambda: names.lookups == 1, "the lookup that was due")
        assert (await ask(fig)).status == 200
        assert names.lookups == 1


async def test_an_address_is_never_looked_up() -> None:
    names = Names()
    async with hosts() as at, running(table({"legacy": at[A].url}), lookup=names) as fig:
        assert (await ask(fig)).status == 200
        assert names.lookups == 0


@pytest.mark.parametrize(
    ("found", "tried"),
    [
        (["::1", "::2", "10.0.0.1"], ("::1", "10.0.0.1", "::2")),
        (["10.0.0.1", "10.0.0.2", "::1", "10.0.0.1"], ("10.0.0.1", "::1", "10.0.0.2")),
        ([], ()),
    ],
)
def test_families_take_turns(found: list[str], tried: tuple[str, ...]) -> None:
    assert interleaved(found) == tried


async def test_what_was_shunned_is_tried_like_the_others_after_the_next_lookup() -> None:
    ticks: Iterator[float] = iter(range(100))
    names = Names(A, B)
    addresses = Addresses(
        "shop.internal", 80, every=5.0, now=lambda: float(next(ticks)), lookup=names, changed=lambda _: None,
        failed=lambda: None,
    )  # fmt: skip
    first = [await addresses.next() for _ in range(2)]
    addresses.refused(A)
    shunned = [await addresses.next() for _ in range(2)]
    addresses.sweep(50.0)
    await asyncio.sleep(0.01)

    assert first == [[A, B], [B, A]]
    assert shunned == [[B, A]] * 2
    assert sorted([await addresses.next() for _ in range(2)]) == [[A, B], [B, A]]


async def test_what_was_shunned_is_tried_like_the_others_once_it_takes_a_connection() -> None:
    addresses = Addresses(
        "shop.internal", 80, every=5.0, now=lambda: 1.0, lookup=Names(A, B), changed=lambda _: None,
        failed=lambda: None,
    )  # fmt: skip
    assert [await addresses.next() for _ in range(2)] == [[A, B], [B, A]]
    addresses.refused(A)
    assert [await addresses.next() for _ in range(2)] == [[B, A]] * 2
    addresses.took(A)

    assert [await addresses.next() for _ in range(2)] == [[A, B], [B, A]]
