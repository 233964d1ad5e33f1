"""What pairs.db holds for causes: counted groups of differences, and what people acknowledged.

Run by shadow.pairs.tables. Groups are written as the Tally of their window gives them, whole rows; acknowledgements by
a command of the shadower.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

import msgspec

from shadow.causes.common import Common
from shadow.causes.states import Acknowledgement
from shadow.causes.tally import Example, Row

TABLES = """
CREATE TABLE IF NOT EXISTS groups (
    window INTEGER NOT NULL,
    path TEXT NOT NULL,
    kind TEXT NOT NULL,
    transforms TEXT NOT NULL,
    pairs INTEGER NOT NULL,
    count INTEGER NOT NULL,
    first REAL NOT NULL,
    last REAL NOT NULL,
    first_ordinal INTEGER NOT NULL,
    last_ordinal INTEGER NOT NULL,
    quiet INTEGER NOT NULL,
    back REAL NOT NULL,
    shared BLOB NOT NULL,
    PRIMARY KEY (window, path, kind, transforms)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS acknowledged (
    route TEXT NOT NULL,
    cause TEXT NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    at REAL NOT NULL,
    extent TEXT NOT NULL,
    PRIMARY KEY (route, cause)
) WITHOUT ROWID;
"""

OF_A_WINDOW = ("groups",)
"""Tables whose rows go with their window."""
MOST_ACKNOWLEDGED = 1_000
"""Acknowledgements kept per route: the latest."""

_BETWEEN = "\x1f"
"""Between transforms: the unit separator of ASCII, which is in no name, and escaped in JSON."""


class _Shared(msgspec.Struct):
    common: Common
    examples: tuple[Example, ...]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Shared)


def write_rows(db: sqlite3.Connection, window: int, rows: Iterable[Row]) -> None:
    """Store the rows as they are now."""
    db.executemany(
        "INSERT OR REPLACE INTO groups VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                window,
                row.path,
                row.kind,
                _BETWEEN.join(row.transforms),
                row.pairs,
                row.count,
                row.first,
                row.last,
                row.first_ordinal,
                row.last_ordinal,
                row.quiet,
                row.back,
                _encoder.encode(_Shared(row.common, row.examples)),
            )
            for row in rows
        ),
    )


def read_rows(db: sqlite3.Connection, window: int) -> tuple[Row, ...]:
    """The window's rows."""
    found = db.execute(
        "SELECT path, kind, transforms, pairs, count, first, last, first_ordinal, last_ordinal, quiet, back, shared"
        " FROM groups WHERE window = ?",
        (window,),
    )
    return tuple(_row(each) for each in found)


def _row(columns: tuple[Any, ...]) -> Row:
    path, kind, transforms, *numbers, shared = columns
    decoded = _decoder.decode(shared)
    pairs, count, first, last, first_ordinal, last_ordinal, quiet, back = numbers
    return Row(
        path,
        kind,
        tuple(transforms.split(_BETWEEN)),
        pairs,
        count,
        first,
        last,
        first_ordinal,
        last_ordinal,
        quiet,
        back,
        decoded.common,
        decoded.examples,
    )


def write_acknowledgement(db: sqlite3.Connection, route: str, acknowledgement: Acknowledgement) -> None:
    """Note it in place of an earlier one of the same cause."""
    one = acknowledgement
    db.execute(
        "INSERT OR REPLACE INTO acknowledged VALUES (?, ?, ?, ?, ?, ?)",
        (route, one.cause, one.who, one.why, one.at, msgspec.json.encode(one.extent).decode()),
    )
    db.execute(
        "DELETE FROM acknowledged WHERE route = ? AND cause NOT IN"
        " (SELECT cause FROM acknowledged WHERE route = ? ORDER BY at DESC LIMIT ?)",
        (route, route, MOST_ACKNOWLEDGED),
    )


def drop_acknowledgement(db: sqlite3.Connection, route: str, cause: str) -> bool:
    """Whether there was one."""
    return db.execute("DELETE FROM acknowledged WHERE route = ? AND cause = ?", (route, cause)).rowcount > 0


def read_acknowledgements(db: sqlite3.Connection, route: str) -> dict[str, Acknowledgement]:
    """By cause."""
    rows = db.execute("SELECT cause, who, why, at, extent FROM acknowledged WHERE route = ?", (route,))
    return {
        cause: Acknowledgement(cause, who, why, at, msgspec.json.decode(extent, type=tuple[str, ...]))
        for cause, who, why, at, extent in rows
    }
