"""Writes in doubt, and the questions asked about them: statements on the journal's connection.

A doubt is about a write whose answer nobody has (it has no turn), or about a copy of which nobody knows whether it
arrived (its write was answered and so has a turn).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rules.stages import Side
from shadow.delivery.read_back import Finding
from shadow.journal.decided import count_resolved
from shadow.journal.schema import UnfitError
from shadow.journal.writes import Copy, Recorded, State

UNPAIRED = "no pair: "
"""How the reason of a delivered write begins whose answer on one side is only known by read-back."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One write that is in doubt."""

    sequence: int
    route: str
    method: str
    key: bytes
    asks: Side
    """The side of which it is not known whether it has applied it."""
    of_copy: bool
    """Whether it is the copy that is in doubt; else it is the write itself."""
    reason: str
    arrival: float
    """Seconds since the epoch."""
    overtaken: bool
    """Whether a later write of its key has gone through since."""


# A later write may have changed what the side shows once it was sent there; for a copy, once that one's copy was.
_OVERTAKEN = """
    CASE WHEN w.key IS NULL THEN 0
    WHEN w.turn IS NULL THEN EXISTS (
        SELECT 1 FROM writes l WHERE l.key = w.key AND l.sequence > w.sequence AND l.state <> 'void')
    ELSE EXISTS (
        SELECT 1 FROM writes l WHERE l.key = w.key AND l.copy_to = w.copy_to AND l.turn > w.turn
        AND (l.state IN ('delivered', 'dead', 'in_doubt') OR l.attempts > 0 OR l.sending = 1)) END
"""
_DOUBT = f"SELECT w.sequence, w.route, w.method, w.key, w.side, w.turn, w.reason, w.arrival, {_OVERTAKEN} FROM writes w"  # noqa: S608


def doubts(db: sqlite3.Connection, routes: Sequence[str] | None, after: int, limit: int) -> list[Doubt]:
    """Writes in doubt whose sequence is above `after`, in order: of those routes, or of all."""
    of_routes = "" if routes is None else f"AND w.route IN ({', '.join('?' * len(routes))})"
    rows = db.execute(
        f"{_DOUBT} WHERE w.state = 'in_doubt' AND w.settled = 0 {of_routes} AND w.sequence > ? "
        "ORDER BY w.sequence LIMIT ?",
        (*(routes or ()), after, limit),
    )
    return [_doubt(row) for row in rows]


def latest_doubts(db: sqlite3.Connection, route: str, limit: int) -> list[Doubt]:
    """Writes of one route in doubt, the latest first."""
    rows = db.execute(
        f"{_DOUBT} WHERE w.state = 'in_doubt' AND w.settled = 0 AND w.route = ? ORDER BY w.sequence DESC LIMIT ?",
        (route, limit),
    )
    return [_doubt(row) for row in rows]


def doubt_of(db: sqlite3.Connection, sequence: int) -> Doubt | None:
    """The doubt about this write; None when it is in none."""
    row = db.execute(f"{_DOUBT} WHERE w.state = 'in_doubt' AND w.sequence = ?", (sequence,)).fetchone()
    return _doubt(row) if row is not None else None


def _doubt(row: tuple[int, str, str, bytes | None, str, int | None, str, float, int]) -> Doubt:
    sequence, route, method, key, side, turn, reason, arrival, overtaken = row
    answering = Side(side)
    asks = answering if turn is None else answering.other
    return Doubt(sequence, route, method, key or b"", asks, turn is not None, reason, arrival, bool(overtaken))


def resolve(db: sqlite3.Connection, sequence: int, turn: int, *, applied: bool, by: str, now: float) -> Recorded:
    """Clear a doubt, which is known now; one that is cleared already stays as it is.

    A write that is applied owes its copy with that turn, unless a later write of its key has gone before: then the copy
    would arrive out of order, and is dead until a person sends it. One that is not applied is void. A copy that is
    applied is delivered without a pair. One that is not is owed again with that turn, or dead likewise.
    """
    doubt = doubt_of(db, sequence)
    if doubt is None:
        row = db.execute("SELECT state FROM writes WHERE sequence = ?", (sequence,)).fetchone()
        return Recorded(sequence, State(row[0]) if row is not None else State.VOID, False, None)
    copy_to = db.execute("SELECT copy_to FROM writes WHERE sequence = ?", (sequence,)).fetchone()[0]
    late = f"{by}, but a later write of its key has gone before"
    if doubt.of_copy and applied:
        became, reason = State.DELIVERED, f"{UNPAIRED}{by}"
    elif not doubt.of_copy and not applied:
        became, reason = State.VOID, by
    elif copy_to is None:
        became, reason = State.VOID, "no copy at this stage"
    else:
        became, reason = (State.DEAD, late) if doubt.overtaken else (State.ANSWERED, by)
    db.execute(
        "UPDATE writes SET state = ?, reason = ?, turn = COALESCE(?, turn), sending = 0, ended = ?, "
        "original = CASE WHEN ? THEN NULL ELSE original END WHERE sequence = ?",
        (
            became.value,
            reason,
            turn if became is State.ANSWERED else None,
            None if became is State.ANSWERED else now,
            became is State.VOID,
            sequence,
        ),
    )
    return Recorded(sequence, became, True, _copy(db, sequence) if became is State.ANSWERED else None)


def _copy(db: sqlite3.Connection, sequence: int) -> Copy:
    row = db.execute(
        "SELECT turn, route, copy_to, key, attempts, answer IS NOT NULL FROM writes WHERE sequence = ?", (sequence,)
    ).fetchone()
    turn, route, to, key, attempts, paired = row
    return Copy(sequence, turn, route, Side(to), key or b"", attempts, paired=bool(paired))


def reopen_copies(db: sqlite3.Connection, routes: Iterable[str]) -> int:
    """Copies in doubt that no later one of their key has passed are owed again, as unanswered: to be asked about."""
    names = list(routes)
    if not names:
        return 0
    of_routes = f"w.route IN ({', '.join('?' * len(names))})"
    statement = (
        f"UPDATE writes AS w SET state = 'answered', sending = 1, ended = NULL WHERE {of_routes} "  # noqa: S608
        f"AND w.state = 'in_doubt' AND w.settled = 0 AND w.turn IS NOT NULL AND NOT {_OVERTAKEN}"
    )
    return db.execute(statement, names).rowcount


def note(db: sqlite3.Connection, sequence: int, finding: str, at: float, asked: bytes) -> None:
    """What a question has come to; the latest one of a write stands, with how often there was one."""
    known = question(db, sequence)
    if finding != Finding.UNKNOWN and (known is None or known[0] == Finding.UNKNOWN):
        count_resolved(db, sequence)
    db.execute(
        "INSERT INTO questions (sequence, finding, times, at, asked) VALUES (?, ?, 1, ?, ?) "
        "ON CONFLICT (sequence) DO UPDATE SET finding = excluded.finding, times = times + 1, at = excluded.at, "
        "asked = excluded.asked",
        (sequence, finding, at, asked),
    )


def question(db: sqlite3.Connection, sequence: int) -> tuple[str, int, float, bytes] | None:
    """(finding, how often, when last, sealed) of a write's questions."""
    row: tuple[str, int, float, bytes] | None = db.execute(
        "SELECT finding, times, at, asked FROM questions WHERE sequence = ?", (sequence,)
    ).fetchone()
    return row


def settle(
    db: sqlite3.Connection, sequence: int, turn: int, *, applied: bool, who: str, why: str, now: float
) -> Recorded:
    """As `resolve`, by a person's word, which stays told. Raises UnfitError where the write is not in doubt."""
    doubt = doubt_of(db, sequence)
    if doubt is None:
        raise UnfitError(f"write {sequence} is not in doubt; `fig shadow doubts` lists those that are")
    said = "applied" if applied else "not applied"
    recorded = resolve(db, sequence, turn, applied=applied, by=f"{said}, as a person said", now=now)
    db.execute(
        "INSERT INTO settlements (route, kind, sequence, decision, who, why, at) VALUES (?, 'doubt', ?, ?, ?, ?, ?)",
        (doubt.route, sequence, said, who, why, now),
    )
    return recorded
