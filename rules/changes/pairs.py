"""Which requests go elsewhere because of a change, shown by requests that both compiled tables were asked about.

A request that goes elsewhere was taken by one route before and by another, or the same, afterwards. Of two routes that
nothing happened to, in the order in which they were, the first stays the first: so one of the pair was touched, and
all pairs of a touched route and a neighbour are looked at. rules.witness finds a request of the pair that no earlier
route takes, or proves that there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from rules.asked import Asked
from rules.changes.destination import (
    Outcome,
    Shift,
    changes_requests,
    moved_part,
    outcome_of,
    shifts,
    surely_alike,
    without_unit,
)
from rules.changes.neighbours import Neighbours
from rules.changes.words import in_words
from rules.table import NO_ROUTE, CompiledRoute, Table
from rules.witness import Demand, look

MOST_PAIRS = 400
"""Pairs that are looked at for one touched route; beyond it the answer is not sure."""
ENOUGH = 24
"""Classes of requests that are shown for one touched route; then no more are looked for."""
MOST_ROUNDS = 100
"""Earlier routes that a witness is kept clear of, one after the other."""
MOST_EARLIER = 20
"""Earlier routes that are looked at to be named in a class of requests."""
MOST_NEAR = 2000
"""Where more routes than these come near a class of requests, none is named."""
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A class of requests of which some go elsewhere, and one of them."""

    words: str
    """The class: ``GET /orders/** with header x-beta = '1'``."""
    witness: Asked
    before: Outcome
    after: Outcome
    shifts: tuple[Shift, ...]
    """Never empty."""

    @property
    def part(self) -> Fraction:
        """Of the units that ask so: 0 to 1."""
        return moved_part(self.shifts)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found out about the requests of one touched route."""

    elsewhere: tuple[Elsewhere, ...] = ()
    sure: bool = True
    """Nothing else goes elsewhere: the search was complete. Otherwise more may."""
    unseen: int = 0
    """Pairs with other routes that were not looked at, because there are too many."""


class Pairs:
    """Searches pairs of routes of two tables."""

    def __init__(self, before: Table, after: Table) -> None:
        self._sides = _Reach(before), _Reach(after)
        self._done: dict[tuple[int, int], Found] = {}

    def of(self, before: CompiledRoute | None, after: CompiledRoute | None) -> Found:
        """Of a touched route: as it was, as it is, or both."""
        first, second = self._sides
        pairs: dict[tuple[int, int], None] = {}
        if before is not None and after is not None:
            pairs[before.index, after.index] = None
        if before is not None:
            pairs |= dict.fromkeys((before.index, number) for number in second.neighbours(before))
        if after is not None:
            pairs |= dict.fromkeys((number, after.index) for number in first.neighbours(after))
        possible = [pair for pair in pairs if self._is_possible(*pair)]
        elsewhere: list[Elsewhere] = []
        sure, looked_at = True, 0
        while looked_at < min(len(possible), MOST_PAIRS) and len(elsewhere) < ENOUGH:
            found = self._pair(*possible[looked_at])
            elsewhere += found.elsewhere
            sure = sure and found.sure
            looked_at += 1
        unseen = len(possible) - looked_at
        return Found(tuple(elsewhere), sure and not unseen, unseen)

    def _is_possible(self, one: int, other: int) -> bool:
        """Whether a request can go from the one to the other: not where its match stands before the other, in the table
        of the other, for then it is first in both."""
        first, second = (side.table for side in self._sides)
        before, after = first.routes[one], second.routes[other]
        again, formerly = second.by_name.get(before.name), first.by_name.get(after.name)
        return not (
            (again is not None and again.index < other and again.spec.match == before.spec.match)
            or (formerly is not None and formerly.index < one and formerly.spec.match == after.spec.match)
        )

    def of_pair(self, before: CompiledRoute, after: CompiledRoute) -> Found:
        """Of requests that `before` took and `after` takes."""
        return self._pair(before.index, after.index)

    def takes_nothing(self, after: CompiledRoute) -> bool:
        """Whether it is proven that earlier routes leave this one no request, afterwards."""
        table = self._sides[1].table
        wanted, unwanted = [Demand(after.spec.match)], list[Demand]()
        for _ in range(MOST_ROUNDS):
            request, impossible = look(wanted, unwanted)
            if request is None:
                return impossible
            winner = table.route(request)
            if winner.index >= after.index:
                return False
            unwanted.append(Demand(winner.spec.match))
        return False

    def _pair(self, one: int, other: int) -> Found:
        known = self._done.get((one, other))
        if known is None:
            known = self._done[one, other] = self._search(one, other)
        return known

    def _search(self, one: int, other: int) -> Found:
        first, second = self._sides
        before, after = first.table.routes[one], second.table.routes[other]
        if surely_alike(first.table, before, second.table, after):
            return Found()
        request, sure = self._witness(before, after)
        if request is None:
            return Found(sure=sure)
        was, shall = outcome_of(first.table, before, request), outcome_of(second.table, after, request)
        moved, words = shifts(was, shall), ""
        if not moved:
            moved, words = shifts(without_unit(was), without_unit(shall)), " without a unit"
        if not moved:
            # The same for this request; for others a rewrite may make a difference.
            return Found(sure=not (changes_requests(before) or changes_requests(after)))
        return Found((Elsewhere(self._words(before, after) + words, request, was, shall, moved),))

    def _witness(self, before: CompiledRoute, after: CompiledRoute) -> tuple[Asked | None, bool]:
        """A request that goes from the one to the other, by both tables; without one, whether none exists.

        Only earlier routes that turn out to be in the way are kept clear of: most of 100,000 never are.
        """
        first, second = (side.table for side in self._sides)
        wanted = [Demand(route.spec.match) for route in _different((before, after))]
        unwanted: list[Demand] = []
        for _ in range(MOST_ROUNDS):
            request, impossible = look(wanted, unwanted)
            if request is None:
                return None, impossible
            winners = first.route(request), second.route(request)
            if winners == (before, after):
                return request, True
            in_the_way = _different(
                winner for winner, meant in zip(winners, (before, after), strict=True) if winner.index < meant.index
            )
            if not in_the_way:
                return None, False  # the tables see the request otherwise than the search does
            if any(route.spec.match == demand.match for route in in_the_way for demand in wanted):
                return None, True  # an earlier route asks the same, and so takes every such request
            unwanted += [Demand(route.spec.match) for route in in_the_way]
        return None, False

    def _words(self, before: CompiledRoute, after: CompiledRoute) -> str:
        wanted = _narrowest(before, after)
        if not wanted:
            return "what no route takes"
        text = in_words(*(route.spec.match for route in wanted))
        first, second = self._sides
        took, takes = (
            self._also(first.earlier(before, wanted), wanted),
            self._also(second.earlier(after, wanted), wanted),
        )
        text += f", but for what {_named(takes)} {'take' if len(takes) > 1 else 'takes'} first" if takes else ""
        gone = [name for name in took if name not in takes]
        return text + (f", but for what {_named(gone)} took before" if gone else "")

    def _also(self, earlier: Sequence[CompiledRoute], wanted: Sequence[CompiledRoute]) -> list[str]:
        """The names of those that take requests which all of `wanted` take."""
        demands = [Demand(route.spec.match) for route in wanted]
        return [
            route.name
            for route in earlier[:MOST_EARLIER]
            if look([*demands, Demand(route.spec.match)], []).request is not None
        ]


def _named(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(f"'{name}'" for name in names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


class _Reach:
    """One table, and which of its routes come near which match."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._neighbours = Neighbours(route.spec.match for route in table.routes[:-1])
        self._known: dict[int, list[int]] = {}

    def neighbours(self, route: CompiledRoute) -> list[int]:
        """Numbers of the routes that may take a request of `route`; the catch-all first, since most go there."""
        return [len(self.table.routes) - 1, *self._near(route)]

    def earlier(self, winner: CompiledRoute, wanted: Sequence[CompiledRoute]) -> list[CompiledRoute]:
        """Routes before `winner` that may take a request that all of `wanted` take."""
        near = [self._near(route) for route in wanted]
        if min(map(len, near)) > MOST_NEAR:
            return []
        both = set.intersection(*map(set, near))
        return [self.table.routes[number] for number in sorted(both) if number < winner.index]

    def _near(self, route: CompiledRoute) -> list[int]:
        key = id(route.spec.match)  # both tables outlive this object, and a wide match is asked for again and again
        if key not in self._known:
            self._known[key] = self._neighbours.of(route.spec.match)
        return self._known[key]


def _different(routes: Iterable[CompiledRoute]) -> list[CompiledRoute]:
    """Those that ask something, each match once; one of them where none asks anything."""
    found: list[CompiledRoute] = []
    for route in routes:
        if route.name != NO_ROUTE and all(route.spec.match != each.spec.match for each in found):
            found.append(route)
    return found


def _narrowest(before: CompiledRoute, after: CompiledRoute) -> list[CompiledRoute]:
    """What names the class of requests that both take in the fewest words."""
    wanted = _different((before, after))
    if len(wanted) == 2:
        one, other = (Demand(route.spec.match) for route in wanted)
        if look([one], [other]).impossible:
            return wanted[:1]
        if look([other], [one]).impossible:
            return wanted[1:]
    return wanted
