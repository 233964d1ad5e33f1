"""What happens every second or minute: notes what is unsettled, forgets what is long over."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import structlog

from proxy.shadower.counts import Counts
from proxy.shadower.tables import Tables
from shadow.journal import Journal, JournalError, read_standing
from shadow.kept import Unproven
from shadow.store import PairStore
from shadow.writes import Standing

log = structlog.get_logger(__name__)

LOOK_EVERY = 1.0
PURGE_EVERY = 60.0
PURGED_AT_ONCE = 1000
"""Writes forgotten in one transaction, so that no intent waits long behind it."""


class Upkeep:
    """Two coroutines to be run until cancelled, and the latest `standing` for control's gauges."""

    def __init__(
        self,
        journal: Journal,
        path: Path,
        store: PairStore,
        tables: Tables,
        counts: Counts,
    ) -> None:
        self.standing: dict[str, Standing] = {}
        self._noted: dict[str, Unproven] = {}
        """What the store was told last: it need not write every second that nothing has changed."""
        self._journal = journal
        self._path = path
        self._store = store
        self._tables = tables
        self._counts = counts

    async def look(self) -> None:
        """Counting may take a while, so it happens in a thread, with connections of its own."""
        while True:
            await self.look_once()
            await asyncio.sleep(LOOK_EVERY)

    async def look_once(self) -> None:
        try:
            self.standing = await asyncio.to_thread(self._note, self._tables.routes)
        except (JournalError, sqlite3.Error) as exc:
            self._counts.add("journal_errors", what="standing")
            log.error("what is unsettled could not be noted", problem=str(exc))

    def _note(self, routes: tuple[str, ...]) -> dict[str, Standing]:
        """In a thread: tell the store what the journal says of every route, zeros included."""
        found = read_standing(self._path)
        standing = {route: found.get(route, Standing()) for route in {*found, *routes}}
        now = time.time()
        for route, one in standing.items():
            unproven = Unproven(one.gaps, one.in_doubt, one.undelivered, one.overdue, dead=one.dead)
            if self._noted.get(route) != unproven:
                self._store.set_unproven(route, replace(unproven, at=now))
                self._noted[route] = unproven
        for route in self._noted.keys() - standing.keys():
            del self._noted[route]
        self._note_apart()
        return standing

    def _note_apart(self) -> None:
        """Give the store what has no pair, each once: what it cannot take now stays for the next time."""
        taken = self._counts.apart.take()
        try:
            self._store.add_apart_many(taken)
        except sqlite3.Error:
            self._counts.apart.give_back(taken)
            raise

    def _longest(self, routes: tuple[str, ...]) -> float:
        return max((self._tables.keep(route) for route in routes), default=86_400.0)

    def _prune(self, routes: tuple[str, ...]) -> None:
        for route in routes:
            self._store.prune(route, time.time() - self._tables.keep(route))

    async def purge(self) -> None:
        """Forget writes and kept pairs that were over before their route's `keep`."""
        while True:
            routes = self._tables.routes
            try:
                keep = await asyncio.to_thread(self._longest, routes)
                gone = PURGED_AT_ONCE
                while gone == PURGED_AT_ONCE:
                    gone = await self._journal.purge(time.time() - keep, PURGED_AT_ONCE)
                await asyncio.to_thread(self._prune, routes)
            except (JournalError, sqlite3.Error) as exc:
                self._counts.add("journal_errors", what="purge")
                log.error("what is over could not be purged", problem=str(exc))
            await asyncio.sleep(PURGE_EVERY)
