"""Windows that pairs are counted in: a route's current one, and one that is over for pairs that come late.

A window is counted under one digest of rules, masks and candidate; with another one the route's counting begins anew.
Statements on the writer's connection, inside its transaction; shadow.pairs.store says when.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shadow.causes.tally import Tally
from shadow.certifying.chain import beginning
from shadow.certifying.segments import opening
from shadow.certifying.terms import what_changed
from shadow.pairs import cause_tables, chain_tables, shedding
from shadow.pairs.batch import Place

UNCHAINED = "its pairs were in no chain that is whole"
"""Why a window was begun after one whose links were lost, or were never made."""
BEGINNING = "the beginning"
"""Why a route's first window was begun."""


@dataclass(slots=True)
class OpenWindow:
    """What the writer remembers of a window while pairs are counted in it."""

    route: str
    id: int
    number: int
    digest: str
    pairs: int
    differing: int
    tail: chain_tables.Tail | None = None
    """Where its chain goes on; None where earlier pairs are not chained (they were counted by an earlier fig)."""
    samples: Counter[Place] = field(default_factory=Counter)
    places: set[Place] = field(default_factory=set)
    causes: Tally = field(default_factory=Tally)


class Windows:
    """All routes'. What is read once is remembered until it is to be forgotten."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._current: dict[str, OpenWindow] = {}
        self._former: dict[str, OpenWindow] = {}
        """By route, where a pair of a window that is over came late."""

    def start(
        self, route: str, digest: str, reason: str, now: float, other_days: Callable[[], Mapping[str, str]]
    ) -> bool:
        """Begin another window unless the route's has this digest and a whole chain; whether one was begun.

        `reason` and `other_days` as PairStore.start_window has them.
        """
        window = self.current(route)
        if window is None:
            self._begin(route, digest, BEGINNING, now, 1)
        elif window.digest != digest or window.tail is None:
            why = UNCHAINED if window.digest == digest else ""
            why = why or other_days().get(window.digest) or what_changed(window.digest, digest) or reason
            self._begin(route, digest, why, now, window.number + 1)
        else:
            return False
        return True

    def current(self, route: str) -> OpenWindow | None:
        """The route's latest; None where nothing was counted of it."""
        if route not in self._current:
            row = self._connection.execute(
                "SELECT id, number, digest, pairs, differing FROM windows WHERE route = ? ORDER BY number DESC LIMIT 1",
                (route,),
            ).fetchone()
            if row is None:
                return None
            self._current[route] = self._opened(OpenWindow(route, *row))
        return self._current[route]

    def current_or_first(self, route: str, digest: str, now: float) -> OpenWindow:
        """The route's latest, or its first, of that digest, begun now."""
        return self.current(route) or self._begin(route, digest, BEGINNING, now, 1)

    def former(self, route: str, digest: str) -> OpenWindow | None:
        """The latest of that digest, for pairs that were on their way when it ended; None where it is gone."""
        former = self._former.get(route)
        if former is None or former.digest != digest:
            row = self._connection.execute(
                "SELECT id, number, digest, pairs, differing FROM windows WHERE route = ? AND digest = ?"
                " ORDER BY number DESC LIMIT 1",
                (route, digest),
            ).fetchone()
            if row is None:
                return None
            former = self._former[route] = self._opened(OpenWindow(route, *row))
        return former

    def forget(self, route: str) -> None:
        """Read the route's windows anew when they are needed next."""
        self._current.pop(route, None)
        self._former.pop(route, None)

    def forget_all(self) -> None:
        """The same of every route."""
        self._current.clear()
        self._former.clear()

    def _opened(self, window: OpenWindow) -> OpenWindow:
        """With what is remembered of it while pairs are counted in it."""
        samples = self._connection.execute(
            "SELECT path, kind, count(*) FROM samples WHERE window = ? GROUP BY path, kind", (window.id,)
        )
        window.samples.update({(path, kind): count for path, kind, count in samples})
        window.places.update(
            self._connection.execute("SELECT path, kind FROM places WHERE window = ?", (window.id,)).fetchall()
        )
        window.causes = Tally(cause_tables.read_rows(self._connection, window.id))
        start = beginning(window.route, window.number, window.digest)
        links, tail = chain_tables.tail_of(self._connection, window.id, start)
        window.tail = tail if links == window.pairs else None
        return window

    def _begin(self, route: str, digest: str, reason: str, now: float, number: int) -> OpenWindow:
        cursor = self._connection.execute(
            "INSERT INTO windows (route, number, digest, reason, started) VALUES (?, ?, ?, ?, ?)",
            (route, number, digest, reason, now),
        )
        assert cursor.lastrowid is not None
        window = self._current[route] = OpenWindow(route, cursor.lastrowid, number, digest, 0, 0)
        self._former.pop(route, None)
        start = beginning(route, number, digest)
        window.tail = chain_tables.Tail(start, start, opening(start, 1))
        shedding.drop_former_windows(self._connection, route, number)
        return window
