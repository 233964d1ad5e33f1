"""Writes between their grant and their recorded outcome: who carries each, and what becomes of it, told or lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import structlog

from proxy.link import Link
from proxy.shadower.counts import Counts
from proxy.shadower.insist import insist
from proxy.shadower.quiet import Quiet
from proxy.shadower.tables import Tables
from proxy.wire import Outcome, Recorded
from rules.order_keys import key_in
from rules.read_back import is_of
from shadow.comparing.bodies import plain
from shadow.journal import writes
from shadow.journal.doubts import Doubt
from shadow.journal.journal import Journal, order_key_hash
from shadow.journal.writes import Copy
from shadow.pair import Answer
from shadow.sealing import Sealer

log = structlog.get_logger(__name__)

RESUME_SECONDS = 3.0
"""How long a restarted shadower waits for workers to claim the writes that its predecessor granted: a worker calls
again after a second at most (proxy.link.BACK_OFF)."""
ASKED_ABOUT = -1
"""In place of the process id of a worker that is gone: its write is asked about (proxy/shadower/read_back.py)."""


@dataclass(slots=True)
class Worker:
    """One link, and what it stands for."""

    link: Link
    number: int = -1
    pid: int = 0
    asked: set[int] = field(default_factory=set)
    """Tickets that wait for a lease."""
    held: set[int] = field(default_factory=set)
    """Sequences granted to it whose outcome has not come."""


@dataclass(slots=True)
class _Held:
    """A write between its grant and its recorded outcome."""

    ticket: int
    key: bytes
    route: str
    worker: Worker | None
    """None for a write that a predecessor granted and no worker has claimed yet."""
    pid: int


class Carried:
    """Every write that was granted and whose outcome is not durable yet, each with the lease of its key.

    `on_copy` gets each copy that is owed. `hold` and `release` take and give back the lease of a key for a ticket.
    """

    def __init__(
        self,
        journal: Journal,
        sealer: Sealer,
        tables: Tables,
        counts: Counts,
        quiet: Quiet,
        *,
        tickets: Iterator[int],
        hold: Callable[[bytes, int], None],
        release: Callable[[bytes, int], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        on_copy: Callable[[Copy], None],
        on_doubt: Callable[[int, str], bool],
        wall: Callable[[], float],
    ) -> None:
        """`on_doubt(sequence, route)`: whether a doubt is asked about. Then its key waits for `known` or `let_go`."""
        self._journal = journal
        self._sealer = sealer
        self._tables = tables
        self._counts = counts
        self._quiet = quiet
        self._tickets = tickets
        self._hold = hold
        self._release = release
        self._spawn = spawn
        self._on_copy = on_copy
        self._on_doubt = on_doubt
        self._wall = wall
        self._held: dict[int, _Held] = {}
        self._recording: dict[int, Worker] = {}
        """Sequences whose outcome is being recorded, with the worker that told of it last."""
        self._freed = asyncio.Event()

    # --- what a predecessor left --------------------------------------------------------------------------------------

    def resume(self, doubts: Iterable[Doubt] = ()) -> None:
        """Keep the leases of writes without an outcome until their workers have had time to claim them.

        `doubts` may be asked about; those that are keep their leases until they are known.
        """
        for doubt in doubts:
            if self._on_doubt(doubt.sequence, doubt.route):
                ticket = next(self._tickets)
                self._hold(doubt.key, ticket)
                self._held[doubt.sequence] = _Held(ticket, doubt.key, doubt.route, None, ASKED_ABOUT)
                self._quiet.enter(doubt.route, key=doubt.key)
        orphans = self._journal.reader.open_writes()
        for each in orphans:
            ticket = next(self._tickets)
            self._hold(each.key, ticket)
            self._held[each.sequence] = _Held(ticket, each.key, each.route, None, each.worker)
            self._quiet.enter(each.route, key=each.key)
        if orphans:
            log.warning("writes without an outcome", count=len(orphans), waiting=RESUME_SECONDS)
            self._spawn(self._doubt_unclaimed())

    async def _doubt_unclaimed(self) -> None:
        await asyncio.sleep(RESUME_SECONDS)
        unclaimed = [
            sequence for sequence, held in self._held.items() if held.worker is None and held.pid != ASKED_ABOUT
        ]
        await self._doubt(unclaimed, "no worker claimed it after a restart")

    def claim(self, worker: Worker, claimed: Iterable[int]) -> None:
        """A worker says what it carries. What was granted to it and is not named never left it."""
        named = set(claimed)
        unsent = []
        for sequence, held in self._held.items():
            if held.worker is None and held.pid == worker.pid:
                held.worker = worker
                if sequence in named:
                    worker.held.add(sequence)
                else:
                    unsent.append(sequence)
        if unsent:
            self._spawn(self.withdraw(unsent))

    # --- grants, outcomes, lost workers -------------------------------------------------------------------------------

    def granted(self, worker: Worker, sequence: int, ticket: int, route: str, key: bytes) -> None:
        """An intent is durable, and its worker about to be told: then `worker.held` has it, else it is withdrawn."""
        self._held[sequence] = _Held(ticket, key, route, worker, worker.pid)
        self._quiet.enter(route, key=key)

    def lost(self, worker: Worker) -> None:
        """It is gone, or its link is: nobody else can tell the outcome of what it was carrying."""
        lost = [sequence for sequence in worker.held if sequence not in self._recording]
        if lost:
            log.warning("worker lost with writes in flight", worker=worker.number, pid=worker.pid, writes=len(lost))
            self._spawn(self._doubt(lost, "worker lost"))

    def told(self, worker: Worker, outcome: Outcome) -> None:
        """What became of a write. Told again, over another link say, it is answered there."""
        is_new = outcome.sequence not in self._recording
        self._recording[outcome.sequence] = worker
        if is_new:
            self._spawn(self._settle(outcome))

    async def _settle(self, outcome: Outcome) -> None:
        """Record an outcome; only when it is durable is the lease free and the worker told."""
        answer = Answer(
            outcome.status,
            tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in outcome.answer_headers),
            outcome.answer_body,
            outcome.truncated,
            outcome.seconds,
            outcome.failure,
        )
        sequence = outcome.sequence
        held = self._held.get(sequence)
        success, learnt = self._said(held, answer) if held is not None else (None, b"")
        recorded = await insist(
            "outcome",
            lambda: self._journal.outcome(sequence, answer, self._wall(), success=success, learnt=learnt),
            self._counts,
        )
        worker = self._recording.pop(sequence)
        if recorded.changed:
            self._counts.add("journal_outcomes", state=recorded.state.value)
        if recorded.copy is not None:
            if sequence not in self._held:  # a doubt that this outcome cleared
                self._quiet.enter(recorded.copy.route, key=recorded.copy.key)
            self._on_copy(recorded.copy)
        worker.link.send(Recorded(outcomes=[sequence]))
        if recorded.state is not writes.State.IN_DOUBT or not self._is_asked_about(sequence):
            self._free(sequence, still_owed=recorded.copy is not None)

    def _said(self, held: _Held, answer: Answer) -> tuple[bool, bytes]:
        """Whether a copy is owed after this answer, and the hash of the key that it tells, for a write without one."""
        rules = self._tables.writes(held.route)
        success = any(is_of(answer.status, pattern) for pattern in rules.deliver_on)
        if held.key or rules.then_by is None or not success:
            return success, b""
        try:
            key = key_in(plain(answer), rules.then_by.partition(":")[2])
        except ValueError:  # a content coding that is none
            key = ""
        if not key:
            self._counts.add("journal_keys_unknown", route=held.route)
        return success, order_key_hash(self._sealer, held.route, key)

    async def _doubt(self, sequences: list[int], reason: str) -> None:
        await insist("doubt", lambda: self._journal.doubt(sequences, reason, self._wall()), self._counts)
        for sequence in sequences:
            self._counts.add("journal_outcomes", state=writes.State.IN_DOUBT.value)
            if not self._is_asked_about(sequence):
                self._free(sequence)

    def _is_asked_about(self, sequence: int) -> bool:
        """Whether this doubt is about to be cleared: then its key waits, and no worker stands for it any more."""
        held = self._held.get(sequence)
        if held is None or not self._on_doubt(sequence, held.route):
            return False
        if held.worker is not None:
            held.worker.held.discard(sequence)
        held.worker, held.pid = None, ASKED_ABOUT
        self._freed.set()
        return True

    def known(self, recorded: writes.Recorded) -> None:
        """A doubt is cleared: its copy may be owed, and its key is free."""
        if recorded.changed:
            self._counts.add("journal_outcomes", state=recorded.state.value)
        if recorded.copy is not None:
            if recorded.sequence not in self._held:
                self._quiet.enter(recorded.copy.route, key=recorded.copy.key)
            self._on_copy(recorded.copy)
        self._free(recorded.sequence, still_owed=recorded.copy is not None)

    def let_go(self, sequence: int) -> None:
        """Nobody waits any more for what this doubt comes to."""
        self._free(sequence)

    async def withdraw(self, sequences: list[int]) -> None:
        """Grants that their worker did not hear of: never forwarded."""
        await insist("withdrawal", lambda: self._journal.withdraw(sequences, self._wall()), self._counts)
        for sequence in sequences:
            self._free(sequence)

    def _free(self, sequence: int, *, still_owed: bool = False) -> None:
        held = self._held.pop(sequence, None)
        if held is None:
            return
        self._freed.set()
        if held.worker is not None:
            held.worker.held.discard(sequence)
        if not still_owed:
            self._quiet.leave(held.route, self._wall(), held.key)
        self._release(held.key, held.ticket)

    async def drain(self, seconds: float) -> None:
        """Wait for the outcomes of granted writes, that long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                while any(held.pid != ASKED_ABOUT for held in self._held.values()):
                    self._freed.clear()
                    await self._freed.wait()
