"""A SQLite connection whose commits fail, as on a disk that is full: with a WAL it is they that write the pages."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def commits_fail(db: sqlite3.Connection) -> Iterator[None]:
    """Each raises sqlite3.DatabaseError, and leaves its transaction open."""

    def judge(action: int, what: str | None, *_: object) -> int:
        refused = action == sqlite3.SQLITE_TRANSACTION and what == "COMMIT"
        return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK

    db.set_authorizer(judge)
    try:
        yield
    finally:
        db.set_authorizer(None)
