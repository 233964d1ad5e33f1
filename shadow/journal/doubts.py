"""Writes in doubt as the journal keeps them: listed, asked about, cleared. What was asked lies there sealed."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import msgspec

from rules.stages import Side
from shadow.delivery.read_back import Reply
from shadow.journal import doubt_tables as tables
from shadow.journal.doubt_tables import Doubt
from shadow.journal.journal import Journal
from shadow.journal.reader import JournalReader
from shadow.journal.writes import Recorded
from shadow.sealing import Sealer, SealError

__all__ = ["Asked", "Doubt", "Doubts", "asked_of", "list_doubts"]


class Question(msgspec.Struct, frozen=True, array_like=True):
    """What was asked, and why the answer was taken so. Never on disk but sealed."""

    side: str
    target: str
    """Path and query; ``""`` where nothing could be asked."""
    why: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The latest question about a write."""

    side: Side
    target: str
    finding: str
    """shadow.delivery.read_back.Finding."""
    why: str
    times: int
    """How often was asked, this time included."""
    at: float
    """Seconds since the epoch."""


class Doubts:
    """The writing half, beside the one Journal."""

    def __init__(self, journal: Journal, sealer: Sealer) -> None:
        self._journal = journal
        self._sealer = sealer

    async def resolve(self, sequence: int, *, applied: bool, by: str, now: float) -> Recorded:
        """What a doubt comes to that is known now (shadow.journal.doubt_tables.resolve). Raises JournalError."""
        turn = self._journal.next_turn()
        return await self._journal.submit(
            lambda db: tables.resolve(db, sequence, turn, applied=applied, by=by, now=now)
        )

    async def settle(
        self, sequences: Sequence[int], *, applied: bool, who: str, why: str, now: float
    ) -> list[Recorded]:
        """As `resolve`, by a person's word. Raises JournalError; UnfitError, which changes nothing, where one of these
        is not in doubt."""
        turns = [(sequence, self._journal.next_turn()) for sequence in sequences]
        return await self._journal.submit(
            lambda db: [
                tables.settle(db, sequence, turn, applied=applied, who=who, why=why, now=now)
                for sequence, turn in turns
            ]
        )

    async def reopen_copies(self, routes: Set[str]) -> int:
        """Owe copies in doubt again where they can be asked about; how many. Raises JournalError."""
        names = sorted(routes)
        return await self._journal.submit(lambda db: tables.reopen_copies(db, names))

    async def note(self, sequence: int, side: Side, target: str, reply: Reply, now: float) -> None:
        """Keep what a question has come to. Raises JournalError."""
        plain = msgspec.msgpack.encode(Question(side.value, target, reply.why))
        sealed = self._sealer.seal(plain, f"{sequence}:question")
        await self._journal.submit(lambda db: tables.note(db, sequence, reply.finding.value, now, sealed))

    def of_routes(self, routes: Set[str], after: int, limit: int) -> list[Doubt]:
        """Those of these routes whose sequence is above `after`. Raises JournalError."""
        return self._journal.reader.ask(lambda db: tables.doubts(db, sorted(routes), after, limit)) if routes else []

    def of(self, sequence: int) -> Doubt | None:
        """The doubt about this write; None when it is in none. Raises JournalError."""
        return self._journal.reader.ask(lambda db: tables.doubt_of(db, sequence))


def list_doubts(reader: JournalReader, route: str | None, limit: int) -> list[Doubt]:
    """Writes in doubt, the oldest first. Raises JournalError."""
    return reader.ask(lambda db: tables.doubts(db, None if route is None else [route], 0, limit))


def asked_of(reader: JournalReader, sealer: Sealer, sequence: int) -> Asked | None:
    """The latest question about a write; None when there was none. Raises JournalError, SealError."""
    row = reader.ask(lambda db: tables.question(db, sequence))
    if row is None:
        return None
    finding, times, at, sealed = row
    try:
        plain = msgspec.msgpack.decode(sealer.open(sealed, f"{sequence}:question"), type=Question)
    except msgspec.MsgspecError as exc:
        raise SealError(f"{sequence}:question: is none") from exc
    return Asked(Side(plain.side), plain.target, finding, plain.why, times, at)
