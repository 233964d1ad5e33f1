"""One transaction on a SQLite connection that is in autocommit: all of what is done in it stays, or nothing does."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def atomically(db: sqlite3.Connection) -> Iterator[None]:
    """Commit what is done inside of it. Whatever fails, the commit too, leaves no transaction open: what came after
    would otherwise be said to be durable, and not be.

    With a WAL a full disk is met by the commit, which is where the pages are written; after that, and after some other
    errors, SQLite has rolled back by itself (https://www.sqlite.org/lang_transaction.html).
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
