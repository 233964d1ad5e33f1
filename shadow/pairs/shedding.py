"""What goes from pairs.db when its time is over: kept pairs, links and windows. What a certificate rests on stays.

Statements on the writer's connection, inside its transaction; shadow.pairs.store says when.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from shadow.pairs import cause_tables, certified_tables, chain_tables

EQUAL_SAMPLES = 20
"""Equal pairs kept per window: the latest."""
MOST_WINDOWS = 20
"""Windows kept per route: the latest."""
DROPPED_AT_ONCE = 50_000
"""Links that are dropped in one transaction, so that pairs do not wait behind it."""
_OF_A_WINDOW = (
    *("places", "ordinals", "masks", "samples", "pairs"),
    *cause_tables.OF_A_WINDOW,
    *certified_tables.OF_A_WINDOW,
    *chain_tables.OF_A_WINDOW,
)
_KEPT = "number, window, differs, coalesce(ordinal, 0)"
_PAST = (
    f"SELECT {_KEPT} FROM pairs WHERE started < ? AND {certified_tables.UNPINNED} "  # noqa: S608 (a constant)
    "AND window IN (SELECT id FROM windows WHERE route = ?)"
)
_SURPLUS = (
    f"SELECT {_KEPT} FROM pairs WHERE window = ? AND NOT differs AND {certified_tables.UNPINNED} "  # noqa: S608 (a constant)
    "ORDER BY number DESC LIMIT -1 OFFSET ?"
)


def drop_past(db: sqlite3.Connection, route: str, before: float) -> int:
    """Kept pairs of the route that were made before that time: how many went."""
    return _drop_pairs(db, db.execute(_PAST, (before, route)))


def drop_surplus(db: sqlite3.Connection, window: int) -> None:
    """Of a window's pairs that agree, all but the latest few."""
    _drop_pairs(db, db.execute(_SURPLUS, (window, EQUAL_SAMPLES)))


def drop_past_links(db: sqlite3.Connection, route: str, before: float) -> None:
    """Links of the route's former windows whose last pair was made before that time, some of them at a time."""
    former = db.execute(
        "SELECT id FROM windows WHERE route = ? AND coalesce(last, started) < ?"
        " AND number < (SELECT max(number) FROM windows WHERE route = ?)",
        (route, before, route),
    ).fetchall()
    room = DROPPED_AT_ONCE
    for (window,) in former:
        if room > 0:
            room -= chain_tables.drop_links(db, window, room)


def drop_former_windows(db: sqlite3.Connection, route: str, latest: int) -> None:
    """All of the route's windows but the latest few, with everything that was counted in them."""
    gone = db.execute(
        "SELECT id FROM windows WHERE route = ? AND number <= ? AND id NOT IN (SELECT window FROM pins)",
        (route, latest - MOST_WINDOWS),
    ).fetchall()
    for row in gone:
        for table in _OF_A_WINDOW:
            db.execute(f"DELETE FROM {table} WHERE window = ?", row)  # noqa: S608 (names from above)
        db.execute("DELETE FROM windows WHERE id = ?", row)


def _drop_pairs(db: sqlite3.Connection, rows: Iterable[tuple[int, int, int, int]]) -> int:
    """`rows`: number, window, whether it differs, ordinal. That they went is noted: else they would be missed."""
    numbers: list[tuple[int]] = []
    until: dict[tuple[int, int], int] = {}
    for number, window, differs, ordinal in rows:
        numbers.append((number,))
        until[window, differs] = max(until.get((window, differs), 0), ordinal)
    db.executemany("DELETE FROM samples WHERE pair = ?", numbers)
    db.executemany("DELETE FROM pairs WHERE number = ?", numbers)
    for (window, differs), last in until.items():
        certified_tables.note_dropped(db, window, differs, last)
    return len(numbers)
