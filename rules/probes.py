"""`probes:` of a rules file: scripts of requests that are asked of both sides of the routes they guard, and what must
come of them.

The grammar only: proxy/probing asks and judges. No probe is part of what workers decide by, and none is published.

A template (paths, headers, bodies, what is expected) may hold ``{name}``: a value that an earlier step has taken, or
one of OWN_VALUES; ``{{`` is a brace. What the environment holds (``${NAME}``) stands in it already, as everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from rules.action import FIXED_FIELDS, HeaderValue, is_authority
from rules.asked import REFUSED_METHODS
from rules.matching.regex import compile_regex
from rules.names import TOKEN, Block, FieldName, Method, Name, Positive, each_once
from rules.quantities import Duration
from rules.read_back import StatusPattern
from rules.selectors import Pointer, checked_selector
from rules.templates import parse_template

MARKER = "X-Fig-Probe"
"""Every request of a probe bears it, with the probe's name: services may leave out what only a customer should cause.
No client can say it, as none can say X-Fig-Copy."""
OWN_VALUES = frozenset({"run", "side", "probe"})
"""Known without a step that takes them: ``{run}`` is new for each run on each side (12 letters and digits), so that
what a probe writes is never in the way of what it wrote before; ``{side}`` is ``legacy`` or ``candidate``."""
MOST_STEPS = 50
LONGEST_TIMEOUT = 300.0
"""Seconds that a probe may take on one side."""
SHORTEST_EVERY = 1.0
_PLACE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_WRITTEN_BY_FIG = FIXED_FIELDS - {"idempotency-key"} | {MARKER.lower()}


def _header(name: object) -> object:
    if not isinstance(name, str):
        return name
    if not TOKEN.fullmatch(name):
        raise ValueError(f"'{name:.80}' is not a header name")
    if name.lower() in _WRITTEN_BY_FIG:
        hint = "; use 'host'" if name.lower() == "host" else ""
        raise ValueError(f"fig itself writes the header '{name}' of a probe{hint}")
    return name


def _template(text: str) -> str:
    parse_template(text)
    return text


def _target(path: str) -> str:
    template = parse_template(path)
    bare = template.fill(dict.fromkeys(template.names, "x"))
    if not re.fullmatch(r"/[!-\"$-~]*", bare):
        raise ValueError(f"'{path:.80}' is no path; write it like /api/products/{{sku}}?lang=en")
    return path


def _host(host: str) -> str:
    if not is_authority(host.lower()):
        raise ValueError(f"'{host:.80}' is not a host; write it like shop.example or shop.example:8443")
    return host.lower()


def _expression(pattern: str) -> str:
    compile_regex(pattern)
    return pattern


def _place_name(name: object) -> object:
    if isinstance(name, str) and (not _PLACE_NAME.fullmatch(name) or name in OWN_VALUES):
        why = "is known already" if name in OWN_VALUES else "can be no name here"
        raise ValueError(f"'{name:.80}' {why}; use letters, digits and '_', as in 'order_id'")
    return name


def _of_an_answer(selector: str) -> str:
    kind, _, name = selector.partition(":")
    if kind == "cookie" and TOKEN.fullmatch(name):
        return selector
    return checked_selector(selector, ("response", "header"))


def _can_be_asked(method: str) -> str:
    if method in REFUSED_METHODS:
        raise ValueError(f"fig answers {method} with 405 before any route is asked; write another method, such as GET")
    return method


def _as_list(value: object) -> object:
    """One value where several may stand."""
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, str | int) and not isinstance(value, bool) else value


Template = Annotated[str, AfterValidator(_template)]
PlaceName = Annotated[str, BeforeValidator(_place_name)]
ProbeHeader = Annotated[str, BeforeValidator(_header)]
AnswerValue = Annotated[str, AfterValidator(_of_an_answer)]
Expression = Annotated[str, AfterValidator(_expression)]
HostText = Annotated[str, AfterValidator(_host)]


class HeaderExpectation(Block):
    """What a header of the answer must be; exactly one of the three."""

    matches: Expression | None = None
    """An RE2 expression that the whole value matches."""
    contains: Template | None = None
    """A text within the value."""
    exists: bool | None = None
    """Whether the header is there at all."""

    @model_validator(mode="after")
    def _asks_one_thing(self) -> HeaderExpectation:
        if len(self.model_fields_set) != 1:
            raise ValueError("say exactly one of 'matches', 'contains' and 'exists'; a plain text is the whole value")
        return self


class JsonExpectation(Block):
    """What one value of a JSON answer must be: one of `equals` (perhaps `within`), `matches`, `exists`, or a number
    between `at_least` and `at_most`."""

    at: Pointer
    """A JSON pointer: ``/items/0/sku``."""
    equals: Any = None
    """This very value; texts in it are templates."""
    within: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """`equals` of a number: how far from it the answer may be."""
    matches: Expression | None = None
    """An RE2 expression that the whole text matches."""
    exists: bool | None = None
    """Whether there is anything, null included."""
    at_least: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """A number, not below this one."""
    at_most: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """A number, not above this one."""

    @model_validator(mode="after")
    def _asks_one_thing(self) -> JsonExpectation:
        given = self.model_fields_set - {"at", "within"}
        forms = {"at_least" if key == "at_most" else key for key in given}
        if len(forms) != 1:
            raise ValueError(
                "say exactly one of 'equals', 'matches', 'exists' and a number ('at_least', 'at_most' or both)"
            )
        number = isinstance(self.equals, int | float) and not isinstance(self.equals, bool)
        if self.within is not None and not number:
            raise ValueError("'within' belongs to an 'equals' that is a number; write equals: 20, within: 0.5")
        if self.at_least is not None and self.at_most is not None and self.at_most < self.at_least:
            raise ValueError("'at_most' is below 'at_least', so no number would do")
        return self


class Expectation(Block):
    """What an answer must be."""

    status: Annotated[
        tuple[StatusPattern, ...],
        Field(min_length=1),
        BeforeValidator(_as_list, json_schema_input_type=StatusPattern | tuple[StatusPattern, ...]),
    ] = ("2xx",)
    """``200``, ``2xx``, or a list of which one must hold."""
    headers: dict[FieldName, Template | HeaderExpectation] = {}
    """By name; a text is the whole value."""
    json_: Annotated[tuple[JsonExpectation, ...], Field(alias="json")] = ()
    """What stands in a JSON body."""
    contains: Annotated[
        tuple[Template, ...], BeforeValidator(_as_list, json_schema_input_type=Template | tuple[Template, ...])
    ] = ()
    """A text within the body, or several."""
    latency: Positive | None = None
    """Seconds from the request's start to the answer's end, at most."""


class ProbeStep(Block):
    """One request, what its answer must be, and what later steps take of it."""

    name: Name | None = None
    """What reports call it; by default its number."""
    method: Annotated[Method, AfterValidator(_can_be_asked)] = "GET"
    """Of the request."""
    path: Annotated[str, AfterValidator(_target)]
    """Path and query as a client asks fig: a template; what is filled in is escaped."""
    headers: dict[ProbeHeader, HeaderValue] = {}
    """Of the request, as a client would send them."""
    json_: Annotated[Any, Field(alias="json")] = None
    """A JSON body; texts in it are templates, and one that is nothing but ``{name}`` keeps the value's type."""
    text: Template | None = None
    """Any other body."""
    take: dict[PlaceName, AnswerValue] = {}
    """Values of the answer for later steps, by name: ``response:/POINTER``, ``header:NAME`` or ``cookie:NAME``."""
    expect: Expectation = Expectation()
    """What the answer must be; by default any 2xx."""

    @field_validator("headers", mode="before")
    @classmethod
    def _names_each_once(cls, headers: object) -> object:
        return each_once(headers)

    @model_validator(mode="after")
    def _has_one_body(self) -> ProbeStep:
        if self.text is not None and "json_" in self.model_fields_set:
            raise ValueError("'json' and 'text' cannot stand together; remove one")
        texts(self.json_, parse_template)
        for each in self.expect.json_:
            texts(each.equals, parse_template)
        return self

    @property
    def has_json(self) -> bool:
        return "json_" in self.model_fields_set

    @property
    def names(self) -> frozenset[str]:
        """The values that its request and its expectations ask for."""
        found: set[str] = set()

        def add(text: str) -> None:
            found.update(parse_template(text).names)

        for text in self._templates():
            add(text)
        texts(self.json_, add)
        for each in self.expect.json_:
            texts(each.equals, add)
        return frozenset(found)

    def _templates(self) -> Iterator[str]:
        yield self.path
        yield from self.headers.values()
        if self.text is not None:
            yield self.text
        yield from self.expect.contains
        for each in self.expect.headers.values():
            if isinstance(each, str):
                yield each
            elif each.contains is not None:
                yield each.contains


class Probe(Block):
    """A script that guards routes: it must pass on the candidate before the pilot gives it a first share, and goes on
    to be asked in canary."""

    routes: Annotated[tuple[Name, ...], Field(min_length=1)]
    """The routes that it guards. Their requests go to the side that is probed; those of other routes to whoever answers
    there."""
    sides: Literal["both", "candidate"] = "both"
    """Whether legacy is asked too: what legacy fails itself is no fault of the candidate."""
    every: Annotated[Duration, Field(ge=SHORTEST_EVERY)] = 60.0
    """How often it is run while a route that it guards is in canary."""
    timeout: Annotated[Positive, Field(le=LONGEST_TIMEOUT)] = 10.0
    """How long the whole script may take on one side."""
    fresh: Positive = 300.0
    """For how long a pass counts: a route without a younger one gets no further traffic."""
    critical: bool = False
    """Whether a failure on the candidate, found twice in a row, rolls back the routes in canary."""
    host: HostText | None = None
    """The Host that a client would ask for, where routes or services look at it; by default ``localhost``."""
    redact: Annotated[tuple[Pointer, ...], Field(max_length=100)] = ()
    """JSON pointers to values that no report shows, beside those that `comparisons.*.redact` names."""
    steps: Annotated[tuple[ProbeStep, ...], Field(min_length=1, max_length=MOST_STEPS)]
    """In order; the first one that fails ends the script."""

    @model_validator(mode="after")
    def _holds_together(self) -> Probe:
        known = set(OWN_VALUES)
        for number, step in enumerate(self.steps, 1):
            unknown = sorted(step.names - known)
            if unknown:
                raise ValueError(
                    f"step {step.name or number}: nothing is named '{{{unknown[0]}}}' there; an earlier step must "
                    f"'take' it (known are {', '.join(f'{{{name}}}' for name in sorted(known))}; '{{{{' is a brace)"
                )
            known |= step.take.keys()
        names = [step.name or str(number) for number, step in enumerate(self.steps, 1)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two steps are named '{twice}'; give each its own name")
        if self.fresh < self.every + self.timeout:
            raise ValueError("'fresh' is shorter than 'every' and 'timeout' together, so passes would grow old between")
        return self


def texts(value: Any, use: Any) -> None:
    """Hand every text in plain data to `use`, keys left out."""
    if isinstance(value, str):
        use(value)
    elif isinstance(value, list):
        for item in value:
            texts(item, use)
    elif isinstance(value, dict):
        for item in value.values():
            texts(item, use)
