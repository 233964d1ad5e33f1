"""What happens every second or minute: notes what is unsettled, forgets what is long over, keeps below the quota."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import structlog

from proxy.shadower.counts import Counts, Gauge
from proxy.shadower.pairless import PairlessWrites
from proxy.shadower.tables import Tables
from shadow.journal.journal import Journal, JournalError
from shadow.journal.reader import read_standing
from shadow.journal.schema import Trouble
from shadow.journal.writes import Standing
from shadow.pairs.kept import Unproven
from shadow.pairs.store import PairStore

log = structlog.get_logger(__name__)

LOOK_EVERY = 1.0
LOOK_REST, LOOK_SELDOM = 9.0, 15.0
"""How many times as long as the last look took nobody looks again, and how many seconds at most: counting millions of
owed copies takes a second of a core that should rather deliver them."""
PURGE_EVERY = 60.0
ROOM_FROM, ROOM_TO = 0.9, 0.8
"""Parts of the quota: from the one on, what is over is forgotten before its time, until the journal holds the other."""
PURGED_AT_ONCE = 1000
"""Writes forgotten in one transaction, so that no intent waits long behind it."""

_ADVICE = {
    Trouble.FULL: "make room on its disk; what is to be recorded waits, and is told as journal_errors meanwhile",
    Trouble.IO: "look after its disk, and at the limit on file sizes (ulimit -f)",
    Trouble.DAMAGED: "stop fig and restore the file from a copy; no write is recorded until then",
    Trouble.OTHER: "its log lines say what is the matter",
}


class Upkeep:
    """Two coroutines to be run until cancelled, and the latest `standing` for control's gauges."""

    def __init__(
        self,
        journal: Journal,
        path: Path,
        store: PairStore,
        tables: Tables,
        counts: Counts,
        pairless: PairlessWrites,
    ) -> None:
        self.standing: dict[str, Standing] = {}
        self._noted: dict[str, Unproven] = {}
        """What the store was told last: it need not write every second that nothing has changed."""
        self._journal = journal
        self._path = path
        self._store = store
        self._tables = tables
        self._counts = counts
        self._pairless = pairless
        self._failures: dict[Trouble, int] = {}
        """Of the journal, as far as they are counted."""

    def gauges(self) -> list[Gauge]:
        """How the journal's file stands, for control."""
        quota = self._journal.quota
        return [
            ("journal_bytes", (), float(self._journal.used)),
            *([("journal_quota_bytes", (), float(quota))] if quota is not None else []),
            ("journal_damaged", (), float(self._journal.is_damaged)),
        ]

    async def look(self) -> None:
        """Counting may take a while, so it happens in a thread, with connections of its own."""
        while True:
            began = time.monotonic()
            await self.look_once()
            took = time.monotonic() - began
            await self._make_room()
            await asyncio.sleep(min(LOOK_SELDOM, max(LOOK_EVERY, took * LOOK_REST)))

    def _count_failures(self) -> None:
        """Transactions that failed since the last look, by what failed them; the first of each kind is logged."""
        for kind, failures in self._journal.failures.items():
            known = self._failures.get(kind, 0)
            if failures > known:
                self._counts.add("journal_failures", failures - known, kind=kind.value)
            if not known:
                log.error("the journal's file fails", kind=kind.value, advice=_ADVICE[kind])
            self._failures[kind] = failures

    async def _make_room(self) -> None:
        """Near the quota, what is over goes before its time, the oldest first: writes that are owed matter more."""
        journal = self._journal
        if journal.quota is None or journal.used < journal.quota * ROOM_FROM:
            return
        forgotten = 0
        try:
            for route in journal.reader.ended_routes():
                gone = PURGED_AT_ONCE
                while gone == PURGED_AT_ONCE and journal.used > journal.quota * ROOM_TO:
                    gone = await journal.purge(route, time.time(), PURGED_AT_ONCE)
                    forgotten += gone
        except JournalError as exc:
            self._counts.add("journal_errors", what="purge")
            log.error("no room could be made in the journal", problem=str(exc))
        if forgotten:
            self._counts.add("journal_forgotten_early", forgotten)
            log.warning("writes that are over were forgotten before their time", count=forgotten, quota=journal.quota)

    async def look_once(self) -> None:
        self._count_failures()
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
            unproven = Unproven(
                one.gaps, one.in_doubt, one.undelivered, one.overdue, dead=one.dead, declared=one.declared
            )
            if self._noted.get(route) != unproven:
                self._store.set_unproven(route, replace(unproven, at=now))
                self._noted[route] = unproven
        for route in self._noted.keys() - standing.keys():
            del self._noted[route]
        self._note_apart()
        self._pairless.note(standing, now)
        return standing

    def _note_apart(self) -> None:
        """Give the store what has no pair, each once: what it cannot take now stays for the next time."""
        taken = self._counts.apart.take()
        try:
            self._store.add_apart_many(taken)
        except sqlite3.Error:
            self._counts.apart.give_back(taken)
            raise

    def _prune(self, routes: tuple[str, ...]) -> None:
        for route in routes:
            self._store.prune(route, time.time() - self._tables.keep(route))

    async def purge(self) -> None:
        """Forget writes, originals and all, and kept pairs that were over before their route's `keep`."""
        while True:
            routes = self._tables.routes
            try:
                for route in self._journal.reader.ended_routes():
                    gone = PURGED_AT_ONCE
                    while gone == PURGED_AT_ONCE:
                        before = time.time() - self._tables.keep(route)
                        gone = await self._journal.purge(route, before, PURGED_AT_ONCE)
                await asyncio.to_thread(self._prune, routes)
            except (JournalError, sqlite3.Error) as exc:
                self._counts.add("journal_errors", what="purge")
                log.error("what is over could not be purged", problem=str(exc))
            await asyncio.sleep(PURGE_EVERY)
