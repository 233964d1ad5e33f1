"""What of each route is unsettled, for whoever asks every second: what is long to count is counted when it has changed.

Beside a shadower that writes, or without one. Counting millions of copies that are owed takes a while, so of them the
last count stands while the files stay as they are, and for many times as long as it took; everything that blocks a
certificate is counted every time. The file is opened for each reading and let go, as the one who writes it tidies up
after itself only where nobody else has it open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from shadow.journal import tables
from shadow.journal.reader import OVERDUE_SECONDS
from shadow.journal.schema import JournalError, connect_reader
from shadow.journal.writes import Standing

REST = 19.0
"""How many times as long as the last count of owed copies took nobody counts them again: a twentieth of a core."""
SELDOM = 15.0
"""Seconds that a count stands at most, whatever the files look like: some become overdue by nobody's doing."""


class StandingReader:
    """`read` it as often as you like; in one thread at a time."""

    def __init__(self, path: Path, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        """`clock` is in seconds and never goes back; `wall` gives seconds since the epoch."""
        self._path = path
        self._clock = clock
        self._wall = wall
        self._owed: tables.Counts = {}
        self._of: object = None
        """What the files looked like before `_owed` was counted."""
        self._again_at = self._due_at = 0.0
        """When it may be counted again, and when it is."""

    def read(self) -> Mapping[str, Standing]:
        """A route that is not named has nothing unsettled; nothing when there is no journal.

        Raises JournalError when it is there and cannot be read.
        """
        looks = self._look()
        if looks is None:
            self._of = None
            return {}
        try:
            with closing(connect_reader(self._path)) as db:
                unsettled = tables.unsettled(db)
                began = self._clock()
                if began >= self._due_at or (looks != self._of and began >= self._again_at):
                    self._owed = tables.owed(db, self._wall() - OVERDUE_SECONDS)
                    self._of, ended = looks, self._clock()
                    self._due_at = ended + SELDOM
                    self._again_at = ended + min(SELDOM, REST * (ended - began))
        except sqlite3.Error as exc:
            raise JournalError(f"{self._path}: cannot be read ({exc})") from exc
        return tables.merged(unsettled, self._owed)

    def _look(self) -> object:
        """What tells that something was written; None where there is no journal. Raises JournalError."""
        found: list[tuple[int, ...]] = []
        for path in (self._path, self._path.with_name(f"{self._path.name}-wal")):
            try:
                told = path.stat()
            except FileNotFoundError:
                if path is self._path:
                    self._again_at = self._due_at = 0.0
                    return None
                continue
            except OSError as exc:
                raise JournalError(f"{path}: cannot be looked at ({exc})") from exc
            found.append((told.st_ino, told.st_size, told.st_mtime_ns))
        return tuple(found)
