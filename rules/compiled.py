"""One route as workers use it: where it stands, what it changes, and its decisions, each made once.

The index (rules/matching/index.py) knows routes by number only, so a route that moves to another stage or share is made
anew here while everything that was compiled from its match stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import unquote

from rules.action import Retries
from rules.decision import Choice, Decision, Request
from rules.document import Defaults, Route, Writes
from rules.effective import Position
from rules.match import Match
from rules.matching.captures import CaptureReader, capture_reader
from rules.matching.cookies import cookie_in
from rules.order_keys import key_in
from rules.own_answers import Own, compile_own
from rules.rewriting import SideChange, compile_changes
from rules.stages import Side, Stage
from rules.units import unit_reader

NO_ROUTE = "-"
"""The name of the catch-all, which no route of a file may have."""
_LOOKS_AT_UNITS = (Stage.SHADOW, Stage.CANARY, Stage.LIVE)
_CHANGES_NOTHING: Mapping[Side, SideChange | None] = dict.fromkeys(Side)


class Outcomes(NamedTuple):
    """Every decision that one route can come to."""

    by_stage: Decision | None
    """Where the stage alone decides; None in stage canary."""
    unitless: Choice
    """For a request without a unit; where the stage decides, for every request whose unit nobody looks at."""
    by_share: tuple[Decision, Decision]
    """Indexed by whether the unit's bucket is below the share."""
    forced: Mapping[Side, Decision]


class CompiledRoute:
    """One route where it stands now. Its content never changes once made; compared by identity.

    Lean, because a table may hold 100,000 of them: what few routes need (captures, decisions) is made when first asked.
    """

    __slots__ = (
        "_captures",
        "_order",
        "_order_pointer",
        "_outcomes",
        "candidate",
        "changes",
        "fallback",
        "index",
        "is_plain",
        "issues",
        "legacy",
        "max_body",
        "name",
        "own",
        "retries",
        "salt_prefix",
        "sample",
        "share",
        "spec",
        "stage",
        "timeout",
        "trace",
        "unit_of",
        "writes",
    )

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
        self.changes = compile_changes(spec, defaults) if _changes(spec) or _changes(defaults) else _CHANGES_NOTHING
        """By side: what is changed of its requests and answers, None where nothing is."""
        self.own: Own | None = compile_own(spec, defaults)
        """Set where fig answers by itself; then neither side is asked."""
        self.timeout = spec.timeout or defaults.timeout
        """Seconds to the answer's first byte; None for the service's own."""
        self.retries: Retries | None = spec.retries or defaults.retries
        self.max_body = spec.max_body if spec.max_body is not None else defaults.max_body
        """Bytes that a request's body may have; None for no limit."""
        self.trace = spec.trace if spec.trace is not None else defaults.trace
        """Millionths of the exchanges that are recorded as spans; None for what the process was told."""
        self.is_plain = not (
            self.own or self.timeout or self.retries or self.max_body is not None or any(self.changes.values())
        )
        """Whether the route only chooses a side: nothing is changed, answered, bounded or repeated on its account."""
        self.salt_prefix = f"{spec.salt}|".encode()
        unit = spec.unit if position.stage in _LOOKS_AT_UNITS else None
        self.unit_of = unit_reader(unit) if unit is not None else None
        self.issues = unit.cookie or "" if unit is not None and unit.issue else ""
        """The cookie that is issued where there is no unit, or ``""``."""
        self._order = order_reader(spec.writes.order_by, spec.match) if spec.writes and spec.writes.order_by else None
        kind, _, pointer = (spec.writes.order_by or "").partition(":") if spec.writes else ("", "", "")
        self._order_pointer = pointer if kind == "request" else ""
        """Where the order key stands in the request's body; ``""`` where it does not."""
        self._captures: CaptureReader | None = None
        self._outcomes: Outcomes | None = None

    @property
    def position(self) -> tuple[Stage, int]:
        """Stage and share: what a move changes."""
        return self.stage, self.share

    def outcomes(self) -> Outcomes:
        """What the route can decide; the same objects on every call."""
        made = self._outcomes
        if made is None:
            made = self._outcomes = self._decide_all()
        return made

    def forget(self) -> None:
        """Break the circle with the decisions that were made; asked again, the route makes them anew."""
        self._outcomes = None

    def _decide_all(self) -> Outcomes:
        is_catch_all = self.name == NO_ROUTE
        own = "redirect" if self.spec.redirect is not None else "respond" if self.spec.respond is not None else ""
        answers = Side.CANDIDATE if self.stage in (Stage.LIVE, Stage.RETIRED) else Side.LEGACY
        stage = self._decision(answers, "no route" if is_catch_all else own or "stage")
        by_stage = stage if self.stage is not Stage.CANARY else None
        return Outcomes(
            by_stage,
            Choice(by_stage or self._decision(Side.LEGACY, "no unit"), "", 0, ""),
            (self._decision(Side.LEGACY, "share", counted=True), self._decision(Side.CANDIDATE, "share", counted=True)),
            {side: stage if is_catch_all or own else self._decision(side, "forced") for side in Side},
        )

    def _decision(self, side: Side, reason: str, counted: bool = False) -> Decision:
        service = self.candidate if side is Side.CANDIDATE else self.legacy
        copy_to = side.other if self.stage.copies else None
        return Decision(self, self.stage, side, service, reason, copy_to, counted)

    def captures(self, request: Request) -> dict[str, str]:
        """What each name of the route's match stands for in a request that it takes."""
        read = self._captures
        if read is None:
            read = self._captures = capture_reader(self.spec.match)
        return read(request)

    def order_key(self, request: Request, body: bytes = b"") -> str:
        """The key whose writes are delivered in order; ``""`` when the route or the request has none."""
        if self._order_pointer:
            return key_in(body, self._order_pointer)
        return self._order(request) if self._order is not None else ""


def catch_all(index: int, legacy: str) -> CompiledRoute:
    """What answers when no route of the file matches: legacy, whatever is forced."""
    spec = Route.model_construct(name=NO_ROUTE, match=Match.model_construct(), candidate=legacy)
    return CompiledRoute(index, spec, Position(Stage.LEGACY, 0), legacy, Defaults())


def _changes(block: Route | Defaults) -> bool:
    """Whether it may change a message at all."""
    rewrites = isinstance(block, Route) and block.rewrite is not None
    return rewrites or block.request_headers is not None or block.response_headers is not None


def order_reader(order_by: str, match: Match) -> Callable[[Request], str]:
    """A function that reads the order key of a request that `match` takes; it never raises.

    What stands escaped in a path is the key without its escapes, as answers and bodies tell it (`then_by`).
    """
    kind, _, name = order_by.partition(":")
    if kind == "header":
        return lambda request: ",".join(request.values(name))
    if kind == "cookie":
        return lambda request: cookie_in(";".join(request.values("cookie")), name) or ""
    if kind == "request":
        return lambda _: ""  # a body's key is read with the body, by order_key
    captures = capture_reader(match)

    def in_path(request: Request) -> str:
        key = captures(request).get(name, "")
        return unquote(key) if "%" in key else key

    return in_path
