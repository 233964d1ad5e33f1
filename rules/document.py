"""The rules file as frozen values: every key that routing and the workers need, with its default and its unit.

Whatever one value's form can get wrong is refused here, with a message that shows a right one. What two places of the
file must agree on is checked in rules/reading/checks.py; reading files is rules/reading/loader.py's. Services, matches
and actions have files of their own: rules/service.py, rules/match.py, rules/action.py.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from rules.action import HeaderChanges, Redirect, Respond, Retries, Rewrite
from rules.backfill import Backfill
from rules.identities import Identity
from rules.match import Match, Network
from rules.names import Block, CookieName, FieldName, Name, Positive
from rules.quantities import Duration, Share, Size
from rules.read_back import ReadBack, StatusPattern
from rules.selectors import EVERY, checked_selector, steps_of
from rules.service import Service
from rules.stages import MILLION, Stage
from rules.templates import REST, VARIABLES, parse_template


class Unit(Block):
    """Whoever must always see the same side: exactly one of cookie, header, address."""

    cookie: CookieName | None = None
    """The value of this cookie."""
    header: FieldName | None = None
    """The value of this header."""
    address: bool | None = None
    """``address: true``: the client's address."""
    issue: bool = False
    """fig sets the cookie itself where a request has none; only for a cookie that is fig's own."""

    @model_validator(mode="after")
    def _is_one(self) -> Unit:
        given = [name for name in ("cookie", "header", "address") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("needs exactly one of 'cookie: NAME', 'header: NAME' and 'address: true'")
        if self.issue and self.cookie is None:
            raise ValueError("only a cookie can be issued; remove 'issue' or use 'cookie: fig_unit'")
        return self


class Shadow(Block):
    """How exchanges are copied and compared."""

    sample: Share = MILLION
    """Which part of the reads is copied. Writes of routes with `writes:` are always copied."""
    noise: Share = 0
    """Of which part of those reads legacy is asked again, before and after the candidate, to learn how far it agrees
    with itself."""
    compare: str | None = None
    """The comparison that judges pairs; without one, answers must be equal but for what differs in every answer."""
    keep: Duration = 86_400.0
    """Seconds that pairs are kept."""
    backfill: Backfill | None = None
    """How what legacy held before the first copy is given to the candidate (`fig shadow backfill`)."""


MOST_BODY = 32 * 1024 * 1024
"""Bytes that `max_body` may be at most: an intent goes to the journal as one record (proxy.frames.MAX_FRAME)."""


def _one_value(selector: str, kinds: tuple[str, ...]) -> str:
    found = checked_selector(selector, kinds)
    if EVERY in steps_of(found.partition(":")[2]):
        raise ValueError(f"'{selector:.80}' names many values; a write is ordered by one")
    return found


class Writes(Block):
    """How this route's writes are journaled and delivered to the other side."""

    order_by: str | None = None
    """``path:NAME``, ``header:NAME``, ``cookie:NAME`` or ``request:/POINTER`` (of a JSON body): writes with the same
    value are delivered in order."""
    then_by: str | None = None
    """``response:/POINTER``: where the answer to a write that has no value of its own tells the one by which later
    writes are ordered: the id of what it made."""
    deliver_on: tuple[StatusPattern, ...] = Field(default=("2xx", "3xx"), min_length=1)
    """The answers after which the other side gets a copy."""
    on_journal_failure: Literal["refuse", "forward"] = "refuse"
    """When the intent cannot be made durable: answer 503, or forward and record a gap."""
    max_body: Size = 1024 * 1024
    """Bytes; a larger write gets 413, because its intent must be whole."""
    dedupe: Literal["idempotency-key"] | None = None
    """The receiving services deduplicate by this header, so a delivery without an answer may be repeated."""
    settle: Duration = 2.0
    """Seconds that a request waits, after a change of side, for copies of its key that are not delivered yet."""
    read_back: ReadBack | None = None
    """How to ask a side whether it has applied a write whose answer nobody has. Without it such writes are in doubt."""
    ids: dict[Name, Identity] = {}
    """What the sides number differently, by a name that routes share: learnt from answers, rewritten in copies."""

    @field_validator("max_body")
    @classmethod
    def _fits_the_journal(cls, max_body: int) -> int:
        if max_body > MOST_BODY:
            raise ValueError(f"at most {MOST_BODY // 1024**2}MB: such a body is held in memory and journaled whole")
        return max_body

    @field_validator("order_by")
    @classmethod
    def _is_selector(cls, order_by: str | None) -> str | None:
        if order_by is None:
            return None
        return _one_value(order_by, ("path", "header", "cookie", "request"))

    @field_validator("then_by")
    @classmethod
    def _is_of_the_answer(cls, then_by: str | None) -> str | None:
        return _one_value(then_by, ("response",)) if then_by is not None else None

    @model_validator(mode="after")
    def _orders_what_comes_later(self) -> Writes:
        if self.then_by is not None and self.order_by is None:
            raise ValueError("'then_by' says what later writes are ordered by, so they need an 'order_by' too")
        return self


class Defaults(Block):
    """What holds for every route that does not say it itself; a route's own block stands in place of the whole one."""

    timeout: Positive | None = None
    """Seconds from the request's end to the answer's first byte."""
    retries: Retries | None = None
    """How often a request that is safe to repeat is sent again."""
    max_body: Size | None = None
    """Bytes of a request's body; a larger one is answered with 413."""
    request_headers: HeaderChanges | None = None
    """What is changed of requests."""
    response_headers: HeaderChanges | None = None
    """What is changed of answers."""
    trace: Share | None = None
    """Part of the requests whose way through fig is recorded as spans."""

    @model_validator(mode="after")
    def _fills_in_what_every_route_has(self) -> Defaults:
        for changes in (self.request_headers, self.response_headers):
            for text in (*changes.set.values(), *changes.add.values()) if changes is not None else ():
                unknown = sorted(parse_template(text).names - VARIABLES)
                if unknown:
                    known = ", ".join(f"{{{name}}}" for name in sorted(VARIABLES))
                    raise ValueError(f"'{{{unknown[0]}}}' is not known to every route; known are {known}")
        return self


_WITHOUT_CANDIDATE = frozenset(
    ("legacy", "rewrite", "request_headers", "response_headers", "timeout", "retries", "max_body", "trace")
)
"""What a route that has only legacy may hold."""


class Route(Block):
    """A match, two sides and a stage; or a match and the one who always answers: a service, or fig itself."""

    name: Name
    """What the route is called: in metrics, in logs, and as the salt of its buckets."""
    match: Match
    """Which requests it takes; the first route that matches wins."""
    candidate: str | None = None
    """The service that is to replace legacy here. Without it, and with `legacy`, that one always answers: such a route
    takes its requests away from later ones."""
    redirect: Redirect | None = None
    """fig sends the client elsewhere; neither side is asked."""
    respond: Respond | None = None
    """fig answers this; neither side is asked."""
    legacy: str | None = None
    """The service that answers today; by default the file's `legacy`."""
    stage: Stage = Stage.LEGACY
    """Where the route stands: legacy, shadow, canary, live or retired."""
    share: Share = 0
    """Millionths of the units that the candidate answers in stage canary."""
    unit: Unit | None = None
    """Whoever must always see the same side."""
    group: Name | None = None
    """Routes of a group share buckets: a unit is on one side for all of them."""
    shadow: Shadow = Shadow()
    """How exchanges are copied and compared."""
    writes: Writes | None = None
    """How this route's writes are journaled and delivered to the other side."""
    fallback: Literal["legacy"] | None = None
    """Who answers when the candidate failed before its first byte and the request is safe to repeat."""
    rewrite: Rewrite | None = None
    """How the request line and Host of a service's request differ from the client's."""
    request_headers: HeaderChanges | None = None
    """What is changed of requests."""
    response_headers: HeaderChanges | None = None
    """What is changed of answers."""
    timeout: Positive | None = None
    """Seconds from the request's end to the answer's first byte, in place of the service's."""
    retries: Retries | None = None
    """How often a request that is safe to repeat is sent again."""
    max_body: Size | None = None
    """Bytes of a request's body; a larger one is answered with 413."""
    trace: Share | None = None
    """Part of the requests whose way through fig is recorded as spans."""

    @model_validator(mode="after")
    def _goes_one_way(self) -> Route:
        given = [key for key in ("candidate", "redirect", "respond") if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"'{given[0]}' and '{given[1]}' cannot stand in one route; remove one")
        if given == ["candidate"]:
            return self
        if given:
            why, fitting = (
                f"fig itself answers here ('{given[0]}')",
                frozenset((*given, "response_headers", "max_body", "trace")),
            )
        elif self.legacy is not None:
            why, fitting = "only legacy answers here (there is no 'candidate')", _WITHOUT_CANDIDATE
        else:
            raise ValueError("leads nowhere; give 'candidate: SERVICE', 'legacy: SERVICE', 'redirect' or 'respond'")
        idle = sorted(self.model_fields_set - {"name", "match"} - fitting)
        if idle:
            raise ValueError(f"{why}, so '{idle[0]}' has no meaning; remove it")
        if self.legacy is not None:
            self._changes_something()
        return self

    def _changes_something(self) -> None:
        """Of a route that has only legacy. Raises ValueError."""
        for key in ("rewrite", "request_headers", "response_headers"):
            block = getattr(self, key)
            if block is not None and block.sides == "candidate":
                raise ValueError(f"'{key}' changes nothing: only legacy answers here, so say 'sides: legacy' in it")

    @model_validator(mode="after")
    def _has_a_prefix_to_replace(self) -> Route:
        for key, block in (("rewrite", self.rewrite), ("redirect", self.redirect)):
            if block is not None and block.prefix is not None and REST not in self.match.captures:
                raise ValueError(
                    f"'{key}: {{prefix: ...}}' replaces what comes before '**', and the route's path does not end in "
                    "'**' (a list: each of them); write 'path: ...' for the whole path, or end the match in /**"
                )
        return self

    @model_validator(mode="after")
    def _knows_what_it_fills_in(self) -> Route:
        captures = self.match.captures
        asked = {name for text in self._templates() for name in parse_template(text).names}
        unknown = sorted(asked - captures - VARIABLES)
        if unknown:
            known = ", ".join(f"{{{name}}}" for name in sorted(captures | VARIABLES))
            raise ValueError(f"nothing is named '{{{unknown[0]}}}' here; known are {known}")
        twofold = sorted(asked & captures & VARIABLES)
        if twofold:
            raise ValueError(f"'{{{twofold[0]}}}' is both a capture and a variable of fig; rename the capture")
        return self

    def _templates(self) -> list[str]:
        texts: list[str | None] = []
        for block in (self.rewrite, self.redirect):
            if block is not None:
                texts += [block.path, block.prefix, block.host]
        for changes in (self.request_headers, self.response_headers):
            if changes is not None:
                texts += [*changes.set.values(), *changes.add.values()]
        if self.respond is not None:
            texts += [*self.respond.headers.values()]
        return [text for text in texts if text is not None]

    @property
    def salt(self) -> str:
        return self.group or self.name


class Event(Block):
    """A business event: a request and its answer that count as one, and the value it carries."""

    match: Match
    """The requests that count."""
    status: StatusPattern = "2xx"
    """``2xx`` or ``201``."""
    value: Annotated[str, StringConstraints(pattern=r"^(response|request):(/[^/]*)+$")] | None = None
    """A JSON pointer into the answer's or the request's body: ``response:/total``."""


class Force(Block):
    """Who may choose the side: the header's or cookie's value is ``candidate:TOKEN`` or ``legacy:TOKEN``."""

    header: FieldName | None = None
    """The header that carries the side and the token."""
    cookie: CookieName | None = None
    """The cookie that carries the side and the token."""
    token: str
    """At least 16 characters, or ``sha256:`` and the hash in hex; only the hash is kept, and it may stand in Git."""

    @field_validator("token")
    @classmethod
    def _is_hashed(cls, token: str) -> str:
        if re.fullmatch(r"sha256:[0-9a-f]{64}", token):
            return token
        if len(token) < 16 or not re.fullmatch(r"[!#-+\--:<-~]+", token):
            raise ValueError("a token has at least 16 printable characters without blank, quote, comma and semicolon")
        return "sha256:" + hashlib.sha256(token.encode()).hexdigest()

    @model_validator(mode="after")
    def _is_somewhere(self) -> Force:
        if self.header is None and self.cookie is None:
            raise ValueError("needs 'header: NAME', 'cookie: NAME' or both")
        return self


class Rules(Block):
    """A whole rules file, but for the blocks that shadow and canary read."""

    version: Literal[1]
    """Of the grammar: 1."""
    services: dict[Name, Service]
    """The upstreams, by name."""
    legacy: str
    """The service that answers every path that no route names."""
    routes: tuple[Route, ...] = ()
    """In order: the first one that matches a request takes it."""
    events: dict[Name, Event] = {}
    """Business events that gates count, by name."""
    force: Force | None = None
    """Who may choose the side of a request."""
    defaults: Defaults = Defaults()
    """What holds for every route that does not say it itself."""
    trusted_proxies: tuple[Network, ...] = ()
    """Networks of the proxies before fig whose X-Forwarded-For and -Proto are believed."""
