"""What the journal knows of one key: the writes around a given one, so that a difference can be seen in its course.

Reads beside the shadower; of what was sealed it opens nothing.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from rules.stages import Side
from shadow.journal.tables import JournalError, connect_reader

AROUND = 5
"""Writes shown before the one that is asked about, and after it."""


@dataclass(frozen=True, slots=True)
class KeyWrite:
    """One write of a key."""

    sequence: int
    method: str
    side: Side
    """The side that answered the client."""
    state: str
    """As shadow.journal.writes.State has it."""
    reason: str
    status: int
    """What that side answered; 0 when nothing is known of it."""
    copy_status: int
    """What the other side answered to the copy; 0 when nothing is known of it."""
    attempts: int
    """Answers with a failure that the copy got before its last one."""
    arrival: float
    """Seconds since the epoch."""


class KeyHistory:
    """A reader of journal.db. One per thread."""

    def __init__(self, path: Path) -> None:
        """Raises JournalError, also when there is no journal."""
        if not path.exists():
            raise JournalError(f"{path}: there is no journal")
        self._db = connect_reader(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def around(self, sequence: int) -> tuple[KeyWrite, ...]:
        """The writes of the same key as that one, itself among them, in order, AROUND on either side at most.

        Just that one where it is ordered with nothing; none when the journal has forgotten it. Raises JournalError.
        """
        try:
            row = self._db.execute("SELECT key FROM writes WHERE sequence = ?", (sequence,)).fetchone()
            if row is None:
                return ()
            if not row[0]:
                return self._select("sequence = ?", (sequence,), "ASC", 1)
            before = self._select("key = ? AND sequence <= ?", (row[0], sequence), "DESC", AROUND + 1)
            after = self._select("key = ? AND sequence > ?", (row[0], sequence), "ASC", AROUND)
        except sqlite3.Error as exc:
            raise JournalError(f"the journal cannot be read: {exc}") from exc
        return (*reversed(before), *after)

    def _select(self, where: str, values: tuple[object, ...], order: str, limit: int) -> tuple[KeyWrite, ...]:
        rows = self._db.execute(
            "SELECT sequence, method, side, state, reason, status, copy_status, attempts, arrival FROM writes"  # noqa: S608 (no value in it)
            f" WHERE {where} ORDER BY sequence {order} LIMIT ?",
            (*values, limit),
        )
        return tuple(
            KeyWrite(number, method, Side(side), state, reason or "", status or 0, copied or 0, attempts or 0, arrival)
            for number, method, side, state, reason, status, copied, attempts, arrival in rows
        )
