"""What is recorded of many writes at once: one statement for up to 64 of them, where the journal is busiest.

Hot. At every step of a statement the thread that commits gives the interpreter away and must win it back from the loop
and the comparison, so with a statement a write, a commit of fifty writes waits fifty times. SQLite itself takes half as
long again for an update from a list of values as for that of one row, so a row alone gets the plain statement.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from shadow.journal.schema import JournalError

SIZES = (64, 16, 4, 1)
"""Rows of one statement: few sizes, so that each is prepared once."""


class Intended(NamedTuple):
    """A write that is about to be forwarded, as its row has it."""

    sequence: int
    route: str
    generation: int
    key: bytes | None
    method: str
    side: str
    copy_to: str | None
    worker: int
    fingerprint: bytes
    arrival: float
    original: bytes


class Judged(NamedTuple):
    """What its outcome made of a write that was intended, and nothing else."""

    sequence: int
    state: str
    reason: str
    status: int | None
    turn: int | None
    answer: bytes | None
    ended: float | None
    forgets: int
    """1 where the original is needed no longer."""


class Ended(NamedTuple):
    """The end of a copy's way."""

    sequence: int
    state: str
    reason: str
    attempts: int
    copy_status: int
    copy_answer: bytes | None
    """Kept until it is compared."""
    terms: str
    ended: float


def insert(db: sqlite3.Connection, rows: Sequence[Intended]) -> None:
    """Writes that are about to be forwarded."""
    for some in _parts(rows):
        db.execute(_insert(len(some)), _flat(some))


def judge(db: sqlite3.Connection, rows: Sequence[Judged]) -> None:
    """Outcomes of writes that are intended. Raises JournalError where one of them is not: then ask one by one."""
    changed = 0
    for some in _parts(rows):
        changed += db.execute(_judge(len(some)), _flat(some)).rowcount
    if changed != len(rows):
        raise JournalError(f"of {len(rows)} writes only {changed} had no outcome")


def end(db: sqlite3.Connection, rows: Sequence[Ended]) -> None:
    """Copies that are delivered, dead or in doubt; one that is owed no longer stays as it is."""
    for some in _parts(rows):
        db.execute(_end(len(some)), _flat(some))


def begin_attempts(db: sqlite3.Connection, sequences: Sequence[int]) -> None:
    """Where nothing deduplicates, this must be durable before a copy is sent: found at start, it is a doubt."""
    for some in _parts([(sequence,) for sequence in sequences]):
        db.execute(_begin(len(some)), _flat(some))


def _parts(rows: Sequence[tuple[object, ...]]) -> Iterator[Sequence[tuple[object, ...]]]:
    """In order, in pieces of which each has one of SIZES."""
    at = 0
    for size in SIZES:
        while len(rows) - at >= size:
            yield rows[at : at + size]
            at += size


def _flat(rows: Sequence[tuple[object, ...]]) -> list[object]:
    return [value for row in rows for value in row]


def _values(columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"VALUES {', '.join([row] * rows)}"


@lru_cache
def _insert(rows: int) -> str:
    names = ", ".join(Intended._fields)
    row = f"({', '.join('?' * len(Intended._fields))}, 'intended')"
    return f"INSERT INTO writes ({names}, state) VALUES {', '.join([row] * rows)}"  # noqa: S608 (no value in it)


@lru_cache
def _judge(rows: int) -> str:
    if rows == 1:
        return (
            "UPDATE writes SET state = ?2, reason = ?3, status = ?4, turn = ?5, answer = ?6, ended = ?7, "
            "original = CASE WHEN ?8 THEN NULL ELSE original END WHERE sequence = ?1 AND state = 'intended'"
        )
    return (
        "UPDATE writes SET state = v.column2, reason = v.column3, status = v.column4, turn = v.column5, "  # noqa: S608
        "answer = v.column6, ended = v.column7, original = CASE WHEN v.column8 THEN NULL ELSE original END "
        f"FROM ({_values(len(Judged._fields), rows)}) AS v "
        "WHERE writes.sequence = v.column1 AND writes.state = 'intended'"
    )


@lru_cache
def _end(rows: int) -> str:
    if rows == 1:
        return (
            "UPDATE writes SET state = ?2, reason = ?3, attempts = ?4, sending = 0, copy_status = ?5, "
            "copy_answer = ?6, terms = ?7, ended = ?8 WHERE sequence = ?1 AND state = 'answered'"
        )
    return (
        "UPDATE writes SET state = v.column2, reason = v.column3, attempts = v.column4, sending = 0, "  # noqa: S608
        "copy_status = v.column5, copy_answer = v.column6, terms = v.column7, ended = v.column8 "
        f"FROM ({_values(len(Ended._fields), rows)}) AS v "
        "WHERE writes.sequence = v.column1 AND writes.state = 'answered'"
    )


@lru_cache
def _begin(rows: int) -> str:
    return f"UPDATE writes SET sending = 1 WHERE sequence IN ({', '.join('?' * rows)})"  # noqa: S608 (no value in it)
