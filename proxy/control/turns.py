"""Whose turn it is among the routes of the book: the veto that holds rollouts to `pilot:` and to one of a group at a
time. People's own moves are not bound by it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from canary.rollout import Move, Rollout
from canary.turns import HOUR, against_move, against_start
from proxy.control.book import Book
from proxy.control.records import Entry
from rules.stages import Stage

MOST = 10_000
"""Moves that are remembered: as many as `moves_per_hour` may allow."""
BROKEN = "the rules file is broken since before control started: what is under way is judged, and nothing rises"
CLAIMED = 30.0
"""Seconds for which a route that was let go counts as under way, until the book says so: its move takes a moment, and
meanwhile others ask."""


class Turns:
    """Implements canary.pilot.Veto."""

    def __init__(self, book: Callable[[], Book], past: Iterable[Entry] = ()) -> None:
        """`past`: lines of the history, of which the pilot's moves forward in the last hour count."""
        self._book = book
        forward = sorted(entry.at for entry in past if entry.actor == "pilot" and entry.action == "promote")
        self._moved: deque[float] = deque(forward, maxlen=MOST)
        self._claims: dict[str, float] = {}
        self._known: tuple[Book, list[str]] | None = None

    def reasons(self, route: str, rollout: Rollout, move: Move, now: float) -> Sequence[str]:
        book = self._book()
        if book.rulebook is None:
            return (BROKEN,)
        pace = book.rulebook.pilot
        self._claims = {name: at for name, at in self._claims.items() if name != route and 0 <= now - at < CLAIMED}
        while self._moved and self._moved[0] <= now - HOUR:
            self._moved.popleft()
        found = against_move(pace, self._moved, now)
        if rollout.stage is Stage.SHADOW:
            exposed = self._exposed(book)
            under_way = [*exposed, *(name for name in self._claims if name in book.routes and name not in exposed)]
            groups = {name: book.routes[name].salt for name in (*under_way, route)}
            found += against_start(pace, route, groups, under_way)
            if not found:
                self._claims[route] = now
        return found

    def _exposed(self, book: Book) -> list[str]:
        """Routes whose candidate answers clients, found once for each book: many may ask many times."""
        if self._known is None or self._known[0] is not book:
            plans = book.rulebook.rollouts if book.rulebook is not None else {}
            standing = ((name, book.standings.get(name)) for name in plans)
            self._known = book, [name for name, one in standing if one is not None and one.rollout.is_exposed]
        return self._known[1]

    def moved(self, at: float) -> None:
        """The pilot has moved a route forward."""
        self._moved.append(at)
