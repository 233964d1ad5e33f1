"""The compiled table: which route takes a request, which side answers, who gets a copy. Every worker's hot path.

`Table.decide` takes 2 to 4 us at 20 routes: decisions are made once per route, side and reason; a request only picks
one. tests/rules/naive_table.py is the readable reference that it must equal.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence

from xxhash import xxh64_intdigest

from rules.buckets import BUCKETS
from rules.compiled import NO_ROUTE, CompiledRoute, catch_all
from rules.decision import Choice, Request
from rules.document import Force, Route, Rules
from rules.effective import Effective, Position
from rules.events import Events
from rules.matching.cookies import cookie_in
from rules.matching.index import Index
from rules.service import Service
from rules.stages import Side, Stage
from rules.units import may_issue, set_cookie

__all__ = ["NO_ROUTE", "CompiledRoute", "Table", "TableBuilder", "compile_table"]


class Table:
    """The routes of one generation. Immutable; a new generation is a new table. `TableBuilder` makes it."""

    def __init__(
        self,
        generation: int,
        head: Rules,
        routes: tuple[CompiledRoute, ...],
        numbers: Mapping[str, int],
        index: Index,
        watches: Mapping[str, Sequence[str]],
        watching: frozenset[str],
    ) -> None:
        """`watches`: the routes whose gates count events, and which; `watching`: those of them that are in canary."""
        self.generation = generation
        self.services: dict[str, Service] = dict(head.services)
        self.routes = routes
        """In file order; the last one is the catch-all."""
        self.by_name: Mapping[str, CompiledRoute] = _ByName(routes, numbers)
        self.force = head.force
        """Which header and cookie carry a forcing token: what forwards or stores requests must leave them out."""
        self.trusted_proxies = head.trusted_proxies
        """Networks of proxies whose X-Forwarded-For and -Proto are believed."""
        self._head = head
        self._numbers = numbers
        self._force = _Forcing(head.force) if head.force is not None else None
        self._index = index
        self._watches = watches
        self._watching = watching
        self.events: Events | None = None
        """What is counted for routes in canary; None where nothing is."""
        if watching:
            self.events = Events(head.events, [(self.by_name[name], watches[name]) for name in sorted(watching)])

    def route(self, request: Request) -> CompiledRoute:
        """The first route in file order that takes the request; the catch-all when none does."""
        return self.routes[self._index.find(request)]

    def decide(self, request: Request, fresh: Callable[[], str]) -> Choice:
        """Where the request goes. Never raises. `fresh` makes the value of a unit that fig issues (printable ASCII)."""
        route = self.routes[self._index.find(request)]
        outcomes = route.outcomes()
        unit_of = route.unit_of
        if unit_of is None and self._force is None:
            return outcomes.unitless
        unit, unit_hash, issue = "", 0, ""
        if unit_of is not None:
            unit = unit_of(request)
            if not unit and route.issues and may_issue(request, route.issues):
                unit = fresh()
                issue = set_cookie(route.issues, unit)
            if unit:
                unit_hash = xxh64_intdigest(route.salt_prefix + unit.encode())
        side = self._force.side(request) if self._force is not None else None
        if side is not None:
            return Choice(outcomes.forced[side], unit, unit_hash, issue)
        if outcomes.by_stage is not None:
            return Choice(outcomes.by_stage, unit, unit_hash, issue)
        if not unit:
            return outcomes.unitless
        return Choice(outcomes.by_share[unit_hash % BUCKETS < route.share], unit, unit_hash, issue)

    def restand(self, generation: int, positions: Mapping[str, Position]) -> Table:
        """The same rules with these routes standing elsewhere; a route that is not named stays where it stands.

        Costs a few microseconds per name, some more per route that moves, and one copy of the tuple of routes; the
        index is shared. Names that no route has are passed over, as `compile_table` passes over them.
        """
        routes = list(self.routes)
        watching = self._watching
        for name, position in positions.items():
            number = self._numbers.get(name)
            if number is None:
                continue
            route = routes[number]
            if route.position != (position.stage, position.share):
                routes[number] = CompiledRoute(number, route.spec, position, self._head.legacy, self._head.defaults)
                if name in self._watches:
                    watching = watching | {name} if position.stage is Stage.CANARY else watching - {name}
        return Table(generation, self._head, tuple(routes), self._numbers, self._index, self._watches, watching)

    def dissolve(self) -> Iterator[None]:
        """Give back the memory of a table that is not asked any more, a piece at each step.

        To be freed at once it would have to be walked at once; and the collector, which would find the circles between
        routes and their decisions, does not look at what lives as long as tables do. Decisions under way stay good.
        """
        yield from self._index.dissolve()
        routes = list(self.routes)
        self.routes = ()
        self.by_name = {}
        while routes:
            routes.pop().forget()
            yield

    def reusable(self, head: Rules, number: int, spec: Route, position: Position) -> CompiledRoute | None:
        """This table's own route, where a table of `head` would have the very same one with this number."""
        if number != self._numbers.get(spec.name):
            return None
        route = self.routes[number]
        alike = (
            route.position == (position.stage, position.share)
            and head.legacy == self._head.legacy
            and head.defaults == self._head.defaults
            and (route.spec is spec or route.spec == spec)
        )
        return route if alike else None


class _ByName(Mapping[str, CompiledRoute]):
    """Routes by name, so that a move copies no dictionary: the numbers are shared by all tables of the same rules."""

    __slots__ = ("_numbers", "_routes")

    def __init__(self, routes: tuple[CompiledRoute, ...], numbers: Mapping[str, int]) -> None:
        self._routes = routes
        self._numbers = numbers

    def __getitem__(self, name: str) -> CompiledRoute:
        return self._routes[self._numbers[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._routes)


class TableBuilder:
    """Makes a table route by route, each step some tens of microseconds, so that a worker can serve between steps.

    `head` is the rules file but for its routes (what it has of them is not looked at); `former` is the table that the
    new one takes the place of: routes that did not change are taken over from it, with what they have already made.
    """

    def __init__(
        self,
        head: Rules,
        positions: Mapping[str, Position],
        generation: int,
        former: Table | None = None,
        watches: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """`watches`: as `Effective.watches`."""
        self._head = head if not head.routes else head.model_copy(update={"routes": ()})
        self._positions = positions
        self._generation = generation
        self._former = former
        self._routes: list[CompiledRoute] = []
        self._numbers: dict[str, int] = {}
        self._index = Index()
        self._watches = watches or {}
        self._watching: set[str] = set()

    def add(self, spec: Route) -> None:
        """The next route in file order. Takes a well-formed one (it was validated when loaded)."""
        number = len(self._routes)
        position = self._positions.get(spec.name) or Position(spec.stage, spec.share)
        route = self._former.reusable(self._head, number, spec, position) if self._former is not None else None
        if route is None:
            route = CompiledRoute(number, spec, position, self._head.legacy, self._head.defaults)
        self._routes.append(route)
        self._numbers[spec.name] = number
        if route.stage is Stage.CANARY and spec.name in self._watches:
            self._watching.add(spec.name)
        self._index.add(number, route.spec.match)

    def finish(self) -> Table:
        """The table of the routes that were added; the builder is of no use afterwards."""
        self._numbers[NO_ROUTE] = len(self._routes)
        self._routes.append(catch_all(len(self._routes), self._head.legacy))
        watching = frozenset(self._watching)
        return Table(
            self._generation, self._head, tuple(self._routes), self._numbers, self._index, self._watches, watching
        )


class _Forcing:
    """Reads the forced side of a request: ``candidate:TOKEN`` or ``legacy:TOKEN`` in the header or cookie."""

    __slots__ = ("_cookie", "_digest", "_header")

    def __init__(self, force: Force) -> None:
        self._header = force.header
        self._cookie = force.cookie
        self._digest = bytes.fromhex(force.token.removeprefix("sha256:"))

    def side(self, request: Request) -> Side | None:
        """None when nothing is forced, or by someone who does not know the token."""
        if self._header is not None:
            for value in request.values(self._header):
                side = self._read(value)
                if side is not None:
                    return side
        if self._cookie is not None:
            lines = request.values("cookie")
            if len(lines) == 1:
                return self._read(cookie_in(lines[0], self._cookie) or "")
        return None

    def _read(self, value: str) -> Side | None:
        word, colon, token = value.partition(":")
        if not colon or word not in (Side.LEGACY, Side.CANDIDATE):
            return None
        given = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        return Side(word) if hmac.compare_digest(given, self._digest) else None


def compile_table(effective: Effective) -> Table:
    """The table that `effective` describes. Takes well-formed rules (they were validated when loaded)."""
    builder = TableBuilder(effective.rules, effective.positions, effective.generation, watches=effective.watches)
    for spec in effective.rules.routes:
        builder.add(spec)
    return builder.finish()
