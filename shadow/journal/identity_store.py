"""Ids that were learnt, kept in the journal: found by the keyed hash of one side's, the other side's sealed."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from rules.stages import Side
from shadow.comparing.values import ABSENT, Absent, Json, canonical, parse
from shadow.delivery.identities import Learnt, text_of
from shadow.journal.journal import Journal
from shadow.journal.reader import JournalReader
from shadow.sealing import Sealer

MOST = 1_000_000
"""Ids of one name that are kept; beyond it the oldest are forgotten. A copy that names one of those is declared."""
_EVERY = 4096
"""One in so many learnt ids has those of its name counted: a million take tenths of a second."""


class Identities:
    """What was learnt. One per thread, as its reader."""

    def __init__(self, reader: JournalReader, sealer: Sealer) -> None:
        self._reader = reader
        self._sealer = sealer

    def lookup(self, name: str, side: Side, text: str) -> Json | Absent:
        """shadow.delivery.identities.Lookup. Raises JournalError, SealError."""
        hashed = _hash(self._sealer, name, side, text)
        row = self._reader.ask(
            lambda db: db.execute(
                "SELECT other FROM identities WHERE name = ? AND side = ? AND hash = ?", (name, side.value, hashed)
            ).fetchone()
        )
        return parse(self._sealer.open(row[0], _place(name, side, hashed))) if row is not None else ABSENT


async def keep(journal: Journal, sealer: Sealer, learnt: Sequence[Learnt], now: float, most: int = MOST) -> None:
    """What two answers taught, durable when it returns; what is known already stays. Raises JournalError."""
    rows = []
    for one in learnt:
        for side, own, other in (
            (Side.LEGACY, one.legacy, one.candidate),
            (Side.CANDIDATE, one.candidate, one.legacy),
        ):
            hashed = _hash(sealer, one.name, side, text_of(own))
            sealed = sealer.seal(canonical(other).encode(), _place(one.name, side, hashed))
            rows.append((one.name, side.value, hashed, sealed, now))

    def job(db: sqlite3.Connection) -> None:
        db.executemany("INSERT OR IGNORE INTO identities (name, side, hash, other, at) VALUES (?, ?, ?, ?, ?)", rows)
        if int.from_bytes(rows[0][2][:2], "big") % _EVERY == 0:  # so that counting costs next to nothing
            for name, side in {(row[0], row[1]) for row in rows}:
                _forget(db, name, side, most)

    await journal.submit(job)


def _forget(db: sqlite3.Connection, name: str, side: str, most: int) -> None:
    """The oldest beyond `most`."""
    (latest,) = db.execute("SELECT COUNT(*) FROM identities WHERE name = ? AND side = ?", (name, side)).fetchone()
    if latest > most:
        db.execute(
            "DELETE FROM identities WHERE (name, side, hash) IN (SELECT name, side, hash FROM identities "
            "WHERE name = ? AND side = ? ORDER BY at LIMIT ?)",
            (name, side, latest - most),
        )


def _hash(sealer: Sealer, name: str, side: Side, text: str) -> bytes:
    return sealer.hash(b"identity", name.encode(), side.value.encode(), text.encode("utf-8", "surrogatepass"))


def _place(name: str, side: Side, hashed: bytes) -> str:
    return f"{name}:{side.value}:{hashed.hex()}"
