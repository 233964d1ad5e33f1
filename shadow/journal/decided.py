"""What became of what was uncertain about a route's writes: decided by people, or shown by read-back.

For certificates. People's decisions are rows that nothing deletes; of read-back it is kept how many writes it has
cleared up. Both outlive the writes themselves.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from shadow.journal.schema import JournalError, connect_reader, version

MOST = 200
"""Decisions that are told one by one: of more, the latest."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Everything that one person decided in the same way for the same reason."""

    kind: str
    """``copy`` (dropped), ``doubt`` or ``gap``."""
    decision: str
    """What it came to: ``dropped``, ``applied``, ``not applied``, ``settled``."""
    who: str
    why: str
    count: int
    """Writes, copies or gaps."""
    first: float
    last: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Decided:
    """Of one route."""

    by_people: tuple[Settled, ...] = ()
    """The latest first, MOST at most."""
    declared: int = 0
    """Writes, copies and gaps that people have decided about, those that are not told one by one among them."""
    resolved: int = 0
    """Writes in doubt, and copies without an answer, that read-back has cleared up."""


_BY_PEOPLE = (
    "SELECT kind, decision, who, why, COUNT(*), MIN(at), MAX(at), SUM(COUNT(*)) OVER () FROM settlements "
    "WHERE route = ? GROUP BY kind, decision, who, why ORDER BY MAX(at) DESC, MAX(number) DESC LIMIT ?"
)


def count_resolved(db: sqlite3.Connection, sequence: int) -> None:
    """Read-back has cleared up this write, of which it had not before. On the journal's own connection."""
    db.execute(
        "INSERT INTO resolved (route, writes) SELECT route, 1 FROM writes WHERE sequence = ? "
        "ON CONFLICT (route) DO UPDATE SET writes = writes + 1",
        (sequence,),
    )


def read_decided(path: Path, route: str) -> Decided:
    """Beside a shadower that writes or without one; nothing where there is no journal, or one of an earlier fig.

    Raises JournalError when the journal is there and cannot be read.
    """
    if not path.exists():
        return Decided()
    try:
        with closing(connect_reader(path)) as db:
            if version(db) < 2:
                return Decided()
            rows = db.execute(_BY_PEOPLE, (route, MOST)).fetchall()
            resolved = db.execute("SELECT writes FROM resolved WHERE route = ?", (route,)).fetchone()
    except sqlite3.Error as exc:
        raise JournalError(f"{path}: cannot be read ({exc})") from exc
    by_people = tuple(Settled(*row[:-1]) for row in rows)
    return Decided(by_people, int(rows[0][-1]) if rows else 0, int(resolved[0]) if resolved else 0)
