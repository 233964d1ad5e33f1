"""Has writes without a pair counted in their strata, once each: the journal says which, the store how far it looked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from shadow.journal.journal import JournalError
from shadow.journal.pairless import Pairless, pairless_writes
from shadow.journal.schema import connect_reader
from shadow.pairs.store import PairStore
from shadow.sealing import Sealer

OVERLAP = 20.0
"""Seconds that are looked at again: ends are noted in the order of commits, nearly, and a clock that is set back is met
at the next look (proxy.shadower.upkeep.LOOK_SELDOM). Counted twice is nothing."""
AT_ONCE = 2000
"""Writes of a route in one look."""


class PairlessWrites:
    """`note` blocks; one thread at a time."""

    def __init__(self, path: Path, sealer: Sealer, store: PairStore) -> None:
        """`path` is the journal's."""
        self._path = path
        self._sealer = sealer
        self._store = store
        self._db: sqlite3.Connection | None = None
        self._since: dict[str, float] = {}
        self._seen: dict[str, frozenset[Pairless]] = {}
        """Of the last look, so that the overlap is not told to the store again and again."""

    def note(self, routes: Iterable[str], now: float) -> None:
        """Look at every route. `now`: seconds since the epoch, maybe earlier than last time.

        Raises JournalError, sqlite3.Error of the store.
        """
        for route in routes:
            since = self._since.get(route)
            if since is None:
                since = self._store.looked_until(route)
            since = self._since[route] = min(since, now)  # else what ends until the clock has caught up is not seen
            found = self._read(route, since - OVERLAP)
            fresh = [one for one in found if one not in self._seen.get(route, ())]
            if not fresh:
                continue
            until = max(since, found[-1].ended)
            self._store.add_pairless(route, fresh, until)
            self._since[route], self._seen[route] = until, frozenset(found)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()

    def _read(self, route: str, since: float) -> tuple[Pairless, ...]:
        try:
            if self._db is None:
                self._db = connect_reader(self._path)
            return pairless_writes(self._db, self._sealer, route, since, AT_ONCE)
        except sqlite3.Error as exc:
            raise JournalError(f"the journal cannot be read: {exc}") from exc
