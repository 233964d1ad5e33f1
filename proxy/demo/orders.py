"""The orders in the databases of both sides, read directly: what fig says of dual writes is checked past fig."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from proxy.demo.story import Orders


def compare(data: Path) -> Orders:
    """`data` has a folder for each of Pinnacle's programs. Raises sqlite3.Error when a database cannot be read."""
    legacy = _orders(data / "legacy" / "legacy.db")
    candidate = _orders(data / "checkout" / "checkout.db")
    return Orders(same=len(legacy & candidate), apart=len(legacy ^ candidate))


def _orders(path: Path) -> set[tuple[str, str]]:
    """Number and lines of every order."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return {(number, lines) for number, lines in db.execute("SELECT number, lines FROM orders")}
