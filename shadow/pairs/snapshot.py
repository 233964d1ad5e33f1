"""One moment of pairs.db, read while the shadower goes on writing: what its readers have in common."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from shadow.pairs.tables import open_for_reading, unreadable


class Snapshot:
    """A connection that reads. As a context manager it is one moment: everything read in it fits together."""

    def __init__(self, path: Path) -> None:
        """Raises StoreError when there is nothing to read."""
        self._path = path
        self._connection = open_for_reading(path)

    def __enter__(self) -> Self:
        self._connection.execute("BEGIN")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raises StoreError in place of what SQLite says, or of a record that is none: most damage shows here first."""
        with suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")
        self.close()
        if isinstance(error, sqlite3.Error | zlib.error | msgspec.MsgspecError):
            raise unreadable(self._path, error) from error

    def close(self) -> None:
        self._connection.close()
