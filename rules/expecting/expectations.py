"""Unit tests of rules, as a YAML file beside them says them: its grammar, and the file as cases. What holds of a case
is rules/expecting/judging.py's; reading requests is rules/asked.py's.

.. code:: yaml

    rules: fig.yaml                  # beside this file; `fig rules test -c` goes before it
    at: {cart: legacy}               # where routes stand in every test; else where the rules file puts them
    tests:
      - name: at 25 % this shopper is the candidate's
        at: {products: 25%}          # canary at that share; or a stage; or {stage: canary, share: 25%}
        request:
          method: GET                # GET unless it is said
          url: http://shop.example/api//products/7?x=1
          headers: {x-app: shop-web} # a list of texts for several lines
          cookies: {theme: dark}
          client: 10.0.0.1
          unit: u1                   # however the route reads its unit
        answer: {headers: {server: php}}   # what a service might answer, where response_headers are asked
        expect:
          route: products            # null: no route takes it
          side: candidate
          path: /catalog/7
          request_headers: {x-served: fig, x-debug: null}    # null: is not sent
          response_headers: {server: {absent: true}}

      - name: one line for each request
        request: {client: 10.0.0.1}  # what all rows share, and so with at, answer and expect
        table:                       # the first row names keys of request and expect; `.` goes one deeper
          - [method, url,            headers.x-app, route,    captures.order]
          - [POST,   /api/checkout/7, shop-web,     checkout, "7"]
          - [POST,   /api/checkout/7, null,         null,     null]

In `expect` null means that there is none: no route, header, query, location or body. Anywhere else in a row it means
that nothing is given or expected. What is expected of text is a condition, as in `match`: text alone must be equal,
``{prefix: ...}``, ``{contains: ...}``, ``{regex: ...}``, ``{absent: true}``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from rules.asked import DEFAULT_CLIENT, client_address
from rules.effective import Position
from rules.expecting.expected_rows import EXPECT, REQUEST, rows_of, with_nothing_said
from rules.match import Condition, Conditions
from rules.names import Block, CookieName, FieldName
from rules.problems import Place, Problem, RulesError
from rules.quantities import Duration, Share, parse_share
from rules.reading.located import validate
from rules.reading.nodes import Mapping as MappingNode
from rules.reading.nodes import Node, Sequence, parse
from rules.reading.source import read_text
from rules.stages import Side, Stage


def _one_or_many(value: object) -> object:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _short(value: object) -> object:
    """``25%`` is canary at that share, and a stage's name is that stage."""
    if not isinstance(value, str):
        return value
    if value in tuple(Stage):
        return {"stage": value}
    try:
        parse_share(value)
    except ValueError as exc:
        stages = ", ".join(Stage)
        raise ValueError(f"'{value:.40}' is neither a stage ({stages}) nor a share; write it like live or 25%") from exc
    return {"stage": "canary", "share": value}


class At(Block):
    """Where a route stands in a test."""

    stage: Stage
    share: Share = 0

    @model_validator(mode="after")
    def _fits(self) -> At:
        if self.stage is not Stage.CANARY and self.share:
            raise ValueError(f"a share counts in stage canary only, not in {self.stage.value}")
        return self


Positions = dict[str, Annotated[At, BeforeValidator(_short, json_schema_input_type=str | At)]]
Texts = Annotated[tuple[str, ...], BeforeValidator(_one_or_many, json_schema_input_type=str | tuple[str, ...])]


class RequestBlock(Block):
    """The request that a test asks about."""

    url: str
    """A URL, or only a path."""
    method: str = "GET"
    headers: dict[str, Texts] = {}
    cookies: dict[CookieName, str] = {}
    """One Cookie line, in this order."""
    client: str = DEFAULT_CLIENT
    unit: str | None = None
    """However the route reads it."""

    @field_validator("client")
    @classmethod
    def _is_address(cls, client: str) -> str:
        client_address(client)
        return client

    @field_validator("cookies")
    @classmethod
    def _stay_apart(cls, cookies: dict[str, str]) -> dict[str, str]:
        for name, value in cookies.items():
            if ";" in value:
                raise ValueError(
                    f"the value of '{name}' holds ';', where a cookie ends; write it as a cookie of its own"
                )
        return cookies

    @model_validator(mode="after")
    def _has_one_cookie_line(self) -> RequestBlock:
        if self.cookies and any(name.lower() == "cookie" for name in self.headers):
            raise ValueError("'cookies' and the header 'cookie' say the same; remove one")
        return self

    def lines(self) -> list[tuple[str, str]]:
        """Its header lines."""
        found = [(name, value) for name, values in self.headers.items() for value in values]
        if self.cookies:
            found.append(("cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items())))
        return found


class AnswerBlock(Block):
    """What a service might answer."""

    headers: dict[FieldName, Texts] = {}


class ExpectBlock(Block):
    """What must come of a request; at least one of these."""

    refused: Annotated[int | None, Field(ge=400, le=599)] = None
    """The status with which fig refuses it before any route sees it."""
    route: str | None = None
    """``-`` (in YAML: null): no route takes it."""
    stage: Stage | None = None
    side: Side | None = None
    service: str | None = None
    reason: Literal["stage", "share", "forced", "no unit", "no route", "redirect", "respond"] | None = None
    path: Conditions | None = None
    """What the answering side's service gets; so are query, host and request_headers."""
    query: Conditions | None = None
    host: Conditions | None = None
    request_headers: dict[FieldName, Conditions] = {}
    """Without those that fig writes for every request (X-Forwarded-*, X-Request-Id, traceparent)."""
    response_headers: dict[FieldName, Conditions] = {}
    """Of fig's own answer, or of the test's `answer` when the rules have changed it."""
    status: Annotated[int | None, Field(ge=200, le=599)] = None
    """Of fig's own answer; so are location and body."""
    location: Conditions | None = None
    body: Conditions | None = None
    captures: dict[str, str] = {}
    """Of those that are named."""
    copies: Literal["legacy", "candidate", "nobody"] | None = None
    """Who gets a copy, as far as the sample takes the request."""
    issued: bool | None = None
    """Whether fig issues a unit with the answer."""
    timeout: Duration | None = None
    """Seconds to the answer's first byte."""

    @field_validator("route")
    @classmethod
    def _is_named(cls, route: str | None) -> str | None:
        if route == "":
            raise ValueError("names no route; write null where none is to take the request")
        return route

    @model_validator(mode="after")
    def _asks_something(self) -> ExpectBlock:
        if not self.model_fields_set:
            raise ValueError("expects nothing; give route, side, service, path, status or another key")
        if self.refused is not None and len(self.model_fields_set) > 1:
            raise ValueError("no route sees a refused request, so nothing else can be expected of it")
        return self


class CaseBlock(Block):
    """One test, or one row of a table."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    at: Positions = {}
    request: RequestBlock
    answer: AnswerBlock = AnswerBlock()
    expect: ExpectBlock


class _Head(Block):
    """What stands before the tests."""

    rules: Annotated[str | None, Field(min_length=1)] = None
    at: Positions = {}


@dataclass(frozen=True, slots=True)
class Case:
    """One request and what is expected of it."""

    name: str
    place: Place
    at: Mapping[str, Position]
    request: RequestBlock
    answer: AnswerBlock
    expect: ExpectBlock
    places: Mapping[str, Place]
    """Where each expectation stands, by key; and the request, last."""


@dataclass(frozen=True, slots=True)
class Cases:
    """A test file."""

    rules: str | None
    """The rules file that it names, as it is written there."""
    cases: tuple[Case, ...]
    routes: Mapping[str, Place]
    """Every route that an `at` names."""


def read_cases(file: Path) -> Cases:
    """Raises RulesError with every problem of the file."""
    name = str(file)
    text = read_text(file)
    if isinstance(text, Problem):
        raise RulesError([text])
    if not text.strip():
        raise RulesError([Problem(Place(name, 1, 1), "the file is empty; begin with 'tests:'", "empty")])
    return cases_of(text, name)


def cases_of(text: str, file: str) -> Cases:
    """The cases that `text` holds. Raises RulesError with every problem, each with its place in `file`."""
    root, problems = parse(text, file)
    if not isinstance(root, MappingNode):
        if root is not None:
            problems.append(Problem(root.place, "a test file is a mapping with the key 'tests'", "wrong-type"))
        raise RulesError(problems)
    head, found = validate(_Head, root.without("tests"), also=("tests",))
    problems += found
    routes: dict[str, Place] = dict(_named_in(root.get("at")))
    cases: list[Case] = []
    for node in _tests(root, problems):
        routes |= dict(_named_in(node.get("at")))
        blocks, found = rows_of(node)
        problems += found
        for block in blocks:
            case, found = _case(block, head.at if head is not None else {})
            problems += found
            cases += [case] if case is not None else []
    if problems or head is None:
        raise RulesError(sorted(dict.fromkeys(problems), key=lambda each: (each.place.line, each.place.column)))
    return Cases(head.rules, tuple(cases), routes)


def _tests(root: MappingNode, problems: list[Problem]) -> Iterator[MappingNode]:
    tests = root.get("tests")
    if not isinstance(tests, Sequence) or not tests.items:
        where = tests if tests is not None else root
        problems.append(Problem(where.place, "'tests': must be a list with a test (- name: ...)", "wrong-type"))
        return
    for node in tests.items:
        if isinstance(node, MappingNode):
            yield node
        else:
            problems.append(Problem(node.place, "a test is a mapping (- name: ...)", "wrong-type"))


def _case(node: MappingNode, everywhere: Positions) -> tuple[Case | None, list[Problem]]:
    block, problems = validate(CaseBlock, with_nothing_said(node), also=("table",))
    if block is None:
        return None, problems
    expect = node.get(EXPECT)
    places = {str(key.value): value.place for key, value in expect.entries} if isinstance(expect, MappingNode) else {}
    request = node.get(REQUEST)
    places |= {REQUEST: request.place} if request is not None else {}
    at = {name: Position(each.stage, each.share) for name, each in {**everywhere, **block.at}.items()}
    return Case(block.name, node.place, at, block.request, block.answer, block.expect, places), problems


def _named_in(at: Node | None) -> Iterator[tuple[str, Place]]:
    if isinstance(at, MappingNode):
        for key, _ in at.entries:
            yield str(key.value), key.place


def condition_text(wanted: Condition) -> str:
    """How a condition reads in a report: ``'abc'``, ``{prefix: shop-}``, ``absent``."""
    given = wanted.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if wanted.wants_absence:
        return "absent"
    return f"'{wanted.exact}'" if set(given) == {"exact"} else _flow(given)


def _flow(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    return str(value).lower() if isinstance(value, bool) else str(value)
