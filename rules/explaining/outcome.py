"""What a choice comes to: the request that a side's service gets, what becomes of its answer, or fig's own answer.

Pure, for whoever explains or tests rules; the data plane does the same to bytes (proxy/dataplane/rewrites.py), and
tests/e2e/test_explain_live.py holds the two against each other. Fields that fig writes for every request
(X-Forwarded-*, X-Request-Id, traceparent) are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rules.action import SERVICE_HOST, Retries
from rules.asked import ENDS_AT_FIG, Asked
from rules.decision import OWN_PORTS, Choice
from rules.matching.cookies import without_cookie
from rules.own_answers import OwnAnswer
from rules.rewriting import FieldChanges, RewriteError, Rewritten, Values
from rules.stages import Side
from rules.table import CompiledRoute, Table

A_REQUEST_ID = "(request id)"
"""Stands where a template asks for the id that a real request would have."""

Lines = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """What is done to the header lines of one message."""

    removed: tuple[str, ...] = ()
    """Names, lower case, sorted; whether or not the message has them."""
    appended: Lines = ()
    """(name, value), behind what is left."""

    def applied(self, headers: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """Headers by lower-case name, each with its lines, after the change."""
        # CGI and WSGI read X_Secret and X-Secret as one: whoever removes the one means the other too.
        gone = {name.replace("_", "-") for name in self.removed}
        changed = {name: values for name, values in headers.items() if name.replace("_", "-") not in gone}
        for name, value in self.appended:
            changed[name.lower()] = (*changed.get(name.lower(), ()), value)
        return changed


@dataclass(frozen=True, slots=True)
class Sent:
    """One side's part: what its service is asked, and what is done to its answer."""

    side: Side
    service: str
    urls: tuple[str, ...]
    """Of the service: one of them is asked."""
    balance: str
    """How it is chosen."""
    path: str
    query: str
    host: str
    """The Host line; where it is the endpoint's own, and there are several, each of them with ``or`` between."""
    request: Changed
    answer: Changed
    refused: str
    """Why nothing can be sent, when the rules make something of the request that is no request; else ``""``."""
    timeout: float
    """Seconds to the answer's first byte."""
    retries: Retries | None
    max_body: int | None
    """Bytes; None for no limit."""

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True, slots=True)
class OwnOutcome:
    """fig answers by itself."""

    answer: OwnAnswer | None
    refused: str
    """Why it cannot, as in `Sent`; then the client gets an error instead."""


def sent(table: Table, route: CompiledRoute, side: Side, request: Asked, request_id: str = A_REQUEST_ID) -> Sent:
    """What `side` of `route` gets of the request, whether it answers or gets a copy. `request_id` is what templates
    that ask for it are filled with."""
    service = route.candidate if side is Side.CANDIDATE else route.legacy
    spec = table.services[service]
    values = {**values_of(route, side, request), "request_id": request_id}
    change = route.changes[side]
    line, refused = Rewritten(request.path, request.query, ""), ""
    if change is not None and request.path != "*":  # OPTIONS * has no path to rewrite
        try:
            line = change.request(request, values)
        except RewriteError as exc:
            refused = str(exc)
    own = " or ".join(sorted(endpoint.authority for endpoint in spec.endpoints))
    host = {"": _host_line(request), SERVICE_HOST: own}.get(line.host, line.host)
    return Sent(
        side=side,
        service=service,
        urls=tuple(endpoint.url for endpoint in spec.endpoints),
        balance=spec.balance,
        path=line.path,
        query=line.query,
        host=host,
        request=_changed(change.request_fields if change is not None else None, values),
        answer=_changed(change.answer_fields if change is not None else None, values),
        refused=refused,
        timeout=route.timeout or spec.timeout,
        retries=route.retries,
        max_body=route.max_body,
    )


def forwarded(table: Table, request: Asked) -> dict[str, tuple[str, ...]]:
    """The client's header lines that go on to a service, by lower-case name, before a route changes them."""
    headers = {name: tuple(values) for name, values in request.headers.items() if name not in ENDS_AT_FIG}
    force = table.force
    if force is not None and force.header is not None:
        headers.pop(force.header, None)  # the token is fig's secret, and no service sees it
    if force is not None and force.cookie is not None and "cookie" in headers:
        kept = (without_cookie(line, force.cookie) for line in headers.pop("cookie"))
        if lines := tuple(line for line in kept if line):
            headers["cookie"] = lines
    return headers


def own_outcome(choice: Choice, request: Asked) -> OwnOutcome | None:
    """fig's own answer; None where a side answers."""
    route = choice.decision.route
    if route.own is None:
        return None
    try:
        values = values_of(route, choice.decision.side, request)
        return OwnOutcome(route.own.answer(request, request.scheme, values), "")
    except RewriteError as exc:
        return OwnOutcome(None, str(exc))


def values_of(route: CompiledRoute, side: Side, request: Asked) -> Values:
    """What templates are filled with (rules/templates.py)."""
    return {
        **route.captures(request),
        "client": request.client,
        "host": request.host,
        "path": request.path,
        "query": request.query,
        "request_id": A_REQUEST_ID,
        "route": route.name,
        "side": side.value,
    }


def _changed(fields: FieldChanges | None, values: Values) -> Changed:
    if fields is None:
        return Changed()
    return Changed(tuple(sorted(fields.removed)), tuple(fields.lines(values)))


def _host_line(request: Asked) -> str:
    lines = request.values("host")
    if lines:
        return lines[0]
    return request.host if request.port == OWN_PORTS[request.scheme] else f"{request.host}:{request.port}"
