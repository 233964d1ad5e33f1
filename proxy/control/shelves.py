"""What control keeps without looking into it: bytes by name, which whoever they are of makes and reads.

A shelf is one table of them. Courses, watches and error budgets have one each.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Protocol

import sqlalchemy as sa


class Shelf(Protocol):
    """Every call is one transaction, durable when it returns, and blocks for the disk. Raises StoreError."""

    def all(self) -> dict[str, bytes]:
        """What is kept, by name."""

    def keep(self, changed: Mapping[str, bytes | None]) -> None:
        """Replace these, and forget those that are None."""


class SqlShelf:
    """A table of two columns: the name, which is its key, and the bytes."""

    def __init__(self, engine: sa.Engine, table: sa.Table) -> None:
        self._engine = engine
        self._table = table
        self._name, self._bytes = table.columns

    def all(self) -> dict[str, bytes]:
        with self._engine.connect() as connection:
            return {name: unpacked(data) for name, data in connection.execute(sa.select(self._name, self._bytes))}

    def keep(self, changed: Mapping[str, bytes | None]) -> None:
        with self._engine.begin() as connection:
            for name, data in changed.items():
                connection.execute(self._table.delete().where(self._name == name))
                if data is not None:
                    connection.execute(self._table.insert().values({self._name: name, self._bytes: packed(data)}))


def packed(data: bytes) -> bytes:
    """A seventh of the bytes for a millisecond: most of evidence is zeros, and it is written every few seconds."""
    return zlib.compress(data, level=1) if data else b""


def unpacked(data: bytes) -> bytes:
    """What an earlier fig wrote was not packed; what is damaged is handed on, for whoever reads it to refuse."""
    try:
        return zlib.decompress(data) if data.startswith(b"\x78") else data
    except zlib.error:
        return data
