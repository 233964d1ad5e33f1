"""Pairs on disk: counts of all of them, samples of those that differ. One writer, the shadower.

Every pair is counted, by window, path and kind. Pairs are kept where they tell something: the first SAMPLES of each
path and kind, and the latest few equal ones. Everything is redacted on its way in, so nobody can forget to; bounds on
paths, samples and bodies keep a state folder small whatever the services answer.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from shadow.compare import Judged
from shadow.differences import Difference, DifferenceKind, Outcome
from shadow.kept import Unproven, encode, keep_pair, short_path
from shadow.pair import Kind
from shadow.pair_tables import open_for_writing
from shadow.redact import Redactor
from shadow.spec import Comparison

SAMPLES = 50
"""Pairs kept per window, path and kind."""
EQUAL_SAMPLES = 20
"""Equal pairs kept per window: the latest."""
MOST_PLACES = 500
"""Paths and kinds told apart per window; what differs elsewhere counts as ELSEWHERE."""
MOST_ORDINALS = 100_000
"""Differing pairs whose ordinal is kept per window; a certificate that allows more than that has no meaning."""
MOST_WINDOWS = 20
"""Windows kept per route: the latest."""
MOST_COUNTED = 100_000
"""Writes whose ids are remembered, so that none counts twice: far more than can be between two commits."""
ELSEWHERE = "(other places)"
BEGINNING = "the beginning"
"""Why a route's first window was begun."""

Place = tuple[str, str]
"""A path and a kind."""


def window_digest(comparison: Comparison, candidate: str) -> str:
    """What a window stands and falls with: how answers are compared, and which service (its URL) gives them."""
    return sha256(f"{comparison.model_dump_json()}\n{candidate}".encode()).hexdigest()[:16]


@dataclass(slots=True)
class _Window:
    """What the writer remembers of a route's current window."""

    id: int
    number: int
    digest: str
    pairs: int
    differing: int
    samples: Counter[Place] = field(default_factory=Counter)
    places: set[Place] = field(default_factory=set)


@dataclass(slots=True)
class _Batch:
    """What a batch adds to one window."""

    pairs: int = 0
    differing: int = 0
    writes: int = 0
    excused: int = 0
    last: float = 0.0
    ordinals: list[int] = field(default_factory=list)
    places: dict[Place, list[float]] = field(default_factory=dict)
    """Place -> [pairs, differences, first seen, last seen]."""
    masks: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    """Mask -> [pairs, differences excused]."""
    equal: Judged | None = None
    """The last pair that agrees: a sample of those is enough, and keeping one costs as much as comparing it."""


class PairStore:
    """The writer's end of pairs.db. Its methods may be called from any thread; each is one transaction."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Opens or makes the database. `key` is what secrets are hashed with. Raises StoreError."""
        self._connection = open_for_writing(path)
        self._redactor = Redactor(key)
        self._windows: dict[str, _Window] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def start_window(self, route: str, digest: str, reason: str, now: float) -> bool:
        """Count the route's pairs anew, because of `reason`, unless its window has this very digest.

        Returns whether a new one was begun.

        To be called whenever an effective table is loaded, with `window_digest`.
        """
        with self._write():
            window = self._window(route)
            if window is not None and window.digest == digest:
                return False
            if window is None:
                self._begin(route, digest, BEGINNING, now, 1)
            else:
                self._begin(route, digest, reason, now, window.number + 1)
            return True

    def add_many(self, judged: Sequence[Judged]) -> None:
        """Count the pairs, and keep those that tell something. A write's pair counts once, however often it comes."""
        with self._write():
            batches: dict[str, _Batch] = {}
            for one in judged:
                if one.pair.kind is Kind.WRITE and not self._count_write(one.pair.id):
                    continue
                route = one.pair.route
                window = self._window(route) or self._begin(route, "", BEGINNING, one.pair.started, 1)
                self._add(one, window, batches.setdefault(route, _Batch()))
            for route, batch in batches.items():
                self._flush(self._windows[route], batch)

    def add_unsettled(self, route: str, count: int) -> None:
        """Count reads that were not compared, because writes of their key were still on their way."""
        with self._write():
            window = self._window(route)
            if window is not None:
                self._connection.execute(
                    "UPDATE windows SET unsettled = unsettled + ? WHERE id = ?", (count, window.id)
                )

    def set_unproven(self, route: str, unproven: Unproven) -> None:
        """Note what the journal says of the route's writes, for the certificate."""
        with self._write():
            self._connection.execute(
                "INSERT OR REPLACE INTO unproven VALUES (?, ?, ?, ?, ?, ?)",
                (route, unproven.gaps, unproven.doubts, unproven.undelivered, unproven.overdue, unproven.at or 0.0),
            )

    def prune(self, route: str, before: float) -> int:
        """Drop the kept pairs that were made before that time (their counts stay), and say how many."""
        with self._write():
            found = self._connection.execute(
                "SELECT number FROM pairs WHERE started < ? AND window IN (SELECT id FROM windows WHERE route = ?)",
                (before, route),
            ).fetchall()
            self._drop(number for (number,) in found)
            self._windows.pop(route, None)  # its sample counts are no longer true
            return len(found)

    @contextmanager
    def _write(self) -> Iterator[None]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                self._windows.clear()  # what is remembered may not be what is stored
                raise
            self._connection.execute("COMMIT")

    def _window(self, route: str) -> _Window | None:
        if route not in self._windows:
            row = self._connection.execute(
                "SELECT id, number, digest, pairs, differing FROM windows WHERE route = ? ORDER BY number DESC LIMIT 1",
                (route,),
            ).fetchone()
            if row is None:
                return None
            window = _Window(*row)
            samples = self._connection.execute(
                "SELECT path, kind, count(*) FROM samples WHERE window = ? GROUP BY path, kind", (window.id,)
            )
            window.samples.update({(path, kind): count for path, kind, count in samples})
            window.places.update(
                self._connection.execute("SELECT path, kind FROM places WHERE window = ?", (window.id,)).fetchall()
            )
            self._windows[route] = window
        return self._windows[route]

    def _begin(self, route: str, digest: str, reason: str, now: float, number: int) -> _Window:
        cursor = self._connection.execute(
            "INSERT INTO windows (route, number, digest, reason, started) VALUES (?, ?, ?, ?, ?)",
            (route, number, digest, reason, now),
        )
        assert cursor.lastrowid is not None
        window = self._windows[route] = _Window(cursor.lastrowid, number, digest, 0, 0)
        gone = self._connection.execute(
            "SELECT id FROM windows WHERE route = ? AND number <= ?", (route, number - MOST_WINDOWS)
        ).fetchall()
        for row in gone:
            for table in ("places", "ordinals", "masks", "samples", "pairs"):
                self._connection.execute(f"DELETE FROM {table} WHERE window = ?", row)  # noqa: S608 (names from above)
            self._connection.execute("DELETE FROM windows WHERE id = ?", row)
        return window

    def _count_write(self, id: str) -> bool:
        """Whether a write's pair is new."""
        cursor = self._connection.execute("INSERT OR IGNORE INTO counted (id) VALUES (?)", (id,))
        if not cursor.rowcount:
            return False
        assert cursor.lastrowid is not None
        self._connection.execute("DELETE FROM counted WHERE number <= ?", (cursor.lastrowid - MOST_COUNTED,))
        return True

    def _add(self, judged: Judged, window: _Window, batch: _Batch) -> None:
        pair, outcome = judged.pair, judged.outcome
        window.pairs += 1
        batch.pairs += 1
        batch.last = max(batch.last, pair.started)
        batch.writes += pair.kind is Kind.WRITE
        for excused in outcome.excused:
            tally = batch.masks[excused.mask]
            tally[0] += 1
            tally[1] += excused.count
        if outcome.equal:
            batch.excused += bool(outcome.excused)
            batch.equal = judged
            return
        window.differing += 1
        batch.differing += 1
        if window.differing <= MOST_ORDINALS:
            batch.ordinals.append(window.pairs)
        places = self._places(judged, window)
        for place, count in places.items():
            if place in batch.places:
                tallied = batch.places[place]
                tallied[0] += 1
                tallied[1] += count
                tallied[2], tallied[3] = min(tallied[2], pair.started), max(tallied[3], pair.started)
            else:
                batch.places[place] = [1, count, pair.started, pair.started]
        if telling := [place for place in places if window.samples[place] < SAMPLES]:
            self._keep(judged, window, telling)

    def _places(self, judged: Judged, window: _Window) -> Counter[Place]:
        """Differences of a pair by place, without secrets; places beyond the bound are one."""
        found: Counter[Place] = Counter()
        clean: Sequence[Difference] = ()
        for index, difference in enumerate(judged.outcome.differences):
            place = (short_path(difference.path), str(difference.kind))
            if place not in window.places and len(window.places) < MOST_PLACES:
                if not clean:
                    redact = judged.comparison.redact
                    _, clean = self._redactor.pair(judged.pair, judged.outcome.differences, redact)
                place = (short_path(clean[index].path), str(difference.kind))
                window.places.add(place)
            elif place not in window.places:
                place = (ELSEWHERE, str(DifferenceKind.NOT_LOCATED))
                window.places.add(place)
            found[place] += 1
        return found

    def _keep(self, judged: Judged, window: _Window, places: Iterable[Place]) -> None:
        pair, outcome = judged.pair, judged.outcome
        clean, differences = self._redactor.pair(pair, outcome.differences, judged.comparison.redact)
        record = encode(keep_pair(clean, Outcome(differences, outcome.excused)))
        cursor = self._connection.execute(
            "INSERT OR IGNORE INTO pairs (id, window, differs, started, record) VALUES (?, ?, ?, ?, ?)",
            (pair.id, window.id, not outcome.equal, pair.started, record),
        )
        if not cursor.rowcount:  # ids are random; whoever gives one twice loses the second sample, not the count
            return
        for place in places:
            window.samples[place] += 1
            self._connection.execute("INSERT INTO samples VALUES (?, ?, ?, ?)", (window.id, *place, cursor.lastrowid))

    def _flush(self, window: _Window, batch: _Batch) -> None:
        execute, many = self._connection.execute, self._connection.executemany
        execute(
            "UPDATE windows SET pairs = pairs + ?, differing = differing + ?, writes = writes + ?,"
            " excused = excused + ?, last = max(coalesce(last, 0), ?) WHERE id = ?",
            (batch.pairs, batch.differing, batch.writes, batch.excused, batch.last, window.id),
        )
        many("INSERT OR IGNORE INTO ordinals VALUES (?, ?)", [(window.id, ordinal) for ordinal in batch.ordinals])
        many(
            "INSERT INTO places VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET pairs = pairs + excluded.pairs,"
            " count = count + excluded.count, first = min(first, excluded.first), last = max(last, excluded.last)",
            [(window.id, *place, *tally) for place, tally in batch.places.items()],
        )
        many(
            "INSERT INTO masks VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET pairs = pairs + excluded.pairs,"
            " count = count + excluded.count",
            [(window.id, mask, *tally) for mask, tally in batch.masks.items()],
        )
        if batch.equal is None:
            return
        self._keep(batch.equal, window, ())
        surplus = execute(
            "SELECT number FROM pairs WHERE window = ? AND NOT differs ORDER BY number DESC LIMIT -1 OFFSET ?",
            (window.id, EQUAL_SAMPLES),
        ).fetchall()
        self._drop(number for (number,) in surplus)

    def _drop(self, numbers: Iterable[int]) -> None:
        rows = [(number,) for number in numbers]
        self._connection.executemany("DELETE FROM samples WHERE pair = ?", rows)
        self._connection.executemany("DELETE FROM pairs WHERE number = ?", rows)
