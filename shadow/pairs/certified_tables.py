"""What pairs.db holds for certificates beside the chain: strata and pins. Run by shadow.pairs.tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

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
"""

UNPINNED = "coalesce(ordinal, 0) > coalesce((SELECT max(links) FROM pins WHERE pins.window = pairs.window), -1)"
"""Which kept pairs are under no certificate."""
OF_A_WINDOW = ("strata",)
"""Tables whose rows go with their window."""


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
