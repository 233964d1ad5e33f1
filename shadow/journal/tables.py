"""The journal's tables and statements, on one SQLite connection. Nothing outside the journal knows SQL.

Clear in the file: route, method, sides, states, status codes, counts, clocks, and keyed hashes. Everything else of a
write (target, headers, bodies, order key, idempotency key, unit) lies in it sealed, until it is erased.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from rules.stages import Side
from shadow.journal.schema import DamagedJournalError, JournalError, connect, connect_reader, version
from shadow.journal.writes import Copy, Open, Recorded, Standing, State

__all__ = ["DamagedJournalError", "JournalError", "connect", "connect_reader"]

NEVER_SENT = ("connect", "unsent")
"""Failures of a write that certainly did not reach its service."""


def record_outcome(
    db: sqlite3.Connection,
    sequence: int,
    turn: int,
    *,
    status: int,
    success: bool,
    failure: str,
    learnt: bytes,
    sealed: bytes,
    now: float,
) -> Recorded:
    """What the answer makes of a write; an outcome that is known already changes nothing.

    A write in doubt is cleared by an outcome that comes late, unless a later write of its key is under way or through:
    its copy would then arrive out of order, so it stays in doubt. A write without a key gets the one that its answer
    tells (`learnt`); where a later write of that key has gone before, its copy is dead until a person sends it.
    """
    row = db.execute("SELECT state, status, route, key, copy_to FROM writes WHERE sequence = ?", (sequence,)).fetchone()
    if row is None:
        return Recorded(sequence, State.VOID, False, None)
    state, known, route, key, copy_to = State(row[0]), row[1], row[2], row[3] or b"", row[4]
    if not (state is State.INTENDED or (state is State.IN_DOUBT and known is None)):
        return Recorded(sequence, state, False, None)
    became, reason = judge_outcome(status, failure, success=success, copied=copy_to is not None)
    if became is State.ANSWERED and state is State.IN_DOUBT and _has_later(db, key, sequence):
        became, reason = State.IN_DOUBT, "its outcome came after a later write of its key"
    if became is State.ANSWERED and learnt and not key:
        key = learnt
        if _has_gone(db, key, sequence):
            became, reason = State.DEAD, "its key was learnt when a later write of it had gone before"
    owed = became is State.ANSWERED
    db.execute(
        "UPDATE writes SET state = ?, reason = ?, status = ?, key = ?, turn = ?, answer = ?, ended = ?, "
        "original = CASE WHEN ? THEN NULL ELSE original END WHERE sequence = ?",
        (
            became.value,
            reason,
            status or None,
            key or None,
            turn if owed or became is State.DEAD else None,
            sealed if owed or became is State.DEAD else None,
            None if owed else now,
            became is State.VOID,
            sequence,
        ),
    )
    copy = Copy(sequence, turn, route, Side(copy_to), key) if owed else None
    return Recorded(sequence, became, became is not state, copy)


def judge_outcome(status: int, failure: str, *, success: bool, copied: bool) -> tuple[State, str]:
    """Without an answer a write is in doubt, unless it never reached the service."""
    if status == 0:
        if failure in NEVER_SENT:
            return State.VOID, "never sent"
        return State.IN_DOUBT, f"no answer ({failure or 'unknown'})"
    if not success:
        return State.VOID, "no success"
    return (State.ANSWERED, "") if copied else (State.VOID, "no copy at this stage")


def _has_gone(db: sqlite3.Connection, key: bytes, sequence: int) -> bool:
    """Whether a later write of the key has its outcome, and a turn before any that is given now."""
    gone = "SELECT 1 FROM writes WHERE key = ? AND sequence > ? AND state IN ('answered', 'delivered') LIMIT 1"
    return db.execute(gone, (key, sequence)).fetchone() is not None


def _has_later(db: sqlite3.Connection, key: bytes, sequence: int) -> bool:
    if not key:
        return False
    later = "SELECT 1 FROM writes WHERE key = ? AND sequence > ? AND state <> 'void' LIMIT 1"
    return db.execute(later, (key, sequence)).fetchone() is not None


def doubt(db: sqlite3.Connection, sequences: Iterable[int], reason: str, now: float) -> None:
    """Writes whose worker is gone without an outcome."""
    db.executemany(
        "UPDATE writes SET state = 'in_doubt', reason = ?, ended = ? WHERE sequence = ? AND state = 'intended'",
        [(reason, now, sequence) for sequence in sequences],
    )


def withdraw(db: sqlite3.Connection, sequences: Iterable[int], now: float) -> None:
    """Writes that were recorded but never forwarded: their worker did not hear of the grant."""
    db.executemany(
        "UPDATE writes SET state = 'void', reason = 'never forwarded', original = NULL, ended = ? "
        "WHERE sequence = ? AND state = 'intended'",
        [(now, sequence) for sequence in sequences],
    )


def end_attempt(db: sqlite3.Connection, sequence: int, attempts: int) -> None:
    """An attempt that is to be repeated: it was never sent, or answered with a failure."""
    db.execute("UPDATE writes SET sending = 0, attempts = ? WHERE sequence = ?", (attempts, sequence))


def doubt_interrupted(db: sqlite3.Connection, now: float) -> int:
    """At start: attempts that were under way when the predecessor ended. How many there were."""
    return db.execute(
        "UPDATE writes INDEXED BY writes_sending SET state = 'in_doubt', reason = 'copy interrupted', ended = ? "
        "WHERE state = 'answered' AND sending = 1",
        (now,),
    ).rowcount


def erase_compared(db: sqlite3.Connection, sequences: Iterable[int]) -> None:
    """Pairs that are in the store: the copy's answer goes. Original and answer stay until `purge`, for a replay."""
    db.execute(  # one statement for all of them, as in together.py
        "UPDATE writes SET copy_answer = NULL, terms = '' WHERE sequence IN (SELECT value FROM json_each(?))",
        (json.dumps(list(sequences)),),
    )


def insert_gap(
    db: sqlite3.Connection, identity: str, route: str, key: bytes, reason: str, started: float, now: float
) -> bool:
    """Whether this gap was not known before."""
    done = db.execute(
        "INSERT OR IGNORE INTO gaps (id, route, key, reason, started, recorded) VALUES (?, ?, ?, ?, ?, ?)",
        (identity, route, key or None, reason, started, now),
    )
    return done.rowcount == 1


def purge(db: sqlite3.Connection, route: str, before: float, limit: int) -> int:
    """Forget writes of a route that ended well, or were settled, before that time, `limit` at most. How many went.

    The last one stays, because numbering goes on from it: a sequence is never given twice.
    """
    return db.execute(
        "DELETE FROM writes WHERE sequence IN (SELECT sequence FROM writes INDEXED BY writes_ended "
        "WHERE route = ? AND ended < ? AND copy_answer IS NULL AND (state IN ('delivered', 'void') OR settled = 1) "
        "AND sequence < (SELECT MAX(sequence) FROM writes) ORDER BY ended LIMIT ?)",
        (route, before, limit),
    ).rowcount


def ended_routes(db: sqlite3.Connection) -> list[str]:
    """Routes of writes that are over, whether the rules still have them or not; as many steps as there are routes."""
    rows = db.execute(
        "WITH RECURSIVE each(route) AS (SELECT MIN(route) FROM writes WHERE ended IS NOT NULL UNION ALL "
        "SELECT (SELECT MIN(route) FROM writes WHERE ended IS NOT NULL AND route > each.route) FROM each "
        "WHERE each.route IS NOT NULL) SELECT route FROM each WHERE route IS NOT NULL"
    )
    return [route for (route,) in rows]


def used_bytes(db: sqlite3.Connection) -> int:
    """What the file holds: its pages without those that are free to be used again."""
    (used,) = db.execute(
        "SELECT (page_count - freelist_count) * page_size "
        "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
    ).fetchone()
    return int(used)


def last_numbers(db: sqlite3.Connection) -> tuple[int, int]:
    """The highest sequence given so far, and the highest turn that still matters: that of a copy which is owed."""
    sequence = db.execute("SELECT COALESCE(MAX(sequence), 0) FROM writes").fetchone()[0]
    turn = db.execute("SELECT COALESCE(MAX(turn), 0) FROM writes WHERE state = 'answered'").fetchone()[0]
    return sequence, turn


def open_writes(db: sqlite3.Connection) -> list[Open]:
    """Writes without an outcome, in order."""
    rows = db.execute(
        "SELECT sequence, key, worker, route FROM writes INDEXED BY writes_unsettled "
        "WHERE state IN ('intended', 'in_doubt', 'dead') AND settled = 0 AND state = 'intended' ORDER BY sequence"
    )
    return [Open(sequence, key or b"", worker, route) for sequence, key, worker, route in rows]


def owed_lanes(db: sqlite3.Connection) -> list[tuple[str, Side, int, int]]:
    """(route, side, last turn, how many) of the copies that are owed."""
    rows = db.execute(
        "SELECT route, copy_to, MAX(turn), COUNT(*) FROM writes WHERE state = 'answered' GROUP BY route, copy_to"
    )
    return [(route, Side(to), turn, count) for route, to, turn, count in rows]


def owed_page(db: sqlite3.Connection, route: str, to: Side, after: int, limit: int) -> list[Copy]:
    """The next copies that are owed after turn `after`, in order of turns."""
    rows = db.execute(
        "SELECT sequence, turn, key, attempts, sending, answer IS NOT NULL FROM writes "
        "WHERE state = 'answered' AND route = ? AND copy_to = ? "
        "AND turn > ? ORDER BY turn LIMIT ?",
        (route, to.value, after, limit),
    )
    return [
        Copy(sequence, turn, route, to, key or b"", attempts, unanswered=bool(sending), paired=bool(paired))
        for sequence, turn, key, attempts, sending, paired in rows
    ]


def owes(db: sqlite3.Connection, key: bytes, to: Side) -> bool:
    """Whether a copy of this key is still to be delivered to that side."""
    # Named, because the planner takes writes_of_key, which has every write that the key ever had.
    row = db.execute(
        "SELECT 1 FROM writes INDEXED BY writes_owed_of_key "
        "WHERE key = ? AND copy_to = ? AND state = 'answered' LIMIT 1",
        (key, to.value),
    ).fetchone()
    return row is not None


def has_written(db: sqlite3.Connection, key: bytes) -> bool:
    """Whether the journal knows of a write of this key that had or may have had an effect."""
    row = db.execute("SELECT 1 FROM writes WHERE key = ? AND state <> 'void' LIMIT 1", (key,)).fetchone()
    return row is not None


def uncompared(db: sqlite3.Connection, limit: int) -> list[int]:
    """Writes whose copy is answered and whose pair is not in the store yet."""
    rows = db.execute("SELECT sequence FROM writes WHERE copy_answer IS NOT NULL ORDER BY sequence LIMIT ?", (limit,))
    return [sequence for (sequence,) in rows]


def contents(db: sqlite3.Connection, sequence: int) -> Sequence[object] | None:
    """(route, generation, method, side, arrival, original, answer, copy answer, failed attempts at the copy, terms)."""
    row: tuple[object, ...] | None = db.execute(
        "SELECT route, generation, method, side, arrival, original, answer, copy_answer, attempts, terms FROM writes "
        "WHERE sequence = ?",
        (sequence,),
    ).fetchone()
    return row


def latest_sealed(db: sqlite3.Connection, most: int) -> list[tuple[int, bytes]]:
    """(sequence, sealed original) of the latest writes that have one, at most so many, among the last ten thousand."""
    return db.execute(
        "SELECT sequence, original FROM (SELECT sequence, original FROM writes ORDER BY sequence DESC LIMIT 10000) "
        "WHERE original IS NOT NULL LIMIT ?",
        (most,),
    ).fetchall()


_UNSETTLED = (
    "SELECT route, state, COUNT(*) FROM writes WHERE state IN ('intended', 'in_doubt', 'dead') AND settled = 0 "
    "GROUP BY state, route"
)
_UNSETTLED_1 = (
    "SELECT route, state, COUNT(*) FROM writes WHERE state IN ('intended', 'in_doubt', 'dead') "
    "AND state IN ('intended', 'answered', 'in_doubt', 'dead') GROUP BY state, route"
)
# What arrived in the future is late too: then the clock was set back, and nobody knows for how long it has been owed.
_OWED = (
    "SELECT route, COUNT(*), SUM(arrival NOT BETWEEN ?1 AND ?1 + 60) FROM writes WHERE state = 'answered' "
    "GROUP BY route"
)


def standing(db: sqlite3.Connection, late: float) -> dict[str, Standing]:
    """What of each route is unsettled; routes with nothing unsettled are left out. `overdue` arrived before `late`.

    Also of a file of schema 1, which a shadower that is not replaced yet may hold: nobody has settled anything there.
    """
    return merged(unsettled(db), owed(db, late))


Counts = Mapping[str, Mapping[str, int]]
"""Route -> field of Standing -> how many."""


def merged(*counts: Counts) -> dict[str, Standing]:
    """Of counts of different fields."""
    routes = {route for each in counts for route in each}
    return {
        route: Standing(**{field: count for each in counts for field, count in each.get(route, {}).items()})
        for route in routes
    }


def unsettled(db: sqlite3.Connection) -> Counts:
    """All but the copies that are owed: in steps as many as there is of it, which is little."""
    knows_settled = version(db) >= 2
    counts: dict[str, dict[str, int]] = {}
    for route, state, count in db.execute(_UNSETTLED if knows_settled else _UNSETTLED_1):
        counts.setdefault(route, {})[state] = count
    gaps = "SELECT route, COUNT(*) FROM gaps WHERE settled = 0 GROUP BY route"
    for route, count in db.execute(gaps if knows_settled else "SELECT route, COUNT(*) FROM gaps GROUP BY route"):
        counts.setdefault(route, {})["gaps"] = count
    if knows_settled:
        for route, count in db.execute("SELECT route, COUNT(*) FROM settlements GROUP BY route"):
            counts.setdefault(route, {})["declared"] = count
    return counts


def owed(db: sqlite3.Connection, late: float) -> Counts:
    """The copies that are owed, and how many of their writes arrived before `late`: a step for each of them."""
    return {route: {"undelivered": count, "overdue": overdue} for route, count, overdue in db.execute(_OWED, (late,))}
