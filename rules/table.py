"""The compiled table: which route takes a request, which side answers, who gets a copy. Every worker's hot path.

`Table.decide` takes 2 to 4 us at 20 routes: decisions are made once per route, side and reason, when the table is
compiled; a request only picks one. tests/rules/naive_table.py is the readable reference that it must equal.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from xxhash import xxh64_intdigest

from rules.buckets import BUCKETS
from rules.decision import Choice, Decision, Request
from rules.document import Force, Match, Route, Service, Writes
from rules.effective import Effective, Position
from rules.pattern import PathPattern, parse_pattern
from rules.predicates import header_predicates
from rules.stages import Side, Stage
from rules.trie import Trie
from rules.units import cookie_value, may_issue, set_cookie, unit_reader

NO_ROUTE = "-"
"""The name of the catch-all, which no route of a file may have."""
_LOOKS_AT_UNITS = (Stage.SHADOW, Stage.CANARY, Stage.LIVE)


class CompiledRoute:
    """One route as workers use it. Immutable once made, and compared by identity."""

    def __init__(self, index: int, spec: Route, position: Position, default_legacy: str) -> None:
        self.index = index
        self.name = spec.name
        self.spec = spec
        self.stage = position.stage
        self.share = position.share
        self.legacy = spec.legacy or default_legacy
        """The service that is the legacy side."""
        self.candidate = spec.candidate
        self.sample = spec.shadow.sample
        """Millionths of the reads that are copied."""
        self.writes: Writes | None = spec.writes
        self.fallback = spec.fallback is not None
        self.pattern: PathPattern = parse_pattern(spec.match.path)
        self.methods = frozenset(spec.match.methods) if spec.match.methods is not None else None
        self.headers = header_predicates(spec.match)
        self._order = _order_reader(spec.writes.order_by if spec.writes else None, self.pattern)
        self.salt_prefix = f"{spec.salt}|".encode()
        unit = spec.unit if position.stage in _LOOKS_AT_UNITS else None
        self.unit_of = unit_reader(unit) if unit is not None else None
        self.issues = unit.cookie or "" if unit is not None and unit.issue else ""
        """The cookie that is issued where there is no unit, or ``""``."""
        self._make_decisions()

    def _make_decisions(self) -> None:
        is_catch_all = self.name == NO_ROUTE
        answers = Side.CANDIDATE if self.stage in (Stage.LIVE, Stage.RETIRED) else Side.LEGACY
        stage = self._decision(answers, "no route" if is_catch_all else "stage")
        no_unit = self._decision(Side.LEGACY, "no unit")
        self.by_stage = stage if self.stage is not Stage.CANARY else None
        self.unitless = Choice(self.by_stage or no_unit, "", 0, "")
        self.by_share = tuple(self._decision(side, "share", counted=True) for side in (Side.LEGACY, Side.CANDIDATE))
        """Indexed by whether the unit's bucket is below the share."""
        self.forced = {side: stage if is_catch_all else self._decision(side, "forced") for side in Side}

    def _decision(self, side: Side, reason: str, counted: bool = False) -> Decision:
        service = self.candidate if side is Side.CANDIDATE else self.legacy
        copy_to = side.other if self.stage.copies else None
        return Decision(self, self.stage, side, service, reason, copy_to, counted)

    def captures(self, path: str) -> dict[str, str]:
        """What each ``{name}`` of the route's path stands for; empty where it has none."""
        return self.pattern.captures(path)

    def order_key(self, request: Request) -> str:
        """The key whose writes are delivered in order; ``""`` when the route or the request has none."""
        return self._order(request)


class Table:
    """The routes of one generation. Immutable; a new generation is a new table."""

    def __init__(
        self, generation: int, services: dict[str, Service], routes: tuple[CompiledRoute, ...], force: Force | None
    ):
        self.generation = generation
        self.services = services
        self.routes = routes
        """In file order; the last one is the catch-all."""
        self.by_name = {route.name: route for route in routes}
        self.force = force
        """Which header and cookie carry a forcing token: what forwards or stores requests must leave them out."""
        self._force = _Forcing(force) if force is not None else None
        self._everywhere: Trie[CompiledRoute] = Trie()
        self._hosts: dict[str, Trie[CompiledRoute]] = {}
        self._suffixes: dict[str, Trie[CompiledRoute]] = {}
        self._deepest = 0
        for route in routes[:-1]:
            self._index(route)

    def _index(self, route: CompiledRoute) -> None:
        host = route.spec.match.host
        if host is None:
            trie = self._everywhere
        elif host.startswith("*."):
            trie = self._suffixes.setdefault(host[1:], Trie())
        else:
            trie = self._hosts.setdefault(host, Trie())
        trie.add(route.pattern, route)
        self._deepest = max(self._deepest, len(route.pattern.segments))

    def route(self, request: Request) -> CompiledRoute:
        """The first route in file order that takes the request; the catch-all when none does."""
        # One split more than the deepest pattern has: what is left of a longer path stays in one piece.
        segments = request.path.split("/", self._deepest + 2)
        found: list[list[CompiledRoute]] = []
        self._everywhere.find(segments, 1, found)
        if self._hosts or self._suffixes:
            self._find_host(request.host, segments, found)
        best = self.routes[-1]
        if not found:
            return best
        method = request.method
        for routes in found:
            for route in routes:
                if route.index >= best.index:
                    break
                if (route.methods is None or method in route.methods) and (
                    not route.headers or all(predicate.holds(request) for predicate in route.headers)
                ):
                    best = route
                    break
        return best

    def _find_host(self, host: str, segments: list[str], found: list[list[CompiledRoute]]) -> None:
        trie = self._hosts.get(host)
        if trie is not None:
            trie.find(segments, 1, found)
        if self._suffixes:
            dot = host.find(".", 1)
            while dot >= 0:
                trie = self._suffixes.get(host[dot:])
                if trie is not None:
                    trie.find(segments, 1, found)
                dot = host.find(".", dot + 1)

    def decide(self, request: Request, fresh: Callable[[], str]) -> Choice:
        """Where the request goes. Never raises. `fresh` makes the value of a unit that fig issues (printable ASCII)."""
        route = self.route(request)
        unit_of = route.unit_of
        if unit_of is None and self._force is None:
            return route.unitless
        unit, unit_hash, issue = "", 0, ""
        if unit_of is not None:
            unit = unit_of(request)
            if not unit and route.issues and may_issue(request):
                unit = fresh()
                issue = set_cookie(route.issues, unit)
            if unit:
                unit_hash = xxh64_intdigest(route.salt_prefix + unit.encode())
        side = self._force.side(request) if self._force is not None else None
        if side is not None:
            return Choice(route.forced[side], unit, unit_hash, issue)
        if route.by_stage is not None:
            return Choice(route.by_stage, unit, unit_hash, issue)
        if not unit:
            return route.unitless
        return Choice(route.by_share[unit_hash % BUCKETS < route.share], unit, unit_hash, issue)


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
                return self._read(cookie_value(lines[0], self._cookie))
        return None

    def _read(self, value: str) -> Side | None:
        word, colon, token = value.partition(":")
        if not colon or word not in (Side.LEGACY, Side.CANDIDATE):
            return None
        given = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        return Side(word) if hmac.compare_digest(given, self._digest) else None


def _order_reader(order_by: str | None, pattern: PathPattern) -> Callable[[Request], str]:
    kind, _, name = (order_by or "").partition(":")
    if kind == "path":
        return lambda request: pattern.captures(request.path).get(name, "")
    if kind == "header":
        return lambda request: ",".join(request.values(name))
    if kind == "cookie":
        return lambda request: cookie_value(";".join(request.values("cookie")), name)
    return lambda request: ""


def compile_table(effective: Effective) -> Table:
    """The table that `effective` describes. Takes well-formed rules (they were validated when loaded)."""
    rules, positions = effective.rules, effective.positions
    routes = [
        CompiledRoute(index, spec, positions.get(spec.name) or Position(spec.stage, spec.share), rules.legacy)
        for index, spec in enumerate(rules.routes)
    ]
    routes.append(_catch_all(len(routes), rules.legacy))
    return Table(effective.generation, dict(rules.services), tuple(routes), rules.force)


def _catch_all(index: int, legacy: str) -> CompiledRoute:
    """What answers when no route of the file matches: legacy, whatever is forced."""
    spec = Route.model_construct(name=NO_ROUTE, match=Match(path="/**"), candidate=legacy)
    return CompiledRoute(index, spec, Position(Stage.LEGACY, 0), legacy)
