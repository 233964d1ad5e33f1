"""Samples of legacy's noise on disk: weighed, redacted and counted by the shadower, read back by whoever asks.

Bounded like the pairs: MOST_PLACES paths a window, EXAMPLES examples of each, chosen uniformly of all that came
(Vitter, "Random sampling with a reservoir", 1985), so that those of the first minute do not stand for the week.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shadow.atomic import atomically
from shadow.noise.counts import PathCounts
from shadow.noise.evidence import Example, PathNoise
from shadow.noise.sampling import Found, Sample, Weighed, as_pair, weigh
from shadow.pairs import noise_tables as tables
from shadow.pairs.kept import keep_difference, short_path
from shadow.pairs.snapshot import Snapshot
from shadow.pairs.tables import open_for_writing
from shadow.redaction.redact import Redactor
from shadow.spec import Comparison

MOST_PLACES = 500
"""Paths told apart per window; what is noisy elsewhere is not counted."""
EXAMPLES = 100
"""Differences kept per window, path and source."""
NOISE, CANDIDATE = "noise", "candidate"


@dataclass(frozen=True, slots=True)
class Asked:
    """A sample, and what its answers are held to."""

    sample: Sample
    comparison: Comparison


class NoiseStore:
    """The writer's end, beside shadow.pairs.store.PairStore on the same file. May be called from any thread."""

    def __init__(self, path: Path, key: bytes, chance: Callable[[], float]) -> None:
        """`chance` is uniform in [0, 1). Raises StoreError."""
        self._connection = open_for_writing(path)
        self._redactor = Redactor(key)
        self._chance = chance
        self._lock = threading.Lock()
        self._windows: set[int] = set()
        """Those that samples came for: with the first one of another, others may have gone."""

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def add_many(self, asked: Sequence[Asked]) -> int:
        """Weigh the samples and count them in their routes' windows, in one transaction; gives how many were counted.

        A sample of a route that has no window yet is let go: none of its pairs was counted either.
        Raises sqlite3.Error.
        """
        weighed = [(each, weigh(each.sample, each.comparison)) for each in asked]
        counted = 0
        with self._lock:
            try:
                with atomically(self._connection):
                    for each, found in weighed:
                        counted += self._add(each, found)
            except BaseException:
                self._windows.clear()
                raise
        return counted

    def _add(self, asked: Asked, weighed: Weighed) -> bool:
        db, pair = self._connection, asked.sample.pair
        window = _window(db, pair.route)
        if window is None:
            return False
        if window not in self._windows:
            tables.forget_others(db)
            self._windows.add(window)
        tables.count_samples(db, window, pair.started)
        (places,) = db.execute("SELECT count(*) FROM noise_places WHERE window = ?", (window,)).fetchone()
        clean = self._cleaned(asked, weighed)
        for path in sorted({*weighed.before, *weighed.after, *weighed.candidate}):
            before, after, differs = (path in each for each in (weighed.before, weighed.after, weighed.candidate))
            name = short_path(clean[path][0])
            if not db.execute("SELECT 1 FROM noise_places WHERE window = ? AND path = ?", (window, name)).fetchone():
                if places >= MOST_PLACES:
                    continue
                places += 1
            once = PathCounts(1, before, after, before or after, differs, after and not differs, differs and not after)
            sums = tables.add_place(db, window, name, once)
            _, noise, candidate = clean[path]
            if noise is not None:
                self._keep(window, name, NOISE, sums.noisy, noise)
            if candidate is not None:
                self._keep(window, name, CANDIDATE, sums.differing, candidate)
        return True

    def _keep(self, window: int, path: str, source: str, seen: int, row: tables.Row) -> None:
        """Put the example where a reservoir that has now `seen` so many has it."""
        slot = seen - 1 if seen <= EXAMPLES else int(self._chance() * seen)
        if slot < EXAMPLES:
            tables.put_example(self._connection, window, path, source, slot, row)

    def _cleaned(self, asked: Asked, weighed: Weighed) -> dict[str, tuple[str, tables.Row | None, tables.Row | None]]:
        """Path -> the path, an example of noise and one of the candidate's difference there; all redacted."""
        sample, redact = asked.sample, asked.comparison.redact
        rows: dict[str, list[tables.Row | None]] = {}
        names: dict[str, str] = {}
        for place, other, found in (
            (0, sample.before, weighed.before),
            (0, sample.after, weighed.after),  # the one farther away in time stays
            (1, sample.pair.candidate, weighed.candidate),
        ):
            each: list[Found] = list(found.values())
            if not each:
                continue
            _, differences = self._redactor.pair(as_pair(sample, other), [one.difference for one in each], redact)
            for one, difference in zip(each, differences, strict=True):
                kept = keep_difference(difference)
                rows.setdefault(one.path, [None, None])[place] = (one.kind, sample.pair.id, kept.legacy, kept.candidate)
                names[one.path] = kept.path
        return {path: (names[path], noise, candidate) for path, (noise, candidate) in rows.items()}


class NoiseReader(Snapshot):
    """A reader's end."""

    def asked(self, route: str) -> tuple[int, float, float]:
        """Samples of the route's current window, and when the first and the last began (seconds since the epoch)."""
        window = _window(self._connection, route)
        return tables.asked(self._connection, window) if window is not None else (0, 0.0, 0.0)

    def places(self, route: str) -> tuple[PathNoise, ...]:
        """Every path at which legacy or the candidate disagreed with legacy's first answer, most noise first."""
        window = _window(self._connection, route)
        if window is None:
            return ()
        return tuple(
            PathNoise(path, counts, self._examples(window, path, NOISE), self._examples(window, path, CANDIDATE))
            for path, counts in tables.places(self._connection, window).items()
        )

    def _examples(self, window: int, path: str, source: str) -> tuple[Example, ...]:
        return tuple(Example(*row) for row in tables.examples(self._connection, window, path, source))


def _window(db: sqlite3.Connection, route: str) -> int | None:
    row = db.execute("SELECT id FROM windows WHERE route = ? ORDER BY number DESC LIMIT 1", (route,)).fetchone()
    return int(row[0]) if row else None
