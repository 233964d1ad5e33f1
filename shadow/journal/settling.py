"""What people see and decide of the journal: lists of what has not arrived, copies sent again or dropped, gaps settled.

Statements on one SQLite connection, as in tables.py. A decision is a row of `settlements`, which nothing
deletes: what was settled stays told in every certificate.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from rules.stages import Side
from shadow.journal.schema import UnfitError
from shadow.journal.writes import Copy, Listed, ListedGap, Settlement, State

_KEY_DIGITS = 4
"""Bytes of an order key's hash that are shown: enough to see which writes belong together."""
_SAID = 10
"""Of many things that do not fit, how many are told."""


_LISTED = "SELECT sequence, route, method, copy_to, state, reason, key, arrival, attempts, copy_status FROM writes "
_GIVEN_UP = "WHERE state IN ('intended', 'in_doubt', 'dead') AND settled = 0 "
"""As writes_unsettled has it; those that are owed are in writes_owed."""


def unarrived(db: sqlite3.Connection, route: str | None, limit: int) -> list[Listed]:
    """Writes whose copy is dead, in doubt or owed, in that order; of each route the oldest first."""
    found: list[Listed] = []
    for state in (State.DEAD, State.IN_DOUBT):
        rows = db.execute(
            f"{_LISTED} {_GIVEN_UP} AND state = ?1 AND (?2 IS NULL OR route = ?2) ORDER BY route, sequence LIMIT ?3",
            (state.value, route, limit - len(found)),
        )
        found += map(_listed, rows)
    rows = db.execute(
        f"{_LISTED} WHERE state = 'answered' AND (?1 IS NULL OR route = ?1) ORDER BY route, copy_to, turn LIMIT ?2",
        (route, limit - len(found)),
    )
    return found + list(map(_listed, rows))


def latest_unarrived(db: sqlite3.Connection, route: str, state: State, limit: int) -> list[Listed]:
    """One route's writes whose copy is dead or owed, the latest first."""
    if state is not State.ANSWERED:
        rows = db.execute(
            f"{_LISTED} {_GIVEN_UP} AND state = ? AND route = ? ORDER BY sequence DESC LIMIT ?",
            (state.value, route, limit),
        )
        return list(map(_listed, rows))
    owed: list[Listed] = []
    for side in Side:
        rows = db.execute(
            f"{_LISTED} WHERE state = 'answered' AND route = ? AND copy_to = ? ORDER BY turn DESC LIMIT ?",
            (route, side.value, limit),
        )
        owed += map(_listed, rows)
    return sorted(owed, key=lambda one: one.sequence, reverse=True)[:limit]


def _listed(row: Sequence[object]) -> Listed:
    sequence, route, method, to, state, reason, key, arrival, attempts, status = row
    assert isinstance(sequence, int) and isinstance(arrival, float) and isinstance(attempts, int)
    return Listed(
        sequence,
        str(route),
        str(method),
        Side(str(to)) if to is not None else Side.CANDIDATE,
        State(str(state)),
        str(reason),
        short(key),
        arrival,
        attempts,
        status if isinstance(status, int) else 0,
    )


def short(key: object) -> str:
    """A key's hash as people see it; ``""`` for no key."""
    return key[:_KEY_DIGITS].hex() if isinstance(key, bytes) else ""


def gaps(db: sqlite3.Connection, route: str | None, limit: int) -> list[ListedGap]:
    """The latest first, settled ones too."""
    rows = db.execute(
        "SELECT id, route, key, reason, started, settled FROM gaps WHERE ?1 IS NULL OR route = ?1 "
        "ORDER BY started DESC, id LIMIT ?2",
        (route, limit),
    )
    return [ListedGap(id, of, short(key), reason, started, bool(done)) for id, of, key, reason, started, done in rows]


def open_gaps(db: sqlite3.Connection, route: str, limit: int) -> list[ListedGap]:
    """Those of one route that nobody has settled, the latest first."""
    rows = db.execute(
        "SELECT id, route, key, reason, started FROM gaps WHERE route = ? AND settled = 0 "
        "ORDER BY started DESC, id LIMIT ?",
        (route, limit),
    )
    return [ListedGap(id, of, short(key), reason, started, settled=False) for id, of, key, reason, started in rows]


def settlements(db: sqlite3.Connection, route: str | None, limit: int) -> list[Settlement]:
    """What people have decided, the latest first."""
    rows = db.execute(
        "SELECT route, kind, COALESCE(sequence, 0), COALESCE(gap, ''), decision, who, why, at "
        "FROM settlements WHERE ?1 IS NULL OR route = ?1 ORDER BY number DESC LIMIT ?2",
        (route, limit),
    )
    return [Settlement(*row) for row in rows]


def settle(
    db: sqlite3.Connection, sequence: int, *, kind: str, decision: str, who: str, why: str, now: float
) -> Settlement:
    """A write is settled by a person: it blocks nothing any more, and is forgotten when its route's `keep` is over."""
    (route,) = db.execute("SELECT route FROM writes WHERE sequence = ?", (sequence,)).fetchone()
    db.execute("UPDATE writes SET settled = 1, ended = ? WHERE sequence = ?", (now, sequence))
    return _record(db, Settlement(route, kind, sequence, "", decision, who, why, now))


def settle_gap(db: sqlite3.Connection, identity: str, *, who: str, why: str, now: float) -> Settlement | None:
    """None where there is no such gap, or it is settled already."""
    found = db.execute("UPDATE gaps SET settled = 1 WHERE id = ? AND settled = 0 RETURNING route", (identity,))
    row = found.fetchone()
    return _record(db, Settlement(row[0], "gap", 0, identity, "settled", who, why, now)) if row is not None else None


def _record(db: sqlite3.Connection, one: Settlement) -> Settlement:
    db.execute(
        "INSERT INTO settlements (route, kind, sequence, gap, decision, who, why, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (one.route, one.kind, one.sequence or None, one.gap or None, one.decision, one.who, one.why, one.at),
    )
    return one


def drop(
    db: sqlite3.Connection, sequences: Sequence[int], *, who: str, why: str, now: float
) -> tuple[list[Copy], list[Settlement]]:
    """Copies that will never be sent, dead or owed: those that were owed, and the decisions. Raises UnfitError."""
    found = [_copy(db, sequence) for sequence in sequences]
    unfit = [
        f"write {sequence} has no copy that is owed or dead"
        for sequence, one in zip(sequences, found, strict=True)
        if one is None
    ]
    _refuse(unfit)
    owed = [copy for state, copy in filter(None, found) if state is State.ANSWERED]
    db.executemany(
        "UPDATE writes SET state = 'dead', reason = 'dropped', sending = 0 WHERE sequence = ?",
        [(copy.sequence,) for copy in owed],
    )
    return owed, [settle(db, each, kind="copy", decision="dropped", who=who, why=why, now=now) for each in sequences]


def send_again(db: sqlite3.Connection, sequences: Sequence[int], turn: int, *, out_of_order: bool) -> list[Copy]:
    """Dead copies are owed again, after everything that is owed already: with turns from `turn` on, in order.

    `out_of_order`: also where the other side has a later write of the key, or is to get one before. Raises UnfitError.
    """
    unfit, copies = [], []
    for sequence in sorted(sequences):
        state, copy = _copy(db, sequence) or (State.VOID, None)
        if copy is None or state is not State.DEAD:
            unfit.append(f"write {sequence} has no dead copy")
        elif not out_of_order and (later := _later_of_key(db, copy)):
            unfit.append(f"write {sequence} would come after write {later} of the same key")
        else:
            copies.append(copy)
    _refuse(unfit)
    again = [replace(copy, turn=turn + index, attempts=0) for index, copy in enumerate(copies)]
    db.executemany(
        "UPDATE writes SET state = 'answered', reason = '', attempts = 0, sending = 0, copy_status = NULL, "
        "copy_answer = NULL, ended = NULL, turn = ? WHERE sequence = ?",
        [(copy.turn, copy.sequence) for copy in again],
    )
    return again


def _refuse(unfit: Sequence[str]) -> None:
    if unfit:
        more = f"; and {len(unfit) - _SAID} more" if len(unfit) > _SAID else ""
        raise UnfitError("; ".join(unfit[:_SAID]) + more)


def _copy(db: sqlite3.Connection, sequence: int) -> tuple[State, Copy] | None:
    """A copy that is owed or dead, and that nobody has settled."""
    row = db.execute(
        "SELECT state, turn, route, copy_to, key, attempts FROM writes "
        "WHERE sequence = ? AND state IN ('answered', 'dead') AND settled = 0",
        (sequence,),
    ).fetchone()
    if row is None:
        return None
    state, turn, route, to, key, attempts = row
    return State(state), Copy(sequence, turn or 0, route, Side(to), key or b"", attempts)


def _later_of_key(db: sqlite3.Connection, copy: Copy) -> int:
    """The first later write of the same key that the other side has, or is to get before; 0 for none."""
    (later,) = db.execute(
        "SELECT MIN(sequence) FROM writes WHERE key = ? AND sequence > ? "
        "AND state IN ('intended', 'answered', 'delivered')",
        (copy.key, copy.sequence),
    ).fetchone()
    return int(later or 0)
