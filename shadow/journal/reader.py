"""Reads the journal beside whoever writes it: single writes with what is sealed of them, lists, what is unsettled.

A `JournalReader` keeps its connection; `read_standing` opens the file for one look. Neither changes anything.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from rules.stages import Side
from shadow.journal import settling, tables
from shadow.journal.schema import JournalError, Trouble, trouble_of
from shadow.journal.writes import Finished, Listed, ListedGap, Open, Original, Settlement, Standing
from shadow.pair import Answer
from shadow.sealing import Sealer, SealError

OVERDUE_SECONDS = 10.0
"""A write that arrived longer ago than this should have reached both sides."""

T = TypeVar("T")
_decode_original = msgspec.msgpack.Decoder(Original).decode
_decode_answer = msgspec.msgpack.Decoder(Answer).decode


class JournalReader:
    """Reads beside the writer. One per thread."""

    def __init__(self, path: Path, sealer: Sealer) -> None:
        self._sealer = sealer
        self._db = tables.connect_reader(path)
        self.failures: Counter[Trouble] = Counter()
        """Reads that failed, by what failed them."""

    def close(self) -> None:
        self._db.close()

    def owes(self, key: bytes, to: Side) -> bool:
        """Whether a copy of this key is still to be delivered to that side. Raises JournalError."""
        return self._read(lambda db: tables.owes(db, key, to))

    def has_written(self, key: bytes) -> bool:
        """Whether there is a write of this key that had or may have had an effect. Raises JournalError."""
        return self._read(lambda db: tables.has_written(db, key))

    def standing(self) -> dict[str, Standing]:
        """What of each route is unsettled; a route that is not named has nothing unsettled. Raises JournalError."""
        return self._read(lambda db: tables.standing(db, time.time() - OVERDUE_SECONDS))

    def open_writes(self) -> list[Open]:
        """Writes without an outcome, in order. Raises JournalError."""
        return self._read(tables.open_writes)

    def uncompared(self, limit: int) -> list[int]:
        """The first writes whose copy is answered and whose pair is not in the store. Raises JournalError."""
        return self._read(lambda db: tables.uncompared(db, limit))

    def original(self, sequence: int) -> tuple[str, Original]:
        """(method, the rest) of a write that is still owed. Raises JournalError, SealError."""
        row = self._read(lambda db: tables.contents(db, sequence))
        if row is None or row[5] is None:
            raise JournalError(f"write {sequence} is not in the journal")
        return str(row[2]), _decode_original(self._open(row[5], sequence, "original"))

    def answer(self, sequence: int) -> Answer | None:
        """What the client got; None where that is not in the journal. Raises JournalError, SealError."""
        row = self._read(lambda db: tables.contents(db, sequence))
        if row is None or row[6] is None:
            return None
        return _decode_answer(self._open(row[6], sequence, "answer"))

    def finished(self, sequence: int) -> Finished | None:
        """A write with both answers, for the comparison; None when it has not both. Raises JournalError, SealError."""
        row = self._read(lambda db: tables.contents(db, sequence))
        if row is None or row[5] is None or row[6] is None or row[7] is None:
            return None
        route, generation, method, side, arrival = row[:5]
        failed = row[8]
        assert isinstance(generation, int) and isinstance(arrival, float) and isinstance(failed, int)
        return Finished(
            sequence,
            str(route),
            generation,
            str(method),
            Side(str(side)),
            arrival,
            _decode_original(self._open(row[5], sequence, "original")),
            _decode_answer(self._open(row[6], sequence, "answer")),
            _decode_answer(self._open(row[7], sequence, "copy")),
            failed,
            str(row[9]),
        )

    def unarrived(self, route: str | None, limit: int) -> list[Listed]:
        """Writes whose copy is dead, in doubt or owed, in that order, and the oldest first. Raises JournalError."""
        return self._read(lambda db: settling.unarrived(db, route, limit))

    def gaps(self, route: str | None, limit: int) -> list[ListedGap]:
        """The latest first, settled ones too. Raises JournalError."""
        return self._read(lambda db: settling.gaps(db, route, limit))

    def settlements(self, route: str | None, limit: int) -> list[Settlement]:
        """What people have decided, the latest first. Raises JournalError."""
        return self._read(lambda db: settling.settlements(db, route, limit))

    def ended_routes(self) -> list[str]:
        """Routes of writes that are over, whether the rules still have them or not. Raises JournalError."""
        return self._read(tables.ended_routes)

    def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """What `question` finds: for what is kept beside the writes. Raises JournalError."""
        return self._read(question)

    def _open(self, sealed: object, sequence: int, part: str) -> bytes:
        assert isinstance(sealed, bytes)
        return self._sealer.open(sealed, f"{sequence}:{part}")

    def _read(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return ask(self._db)
        except sqlite3.Error as exc:
            self.failures[trouble_of(exc)] += 1
            raise JournalError(f"the journal cannot be read: {exc}") from exc


def read_standing(path: Path) -> dict[str, Standing]:
    """What of each route is unsettled, beside a shadower that writes or without one; nothing when there is no journal.

    A route that is not named has nothing unsettled. Raises JournalError when the journal is there and cannot be read.
    """
    if not path.exists():
        return {}
    db = tables.connect_reader(path)
    try:
        return tables.standing(db, time.time() - OVERDUE_SECONDS)
    except sqlite3.Error as exc:
        raise JournalError(f"{path}: cannot be read ({exc})") from exc
    finally:
        db.close()


_TRIED = 3
"""Sealed writes of which one must open; a single one may be altered."""


def hold_key_against(db: sqlite3.Connection, path: Path, sealer: Sealer) -> None:
    """Raises JournalError where none of the latest sealed writes opens with this key, sqlite3.Error."""
    sealed = tables.latest_sealed(db, _TRIED)
    for sequence, original in sealed:
        try:
            sealer.open(original, f"{sequence}:original")
        except SealError:
            continue
        return
    if sealed:
        raise JournalError(
            f"{path}: was sealed with another key, so no copy that it owes could be sent. Restore the key of this "
            "state folder from a copy, or move the journal away to begin an empty one: then what it holds is delivered "
            "to nobody"
        )
