"""Whose turn it is among the routes of the book: the veto that holds rollouts to `pilot:` and to one of a group at a
time. People's own moves are not bound by it; they are told that they went past it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from canary.rollout import Move, Rollout
from canary.turns import HOUR, against_move, against_start
from proxy.control.book import Book
from rules.stages import Stage

MOST = 10_000
"""Moves that are remembered: as many as `moves_per_hour` may allow."""
BROKEN = "the rules file is broken since before control started: what is under way is judged, and nothing rises"
CLAIMED = 30.0
"""Seconds for which a route that was let go counts as moved, until the book says so: its move takes a moment, and
meanwhile others ask."""


class Queue:
    """Implements canary.pilot.Veto: says whether a route would be let go, and claims nothing.

    Asked before those who must ask somebody: a webhook hears of moves that can be made.
    """

    def __init__(self, book: Callable[[], Book], past: Iterable[float] = ()) -> None:
        """`past`: when the pilot moved routes forward before, in seconds since the epoch."""
        self._book = book
        self._moved: deque[float] = deque(sorted(past), maxlen=MOST)
        self._known: tuple[Book, list[str]] | None = None
        self.claims: dict[str, float] = {}
        """Route that was let go and is not known to have moved -> when."""

    def reasons(self, route: str, rollout: Rollout, move: Move, now: float) -> Sequence[str]:
        book = self._book()
        if book.rulebook is None:
            return (BROKEN,)
        pace = book.rulebook.pilot
        self.claims = {name: at for name, at in self.claims.items() if 0 <= now - at < CLAIMED and name in book.routes}
        others = {name: at for name, at in self.claims.items() if name != route}
        while self._moved and self._moved[0] <= now - HOUR:
            self._moved.popleft()
        found = against_move(pace, [*self._moved, *others.values()], now)
        if rollout.stage is Stage.SHADOW:
            exposed = self._exposed(book)
            under_way = [*exposed, *(name for name in others if name not in exposed)]
            groups = {name: book.routes[name].salt for name in (*under_way, route)}
            found += against_start(pace, route, groups, under_way)
        return found

    def _exposed(self, book: Book) -> list[str]:
        """Routes whose candidate answers clients, found once for each book: many may ask many times."""
        if self._known is None or self._known[0] is not book:
            plans = book.rulebook.rollouts if book.rulebook is not None else {}
            standing = ((name, book.standings.get(name)) for name in plans)
            self._known = book, [name for name, one in standing if one is not None and one.rollout.is_exposed]
        return self._known[1]

    def moved(self, route: str, at: float) -> None:
        """The pilot has moved a route forward."""
        self.claims.pop(route, None)
        self._moved.append(at)


class Turns:
    """Implements canary.pilot.Veto: as `queue` says, and whoever is let go has the turn. To be asked last."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def reasons(self, route: str, rollout: Rollout, move: Move, now: float) -> Sequence[str]:
        found = self._queue.reasons(route, rollout, move, now)
        if not found:
            self._queue.claims[route] = now
        return found
