"""The tables of pairs.db, and how it is opened. Nobody but shadow.store and shadow.reader knows SQL of pairs."""

from __future__ import annotations

import sqlite3
from pathlib import Path

VERSION = 1

_TABLES = """
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


class StoreError(Exception):
    """pairs.db cannot be used; the message names the file and says what to do."""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The database, made if it is not there. WAL, so that readers never wait for the shadower nor it for them.

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
        if _version(connection) == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        _check(connection, path)
    except sqlite3.Error as exc:
        connection.close()
        raise StoreError(f"{path}: {exc}; move the file away to start anew") from exc
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """The database as it is, while the shadower goes on writing. Raises StoreError, also when there is none."""
    if not path.exists():
        raise StoreError(f"{path}: there are no pairs; start `fig serve` with this state folder, or name another one")
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10, isolation_level=None)
    except sqlite3.Error as exc:
        raise StoreError(f"{path}: {exc}") from exc
    try:
        _check(connection, path)
    except sqlite3.Error as exc:
        connection.close()
        raise StoreError(f"{path}: {exc}") from exc
    return connection


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection)
    if version != VERSION:
        connection.close()
        raise StoreError(
            f"{path}: holds pairs of version {version}, this fig reads version {VERSION}; "
            "move the file away to start anew"
        )
