"""The compiled table: which route takes a request, which side answers, who gets a copy. Every worker's hot path.

`Table.decide` takes 2 to 4 us at 20 routes: decisions are made once per route, side and reason, when the table is
compiled; a request only picks one. tests/rules/naive_table.py is the readable reference that it must equal.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from xxhash import xxh64_intdigest

from rules.action import Retries
from rules.buckets import BUCKETS
from rules.cookies import cookie_in
from rules.decision import Choice, Decision, Request
from rules.document import Defaults, Force, Route, Writes
from rules.effective import Effective, Position
from rules.index import Index
from rules.match import Match
from rules.own_answers import Own, compile_own
from rules.predicates import captures_of
from rules.rewriting import compile_changes
from rules.service import Service
from rules.stages import Side, Stage
from rules.units import may_issue, set_cookie, unit_reader

NO_ROUTE = "-"
"""The name of the catch-all, which no route of a file may have."""
_LOOKS_AT_UNITS = (Stage.SHADOW, Stage.CANARY, Stage.LIVE)


class CompiledRoute:
    """One route as workers use it. Immutable once made, and compared by identity."""

    def __init__(self, index: int, spec: Route, position: Position, default_legacy: str, defaults: Defaults) -> None:
        self.index = index
        self.name = spec.name
        self.spec = spec
        self.stage = position.stage
        self.share = position.share
        self.legacy = spec.legacy or default_legacy
        """The service that is the legacy side."""
        self.candidate = spec.candidate or self.legacy
        self.sample = spec.shadow.sample
        """Millionths of the reads that are copied."""
        self.writes: Writes | None = spec.writes
        self.fallback = spec.fallback is not None
        self.changes = compile_changes(spec, defaults)
        """By side: what is changed of its requests and answers, None where nothing is."""
        self.own: Own | None = compile_own(spec, defaults)
        """Set where fig answers by itself; then neither side is asked."""
        self.timeout = spec.timeout or defaults.timeout
        """Seconds to the answer's first byte; None for the service's own."""
        self.retries: Retries | None = spec.retries or defaults.retries
        self.max_body = spec.max_body or defaults.max_body
        """Bytes that a request's body may have; None for no limit."""
        self._order = _order_reader(spec.writes.order_by if spec.writes else None, spec.match)
        self.salt_prefix = f"{spec.salt}|".encode()
        unit = spec.unit if position.stage in _LOOKS_AT_UNITS else None
        self.unit_of = unit_reader(unit) if unit is not None else None
        self.issues = unit.cookie or "" if unit is not None and unit.issue else ""
        """The cookie that is issued where there is no unit, or ``""``."""
        self._make_decisions()

    def _make_decisions(self) -> None:
        is_catch_all = self.name == NO_ROUTE
        own = "redirect" if self.spec.redirect is not None else "respond" if self.spec.respond is not None else ""
        answers = Side.CANDIDATE if self.stage in (Stage.LIVE, Stage.RETIRED) else Side.LEGACY
        stage = self._decision(answers, "no route" if is_catch_all else own or "stage")
        no_unit = self._decision(Side.LEGACY, "no unit")
        self.by_stage = stage if self.stage is not Stage.CANARY else None
        self.unitless = Choice(self.by_stage or no_unit, "", 0, "")
        self.by_share = tuple(self._decision(side, "share", counted=True) for side in (Side.LEGACY, Side.CANDIDATE))
        """Indexed by whether the unit's bucket is below the share."""
        self.forced = {side: stage if is_catch_all or own else self._decision(side, "forced") for side in Side}

    def _decision(self, side: Side, reason: str, counted: bool = False) -> Decision:
        service = self.candidate if side is Side.CANDIDATE else self.legacy
        copy_to = side.other if self.stage.copies else None
        return Decision(self, self.stage, side, service, reason, copy_to, counted)

    def captures(self, request: Request) -> dict[str, str]:
        """What each name of the route's match stands for in a request that it takes."""
        return captures_of(self.spec.match, request)

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
        self._index = Index()
        for route in routes[:-1]:
            self._index.add(route.index, route.spec.match)

    def route(self, request: Request) -> CompiledRoute:
        """The first route in file order that takes the request; the catch-all when none does."""
        return self.routes[self._index.find(request)]

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
                return self._read(cookie_in(lines[0], self._cookie) or "")
        return None

    def _read(self, value: str) -> Side | None:
        word, colon, token = value.partition(":")
        if not colon or word not in (Side.LEGACY, Side.CANDIDATE):
            return None
        given = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        return Side(word) if hmac.compare_digest(given, self._digest) else None


def _order_reader(order_by: str | None, match: Match) -> Callable[[Request], str]:
    kind, _, name = (order_by or "").partition(":")
    if kind == "path":
        return lambda request: captures_of(match, request).get(name, "")
    if kind == "header":
        return lambda request: ",".join(request.values(name))
    if kind == "cookie":
        return lambda request: cookie_in(";".join(request.values("cookie")), name) or ""
    return lambda request: ""


def compile_table(effective: Effective) -> Table:
    """The table that `effective` describes. Takes well-formed rules (they were validated when loaded)."""
    rules, positions = effective.rules, effective.positions
    routes = [
        CompiledRoute(
            index, spec, positions.get(spec.name) or Position(spec.stage, spec.share), rules.legacy, rules.defaults
        )
        for index, spec in enumerate(rules.routes)
    ]
    routes.append(_catch_all(len(routes), rules.legacy))
    return Table(effective.generation, dict(rules.services), tuple(routes), rules.force)


def _catch_all(index: int, legacy: str) -> CompiledRoute:
    """What answers when no route of the file matches: legacy, whatever is forced."""
    spec = Route.model_construct(name=NO_ROUTE, match=Match.model_construct(), candidate=legacy)
    return CompiledRoute(index, spec, Position(Stage.LEGACY, 0), legacy, Defaults())
