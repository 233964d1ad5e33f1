"""The journal's file: how it is made, opened, checked, and brought from one schema to the next.

Schemas only ever grow: what a released fig wrote is migrated forward in place, in one transaction, when it is opened to
write. Statements on the tables are in tables.py, together.py and settling.py.
"""

from __future__ import annotations

import os
import sqlite3
from enum import StrEnum
from pathlib import Path

from shadow.journal.question_tables import QUESTIONS
from shadow.layout import missing_columns

APPLICATION = 0x46494A31  # "FIJ1": tells a journal from any other SQLite file
CHECKED_SIZE = 1024**3
"""A journal up to this many bytes is read through at start; a larger one is checked where it is touched."""
BUSY_SECONDS = 5.0
CACHE_KB = 16 * 1024
"""Of pages, for the connection that writes: the keys of a long backlog lie all over their index."""

SCHEMA_1 = (
    """
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
    ) STRICT
    """,
    "CREATE INDEX writes_of_key ON writes (key, sequence) WHERE key IS NOT NULL",
    "CREATE INDEX writes_owed ON writes (route, copy_to, turn, arrival, state) WHERE state = 'answered'",
    "CREATE INDEX writes_owed_of_key ON writes (key, copy_to) WHERE state = 'answered' AND key IS NOT NULL",
    "CREATE INDEX writes_sending ON writes (sequence) WHERE sending = 1",
    "CREATE INDEX writes_unsettled ON writes (state, route) "
    "WHERE state IN ('intended', 'answered', 'in_doubt', 'dead')",
    "CREATE INDEX writes_uncompared ON writes (sequence) WHERE copy_answer IS NOT NULL",
    "CREATE INDEX writes_ended ON writes (ended) WHERE state IN ('delivered', 'void')",
    """
    CREATE TABLE gaps (
        id       TEXT PRIMARY KEY,
        route    TEXT NOT NULL,
        key      BLOB,
        reason   TEXT NOT NULL,
        started  REAL NOT NULL,
        recorded REAL NOT NULL
    ) STRICT
    """,
)
"""What fig wrote before it told apart what a person has settled."""
TO_2 = (
    # `settled`: a person has decided what becomes of it, so that it is unsettled no more (settling.py).
    "ALTER TABLE writes ADD COLUMN settled INTEGER NOT NULL DEFAULT 0",
    # `terms`: what pairs counted under when the copy was sent (shadow/certifying/terms.py), until they are compared.
    "ALTER TABLE writes ADD COLUMN terms TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE gaps ADD COLUMN settled INTEGER NOT NULL DEFAULT 0",
    """
    CREATE TABLE settlements (
        number   INTEGER PRIMARY KEY,
        route    TEXT NOT NULL,
        kind     TEXT NOT NULL CHECK (kind IN ('copy', 'doubt', 'gap')),
        sequence INTEGER,
        gap      TEXT,
        decision TEXT NOT NULL,
        who      TEXT NOT NULL,
        why      TEXT NOT NULL,
        at       REAL NOT NULL
    ) STRICT
    """,
    "CREATE INDEX settlements_of_route ON settlements (route)",
    "DROP INDEX writes_unsettled",
    # With `settled` though it is always 0 there: else SQLite reads every row to see that, once a second. Not of those
    # that are owed: writes_owed has them, and an index more costs every write and every delivery.
    "CREATE INDEX writes_unsettled ON writes (state, route, settled) "
    "WHERE state IN ('intended', 'in_doubt', 'dead') AND settled = 0",
    "CREATE INDEX writes_doubtful ON writes (sequence) WHERE state = 'in_doubt' AND settled = 0",
    # Writes that are over are kept as long as their route says, so they are looked for by route.
    "DROP INDEX writes_ended",
    "CREATE INDEX writes_ended ON writes (route, ended) WHERE ended IS NOT NULL",
    *QUESTIONS,
)
SCHEMAS = (SCHEMA_1, TO_2)
"""What leads from each schema to the next; the first from nothing."""
SCHEMA_VERSION = len(SCHEMAS)


class Trouble(StrEnum):
    """What kept the journal from taking or giving a record."""

    FULL = "full"
    """The disk, or what the file may grow to."""
    IO = "io"
    """The disk failed, or a limit of the process on the size of files was met."""
    DAMAGED = "damaged"
    """A page is not what was written. Nothing mends that but a copy of the file."""
    OTHER = "other"


def trouble_of(exc: BaseException) -> Trouble:
    """By SQLite's primary result code (https://www.sqlite.org/rescode.html)."""
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    return _TROUBLES.get(code, Trouble.OTHER)


_TROUBLES = {
    sqlite3.SQLITE_FULL: Trouble.FULL,
    sqlite3.SQLITE_IOERR: Trouble.IO,
    sqlite3.SQLITE_CORRUPT: Trouble.DAMAGED,
    sqlite3.SQLITE_NOTADB: Trouble.DAMAGED,
}


class JournalError(Exception):
    """The journal could not take or give a record; says what is the matter with it."""


class DamagedJournalError(JournalError):
    """A file that is no whole journal. Never replaced by an empty one: what it holds is owed to somebody."""


class UnfitError(JournalError):
    """What a person asks for does not fit what the journal holds; says why, in a sentence, and changes nothing."""


class QuotaError(JournalError):
    """The journal holds as much as it may; what it has taken it still keeps and delivers."""


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
            connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
            _bring_forward(connection, path)
            _check_layout(connection, path)
            connection.execute("PRAGMA journal_size_limit = 67108864")
            connection.execute("PRAGMA wal_autocheckpoint = 0")  # checkpoints.py
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as exc:
        raise _damaged(path, str(exc)) from exc
    return connection


def connect_to_checkpoint(path: Path) -> sqlite3.Connection:
    """A connection that only brings the WAL into the file, in a thread of its own. Raises sqlite3.Error."""
    return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


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
            connection.isolation_level = None
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            migrate(connection)
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


def version(connection: sqlite3.Connection) -> int:
    """The schema of the file that it is connected to; 0 for none."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to SCHEMA_VERSION, wholly or not at all."""
    if version(connection) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in SCHEMAS[version(connection) :]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _bring_forward(connection: sqlite3.Connection, path: Path) -> None:
    """Raises JournalError where there is no room for it, say: then the file is as it was."""
    try:
        migrate(connection)
    except sqlite3.OperationalError as exc:
        raise JournalError(f"{path}: could not be brought to schema {SCHEMA_VERSION} and is as it was ({exc})") from exc


def _check_layout(connection: sqlite3.Connection, path: Path) -> None:
    """Raises JournalError where outcomes could be written and ends of deliveries could not, or the like."""
    if missing := missing_columns(connection, migrate):
        raise JournalError(
            f"{path}: lacks {', '.join(missing)} of schema {SCHEMA_VERSION}, so it was written by a fig between two "
            "releases; deliver what it owes with that one, then move it away"
        )


def _check(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA cell_size_check = ON")
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    found = version(connection)
    if application != APPLICATION:
        raise _damaged(path, "is not a journal of fig")
    if found > SCHEMA_VERSION:
        raise JournalError(
            f"{path}: written by a later fig (schema {found}; this one knows {SCHEMA_VERSION}); "
            "start that version, or finish its deliveries first"
        )
    if path.stat().st_size <= CHECKED_SIZE:
        said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if said != "ok":
            raise _damaged(path, said.replace("\n", " "))


def _damaged(path: Path, what: str) -> DamagedJournalError:
    return DamagedJournalError(
        f"{path}: {what}. fig does not start on a damaged journal, for writes in it may still be owed. Restore it from "
        f"a copy, or move {path.name}, {path.name}-wal and {path.name}-shm away to begin an empty one: then what they "
        "held is delivered to nobody, and the sides must be compared by other means"
    )
