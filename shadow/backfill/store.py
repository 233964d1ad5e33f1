"""backfill.db: which keys are to be seeded, and what became of each. One writer, the shadower; anybody may read.

A key lies in it sealed, and is erased once it is seeded; what stays is its keyed hash, so that the same key given again
is known. A file of its own, because it can hold millions of rows that have nothing to do with what is owed to anybody.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from shadow.atomic import atomically
from shadow.backfill.asking import Seed, Seeding
from shadow.sealing import Sealer

APPLICATION = 0x46494231  # "FIB1"
SCHEMA_VERSION = 1
BUSY_SECONDS = 5.0
_SCHEMA = f"""
CREATE TABLE seeds (
    number INTEGER PRIMARY KEY,
    route  TEXT NOT NULL,
    hash   BLOB NOT NULL,
    key    BLOB,
    seed   TEXT NOT NULL DEFAULT 'pending',
    reason TEXT NOT NULL DEFAULT '',
    at     REAL,
    UNIQUE (route, hash)
) STRICT;
CREATE INDEX seeds_by_state ON seeds (route, seed, number);
CREATE TABLE runs (
    route   TEXT PRIMARY KEY,
    running INTEGER NOT NULL,
    rate    REAL NOT NULL,
    started REAL NOT NULL,
    ended   REAL
) STRICT, WITHOUT ROWID;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {SCHEMA_VERSION};
"""


class SeedError(Exception):
    """backfill.db cannot be used; the message names the file and says what is the matter."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key that waits, or that failed."""

    number: int
    key: str
    reason: str = ""


class SeedStore:
    """The writer's end. What returns is durable. Its methods may be called from any thread."""

    def __init__(self, path: Path, sealer: Sealer) -> None:
        """Raises SeedError, OSError."""
        self._path = path
        self._sealer = sealer
        self._lock = threading.Lock()
        if not path.exists():
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        try:
            self._db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise
        except sqlite3.Error as exc:
            raise SeedError(f"{path}: {exc}; move it away to begin anew, then give the keys again") from exc

    def _open(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA secure_delete = ON")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise SeedError(f"{self._path}: written by a later fig (schema {version})")
        if version == 0:
            self._db.executescript("BEGIN IMMEDIATE;" + _SCHEMA + "COMMIT;")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def add(self, route: str, keys: Iterable[str]) -> int:
        """How many of the keys were not known; those that are stay as they are."""
        rows = []
        for key in keys:
            raw = key.encode("utf-8", "surrogateescape")
            mark = self._sealer.hash(b"seed", route.encode(), raw)
            rows.append((route, mark, self._sealer.seal(raw, self._place(route, mark))))
        with self._lock:
            before = self._db.total_changes
            with atomically(self._db):
                self._db.executemany("INSERT OR IGNORE INTO seeds (route, hash, key) VALUES (?, ?, ?)", rows)
            return self._db.total_changes - before

    def begin(self, route: str, rate: float, now: float) -> None:
        """The route's backfill runs from now on, those that failed before included."""
        with self._lock, atomically(self._db):
            self._db.execute(
                "INSERT OR REPLACE INTO runs (route, running, rate, started) VALUES (?, 1, ?, ?)", (route, rate, now)
            )
            self._db.execute("UPDATE seeds SET seed = 'pending' WHERE route = ? AND seed = 'failed'", (route,))

    def end(self, route: str, now: float) -> None:
        """It runs no more."""
        with self._lock:
            self._db.execute("UPDATE runs SET running = 0, ended = ? WHERE route = ?", (now, route))

    def running(self) -> dict[str, float]:
        """Routes whose backfill a predecessor did not end, and their rates."""
        with self._lock:
            return dict(self._db.execute("SELECT route, rate FROM runs WHERE running").fetchall())

    def waiting(self, route: str, after: int, limit: int) -> list[Key]:
        """The next keys to be seeded, in the order in which they were given."""
        with self._lock:
            rows = self._db.execute(
                "SELECT number, hash, key, reason FROM seeds WHERE route = ? AND seed = 'pending' AND number > ? "
                "ORDER BY number LIMIT ?",
                (route, after, limit),
            ).fetchall()
        return [self._key(route, *row) for row in rows]

    def failed(self, route: str, limit: int) -> list[Key]:
        """Those that failed, and why."""
        with self._lock:
            rows = self._db.execute(
                "SELECT number, hash, key, reason FROM seeds WHERE route = ? AND seed = 'failed' "
                "ORDER BY number LIMIT ?",
                (route, limit),
            ).fetchall()
        return [self._key(route, *row) for row in rows]

    def settle(self, number: int, seed: Seed, reason: str, now: float) -> None:
        """What became of a key; it is erased unless it may be tried again."""
        with self._lock:
            self._db.execute(
                "UPDATE seeds SET seed = ?, reason = ?, at = ?, key = CASE WHEN ? THEN key END WHERE number = ?",
                (seed.value, reason, now, seed is Seed.FAILED, number),
            )

    def seeding(self, route: str) -> Seeding:
        """How the route's backfill stands."""
        with self._lock:
            return read(self._db).get(route, Seeding())

    def _key(self, route: str, number: int, mark: bytes, sealed: bytes, reason: str) -> Key:
        raw = self._sealer.open(sealed, self._place(route, mark))
        return Key(number, raw.decode("utf-8", "surrogateescape"), reason)

    @staticmethod
    def _place(route: str, mark: bytes) -> str:
        return f"seed:{route}:{mark.hex()}"


def read(db: sqlite3.Connection) -> dict[str, Seeding]:
    """Every route's backfill, from an open connection."""
    counts: dict[str, dict[Seed, int]] = {}
    for route, seed, count in db.execute("SELECT route, seed, count(*) FROM seeds GROUP BY route, seed"):
        counts.setdefault(route, {})[Seed(seed)] = count
    runs = {row[0]: row[1:] for row in db.execute("SELECT route, running, rate, started, ended FROM runs")}
    return {
        route: Seeding(counts.get(route, {}), bool(running), rate, started, ended)
        for route in counts.keys() | runs.keys()
        for running, rate, started, ended in (runs.get(route, (0, 0.0, 0.0, None)),)
    }


def read_seeding(path: Path) -> dict[str, Seeding]:
    """Every route's backfill, beside a shadower that writes or without one; nothing where there never was any.

    `Seeding.unseeded` is the number for the certificate. Raises SeedError when the file is there and cannot be read.
    """
    if not path.exists():
        return {}
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as db:
            return read(db)
    except sqlite3.Error as exc:
        raise SeedError(f"{path}: cannot be read ({exc})") from exc
