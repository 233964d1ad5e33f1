"""The journal: a durable record of every write that goes to two sides, from its intent to its delivery.

What a coroutine here returns is durable (SQLite, WAL, synchronous=FULL) when it returns. One process writes, any number
may read (shadow.journal.reader).
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn, Self, TypeVar

import msgspec

from rules.stages import Side
from shadow.journal import settling, tables, together
from shadow.journal.checkpoints import Checkpoints
from shadow.journal.commits import Commits
from shadow.journal.reader import JournalReader, hold_key_against
from shadow.journal.recent import Recent
from shadow.journal.schema import (
    DamagedJournalError,
    JournalError,
    QuotaError,
    Trouble,
    UnfitError,
    connect_to_checkpoint,
)
from shadow.journal.writes import (
    Copy,
    Gap,
    Original,
    Recorded,
    Settlement,
    State,
    Write,
)
from shadow.pair import Answer
from shadow.sealing import Sealer

__all__ = [
    "DamagedJournalError",
    "Journal",
    "JournalError",
    "QuotaError",
    "UnfitError",
    "order_key_hash",
]

INTENTS_WAITING = 10_000
"""Jobs that may wait for a transaction before intents are refused; outcomes are always taken."""

T = TypeVar("T")
_encode = msgspec.msgpack.Encoder().encode


def order_key_hash(sealer: Sealer, route: str, key: str) -> bytes:
    """How an order key stands in the journal; ``b""`` for none. Keys of different routes have nothing in common."""
    return sealer.hash(b"key", route.encode(), key.encode("utf-8", "surrogateescape")) if key else b""


class Known(NamedTuple):
    """What an outcome must know of a write that was granted here."""

    route: str
    key: bytes
    """Keyed hash of its order key."""
    copy_to: Side | None
    """Who is owed a copy after a success; None where nobody is."""


class Journal:
    """The writing end. `open` it in the loop that uses it; `close` commits what waits."""

    def __init__(self, path: Path, sealer: Sealer, connection: sqlite3.Connection, quota: int | None = None) -> None:
        self._sealer = sealer
        self.quota = quota
        """Bytes; None for as many as the disk has."""
        self._used = tables.used_bytes(connection)
        self._sequence, self._turn = tables.last_numbers(connection)
        self.interrupted = tables.doubt_interrupted(connection, time.time())
        """Copies that the predecessor was sending, and whose effect cannot be known."""
        self.reader = JournalReader(path, sealer)
        """For the loop's thread: point reads of an indexed row or two, which the page cache answers."""
        self._open: dict[int, Known] = {}
        """Writes of which nothing is recorded, or about to be, but their intent."""
        self._checkpoints = Checkpoints(connect_to_checkpoint(path))
        self._recent = Recent()
        after = self._measure if quota is not None else lambda _: None
        self._commits = Commits(connection, asyncio.get_running_loop(), after, self._checkpoints)

    @classmethod
    def open(cls, path: Path, sealer: Sealer, quota: int | None = None) -> Self:
        """`quota`: bytes beyond which no intent is taken.

        Raises DamagedJournalError (never starts empty in its place), JournalError (also where another key has sealed
        it: every copy that is owed would be dead), OSError.
        """
        connection = tables.connect(path)
        try:
            hold_key_against(connection, path, sealer)
            return cls(path, sealer, connection, quota)
        except sqlite3.Error as exc:
            connection.close()
            raise JournalError(f"{path}: {exc}") from exc
        except JournalError:
            connection.close()
            raise

    async def close(self) -> None:
        self.reader.close()
        await self._commits.close()

    async def watch(self) -> NoReturn:
        """Raises JournalError when its thread has failed in itself: it takes nothing any more. To be cancelled."""
        await self._commits.watch()

    @property
    def failures(self) -> Counter[Trouble]:
        """Transactions and reads that failed since it was opened, by what failed them."""
        return self._commits.failures + self._checkpoints.failures.copy() + self.reader.failures

    @property
    def is_damaged(self) -> bool:
        """Whether a page was met that is not what was written: no intent is taken any more."""
        return (
            self._commits.is_damaged
            or Trouble.DAMAGED in self.reader.failures
            or Trouble.DAMAGED in self._checkpoints.failures
        )

    @property
    def used(self) -> int:
        """Bytes that the file holds, as of the last transaction; its WAL comes on top.

        With a quota every transaction measures it; without one, whoever asks, for it costs as much as an intent.
        """
        if self.quota is None:
            with contextlib.suppress(JournalError):  # which is counted; then it is what it was
                self._used = self.reader.ask(tables.used_bytes)
        return self._used

    def _measure(self, db: sqlite3.Connection) -> None:
        """In the thread that commits."""
        self._used = tables.used_bytes(db)

    async def begin(self, write: Write, key: bytes | None = None) -> int:
        """The write's sequence, once its intent is durable. Raises JournalError: then the write is not recorded.

        `key`: its order key's hash, where the caller has it. Raises QuotaError and DamagedJournalError too, which are
        JournalErrors.
        """
        if self.quota is not None and self.used >= self.quota:
            raise QuotaError(f"not recorded: the journal holds {self.used} bytes and may hold {self.quota}")
        if self.is_damaged:
            raise DamagedJournalError("not recorded: the journal is damaged; restore it from a copy")
        if self._commits.waiting > INTENTS_WAITING:
            raise JournalError(f"not recorded: {self._commits.waiting} records wait for the disk")
        self._sequence += 1  # given here, so that sequences are in the order of the calls
        sequence = self._sequence

        hashed = order_key_hash(self._sealer, write.route, write.original.key) if key is None else key
        await self._commits.submit_item(self._insert, (sequence, hashed, write))
        self._open[sequence] = Known(write.route, hashed, write.side.other if write.copied else None)
        if write.copied:
            self._recent.keep(sequence, write)
        return sequence

    def original(self, sequence: int) -> tuple[str, Original]:
        """(method, the rest) of a write that is still owed. Raises JournalError, SealError."""
        return self._recent.find(sequence) or self.reader.original(sequence)

    def _insert(self, db: sqlite3.Connection, items: Sequence[tuple[int, bytes, Write]]) -> None:
        """In the thread that commits, as all that seals: a large body delays no lease."""
        together.insert(db, [self._intended(*item) for item in items])

    def _intended(self, sequence: int, key: bytes, write: Write) -> together.Intended:
        return together.Intended(
            sequence,
            write.route,
            write.generation,
            key or None,
            write.method,
            write.side.value,
            write.side.other.value if write.copied else None,
            write.worker,
            self._fingerprint(write),
            write.arrival,
            self._sealer.seal(_encode(write.original), f"{sequence}:original"),
        )

    def _fingerprint(self, write: Write) -> bytes:
        """Equal for writes that ask for the same thing: route, method, target, body."""
        original = write.original
        target = original.target.encode("utf-8", "surrogateescape")
        return self._sealer.hash(b"write", write.route.encode(), write.method.encode(), target, original.body)

    async def outcome(
        self, sequence: int, answer: Answer, now: float, *, success: bool | None = None, learnt: bytes = b""
    ) -> Recorded:
        """Record what became of a write. The same outcome twice changes nothing. Raises JournalError.

        `success`: whether the answer is one after which a copy is owed; None for 2xx and 3xx. `learnt`: the hash of the
        key that the answer tells, for a write that had none.
        """
        if success is None:
            success = 200 <= answer.status < 400
        self._turn += 1
        turn = self._turn
        known = self._open.pop(sequence, None)
        if known is not None and (known.key or not learnt):
            return await self._judge_known(sequence, turn, known, answer, success, now)

        def job(db: sqlite3.Connection) -> Recorded:
            sealed = self._seal_answer(sequence, answer, "answer")
            return tables.record_outcome(
                db,
                sequence,
                turn,
                status=answer.status,
                success=success,
                failure=answer.failure,
                learnt=learnt,
                sealed=sealed,
                now=now,
            )

        return await self._commits.submit(job)

    async def _judge_known(
        self, sequence: int, turn: int, known: Known, answer: Answer, success: bool, now: float
    ) -> Recorded:
        """An outcome of a write of which all that matters is in memory: as tables.record_outcome has it, and faster."""
        became, reason = tables.judge_outcome(
            answer.status, answer.failure, success=success, copied=known.copy_to is not None
        )
        owed = became is State.ANSWERED
        if not owed:
            self._recent.forget(sequence)
        row = together.Judged(
            sequence,
            became.value,
            reason,
            answer.status or None,
            turn if owed else None,
            None,
            None if owed else now,
            became is State.VOID,
        )
        await self._commits.submit_item(self._judge, (row, answer if owed else None))
        copy = Copy(sequence, turn, known.route, known.copy_to, known.key) if owed and known.copy_to else None
        return Recorded(sequence, became, True, copy)

    def _judge(self, db: sqlite3.Connection, items: Sequence[tuple[together.Judged, Answer | None]]) -> None:
        """In the thread that commits."""
        together.judge(
            db,
            [
                row if answer is None else row._replace(answer=self._seal_answer(row.sequence, answer, "answer"))
                for row, answer in items
            ],
        )

    def _seal_answer(self, sequence: int, answer: Answer, part: str) -> bytes:
        return self._sealer.seal(_encode(answer), f"{sequence}:{part}")

    async def doubt(self, sequences: Iterable[int], reason: str, now: float) -> None:
        """These writes have no outcome and nobody who could tell it. Raises JournalError."""
        doubtful = self._no_longer_open(sequences)
        await self._commits.submit(lambda db: tables.doubt(db, doubtful, reason, now))

    async def withdraw(self, sequences: Iterable[int], now: float) -> None:
        """These writes were recorded but never forwarded. Raises JournalError."""
        unsent = self._no_longer_open(sequences)
        await self._commits.submit(lambda db: tables.withdraw(db, unsent, now))

    def _no_longer_open(self, sequences: Iterable[int]) -> list[int]:
        """From now on an outcome must look at what stands in the file."""
        listed = list(sequences)
        for sequence in listed:
            self._open.pop(sequence, None)
            self._recent.forget(sequence)
        return listed

    async def gap(self, gap: Gap, now: float) -> bool:
        """Record a write that went by unrecorded; whether it was not known before. Raises JournalError."""
        key = order_key_hash(self._sealer, gap.route, gap.key)
        return await self._commits.submit(
            lambda db: tables.insert_gap(db, gap.id, gap.route, key, gap.reason, gap.started, now)
        )

    async def lanes(self) -> list[tuple[str, Side, int, int]]:
        """(route, side, last turn, how many) of the copies that are owed. Raises JournalError."""
        return await self._commits.submit(tables.owed_lanes)

    async def owed(self, route: str, to: Side, after: int, limit: int) -> list[Copy]:
        """The next copies owed after turn `after`. Raises JournalError."""
        return await self._commits.submit(lambda db: tables.owed_page(db, route, to, after, limit))

    async def begin_attempt(self, sequence: int) -> None:
        """Durable before the copy is sent, where nothing deduplicates. Raises JournalError."""
        await self._commits.submit_item(together.begin_attempts, sequence)

    async def end_attempt(self, sequence: int, attempts: int) -> None:
        """An attempt that will be repeated. Raises JournalError."""
        await self._commits.submit(lambda db: tables.end_attempt(db, sequence, attempts))

    async def finish(
        self,
        sequence: int,
        state: State,
        *,
        attempts: int,
        answer: Answer | None,
        reason: str,
        now: float,
        terms: str = "",
    ) -> None:
        """The copy is delivered, dead or in doubt. `answer` is kept, sealed, until `compared`, and so is under which
        `terms` (Finished.terms) it was sent. Raises JournalError."""

        status = answer.status if answer is not None else 0
        row = together.Ended(sequence, state.value, reason, attempts, status, None, terms, now)
        self._recent.forget(sequence)
        await self._commits.submit_item(self._end, (row, answer))

    def _end(self, db: sqlite3.Connection, items: Sequence[tuple[together.Ended, Answer | None]]) -> None:
        """In the thread that commits."""
        together.end(
            db,
            [
                row if answer is None else row._replace(copy_answer=self._seal_answer(row.sequence, answer, "copy"))
                for row, answer in items
            ],
        )

    async def send_again(self, sequences: Iterable[int], *, out_of_order: bool) -> list[Copy]:
        """Dead copies are owed again, in order.

        Raises JournalError; UnfitError where one is not dead, or where, but for `out_of_order`, the other side has a
        later write of its key or is to get one before. Then nothing is changed.
        """
        asked = list(sequences)
        first = self._turn + 1
        self._turn += len(asked)
        return await self._commits.submit(lambda db: settling.send_again(db, asked, first, out_of_order=out_of_order))

    async def drop(
        self, sequences: Iterable[int], *, who: str, why: str, now: float
    ) -> tuple[list[Copy], list[Settlement]]:
        """Copies, dead or owed, will never be sent: those that were owed, and the decisions.

        Raises JournalError; UnfitError where one of them is neither, and then nothing is changed.
        """
        asked = list(sequences)
        for sequence in asked:
            self._recent.forget(sequence)
        return await self._commits.submit(lambda db: settling.drop(db, asked, who=who, why=why, now=now))

    async def settle_gap(self, identity: str, *, who: str, why: str, now: float) -> Settlement | None:
        """None where there is no such gap, or it is settled already. Raises JournalError."""
        return await self._commits.submit(lambda db: settling.settle_gap(db, identity, who=who, why=why, now=now))

    async def compared(self, sequences: Iterable[int]) -> None:
        """The pairs of these writes are in the store: erase what is no longer needed. Raises JournalError."""
        done = list(sequences)
        await self._commits.submit(lambda db: tables.erase_compared(db, done))

    async def purge(self, route: str, before: float, limit: int = 1000) -> int:
        """Forget the route's writes that are over since `before` (seconds since the epoch). Raises JournalError."""
        return await self._commits.submit(lambda db: tables.purge(db, route, before, limit))

    async def submit(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """What `job` gives, once it is durable: for what is kept beside the writes. Raises JournalError."""
        return await self._commits.submit(job)

    def next_turn(self) -> int:
        """For a write that is owed from now on."""
        self._turn += 1
        return self._turn
