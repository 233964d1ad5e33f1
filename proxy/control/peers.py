"""Control's end of the links to workers and shadower: who is there, which generation each runs, who answered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from proxy.link import Link, listen
from proxy.wire import VERSION, Done, EventRows, Hello, Load, Loaded, Prepare, Prepared, Record, Rows, Spans, Tally

log = structlog.get_logger(__name__)

PATIENCE = 1.0
"""Seconds that a move waits for every worker to decide by the new table (DESIGN section 2)."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Who decides by a generation. `missing` names everyone who does not, and why; empty when all do."""

    generation: int
    workers: int
    """How many there should be."""
    missing: tuple[str, ...] = ()


@dataclass(slots=True)
class Peer:
    """One connected process, as far as it has told us."""

    link: Link
    name: str = ""
    role: str = ""
    number: int = 0
    pid: int = 0
    leaving: bool = False
    """Whether it is a worker that a successor has replaced; it still decides for the connections that it has."""
    generation: int = 0
    problem: str = ""
    announced: str = ""
    """Digest of the rules that it was last told to read before they are published."""
    prepared: str = ""
    """The same, once it has read them or cannot."""


class Peers:
    """Accepts links on control.sock. Tallies and rows go to the callbacks; generations are kept here."""

    def __init__(
        self,
        workers: int,
        on_tally: Callable[[str, Tally], None],
        on_rows: Callable[[Rows | EventRows], None],
        on_gone: Callable[[str], None],
        on_spans: Callable[[Spans], None] = lambda _: None,
        on_done: Callable[[Done], None] = lambda _: None,
    ) -> None:
        """`on_tally` and `on_gone` get the peer's name (``worker 0``, ``shadower``)."""
        self._expected = workers
        self._on_tally = on_tally
        self._on_rows = on_rows
        self._on_gone = on_gone
        self._on_spans = on_spans
        self._on_done = on_done
        self._peers: dict[Link, Peer] = {}
        self._current = 0
        self._preparing = ""
        """Digest of the rules that everyone is reading now."""
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def start(self, path: Path, generation: int) -> None:
        self._current = generation
        self._server = await listen(path, lambda: Link(self._take, self._opened, self._closed))

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for link in list(self._peers):
            link.close()

    @property
    def names(self) -> dict[str, Peer]:
        """Connected peers that have said hello, by name (``worker 0``, ``former worker 0 (4711)``, ``shadower``)."""
        return {peer.name: peer for peer in self._peers.values() if peer.name}

    @property
    def workers(self) -> list[Peer]:
        return sorted((p for p in self._peers.values() if p.role == "worker"), key=lambda p: p.number)

    def command(self, record: Record) -> bool:
        """Hand a record to the shadower; whether one is there and takes it."""
        shadower = self.names.get("shadower")
        return shadower is not None and shadower.link.send(record)

    def missing(self, generation: int) -> tuple[str, ...]:
        """Workers that do not decide by `generation`, each with why; those that were replaced and still serve too."""
        found = []
        for number in range(self._expected):
            if not any(peer.number == number and not peer.leaving for peer in self.workers):
                found.append((number, f"worker {number}: not connected"))
        for peer in self.workers:
            if peer.problem:
                found.append((peer.number, f"{peer.name}: {peer.problem}"))
            elif peer.generation < generation:
                found.append((peer.number, f"{peer.name}: has not answered"))
        return tuple(said for _, said in sorted(found))

    async def publish(self, generation: int, patience: float = PATIENCE) -> Acknowledgement:
        """Tell everyone that `generation` lies in the state folder; wait until every worker decides by it.

        A worker that is down counts as missing until it is back: nobody can say what it would decide by.
        """
        self._current = generation
        for peer in self._peers.values():
            peer.problem = ""
            peer.link.send(Load(generation))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while not self._settled(generation):
                    self._changed.clear()
                    await self._changed.wait()
        return Acknowledgement(generation, self._expected, self.missing(generation))

    async def prepare(self, rules: str, patience: float) -> None:
        """Have everyone read the rules of this digest before they are published, so that all change over at once.

        Also whoever connects meanwhile, after a restart say. Who is not done when the patience (seconds) is over, reads
        them when they are published.
        """
        self._preparing = rules
        try:
            for peer in self._peers.values():
                self._announce(peer)
            async with asyncio.timeout(patience):
                while any(peer.name and peer.announced == rules != peer.prepared for peer in self._peers.values()):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            log.warning("not everyone has read the rules yet", rules=rules, seconds=patience)
        finally:
            self._preparing = ""

    def _announce(self, peer: Peer) -> None:
        peer.announced, peer.prepared = self._preparing, ""
        peer.link.send(Prepare(self._preparing))

    def remind(self) -> None:
        """Tell those who refused the published table of it again: what kept them from reading it may have passed."""
        for peer in self._peers.values():
            if peer.problem and peer.generation < self._current:
                peer.link.send(Load(self._current))

    def _settled(self, generation: int) -> bool:
        """Whether waiting longer can change nothing: every worker is there, and loaded the table or refused it."""
        workers = self.workers
        there = {worker.number for worker in workers if not worker.leaving}
        return len(there) >= self._expected and all(w.generation >= generation or w.problem for w in workers)

    def _take(self, link: Link, record: Record) -> None:
        peer = self._peers[link]
        if isinstance(record, Tally):
            self._on_tally(peer.name, record)
        elif isinstance(record, Rows | EventRows):
            self._on_rows(record)
        elif isinstance(record, Spans):
            self._on_spans(record)
        elif isinstance(record, Done):
            self._on_done(record)
        elif isinstance(record, Loaded):
            peer.problem = record.problem
            if not record.problem:
                peer.generation = record.generation
            else:
                log.error("table refused", peer=peer.name, generation=record.generation, problem=record.problem)
            self._changed.set()
        elif isinstance(record, Prepared):
            peer.prepared = record.rules
            if record.problem:
                log.error("rules not read", peer=peer.name, rules=record.rules, problem=record.problem)
            self._changed.set()
        elif isinstance(record, Hello):
            self._greet(peer, record)
        else:
            log.error("unexpected record", peer=peer.name, record=type(record).__name__)
            link.close()

    def _greet(self, peer: Peer, hello: Hello) -> None:
        peer.role, peer.number, peer.pid, peer.generation = hello.role, hello.number, hello.pid, hello.generation
        former, peer.name, peer.leaving = peer.name, _name(hello), hello.leaving
        if former and former != peer.name:
            self._on_gone(former)  # what it told under that name, its successor tells
        if hello.version != VERSION:
            log.error("peer refused", peer=peer.name, version=hello.version, expected=VERSION)
            peer.link.close()
            return
        log.info("peer connected", peer=peer.name, pid=hello.pid, generation=hello.generation)
        if hello.generation != self._current:
            peer.link.send(Load(self._current))
        elif self._preparing and peer.announced != self._preparing:
            self._announce(peer)
        self._changed.set()

    def _opened(self, link: Link) -> None:
        self._peers[link] = Peer(link)

    def _closed(self, link: Link) -> None:
        peer = self._peers.pop(link, None)
        if peer is not None and peer.name:
            log.info("peer gone", peer=peer.name, pid=peer.pid)
            if peer.name not in self.names:  # its successor may be here already
                self._on_gone(peer.name)
        self._changed.set()


def _name(hello: Hello) -> str:
    if hello.role != "worker":
        return hello.role
    return f"former worker {hello.number} ({hello.pid})" if hello.leaving else f"worker {hello.number}"
