"""What pairs.db holds for certificates beside the chain: strata, pins, and what was dropped. Run by
shadow.pairs.tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

TABLES = """
CREATE TABLE IF NOT EXISTS strata (
    window INTEGER NOT NULL,
    method TEXT NOT NULL,
    status_class TEXT NOT NULL,
    kind TEXT NOT NULL,
    pairs INTEGER NOT NULL,
    differing INTEGER NOT NULL,
    excused INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    PRIMARY KEY (window, method, status_class, kind)
) WITHOUT ROWID;
-- Until when (seconds since the epoch) the journal was looked through for writes without a pair.
CREATE TABLE IF NOT EXISTS looked (route TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
-- Windows whose first `links` pairs a certificate was issued on: they are kept, whatever the route's `keep` says.
CREATE TABLE IF NOT EXISTS pins (
    window INTEGER NOT NULL,
    certificate TEXT NOT NULL,
    links INTEGER NOT NULL,
    made REAL NOT NULL,
    PRIMARY KEY (window, certificate)
) WITHOUT ROWID;
-- Kept pairs that were dropped because their time was over: some of those with above < ordinal <= until. `above` is
-- what pins held then, so that what is missing under a pin is not taken for dropped.
CREATE TABLE IF NOT EXISTS dropped (
    window INTEGER NOT NULL,
    differs INTEGER NOT NULL,
    above INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (window, differs, above)
) WITHOUT ROWID;
"""

UNPINNED = "coalesce(ordinal, 0) > coalesce((SELECT max(links) FROM pins WHERE pins.window = pairs.window), -1)"
"""Which kept pairs are under no certificate."""
OF_A_WINDOW = ("strata", "dropped")
"""Tables whose rows go with their window."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Kept pairs of one window that were dropped in their time: some of those between two ordinals."""

    differs: bool
    above: int
    until: int

    def covers(self, ordinal: int, differs: bool) -> bool:
        return self.differs == differs and self.above < ordinal <= self.until


@dataclass(frozen=True, slots=True)
class Pin:
    """What is kept for one certificate."""

    certificate: str
    """SHA-256 of its file, in hex digits."""
    route: str
    window: int
    """Its number."""
    links: int
    """The window's first so many pairs are kept."""
    made: float
    """Seconds since the epoch."""


def count_strata(
    db: sqlite3.Connection, window: int, counts: Iterable[tuple[tuple[str, str, str], Sequence[int]]]
) -> None:
    """Add to strata: (method, status class, kind) -> pairs, differing, excused, attempts."""
    db.executemany(
        "INSERT INTO strata VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET pairs = pairs + excluded.pairs,"
        " differing = differing + excluded.differing, excused = excused + excluded.excused,"
        " attempts = attempts + excluded.attempts",
        [(window, *key, *numbers) for key, numbers in counts],
    )


def pin(db: sqlite3.Connection, window: int, certificate: str, links: int, made: float) -> None:
    """Keep the window's first `links` pairs, for that certificate."""
    db.execute("INSERT OR IGNORE INTO pins VALUES (?, ?, ?, ?)", (window, certificate, links, made))


def read_pins(db: sqlite3.Connection, beginning: str = "") -> tuple[Pin, ...]:
    """Pins for certificates whose digest begins so, latest first."""
    rows = db.execute(
        "SELECT certificate, route, number, links, made FROM pins JOIN windows ON windows.id = pins.window"
        " WHERE substr(certificate, 1, ?) = ? ORDER BY made DESC, certificate",
        (len(beginning), beginning),
    )
    return tuple(Pin(*row) for row in rows)


def unpin(db: sqlite3.Connection, certificate: str) -> None:
    """Keep nothing for that certificate any more."""
    db.execute("DELETE FROM pins WHERE certificate = ?", (certificate,))


def note_dropped(db: sqlite3.Connection, window: int, differs: int, until: int) -> None:
    """Kept pairs of the window were dropped, none of them under a pin; the last one was pair `until`."""
    db.execute(
        "INSERT INTO dropped VALUES (?1, ?2, coalesce((SELECT max(links) FROM pins WHERE window = ?1), 0), ?3)"
        " ON CONFLICT DO UPDATE SET until = max(until, excluded.until)",
        (window, differs, until),
    )


def read_dropped(db: sqlite3.Connection, window: int) -> tuple[Dropped, ...]:
    """What was dropped of a window's kept pairs."""
    rows = db.execute("SELECT differs, above, until FROM dropped WHERE window = ?", (window,))
    return tuple(Dropped(bool(differs), above, until) for differs, above, until in rows)
