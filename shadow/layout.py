"""Whether a SQLite file has all the columns that its schema's number promises.

A number alone does not say so of a file that was written between two releases, while its schema was still being made.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

_COLUMNS = """
SELECT tables.name || '.' || columns.name FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
WHERE tables.type = 'table'
"""


def missing_columns(db: sqlite3.Connection, make: Callable[[sqlite3.Connection], None]) -> list[str]:
    """``table.column`` of each column that the file lacks and a new one has; `make` makes a new one's tables."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as new:
        make(new)
        return sorted(_columns(new) - _columns(db))


def _columns(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute(_COLUMNS)}
