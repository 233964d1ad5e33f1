"""The journal's tables and statements, on one SQLite connection. Nothing outside the journal knows SQL.

Clear in the file: route, method, sides, states, status codes, counts, clocks, and keyed hashes. Everything else of a
write (target, headers, bodies, order key, idempotency key, unit) lies in it sealed, until it is erased.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from rules.stages import Side
from shadow.writes import Copy, Open, Recorded, Standing, State

APPLICATION = 0x46494A31  # "FIJ1": tells a journal from any other SQLite file
SCHEMA_VERSION = 1
CHECKED_SIZE = 1024**3
"""A journal up to this many bytes is read through at start; a larger one is checked where it is touched."""
BUSY_SECONDS = 5.0
NEVER_SENT = ("connect", "unsent")
"""Failures of a write that certainly did not reach its service."""

SCHEMA = f"""
CREATE TABLE writes (
    sequence    INTEGER PRIMARY KEY,
    turn        INTEGER,
    route       TEXT NOT NULL,
    generation  INTEGER NOT NULL,
    key         BLOB,
    method      TEXT NOT NULL,
    side        TEXT NOT NULL CHECK (side IN ('legacy', 'candidate')),
    copy_to     TEXT CHECK (copy_to IN ('legacy', 'candidate')),
    worker      INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    arrival     REAL NOT NULL,
    original    BLOB,
    state       TEXT NOT NULL CHECK (state IN ('intended', 'answered', 'delivered', 'void', 'in_doubt', 'dead')),
    reason      TEXT NOT NULL DEFAULT '',
    status      INTEGER,
    answer      BLOB,
    attempts    INTEGER NOT NULL DEFAULT 0,
    sending     INTEGER NOT NULL DEFAULT 0,
    copy_status INTEGER,
    copy_answer BLOB,
    ended       REAL
) STRICT;
CREATE INDEX writes_of_key ON writes (key, sequence) WHERE key IS NOT NULL;
CREATE INDEX writes_owed ON writes (route, copy_to, turn, arrival, state) WHERE state = 'answered';
CREATE INDEX writes_owed_of_key ON writes (key, copy_to) WHERE state = 'answered' AND key IS NOT NULL;
CREATE INDEX writes_sending ON writes (sequence) WHERE sending = 1;
CREATE INDEX writes_unsettled ON writes (state, route) WHERE state IN ('intended', 'answered', 'in_doubt', 'dead');
CREATE INDEX writes_uncompared ON writes (sequence) WHERE copy_answer IS NOT NULL;
CREATE INDEX writes_ended ON writes (ended) WHERE state IN ('delivered', 'void');
CREATE TABLE gaps (
    id       TEXT PRIMARY KEY,
    route    TEXT NOT NULL,
    key      BLOB,
    reason   TEXT NOT NULL,
    started  REAL NOT NULL,
    recorded REAL NOT NULL
) STRICT;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {SCHEMA_VERSION};
"""


class JournalError(Exception):
    """The journal could not take or give a record; says what is the matter with it."""


class DamagedJournalError(JournalError):
    """A file that is no whole journal. Never replaced by an empty one: what it holds is owed to somebody."""


def connect(path: Path) -> sqlite3.Connection:
    """The connection that writes; the journal is made when there is none. Raises DamagedJournalError, OSError."""
    if not path.exists():
        _make(path)
    try:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            _check(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA journal_size_limit = 67108864")
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as exc:
        raise _damaged(path, str(exc)) from exc
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads, beside the one that writes. Raises JournalError."""
    try:
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
    except sqlite3.Error as exc:
        raise JournalError(f"{path}: cannot be read ({exc})") from exc


def _make(path: Path) -> None:
    """An empty journal, complete before it has its name: a file of that name that is no journal is damage, always."""
    wal = path.with_name(f"{path.name}-wal")
    if wal.exists():
        raise _damaged(path, f"is missing, but {wal.name} is there")
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        connection = sqlite3.connect(draft)
        try:
            connection.executescript(SCHEMA)
        finally:
            connection.close()
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA cell_size_check = ON")
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION:
        raise _damaged(path, "is not a journal of fig")
    if version > SCHEMA_VERSION:
        raise JournalError(
            f"{path}: written by a later fig (schema {version}; this one knows {SCHEMA_VERSION}); "
            "start that version, or finish its deliveries first"
        )
    if path.stat().st_size <= CHECKED_SIZE:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise _damaged(path, found.replace("\n", " "))


def _damaged(path: Path, what: str) -> DamagedJournalError:
    return DamagedJournalError(
        f"{path}: {what}. fig does not start on a damaged journal, for writes in it may still be owed. Restore it from "
        f"a copy, or move {path.name}, {path.name}-wal and {path.name}-shm away to begin an empty one: then what they "
        "held is delivered to nobody, and the sides must be compared by other means"
    )


def insert(
    db: sqlite3.Connection,
    sequence: int,
    *,
    route: str,
    generation: int,
    key: bytes,
    method: str,
    side: Side,
    copied: bool,
    worker: int,
    fingerprint: bytes,
    arrival: float,
    sealed: bytes,
) -> None:
    """A write that is about to be forwarded."""
    db.execute(
        "INSERT INTO writes (sequence, route, generation, key, method, side, copy_to, worker, fingerprint, arrival, "
        "original, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'intended')",
        (
            sequence,
            route,
            generation,
            key or None,
            method,
            side.value,
            side.other.value if copied else None,
            worker,
            fingerprint,
            arrival,
            sealed,
        ),
    )


def record_outcome(
    db: sqlite3.Connection, sequence: int, turn: int, *, status: int, failure: str, sealed: bytes, now: float
) -> Recorded:
    """What the answer makes of a write; an outcome that is known already changes nothing.

    A write in doubt is cleared by an outcome that comes late, unless a later write of its key is under way or through:
    its copy would then arrive out of order, so it stays in doubt.
    """
    row = db.execute("SELECT state, status, route, key, copy_to FROM writes WHERE sequence = ?", (sequence,)).fetchone()
    if row is None:
        return Recorded(sequence, State.VOID, False, None)
    state, known, route, key, copy_to = State(row[0]), row[1], row[2], row[3] or b"", row[4]
    if not (state is State.INTENDED or (state is State.IN_DOUBT and known is None)):
        return Recorded(sequence, state, False, None)
    became, reason = _judge_outcome(status, failure, copied=copy_to is not None)
    if became is State.ANSWERED and state is State.IN_DOUBT and _has_later(db, key, sequence):
        became, reason = State.IN_DOUBT, "its outcome came after a later write of its key"
    owed = became is State.ANSWERED
    db.execute(
        "UPDATE writes SET state = ?, reason = ?, status = ?, turn = ?, answer = ?, ended = ?, "
        "original = CASE WHEN ? THEN NULL ELSE original END WHERE sequence = ?",
        (
            became.value,
            reason,
            status or None,
            turn if owed else None,
            sealed if owed else None,
            None if owed else now,
            became is State.VOID,
            sequence,
        ),
    )
    copy = Copy(sequence, turn, route, Side(copy_to), key) if owed else None
    return Recorded(sequence, became, became is not state, copy)


def _judge_outcome(status: int, failure: str, *, copied: bool) -> tuple[State, str]:
    """A success is 2xx or 3xx. Without an answer a write is in doubt, unless it never reached the service."""
    if status == 0:
        if failure in NEVER_SENT:
            return State.VOID, "never sent"
        return State.IN_DOUBT, f"no answer ({failure or 'unknown'})"
    if not 200 <= status < 400:
        return State.VOID, "no success"
    return (State.ANSWERED, "") if copied else (State.VOID, "no copy at this stage")


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


def begin_attempt(db: sqlite3.Connection, sequence: int) -> None:
    """Where nothing deduplicates, this must be durable before the copy is sent: found at start, it is a doubt."""
    db.execute("UPDATE writes SET sending = 1 WHERE sequence = ?", (sequence,))


def end_attempt(db: sqlite3.Connection, sequence: int, attempts: int) -> None:
    """An attempt that is to be repeated: it was never sent, or answered with a failure."""
    db.execute("UPDATE writes SET sending = 0, attempts = ? WHERE sequence = ?", (attempts, sequence))


def doubt_interrupted(db: sqlite3.Connection, now: float) -> int:
    """At start: attempts that were under way when the predecessor ended. How many there were."""
    return db.execute(
        "UPDATE writes SET state = 'in_doubt', reason = 'copy interrupted', ended = ? "
        "WHERE state = 'answered' AND sending = 1",
        (now,),
    ).rowcount


def finish(
    db: sqlite3.Connection,
    sequence: int,
    state: State,
    *,
    attempts: int,
    status: int,
    reason: str,
    sealed: bytes | None,
    now: float,
) -> None:
    """The end of a copy's way: delivered, dead or in doubt. `sealed` is the copy's answer, kept until compared."""
    db.execute(
        "UPDATE writes SET state = ?, reason = ?, attempts = ?, sending = 0, copy_status = ?, copy_answer = ?, "
        "ended = ? WHERE sequence = ? AND state = 'answered'",
        (state.value, reason, attempts, status, sealed, now, sequence),
    )


def erase_compared(db: sqlite3.Connection, sequences: Iterable[int]) -> None:
    """Pairs that are in the store: their answers go, and the original too where the copy is delivered."""
    db.executemany(
        "UPDATE writes SET answer = NULL, copy_answer = NULL, "
        "original = CASE WHEN state = 'delivered' THEN NULL ELSE original END WHERE sequence = ?",
        [(sequence,) for sequence in sequences],
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


def purge(db: sqlite3.Connection, before: float, limit: int) -> int:
    """Forget writes that ended well before that time, `limit` at most. How many went.

    The last one stays, because numbering goes on from it: a sequence is never given twice.
    """
    return db.execute(
        "DELETE FROM writes WHERE sequence IN (SELECT sequence FROM writes WHERE ended < ? AND copy_answer IS NULL "
        "AND state IN ('delivered', 'void') AND sequence < (SELECT MAX(sequence) FROM writes) "
        "ORDER BY ended LIMIT ?)",
        (before, limit),
    ).rowcount


def last_numbers(db: sqlite3.Connection) -> tuple[int, int]:
    """The highest sequence given so far, and the highest turn that still matters: that of a copy which is owed."""
    sequence = db.execute("SELECT COALESCE(MAX(sequence), 0) FROM writes").fetchone()[0]
    turn = db.execute("SELECT COALESCE(MAX(turn), 0) FROM writes WHERE state = 'answered'").fetchone()[0]
    return sequence, turn


def open_writes(db: sqlite3.Connection) -> list[Open]:
    """Writes without an outcome, in order."""
    rows = db.execute("SELECT sequence, key, worker, route FROM writes WHERE state = 'intended' ORDER BY sequence")
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
        "SELECT sequence, turn, key, attempts FROM writes WHERE state = 'answered' AND route = ? AND copy_to = ? "
        "AND turn > ? ORDER BY turn LIMIT ?",
        (route, to.value, after, limit),
    )
    return [Copy(sequence, turn, route, to, key or b"", attempts) for sequence, turn, key, attempts in rows]


def owes(db: sqlite3.Connection, key: bytes, to: Side) -> bool:
    """Whether a copy of this key is still to be delivered to that side."""
    # Named, because the planner takes writes_of_key, which has every write that the key ever had.
    row = db.execute(
        "SELECT 1 FROM writes INDEXED BY writes_owed_of_key "
        "WHERE key = ? AND copy_to = ? AND state = 'answered' LIMIT 1",
        (key, to.value),
    ).fetchone()
    return row is not None


def uncompared(db: sqlite3.Connection, limit: int) -> list[int]:
    """Writes whose copy is answered and whose pair is not in the store yet."""
    rows = db.execute("SELECT sequence FROM writes WHERE copy_answer IS NOT NULL ORDER BY sequence LIMIT ?", (limit,))
    return [sequence for (sequence,) in rows]


def contents(db: sqlite3.Connection, sequence: int) -> Sequence[object] | None:
    """(route, generation, method, side, arrival, original, answer, copy answer)."""
    row: tuple[object, ...] | None = db.execute(
        "SELECT route, generation, method, side, arrival, original, answer, copy_answer FROM writes WHERE sequence = ?",
        (sequence,),
    ).fetchone()
    return row


def standing(db: sqlite3.Connection, late: float) -> dict[str, Standing]:
    """What of each route is unsettled; routes with nothing unsettled are left out. `overdue` arrived before `late`."""
    counts: dict[str, dict[str, int]] = {}
    rows = db.execute(
        "SELECT route, state, COUNT(*) FROM writes WHERE state IN ('intended', 'answered', 'in_doubt', 'dead') "
        "GROUP BY state, route"
    )
    for route, state, count in rows:
        counts.setdefault(route, {})["undelivered" if state == State.ANSWERED else state] = count
    overdue = "SELECT route, COUNT(*) FROM writes WHERE state = 'answered' AND arrival < ? GROUP BY route"
    for route, count in db.execute(overdue, (late,)):
        counts.setdefault(route, {})["overdue"] = count
    for route, count in db.execute("SELECT route, COUNT(*) FROM gaps GROUP BY route"):
        counts.setdefault(route, {})["gaps"] = count
    return {route: Standing(**found) for route, found in counts.items()}
