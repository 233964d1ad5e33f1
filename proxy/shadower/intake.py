"""The workers' end: intents made durable and granted, outcomes recorded, gaps kept, lost workers' writes doubted."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog

from proxy.link import Link
from proxy.shadower.counts import Counts
from proxy.shadower.insist import insist
from proxy.shadower.quiet import Quiet
from proxy.shadower.tables import Tables
from proxy.wire import VERSION, Denied, Gap, Granted, Hello, Holding, Intent, Mirror, Outcome, Record, Recorded
from rules.order_keys import key_in
from rules.read_back import is_of
from rules.stages import Side
from shadow.comparing.bodies import plain
from shadow.delivery.leases import Answer as LeaseAnswer
from shadow.delivery.leases import Ask, Grant, Leases
from shadow.journal import writes
from shadow.journal.doubts import Doubt
from shadow.journal.journal import DamagedJournalError, Journal, JournalError, QuotaError, order_key_hash
from shadow.journal.writes import Copy, Original, Write
from shadow.pair import Answer
from shadow.sealing import Sealer

log = structlog.get_logger(__name__)

RESUME_SECONDS = 3.0
"""How long a restarted shadower waits for workers to claim the writes that its predecessor granted: a worker calls
again after a second at most (proxy.link.BACK_OFF)."""
EXPIRE_EVERY = 0.05
"""Seconds between two looks for asks that have waited too long."""
RETRY_AFTER = 1.0
ASKED_BYTES = 64 * 1024 * 1024
"""Of intents that wait for a lease or the disk; what comes beyond it is denied. One larger than that may be alone."""
ASKED_ABOUT = -1
"""In place of the process id of a worker that is gone: its write is asked about (proxy/shadower/read_back.py)."""
GAPS_AT_ONCE = 256
"""Gaps that the journal is asked to take together: a full disk is not asked by every one of them, every second."""


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
class _Asked:
    worker: Worker
    intent: Intent
    key: bytes


@dataclass(slots=True)
class _Held:
    """A write between its grant and its recorded outcome."""

    ticket: int
    key: bytes
    route: str
    worker: Worker | None
    """None for a write that a predecessor granted and no worker has claimed yet."""
    pid: int


class Intake:
    """Takes the workers' records. `on_copy` gets each copy that is owed, `on_mirror` each mirror."""

    def __init__(
        self,
        journal: Journal,
        sealer: Sealer,
        tables: Tables,
        counts: Counts,
        quiet: Quiet,
        *,
        on_copy: Callable[[Copy], None],
        on_mirror: Callable[[Mirror], None],
        on_doubt: Callable[[int, str], bool],
        owes_any: Callable[[Side], bool],
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        """`on_doubt(sequence, route)`: whether a doubt is asked about. Then its key waits for `known` or `let_go`.

        `owes_any(side)`: whether any copy is owed to that side; where none is, the journal need not be asked of a key.
        """
        self._journal = journal
        self._sealer = sealer
        self._tables = tables
        self._counts = counts
        self._quiet = quiet
        self._on_copy = on_copy
        self._on_mirror = on_mirror
        self._on_doubt = on_doubt
        self._owes_any = owes_any
        self._clock = clock
        self._wall = wall
        self._leases = Leases(self._owes)
        self._tickets = itertools.count(1)
        self._workers: dict[Link, Worker] = {}
        self._asks: dict[int, _Asked] = {}
        self._lent: dict[int, asyncio.Future[bool]] = {}
        """Tickets of asks that are no client's write."""
        self._asked_bytes = 0
        self._gaps: dict[str, tuple[Worker, Gap]] = {}
        """Gaps that are not recorded yet, with the worker that told of each last."""
        self._keeping_gaps = False
        self._refused: set[str] = set()
        """Reasons for which intents were not recorded since one was."""
        self._held: dict[int, _Held] = {}
        self._recording: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()
        self._expiring = False
        self._closing = False

    # --- what a predecessor left --------------------------------------------------------------------------------------

    def resume(self, doubts: Iterable[Doubt] = ()) -> None:
        """Keep the leases of writes without an outcome until their workers have had time to claim them.

        `doubts` may be asked about; those that are keep their leases until they are known.
        """
        for doubt in doubts:
            if self._on_doubt(doubt.sequence, doubt.route):
                ticket = next(self._tickets)
                self._leases.hold(doubt.key, ticket)
                self._held[doubt.sequence] = _Held(ticket, doubt.key, doubt.route, None, ASKED_ABOUT)
                self._quiet.enter(doubt.route, key=doubt.key)
        orphans = self._journal.reader.open_writes()
        for each in orphans:
            ticket = next(self._tickets)
            self._leases.hold(each.key, ticket)
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

    def _claim(self, worker: Worker, claimed: Iterable[int]) -> None:
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
            self._spawn(self._withdraw(unsent))

    # --- links --------------------------------------------------------------------------------------------------------

    def opened(self, link: Link) -> None:
        self._workers[link] = Worker(link)

    def closed(self, link: Link) -> None:
        """The worker is gone, or its link is: nobody else can tell the outcome of what it was carrying."""
        worker = self._workers.pop(link, None)
        if worker is None:
            return
        for ticket in worker.asked:
            self._asked_bytes -= self._asks.pop(ticket).intent.size
        self._act(self._leases.withdraw(worker.asked))
        lost = [sequence for sequence in worker.held if sequence not in self._recording]
        if lost:
            log.warning("worker lost with writes in flight", worker=worker.number, pid=worker.pid, writes=len(lost))
            self._spawn(self._doubt(lost, "worker lost"))

    def take(self, link: Link, record: Record) -> None:
        worker = self._workers.get(link)
        if worker is None:
            return  # this has ended; the worker tells the successor
        if isinstance(record, Hello):
            if record.version != VERSION:
                log.error("worker refused", worker=record.number, version=record.version, expected=VERSION)
                link.close()
            worker.number, worker.pid = record.number, record.pid
        elif isinstance(record, Mirror):
            self._on_mirror(record)
        elif isinstance(record, Intent):
            self._ask(worker, record)
        elif isinstance(record, Outcome):
            if record.sequence not in self._recording:
                self._recording.add(record.sequence)
                self._spawn(self._settle(worker, record))
        elif isinstance(record, Gap):
            self._gaps[record.id] = (worker, record)
            if not self._keeping_gaps:
                self._keeping_gaps = True
                self._spawn(self._keep_gaps())
        elif isinstance(record, Holding):
            self._claim(worker, record.sequences)
        else:
            log.error("unexpected record", worker=worker.number, record=type(record).__name__)
            link.close()

    # --- intents ------------------------------------------------------------------------------------------------------

    def _owes(self, key: bytes, side: Side) -> bool:
        if not self._owes_any(side):
            return False
        try:
            return self._journal.reader.owes(key, side)
        except JournalError as exc:  # then nobody knows: wait, as if there were one
            self._counts.add("journal_errors", what="read")
            log.error("the journal cannot be read", problem=str(exc))
            return True

    def _ask(self, worker: Worker, intent: Intent) -> None:
        if self._closing:
            self._deny(worker, intent, "shutting down")
            return
        size = intent.size
        if self._asked_bytes and self._asked_bytes + size > ASKED_BYTES:
            self._deny(worker, intent, "crowded")
            return
        self._asked_bytes += size
        ticket = next(self._tickets)
        key = order_key_hash(self._sealer, intent.route, intent.key)
        self._asks[ticket] = _Asked(worker, intent, key)
        worker.asked.add(ticket)
        settle = self._tables.writes(intent.route).settle
        self._act(self._leases.ask(Ask(ticket, key, Side(intent.side), self._clock() + settle)))
        if ticket in self._asks and self._journal.is_damaged:
            # Nobody can tell any more what is owed: it would wait for nothing, and `forward` is for just this.
            self._act(self._leases.withdraw({ticket}))
            worker.asked.discard(ticket)
            self._asked_bytes -= self._asks.pop(ticket).intent.size
            self._deny(worker, intent, "damaged")
        self._begin_expiring()

    def _begin_expiring(self) -> None:
        if self._leases.waiting and not self._expiring:
            self._expiring = True
            self._spawn(self._expire())

    async def _expire(self) -> None:
        try:
            while self._leases.waiting:
                await asyncio.sleep(EXPIRE_EVERY)
                self._act(self._leases.expire(self._clock()))
        finally:
            self._expiring = False

    def settled(self, copy: Copy) -> None:
        """A copy has come to its end; a write that waited for it may go on."""
        if copy.key:
            self._act(self._leases.settled(copy.key))

    async def lend(self, key: bytes, seconds: float) -> Callable[[], None] | None:
        """A key's lease for something else than a client's write: no write of it is in flight until it is given back.

        What gives it back, or None where it could not be had within that time.
        """
        if self._closing:
            return None
        ticket = next(self._tickets)
        lent = self._lent[ticket] = asyncio.get_running_loop().create_future()
        try:
            self._act(self._leases.ask(Ask(ticket, key, Side.LEGACY, self._clock() + seconds)))
            self._begin_expiring()
            granted = await lent
        except asyncio.CancelledError:
            self._lent.pop(ticket, None)
            self._act(self._leases.withdraw({ticket}))
            if lent.done() and not lent.cancelled() and lent.result():
                self._act(self._leases.release(key, ticket))
            raise
        return (lambda: self._act(self._leases.release(key, ticket))) if granted else None

    def _act(self, answers: list[LeaseAnswer]) -> None:
        for answer in answers:
            if (lent := self._lent.pop(answer.ticket, None)) is not None:
                if not lent.done():
                    lent.set_result(isinstance(answer, Grant))
                continue
            asked = self._asks.pop(answer.ticket)
            asked.worker.asked.discard(answer.ticket)
            if isinstance(answer, Grant):
                self._spawn(self._record(answer.ticket, asked))
            else:
                self._asked_bytes -= asked.intent.size
                self._deny(asked.worker, asked.intent, answer.reason)

    def _deny(self, worker: Worker, intent: Intent, reason: str) -> None:
        self._counts.add("journal_denied", reason=reason)
        worker.link.send(Denied(intent.id, reason, RETRY_AFTER))

    async def _record(self, ticket: int, asked: _Asked) -> None:
        """Make the intent durable, then grant it. The lease is held already."""
        intent, worker = asked.intent, asked.worker
        original = Original(
            intent.request_id,
            intent.key,
            intent.target,
            intent.host,
            intent.headers,
            intent.body,
            intent.idempotency_key,
            intent.unit,
            intent.copy,
        )
        write = Write(
            intent.route,
            intent.generation,
            intent.method,
            Side(intent.side),
            self._tables.copied(intent.route, intent.generation),
            worker.pid,
            intent.started,
            original,
        )
        try:
            sequence = await self._journal.begin(write, asked.key)
        except JournalError as exc:
            self._counts.add("journal_errors", what="intent")
            reason = _reason(exc)
            if reason == "journal" or reason not in self._refused:  # what lasts is not told for each of its writes
                log.error("an intent was not recorded", route=intent.route, reason=reason, problem=str(exc))
            self._refused.add(reason)
            self._deny(worker, intent, reason)
            self._act(self._leases.release(asked.key, ticket))
            return
        finally:
            self._asked_bytes -= intent.size
        self._refused.clear()
        self._counts.add("journal_intents", route=intent.route)
        self._held[sequence] = _Held(ticket, asked.key, intent.route, worker, worker.pid)
        self._quiet.enter(intent.route, key=asked.key)
        if worker.link.send(Granted(intent.id, sequence)):
            worker.held.add(sequence)
        else:  # never told, so never forwarded
            await self._withdraw([sequence])

    # --- what becomes of a granted write ------------------------------------------------------------------------------

    async def _settle(self, worker: Worker, outcome: Outcome) -> None:
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
        self._recording.discard(sequence)
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

    async def _withdraw(self, sequences: list[int]) -> None:
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
        self._act(self._leases.release(held.key, held.ticket))

    async def _keep_gaps(self) -> None:
        try:
            while self._gaps:
                some = list(itertools.islice(self._gaps, GAPS_AT_ONCE))
                await asyncio.gather(*map(self._keep_gap, some))
        finally:
            self._keeping_gaps = False

    async def _keep_gap(self, id: str) -> None:
        _, record = self._gaps[id]
        gap = writes.Gap(record.id, record.route, record.key, record.reason, record.started)
        if await insist("gap", lambda: self._journal.gap(gap, self._wall()), self._counts):
            log.warning("a write went by unrecorded", route=record.route, reason=record.reason)
        worker, _ = self._gaps.pop(id)  # it may have told of it again, on another link
        worker.link.send(Recorded(gaps=[id]))

    # --- the end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Grant nothing more; outcomes are still taken."""
        self._closing = True

    async def drain(self, seconds: float) -> None:
        """Wait for the outcomes of granted writes, that long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                while any(held.pid != ASKED_ABOUT for held in self._held.values()):
                    self._freed.clear()
                    await self._freed.wait()

    async def stop(self) -> None:
        """End. Writes without an outcome stay as they are: a successor finds them."""
        links = list(self._workers)
        self._workers.clear()  # so that a link that closes here does not count as a lost worker
        for link in links:
            link.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a record could not be handled", exc_info=error)


def _reason(exc: JournalError) -> str:
    """Why an intent was not recorded, in a word for workers, gaps and metrics."""
    if isinstance(exc, QuotaError):
        return "quota"
    return "damaged" if isinstance(exc, DamagedJournalError) else "journal"
