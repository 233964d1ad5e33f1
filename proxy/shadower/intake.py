"""The workers' end: takes their records, and makes intents durable and grants them, each with the lease of its key."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import structlog

from proxy.link import Link
from proxy.shadower.carried import Carried, Worker
from proxy.shadower.counts import Counts
from proxy.shadower.gaps import Gaps
from proxy.shadower.quiet import Quiet
from proxy.shadower.tables import Tables
from proxy.wire import VERSION, Denied, Gap, Granted, Hello, Holding, Intent, Mirror, Outcome, Record
from rules.stages import Side
from shadow.delivery.leases import Answer as LeaseAnswer
from shadow.delivery.leases import Ask, Grant, Leases
from shadow.journal.journal import DamagedJournalError, Journal, JournalError, QuotaError, order_key_hash
from shadow.journal.writes import Copy, Original, Write
from shadow.sealing import Sealer

log = structlog.get_logger(__name__)

EXPIRE_EVERY = 0.05
"""Seconds between two looks for asks that have waited too long."""
RETRY_AFTER = 1.0
ASKED_BYTES = 64 * 1024 * 1024
"""Of intents that wait for a lease or the disk; what comes beyond it is denied. One larger than that may be alone."""


@dataclass(slots=True)
class _Asked:
    worker: Worker
    intent: Intent
    key: bytes
    size: int
    """Bytes, about."""


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
        """`on_doubt` as in Carried.

        `owes_any(side)`: whether any copy is owed to that side; where none is, the journal need not be asked of a key.
        """
        self._journal = journal
        self._sealer = sealer
        self._tables = tables
        self._counts = counts
        self._on_mirror = on_mirror
        self._owes_any = owes_any
        self._clock = clock
        self._leases = Leases(self._owes)
        self._tickets = itertools.count(1)
        self._workers: dict[Link, Worker] = {}
        self._asks: dict[int, _Asked] = {}
        self._lent: dict[int, asyncio.Future[bool]] = {}
        """Tickets of asks that are no client's write."""
        self._asked_bytes = 0
        self._refused: set[str] = set()
        """Reasons for which intents were not recorded since one was."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._expiring = False
        self._closing = False
        self._gaps = Gaps(journal, counts, spawn=self._spawn, wall=wall)
        self.carried = Carried(
            journal,
            sealer,
            tables,
            counts,
            quiet,
            tickets=self._tickets,
            hold=self._leases.hold,
            release=lambda key, ticket: self._act(self._leases.release(key, ticket)),
            spawn=self._spawn,
            on_copy=on_copy,
            on_doubt=on_doubt,
            wall=wall,
        )
        """What was granted, until its outcome is durable."""

    # --- links --------------------------------------------------------------------------------------------------------

    def opened(self, link: Link) -> None:
        self._workers[link] = Worker(link)

    def closed(self, link: Link) -> None:
        """The worker is gone, or its link is: nobody else can tell the outcome of what it was carrying."""
        worker = self._workers.pop(link, None)
        if worker is None:
            return
        for ticket in worker.asked:
            self._asked_bytes -= self._asks.pop(ticket).size
        self._act(self._leases.withdraw(worker.asked))
        self.carried.lost(worker)

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
            self.carried.told(worker, record)
        elif isinstance(record, Gap):
            self._gaps.take(link, record)
        elif isinstance(record, Holding):
            self.carried.claim(worker, record.sequences)
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
        self._asks[ticket] = _Asked(worker, intent, key, size)
        worker.asked.add(ticket)
        settle = self._tables.writes(intent.route).settle
        self._act(self._leases.ask(Ask(ticket, key, Side(intent.side), self._clock() + settle)))
        if ticket in self._asks and self._journal.is_damaged:
            # Nobody can tell any more what is owed: it would wait for nothing, and `forward` is for just this.
            self._act(self._leases.withdraw({ticket}))
            worker.asked.discard(ticket)
            self._asked_bytes -= self._asks.pop(ticket).size
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
                self._asked_bytes -= asked.size
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
            self._asked_bytes -= asked.size
        self._refused.clear()
        self._counts.add("journal_intents", route=intent.route)
        self.carried.granted(worker, sequence, ticket, intent.route, asked.key)
        if worker.link.send(Granted(intent.id, sequence)):
            worker.held.add(sequence)
        else:  # never told, so never forwarded
            await self.carried.withdraw([sequence])

    # --- the end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Grant nothing more; outcomes are still taken."""
        self._closing = True

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
