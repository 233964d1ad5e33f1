"""A data plane on the running loop for tests: its table from plain data, its observer and its copies as fakes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from proxy.dataplane.exchange import Exchange
from proxy.dataplane.ids import Ids
from proxy.dataplane.plane import Plane
from proxy.dataplane.ports import Copies, Labels, Limits, Observer
from proxy.dataplane.recording import Recording
from proxy.dataplane.refusals import Refusal
from proxy.dataplane.sending import Outbox
from proxy.dataplane.services.resolving import Lookup, look_up
from proxy.dataplane.services.tls import Contexts
from proxy.dataplane.services.world import World
from rules.document import Rules
from rules.effective import Effective
from rules.table import Table, compile_table
from tests.fakes.wires import PATIENCE, Wire

SWEEP = 0.01


def table(
    services: dict[str, str | dict[str, Any]], *routes: dict[str, Any], generation: int = 1, **more: Any
) -> Table:
    """`services` by name, each a URL or a block; the one named legacy answers what no route takes. `more`: other keys
    of the file."""
    blocks = {name: {"url": spec} if isinstance(spec, str) else spec for name, spec in services.items()}
    rules = Rules.model_validate({"version": 1, "services": blocks, "legacy": "legacy", "routes": routes, **more})
    return compile_table(Effective(generation=generation, rules=rules))


@dataclass(frozen=True)
class Finished:
    """What an observer saw of an exchange."""

    route: str
    side: str
    service: str
    status: int
    failure: str
    fallback: str
    generation: int
    exchange: Exchange


class Notes:
    """An observer that remembers, and tells another one."""

    def __init__(self, also: Observer | None = None) -> None:
        self._also = also
        self.finished_all: list[Finished] = []
        self._told: set[int] = set()
        """Of those exchanges, which are kept, so that no other has the same."""
        self.refusals: list[str] = []
        self.counts: Counter[tuple[str, ...]] = Counter()
        """By name and the labels' values."""

    def finished(self, exchange: Exchange) -> None:
        assert id(exchange) not in self._told, "told twice of one exchange"
        self._told.add(id(exchange))
        self.finished_all.append(
            Finished(
                exchange.decision.route.name,
                exchange.side.value,
                exchange.service.name,
                exchange.status,
                exchange.failure,
                exchange.fallback,
                exchange.generation,
                exchange,
            )
        )
        if self._also is not None:
            self._also.finished(exchange)

    def count(self, name: str, labels: Labels = (), amount: float = 1.0) -> None:
        self.counts[name, *(value for _, value in labels)] += amount
        if self._also is not None:
            self._also.count(name, labels, amount)

    def refused(self, refusal: Refusal, client: str, request_id: str) -> None:
        self.refusals.append(refusal.reason)
        if self._also is not None:
            self._also.refused(refusal, client, request_id)


class FakeCopies:
    """The shadower as the data plane sees it. `reply` decides what becomes of an intent; by default it is granted."""

    def __init__(self, reply: Callable[[Recording], bool] | None = None) -> None:
        self._sequence = itertools.count(1)
        self._reply = reply or self.grant_soon
        self.log: list[tuple[Any, ...]] = []
        self.intents: list[tuple[Recording, bytes]] = []
        self.mirrored: list[Exchange] = []

    @property
    def events(self) -> list[str]:
        return [entry[0] for entry in self.log]

    def grant(self, recording: Recording) -> None:
        if recording.exchange.over:
            return
        self.log.append(("granted",))
        recording.granted(next(self._sequence))

    def grant_soon(self, recording: Recording) -> bool:
        asyncio.get_running_loop().call_soon(self.grant, recording)
        return True

    def mirror(self, exchange: Exchange) -> None:
        assert exchange.kept is not None
        self.log.append(("mirror", exchange.status, exchange.kept.body))
        self.mirrored.append(exchange)

    def intend(self, recording: Recording, body: bytes) -> bool:
        self.log.append(("intend", recording.key, body))
        self.intents.append((recording, body))
        return self._reply(recording)

    def withdraw(self, recording: Recording) -> None:
        self.log.append(("withdraw",))

    def outcome(self, recording: Recording) -> None:
        exchange = recording.exchange
        self.log.append(("outcome", recording.sequence, exchange.status, exchange.failure))

    def gap(self, recording: Recording, reason: str) -> None:
        self.log.append(("gap", reason))


class Fig:
    """A plane that listens."""

    def __init__(self, plane: Plane, notes: Notes, port: int) -> None:
        self.plane = plane
        self.notes = notes
        self.port = port
        self.wires: list[Wire] = []

    async def connect(self) -> Wire:
        wire = await Wire.to(self.port)
        self.wires.append(wire)
        return wire

    async def finished(self, count: int = 1) -> list[Finished]:
        """Every exchange that is over, once there are `count`."""
        await until(lambda: len(self.notes.finished_all) >= count, f"{count} exchanges over")
        return self.notes.finished_all


def quiet_world(now: Callable[[], float] = lambda: 0.0, observer: Observer | None = None) -> World:
    """The surroundings of a service without a plane."""
    return World(Limits(), observer or Notes(), Outbox(), now, lambda: 0, look_up, Contexts(now))


async def until(look: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 3 * PATIENCE
    while not look():
        assert time.monotonic() < end, f"never came: {what}"
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def running(
    start: Table,
    *,
    limits: Limits | None = None,
    copies: Copies | None = None,
    observer: Observer | None = None,
    roll: int = 0,
    now: Callable[[], float] | None = None,
    lookup: Lookup = look_up,
) -> AsyncIterator[Fig]:
    """A plane on a free port, swept often. Fails when a callback raised, or when it leaves a connection behind."""
    loop = asyncio.get_running_loop()
    broken: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: broken.append(context))
    notes = Notes(observer)
    plane = Plane(
        start,
        observer=notes,
        copies=copies,
        ids=Ids(os.urandom),
        now=now or loop.time,
        wall=time.time,
        roll=lambda: roll,
        limits=limits,
        lookup=lookup,
    )
    server = await loop.create_server(plane.accept, "127.0.0.1", 0)

    async def sweep() -> None:
        while True:
            await asyncio.sleep(SWEEP)
            plane.sweep()

    sweeping = asyncio.create_task(sweep())
    services = {id(each): each for each in plane.services.values()}
    fig = Fig(plane, notes, int(server.sockets[0].getsockname()[1]))
    try:
        yield fig
    finally:
        server.close()
        for wire in fig.wires:
            wire.drop()
        services.update({id(each): each for each in plane.services.values()})
        for client in list(plane.clients):
            client.transport.abort()
        await until(lambda: not plane.clients, "the end of every client connection")
        for service in services.values():
            service.retire()
        await until(lambda: not any(each.open for each in services.values()), "the end of every service connection")
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
        loop.set_exception_handler(None)
    assert not broken, f"a callback raised: {broken}"
