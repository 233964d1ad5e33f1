"""One worker: the data plane on the inherited socket, its links to control and shadower, the tick that sweeps.

It reads one thing, the effective table that control published, and goes on with the last one when control is away.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from proxy import lifeline
from proxy.dataplane.ids import Ids
from proxy.dataplane.plane import SWEEP, Plane
from proxy.dataplane.ports import Limits
from proxy.dataplane.tracing import Tracing
from proxy.following import Following, read_now
from proxy.link import Caller, Link
from proxy.memory import freeze, keep_freed
from proxy.publication import NAME, pointed
from proxy.settings import BACKLOG
from proxy.trace_settings import NO_TRACES, TraceSettings
from proxy.wire import Hello
from proxy.worker.access import AccessLog
from proxy.worker.copies import ShadowLink
from proxy.worker.spans import SpanLog
from proxy.worker.tables import Compiled, Deciding
from proxy.worker.tallies import Gauge, Labels, Tallies
from rules.effective import Pointer
from rules.stages import MILLION

if TYPE_CHECKING:
    from proxy.dataplane.exchange import Exchange
    from proxy.worker.secure import Secure

log = structlog.get_logger(__name__)

TALLY_EVERY = 2
"""Sweeps between two tallies."""
JOURNAL_WAIT = 2.0
"""Seconds to wait at start for the shadower, where the table has writes to record."""
TABLE_WAIT = 10.0
"""Seconds to wait at start for control's first table."""
RETIRED_LOOK = 0.1
"""Seconds between two looks whether a worker that was replaced has nothing left to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    number: int
    fd: int | None
    """The listening socket for plain HTTP; None where there is none."""
    tls_fd: int | None
    """That for TLS."""
    certificates: Path | None
    """The folder of the certificates that are shown there."""
    state: Path
    drain: float
    """Seconds for what is under way to end after SIGTERM."""
    handover: float
    """Seconds for it to end after SIGUSR2, which says that a successor has the socket."""
    max_connections: int
    """Clients at the same time."""
    ready: int | None
    """Descriptor on which the supervisor awaits the word that this worker serves."""
    lifeline: int | None
    access_sample: int
    """Part of good exchanges in the access log, in millionths."""
    traces: TraceSettings = NO_TRACES


class Worker:
    """Wires one Plane to the process it lives in."""

    def __init__(self, settings: Settings, pointer: Pointer, compiled: Compiled) -> None:
        """`compiled` is of the rules that `pointer` names."""
        self.settings = settings
        chance = random.Random(os.urandom(16))  # noqa: S311  # samples of reads, nothing secret
        roll = lambda: int(chance.random() * MILLION)  # noqa: E731
        self.access = AccessLog(settings.access_sample, roll, time.time)
        seen = self._log_and_trace if settings.traces.endpoint else self.access.finished
        self.tallies = Tallies(seen, self.access.refused)
        self.spans = SpanLog(self.tallies.count, time.monotonic, time.time)
        deciding = Deciding(lambda table: self.plane.load(table))
        self.following = Following(settings.state, deciding, pointer.rules, compiled)
        self.control = Caller(settings.state / "control.sock", self._greet, self.following.take)
        self.shadower = ShadowLink(settings.state / "shadow.sock", self._hello, self.tallies.count, time.time)
        self.plane = Plane(
            compiled.table,
            observer=self.tallies,
            copies=self.shadower,
            ids=Ids(os.urandom),
            now=time.monotonic,  # uvloop's own clock counts whole milliseconds
            wall=time.time,
            roll=roll,
            limits=Limits(connections=settings.max_connections),
        )
        if settings.traces.decides:
            told = settings.traces
            records = bool(told.endpoint)
            self.plane.tracing = Tracing(
                self.plane.ids, roll, sample=told.sample, parents=told.parents, records=records
            )
        deciding.stand(pointer, compiled)
        self.secure: Secure | None = None
        if settings.certificates is not None:
            from proxy.worker import secure  # here: cryptography is a tenth of what a worker needs to start

            self.secure = secure.Secure(settings.certificates, self.plane, self.tallies)
        self._lag = 0.0
        """Seconds that the loop was late at worst, since it was last told: what comes waits about so long."""
        self._stopping = asyncio.Event()
        self._retiring = asyncio.Event()
        """Set once it accepts no more: by `stop`, or because a successor does."""

    def _log_and_trace(self, exchange: Exchange) -> None:
        self.access.finished(exchange)
        if exchange.traced is not None:
            self.spans.finished(exchange, exchange.traced)

    def stop(self, reason: str) -> None:
        if not self._stopping.is_set():
            log.info("draining", reason=reason, seconds=self.settings.drain)
            self._stopping.set()
            self._retiring.set()

    def retire(self) -> None:
        """A successor accepts connections of the same socket: end what is under way, and take one's time."""
        if not self._retiring.is_set():
            log.info("retiring", seconds=self.settings.handover)
            self._retiring.set()

    def _hello(self) -> Hello:
        leaving = self._retiring.is_set()
        return Hello("worker", self.settings.number, os.getpid(), self.plane.table.generation, leaving=leaving)

    def _greet(self, link: Link) -> None:
        link.send(self._hello())

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        lifeline.on_end(self.stop, self.settings.lifeline)
        loop.add_signal_handler(signal.SIGUSR2, self.retire)
        self.control.start()
        self.shadower.start()
        await self._journal_is_there()
        ticking = asyncio.create_task(self._tick())
        servers = []
        if self.settings.fd is not None:
            servers.append(await self._listen(self.settings.fd, self.plane.accept))
        if self.secure is not None and self.settings.tls_fd is not None:
            await self.secure.start(self._retiring)
            servers.append(await self._listen(self.settings.tls_fd, self.secure.accept))
        # What lives from here on is the table and the modules: the collector need not walk them again and again.
        freeze()
        keep_freed()
        lifeline.tell_ready(self.settings.ready)
        await self._retiring.wait()
        if self._stopping.is_set():
            await self._empty_queue()
        for server in servers:
            server.close()
        await self._retired()
        left = await self.plane.drain(self.settings.drain)
        if left:
            log.warning("connections were still busy when the drain ended", count=left)
        await self._hand_over()
        ticking.cancel()
        if self.secure is not None:
            self.secure.stop()
        await self.control.stop()
        await self.shadower.stop()
        log.info("stopped")
        return 0

    async def _listen(self, fd: int, accept: Callable[[], asyncio.BaseProtocol]) -> asyncio.Server:
        """Accept the connections of an inherited socket."""
        # Taken over, not duplicated: when the drain closes it, nothing may go on queueing connections in this process.
        listener = socket.socket(fileno=fd)
        listener.setblocking(False)
        server = await asyncio.get_running_loop().create_server(accept, sock=listener, backlog=BACKLOG)
        log.info("listening", address=str(listener.getsockname()), generation=self.plane.table.generation)
        return server

    async def _journal_is_there(self) -> None:
        """Take no traffic before writes can be recorded, for a moment: meanwhile the kernel holds new connections."""
        if not any(route.writes is not None for route in self.plane.table.routes):
            return
        until = time.monotonic() + JOURNAL_WAIT
        while not (self.shadower.is_open or self._stopping.is_set()) and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def _empty_queue(self) -> None:
        """Let the loop accept what the kernel already holds: closing the listener would reset it."""
        await asyncio.sleep(0.05)

    async def _retired(self) -> None:
        """Until nothing is under way, the time of the handover is over, or somebody wants this process to end.

        Every answer says `Connection: close`, and a connection without a request is left alone until its keep-alive
        time is over as ever: closing it sooner would meet requests that are on their way.
        """
        plane = self.plane
        plane.draining = True
        self.control.send(self._hello())
        until = time.monotonic() + self.settings.handover
        while (plane.clients or plane.arriving or plane.orphans) and time.monotonic() < until:
            if self._stopping.is_set():
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), RETIRED_LOOK)

    async def _hand_over(self) -> None:
        """Give outcomes and counts a moment to leave; what the shadower does not confirm stays in doubt there."""
        for _ in self._flushing(tallies=True):
            pass
        for _ in range(40):
            if not self.shadower.unrecorded:
                break
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.05)

    async def _tick(self) -> None:
        turn = 0
        while True:
            due = time.monotonic() + SWEEP
            await asyncio.sleep(SWEEP)
            self._lag = max(self._lag, time.monotonic() - due)
            turn += 1
            try:
                self.plane.sweep()
                self.shadower.send_unsent()
                for _ in self._flushing(tallies=turn % TALLY_EVERY == 0):
                    await asyncio.sleep(0)  # clients have the loop in between
            except Exception:  # one bad tick must not end the sweep of deadlines
                log.exception("tick failed")

    def _flushing(self, *, tallies: bool) -> Iterator[None]:
        """What was counted and noted leaves, a little at a time: rows and spans, and `tallies` and the log with it."""
        yield from self.tallies.flushing_rows(self.control.send)
        self.spans.flush(self.control.send)
        if tallies:
            yield from self.tallies.flushing(self.control.send, self._gauges())
            yield from self.access.flushing()

    def _gauges(self) -> list[Gauge]:
        """How things stand. The worst lag counts from now on."""
        plane = self.plane
        worker: Labels = (("worker", str(self.settings.number)),)
        gauges: list[Gauge] = [
            ("client_connections", worker, float(len(plane.clients))),
            ("unrecorded_outcomes", worker, float(self.shadower.unrecorded)),
            ("worker_lag_seconds", worker, float(self._lag)),
        ]
        self._lag = 0.0
        for route, count in _in_flight(plane).items():
            gauges.append(("exchanges_in_flight", (("route", route),), float(count)))
        for service in plane.services.values():
            gauges += [(name, (*labels, *worker), value) for name, labels, value in service.gauges()]
        if self.secure is not None:
            gauges += self.secure.gauges(worker)
        return gauges


def _in_flight(plane: Plane) -> Counter[str]:
    """Exchanges that are not over, by route. 12,000 are counted in about a millisecond; none of them counts itself."""
    clients = (client.exchange for client in plane.clients)
    return Counter(each.decision.route.name for each in (*clients, *plane.orphans) if each is not None)


async def run(settings: Settings) -> int:
    """The worker's life; returns its exit code."""
    end = time.monotonic() + TABLE_WAIT
    while True:
        try:
            pointer = pointed(settings.state)
            compiled = read_now(settings.state, Deciding(lambda _: None), pointer)
            break
        except FileNotFoundError:  # also of the rules file, when the table is replaced between the two looks
            if time.monotonic() > end:
                log.error("there is no table to serve by", file=str(settings.state / NAME))
                return 1
            await asyncio.sleep(0.05)
    return await Worker(settings, pointer, compiled).run()
