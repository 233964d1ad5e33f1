"""One case's routes in fig's own model, and everything that fig makes of one request. What every dialect shares.

A dialect's adapter writes routes as plain data, exactly what a rules file would say, and they go through fig's real
models, table, rewriting and own answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rules.asked import Asked
from rules.decision import Request
from rules.document import Rules
from rules.effective import Effective
from rules.matching.path import normalise
from rules.own_answers import OwnAnswer
from rules.rewriting import FieldChanges, Rewritten, Values
from rules.stages import Stage
from rules.table import NO_ROUTE, Table, compile_table

Lines = list[tuple[str, str]]
NO_SUCH_ROUTE = "no route"
OUTSIDE, INSIDE = "203.0.113.9", "10.0.0.9"
"""Addresses of a client elsewhere, and of one in the house's own network."""


class OutOfScopeError(Exception):
    """The case asks for what fig does not do on purpose, or cannot know; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Happened:
    """What fig does with one request."""

    number: int | None
    """Which of the routes took it, None for none."""
    services: frozenset[str]
    """Who may answer: in stage canary either side, because the unit's bucket decides."""
    copies: frozenset[str]
    answer: OwnAnswer | None
    sent: Rewritten
    request_lines: Lines
    captures: dict[str, str]
    changes_of_answer: FieldChanges | None
    values: Values

    def answer_lines(self, lines: Lines) -> Lines:
        """What the client gets of these header lines of a service's answer."""
        return changed(self.changes_of_answer, lines, self.values)


def table_of(routes: Sequence[dict[str, Any]]) -> Table:
    """The compiled table of these routes; services are whatever they name. Raises ValueError."""
    names = {route.get(side) for route in routes for side in ("candidate", "legacy")} - {None} | {NO_SUCH_ROUTE}
    keys = {name: f"s{number}" for number, name in enumerate(sorted(map(str, names)))}
    named = []
    for number, route in enumerate(routes):
        sides = {side: keys[route[side]] for side in ("candidate", "legacy") if side in route}
        named.append({"name": f"r{number}"} | route | sides)
    services = {key: {"url": f"http://{key}.test"} for key in keys.values()}
    content = {"version": 1, "services": services, "legacy": keys[NO_SUCH_ROUTE], "routes": named}
    rules = Rules.model_validate_json(json.dumps(content), strict=True)
    return compile_table(Effective(generation=1, rules=rules))


def asked(
    method: str, host: str, target: str, headers: dict[str, Any], port: int = 80, client: str = OUTSIDE
) -> Asked | None:
    """The request as the data plane hands it on; None where fig answers 400 because its path has no single reading."""
    raw, _, query = target.partition("#")[0].partition("?")
    path = normalise(raw or "/")
    if path is None:
        return None
    lines = {name.lower(): value if isinstance(value, list) else [value] for name, value in headers.items()}
    name, named_port = _split(host.lower())
    return Asked(method, name, path, query, client, named_port or port, headers=lines)


def _split(host: str) -> tuple[str, int | None]:
    name, colon, port = host.rpartition(":")
    return (name, int(port)) if colon and port.isdigit() and not host.endswith("]") else (host, None)


def happens(table: Table, services: Sequence[Iterable[str]], request: Asked, scheme: str = "http") -> Happened:
    """`services`: by route, the names of those among which its unit chooses; empty for an answer of fig's own."""
    route = table.route(request)
    decision = table.decide(request, lambda: "unit").decision
    assert decision.route is route
    number = None if route.name == NO_ROUTE else route.index
    captures = route.captures(request)
    values = captures | _variables(request, decision.side.value, route.name)
    chosen = frozenset(services[number]) if number is not None else frozenset[str]()
    nothing = Rewritten(request.path, request.query, "")
    if route.own is not None:
        answer = route.own.answer(request, scheme, values)
        return Happened(number, frozenset(), frozenset(), answer, nothing, [], captures, None, values)
    change = route.changes[decision.side]
    copies = frozenset({"copy"}) if decision.copy_to is not None and route.stage is Stage.SHADOW else frozenset[str]()
    lines = [(name, value) for name, found in request.headers.items() for value in found]
    if change is None:
        return Happened(number, chosen, copies, None, nothing, lines, captures, None, values)
    sent = change.request(request, values)
    lines = changed(change.request_fields, lines, values)
    return Happened(number, chosen, copies, None, sent, lines, captures, change.answer_fields, values)


def _variables(request: Request, side: str, route: str) -> dict[str, str]:
    return {
        "client": request.client,
        "host": request.host,
        "path": request.path,
        "query": request.query,
        "request_id": "0",
        "route": route,
        "side": side,
    }


def changed(changes: FieldChanges | None, lines: Lines, values: Values) -> Lines:
    if changes is None:
        return lines
    return [(name, value) for name, value in lines if name.lower() not in changes.removed] + changes.lines(values)


def joined(lines: Lines, name: str) -> str | None:
    """The value of a field: its lines joined by commas (RFC 9110 section 5.3), None without one."""
    found = [value for field, value in lines if field.lower() == name.lower()]
    return ",".join(found) if found else None


def literal(text: str) -> str:
    """`text` as a template: its braces stand for themselves."""
    return text.replace("{", "{{").replace("}", "}}")
