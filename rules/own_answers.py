"""Answers that fig gives by itself because a route says so: redirects and fixed answers. Pure.

A redirect's Location is an absolute URL: what the block does not give is taken from the request. Ports are those of
the Gateway API (HTTPRequestRedirectFilter): 80 of http and 443 of https are left out, a scheme that is given without a
port means its own port, and with neither given the port stays the one that Host named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from rules.action import Redirect, Respond
from rules.decision import OWN_PORTS, Request
from rules.document import Defaults, Route
from rules.match import split_port
from rules.rewriting import FieldChanges, RewriteError, Rewriting, Values, compile_fields, compile_rewriting
from rules.templates import Template, parse_template

_PORTS_LEFT_OUT = OWN_PORTS | {"ws": OWN_PORTS["http"], "wss": OWN_PORTS["https"]}
_PLAIN_TEXT = ("Content-Type", "text/plain; charset=utf-8")


class OwnAnswer(NamedTuple):
    """Without framing fields; the data plane writes those."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Location:
    """Where a compiled `redirect` leads."""

    block: Redirect
    rewriting: Rewriting

    def of(self, request: Request, scheme: str, values: Values) -> str:
        """The URL; without a host (HTTP/1.0 may leave it out) the path alone. Raises RewriteError."""
        path, query, host = self.rewriting.of(request, values)
        if not path.startswith("/"):  # OPTIONS * asks about the server, and no URL says that
            raise RewriteError("it is about no path, so there is none to lead to")
        if self.block.query == "drop" and query is request.query:
            query = ""
        target = f"{path}?{query}" if query else path
        scheme_now = self.block.scheme or scheme
        authority = host or request.host
        if not authority:
            return target
        authority, port = split_port(authority)
        if self.block.port is not None:
            port = self.block.port
        elif port is None and self.block.scheme is None:
            port = request.port
        if port is not None and port != _PORTS_LEFT_OUT[scheme_now]:
            authority = f"{authority}:{port}"
        return f"{scheme_now}://{authority}{target}"


@dataclass(frozen=True, slots=True)
class Own:
    """The compiled `redirect` or `respond` of one route."""

    status: int
    location: _Location | None
    fields: tuple[tuple[str, Template], ...]
    body: bytes
    changes: FieldChanges | None
    """Of the route's `response_headers`; an answer of fig's own belongs to no side, so `sides` does not bind it."""

    def answer(self, request: Request, scheme: str, values: Values) -> OwnAnswer:
        """The whole answer, `response_headers` applied. `scheme`: the client's, http or https. Raises RewriteError."""
        lines = [(name, template.fill_line(values)) for name, template in self.fields]
        if self.location is not None:
            lines.append(("Location", self.location.of(request, scheme, values)))
        if self.changes is not None:
            lines = [(name, value) for name, value in lines if name.lower() not in self.changes.removed]
            lines += self.changes.lines(values)
        return OwnAnswer(self.status, tuple(lines), self.body)

    @property
    def names(self) -> frozenset[str]:
        """The values that it asks for, so that nobody collects what no template wants."""
        found = frozenset[str]().union(*(template.names for _, template in self.fields))
        if self.location is not None:
            found |= self.location.rewriting.names
        return found | (self.changes.names if self.changes is not None else frozenset())


def compile_own(spec: Route, defaults: Defaults | None = None) -> Own | None:
    """None for a route that sides answer. Of the file's defaults, its `response_headers` count with `sides: both`."""
    said = spec.response_headers
    if said is None and defaults is not None and defaults.response_headers is not None:
        said = defaults.response_headers if defaults.response_headers.sides == "both" else None
    changes = compile_fields(said) if said is not None else None
    if spec.redirect is not None:
        location = _Location(spec.redirect, compile_rewriting(spec.redirect))
        return Own(spec.redirect.status, location, (), b"", changes)
    if spec.respond is not None:
        return _fixed(spec.respond, changes)
    return None


def _fixed(block: Respond, changes: FieldChanges | None) -> Own:
    fields = tuple((name, parse_template(value)) for name, value in block.headers.items())
    if block.body and not any(name.lower() == "content-type" for name in block.headers):
        fields = ((_PLAIN_TEXT[0], parse_template(_PLAIN_TEXT[1])), *fields)
    return Own(block.status, None, fields, block.body.encode(), changes)
