"""What pairs.db holds of noise: how often legacy disagrees with itself at each path, and examples of it.

Counts belong to a window (shadow.pairs.store): other masks or another candidate, and everything is counted anew. SQL
only; shadow.pairs.noise_store says what is written and read.
"""

from __future__ import annotations

import sqlite3
from dataclasses import astuple

from shadow.noise.counts import PathCounts

TABLES = """
-- Samples of a window: reads of which legacy was asked again before and after the candidate.
CREATE TABLE IF NOT EXISTS noise (
    window INTEGER PRIMARY KEY,
    asked INTEGER NOT NULL,
    first REAL NOT NULL,
    last REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS noise_places (
    window INTEGER NOT NULL,
    path TEXT NOT NULL,
    before INTEGER NOT NULL,
    after INTEGER NOT NULL,
    noisy INTEGER NOT NULL,
    differing INTEGER NOT NULL,
    only_after INTEGER NOT NULL,
    only_differing INTEGER NOT NULL,
    PRIMARY KEY (window, path)
) WITHOUT ROWID;
-- A uniform sample of a place's differences: `source` is 'noise' or 'candidate'. Redacted.
CREATE TABLE IF NOT EXISTS noise_examples (
    window INTEGER NOT NULL,
    path TEXT NOT NULL,
    source TEXT NOT NULL,
    slot INTEGER NOT NULL,
    kind TEXT NOT NULL,
    pair TEXT NOT NULL,
    legacy TEXT,
    other TEXT,
    PRIMARY KEY (window, path, source, slot)
) WITHOUT ROWID;
"""

OF_A_WINDOW = ("noise", "noise_places", "noise_examples")
"""Tables whose rows go with their window."""

Row = tuple[str, str, str | None, str | None]
"""kind, pair, legacy, other."""


def count_samples(db: sqlite3.Connection, window: int, started: float) -> None:
    """One more sample of that window."""
    db.execute(
        "INSERT INTO noise VALUES (?, 1, ?, ?) ON CONFLICT DO UPDATE SET asked = asked + 1,"
        " first = min(first, excluded.first), last = max(last, excluded.last)",
        (window, started, started),
    )


def asked(db: sqlite3.Connection, window: int) -> tuple[int, float, float]:
    """Samples of the window, and when its first and last one began."""
    row = db.execute("SELECT asked, first, last FROM noise WHERE window = ?", (window,)).fetchone()
    return (int(row[0]), row[1], row[2]) if row else (0, 0.0, 0.0)


def add_place(db: sqlite3.Connection, window: int, path: str, counts: PathCounts) -> PathCounts:
    """Add these to what is counted at the path; gives the sums. `asked` is left as it is given."""
    _, *numbers = astuple(counts)
    db.execute(
        "INSERT INTO noise_places VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " before = before + excluded.before, after = after + excluded.after, noisy = noisy + excluded.noisy,"
        " differing = differing + excluded.differing, only_after = only_after + excluded.only_after,"
        " only_differing = only_differing + excluded.only_differing",
        (window, path, *numbers),
    )
    row = db.execute(
        "SELECT before, after, noisy, differing, only_after, only_differing FROM noise_places"
        " WHERE window = ? AND path = ?",
        (window, path),
    ).fetchone()
    return PathCounts(counts.asked, *row)


def places(db: sqlite3.Connection, window: int) -> dict[str, PathCounts]:
    """What is counted at each path, most noise first."""
    total, _, _ = asked(db, window)
    rows = db.execute(
        "SELECT path, before, after, noisy, differing, only_after, only_differing FROM noise_places"
        " WHERE window = ? ORDER BY noisy DESC, differing DESC, path",
        (window,),
    )
    return {path: PathCounts(total, *numbers) for path, *numbers in rows}


def put_example(db: sqlite3.Connection, window: int, path: str, source: str, slot: int, row: Row) -> None:
    """In place of what is in that slot."""
    db.execute(
        "INSERT OR REPLACE INTO noise_examples VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (window, path, source, slot, *row)
    )


def examples(db: sqlite3.Connection, window: int, path: str, source: str) -> list[Row]:
    """All that are kept of the path."""
    return db.execute(
        "SELECT kind, pair, legacy, other FROM noise_examples WHERE window = ? AND path = ? AND source = ?"
        " ORDER BY slot",
        (window, path, source),
    ).fetchall()


def forget_others(db: sqlite3.Connection) -> None:
    """Drop what belongs to windows that are not kept any more."""
    for table in OF_A_WINDOW:
        db.execute(f"DELETE FROM {table} WHERE window NOT IN (SELECT id FROM windows)")  # noqa: S608 (names from above)
