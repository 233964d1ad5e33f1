"""Brings what the journal's WAL holds into its file, beside the thread that commits.

SQLite would do that itself, at every thousandth page and before it tells that a transaction is durable: then whoever
wrote last waits for thousands of pages and two more syncs. A connection of its own does it while others commit
(https://www.sqlite.org/wal.html, section 2.2, and https://www.sqlite.org/c3ref/wal_checkpoint_v2.html).
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter

from shadow.journal.schema import Trouble, trouble_of

EVERY = 500
"""Jobs between two checkpoints: about as many pages as SQLite itself would wait for."""
LONGEST = 8192
"""Pages of WAL (of 4 KB) beyond which the thread that commits brings the last of them over itself: only then, with
nobody who writes meanwhile, is the WAL begun anew."""


class Checkpoints:
    """One thread. `note` is called by the thread that commits, `close` when that has ended."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """`connection`: to the journal, and nobody else's."""
        self.failures: Counter[Trouble] = Counter()
        """Those of this thread, which alone writes them."""
        self.is_long = False
        """Whether the WAL was too long when this looked last."""
        self._connection = connection
        self._jobs = 0
        self._due = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="journal-wal", daemon=True)
        self._thread.start()

    def note(self, jobs: int) -> None:
        """So many more are in the WAL."""
        self._jobs += jobs
        if self._jobs >= EVERY and not self._due.is_set():
            self._jobs = 0
            self._due.set()

    def finish(self, committing: sqlite3.Connection) -> None:
        """In the thread that commits, when `is_long`: what little this one has left over."""
        self.is_long = False
        committing.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def close(self) -> None:
        """Waits for a checkpoint under way."""
        self._closing = True
        self._due.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while True:
                self._due.wait()
                self._due.clear()
                if self._closing:
                    return
                self._look()
        finally:
            self._connection.close()

    def _look(self) -> None:
        try:
            _, length, _ = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as exc:  # nothing is lost, the WAL is read as well; whoever looks after it is told
            self.failures[trouble_of(exc)] += 1
        else:
            self.is_long = length > LONGEST
