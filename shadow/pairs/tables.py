"""The tables of pairs.db, how it is opened, and how one of an earlier fig is brought forward.

Nobody but shadow.pairs.store, shadow.pairs.reader and the files named in _PARTS knows SQL of pairs. A database is
migrated in place when the shadower opens it, in one transaction: it is wholly of one version or wholly of the next.
What is new in the version that is being made stands in a file of its own (_PARTS), whose statements may be run again.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from shadow.layout import missing_columns
from shadow.pairs import cause_tables, certified_tables, chain_tables, noise_tables

VERSION = 2

_FIRST = """
CREATE TABLE windows (
    id INTEGER PRIMARY KEY,
    route TEXT NOT NULL,
    number INTEGER NOT NULL,
    digest TEXT NOT NULL,
    reason TEXT NOT NULL,
    started REAL NOT NULL,
    pairs INTEGER NOT NULL DEFAULT 0,
    differing INTEGER NOT NULL DEFAULT 0,
    writes INTEGER NOT NULL DEFAULT 0,
    excused INTEGER NOT NULL DEFAULT 0,
    unsettled INTEGER NOT NULL DEFAULT 0,
    last REAL,
    UNIQUE (route, number)
);
CREATE TABLE places (
    window INTEGER NOT NULL,
    path TEXT NOT NULL,
    kind TEXT NOT NULL,
    pairs INTEGER NOT NULL,
    count INTEGER NOT NULL,
    first REAL NOT NULL,
    last REAL NOT NULL,
    PRIMARY KEY (window, path, kind)
) WITHOUT ROWID;
-- Which pairs of a window differ, by their ordinal in it: what makes 'of the first n pairs' answerable for any n.
CREATE TABLE ordinals (window INTEGER NOT NULL, ordinal INTEGER NOT NULL, PRIMARY KEY (window, ordinal)) WITHOUT ROWID;
CREATE TABLE masks (
    window INTEGER NOT NULL,
    mask TEXT NOT NULL,
    pairs INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (window, mask)
) WITHOUT ROWID;
CREATE TABLE pairs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    window INTEGER NOT NULL,
    differs INTEGER NOT NULL,
    started REAL NOT NULL,
    record BLOB NOT NULL
);
CREATE INDEX pairs_by_window ON pairs (window, differs, started);
CREATE TABLE samples (
    window INTEGER NOT NULL,
    path TEXT NOT NULL,
    kind TEXT NOT NULL,
    pair INTEGER NOT NULL,
    PRIMARY KEY (window, path, kind, pair)
) WITHOUT ROWID;
CREATE INDEX samples_by_pair ON samples (pair);
-- Writes counted lately: the shadower may be killed between counting a write and telling the journal that it has.
CREATE TABLE counted (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
CREATE TABLE unproven (
    route TEXT PRIMARY KEY,
    gaps INTEGER NOT NULL,
    doubts INTEGER NOT NULL,
    undelivered INTEGER NOT NULL,
    overdue INTEGER NOT NULL,
    at REAL NOT NULL
) WITHOUT ROWID;
"""

_SECOND = """
ALTER TABLE unproven ADD COLUMN dead INTEGER NOT NULL DEFAULT 0;
ALTER TABLE unproven ADD COLUMN declared INTEGER NOT NULL DEFAULT 0;
-- Kept pairs: which link of the chain they are, and of a read the request, sealed, so that it can be sent again.
ALTER TABLE pairs ADD COLUMN ordinal INTEGER;
ALTER TABLE pairs ADD COLUMN request BLOB;
"""

_STEPS = (_FIRST, _SECOND)
"""From the version before to each version; from nothing to the first."""
_PARTS = (cause_tables.TABLES, certified_tables.TABLES, chain_tables.TABLES, noise_tables.TABLES)
"""Tables since version 2, by whose they are; each is ``CREATE ... IF NOT EXISTS``."""


class StoreError(Exception):
    """pairs.db cannot be used; the message names the file and says what to do."""


class DamagedStoreError(StoreError):
    """pairs.db is no database, or not all of one."""


def unreadable(path: Path, exc: Exception) -> StoreError:
    """What to say when the file, which is there, cannot be read: one of the others, by what is the matter."""
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or not isinstance(exc, sqlite3.Error):
        return DamagedStoreError(
            f"{path}: is damaged ({exc}). Stop fig, then restore it from a copy, or move {path.name}, {path.name}-wal "
            f"and {path.name}-shm away to count anew; what was counted is then lost, no write is"
        )
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY) or not code:
        return StoreError(
            f"{path}: cannot be opened ({exc}); may this user read it, and its folder? Run the command as the user who "
            "runs fig: a state folder is its owner's only"
        )
    return StoreError(f"{path}: cannot be read ({exc})")


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The database, made if it is not there, and brought forward when an earlier fig made it. WAL, so that readers
    never wait for the shadower nor it for them.

    Raises StoreError when it cannot be opened or is none.
    """
    try:
        # Autocommit with our own BEGIN: the module's implicit transactions begin too late to hold a snapshot.
        connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        path.chmod(0o600)
    except (sqlite3.Error, OSError) as exc:
        raise StoreError(f"{path}: {exc}") from exc
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # NORMAL loses the last moments on a power cut, never consistency. Pairs are samples; writes are in the journal.
        connection.execute("PRAGMA synchronous = NORMAL")
        _migrate(connection)
        _check(connection, path)
        if missing := missing_columns(connection, _migrate):
            connection.close()
            raise StoreError(
                f"{path}: lacks {', '.join(missing)} of version {VERSION}, so it was written by a fig between two "
                "releases; move it away to start anew"
            )
    except sqlite3.Error as exc:
        connection.close()
        raise StoreError(f"{path}: {exc}; move the file away to start anew") from exc
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """The database as it is, while the shadower goes on writing. Raises StoreError, also when there is none."""
    try:
        is_there = path.exists()
    except OSError as exc:  # of a folder that this user may not look into
        raise StoreError(
            f"{path}: cannot be opened ({exc.strerror}); run the command as the user who runs fig"
        ) from exc
    if not is_there:
        raise StoreError(f"{path}: there are no pairs; start `fig serve` with this state folder, or name another one")
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10, isolation_level=None)
    except sqlite3.Error as exc:
        raise unreadable(path, exc) from exc
    try:
        _check(connection, path)
    except sqlite3.Error as exc:
        connection.close()
        raise unreadable(path, exc) from exc
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    version = _version(connection)
    if version > VERSION:
        return
    steps = "".join((*_STEPS[version:], *_PARTS))
    connection.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION}; COMMIT;")


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection)
    if version < VERSION:
        connection.close()
        raise StoreError(
            f"{path}: holds pairs of version {version}, this fig reads version {VERSION}; "
            "start `fig serve` with this state folder once, which brings the file forward"
        )
    if version > VERSION:
        connection.close()
        raise StoreError(
            f"{path}: holds pairs of version {version}, this fig reads version {VERSION}; "
            "move the file away to start anew"
        )
