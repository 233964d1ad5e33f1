"""What a route changes of one side's requests and answers, compiled. Pure; the data plane applies it.

Values of templates come as one mapping: the captures of the match, and the variables of rules/templates.py. Everything
is parsed when rules are compiled; a request costs joins of strings, and one look at the path that comes out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from rules.action import HeaderChanges, NewPath, Substitution, is_authority
from rules.decision import Request
from rules.document import Defaults, Route
from rules.matching.path import normalise
from rules.matching.regex import compile_regex
from rules.stages import Side
from rules.templates import REST, Template, parse_replacement, parse_template

Values = Mapping[str, str]
_DOT_SEGMENT = re.compile(r"/(?:\.|%2[Ee]){1,2}(?:/|$)")
LONGEST_PATH = 65_536
"""Characters that a rewritten path may have: a regex with a long replacement must not make megabytes of a request."""


class Rewritten(NamedTuple):
    """The request line and Host that a service gets."""

    path: str
    """Normalised."""
    query: str
    host: str
    """``""``: the client's own is preserved; ``service``: that of the service's URL."""


class RewriteError(ValueError):
    """What the rules make of this request cannot be sent: its path has no single reading, or its host is none."""


@dataclass(frozen=True, slots=True)
class FieldChanges:
    """Fields to take away, then lines to append."""

    removed: frozenset[str]
    """Lower case; also those that are set."""
    appended: tuple[tuple[str, Template], ...]

    def lines(self, values: Values) -> list[tuple[str, str]]:
        """What is appended for one message, as (name, value). No value holds a control byte of the request's."""
        return [(name, template.fill_line(values)) for name, template in self.appended]

    @property
    def names(self) -> frozenset[str]:
        """The values that `lines` asks for."""
        return frozenset[str]().union(*(template.names for _, template in self.appended))


@dataclass(frozen=True, slots=True)
class Rewriting:
    """A compiled `rewrite`, or what a `redirect` says of path and host."""

    target: Callable[[Request, Values], tuple[str, str]]
    """The path, not yet normalised, and the query. Raises RewriteError."""
    host: Template | None
    names: frozenset[str]
    """The values that it asks for."""

    def of(self, request: Request, values: Values) -> Rewritten:
        """Raises RewriteError."""
        path, query = self.target(request, values)
        if path is not request.path:
            # A value must not climb out of the template: {query} and {request_id} hold what the client likes.
            seen = normalise(path) if _DOT_SEGMENT.search(path) is None else None
            if seen is None:
                raise RewriteError(f"the path that the rules make of it has no single reading: {path:.200}")
            path = seen
        return Rewritten(path, query, _authority(self.host, values) if self.host is not None else "")


def _authority(template: Template, values: Values) -> str:
    host = template.fill(values).lower()
    if not is_authority(host):
        raise RewriteError(f"the host that the rules make of it is none: {host:.200}")
    return host


@dataclass(frozen=True, slots=True)
class SideChange:
    """What one route changes of the requests to one side, and of that side's answers."""

    rewrite: Rewriting | None
    request_fields: FieldChanges | None
    answer_fields: FieldChanges | None

    def request(self, request: Request, values: Values) -> Rewritten:
        """What the request's line and Host become. Raises RewriteError."""
        if self.rewrite is None:
            return Rewritten(request.path, request.query, "")
        return self.rewrite.of(request, values)

    @property
    def names(self) -> frozenset[str]:
        """The values that it asks for, so that nobody collects what no template wants."""
        parts = (self.rewrite, self.request_fields, self.answer_fields)
        return frozenset[str]().union(*(part.names for part in parts if part is not None))


def compile_changes(spec: Route, defaults: Defaults) -> dict[Side, SideChange | None]:
    """For each side, None where nothing is changed."""
    found: dict[Side, SideChange | None] = {}
    for side in Side:
        rewrite = spec.rewrite if spec.rewrite is not None and spec.rewrite.sides in (side.value, "both") else None
        request = _fields(spec.request_headers or defaults.request_headers, side)
        answer = _fields(spec.response_headers or defaults.response_headers, side)
        changes = rewrite is not None or request is not None or answer is not None
        compiled = compile_rewriting(rewrite) if rewrite is not None else None
        found[side] = SideChange(compiled, request, answer) if changes else None
    return found


def _fields(changes: HeaderChanges | None, side: Side) -> FieldChanges | None:
    if changes is None or changes.sides not in (side.value, "both"):
        return None
    return compile_fields(changes)


def compile_fields(changes: HeaderChanges) -> FieldChanges:
    """Whichever side they are for."""
    removed = frozenset(name.lower() for name in (*changes.remove, *changes.set))
    appended = tuple((name, parse_template(text)) for name, text in (*changes.set.items(), *changes.add.items()))
    return FieldChanges(removed, appended)


def compile_rewriting(block: NewPath) -> Rewriting:
    host = parse_template(block.host) if block.host is not None else None
    target, names = _target(block)
    return Rewriting(target, host, names | (host.names if host is not None else frozenset()))


def _target(block: NewPath) -> tuple[Callable[[Request, Values], tuple[str, str]], frozenset[str]]:
    if block.path is not None:
        template = parse_template(block.path)
        return _by_template(*template.split("?")), template.names
    if block.prefix is not None:
        template = parse_template(block.prefix)
        return _by_prefix(template), template.names | {REST}
    if block.regex is not None:
        return _by_regex(block.regex), frozenset()
    return lambda request, values: (request.path, request.query), frozenset()


def _by_template(path: Template, query: Template | None) -> Callable[[Request, Values], tuple[str, str]]:
    if query is None:
        return lambda request, values: (path.fill(values) or "/", request.query)
    return lambda request, values: (path.fill(values) or "/", query.fill_query(values))


def _by_prefix(prefix: Template) -> Callable[[Request, Values], tuple[str, str]]:
    def target(request: Request, values: Values) -> tuple[str, str]:
        # The rest begins with its own slash (or is none), so one at the prefix's end would come twice.
        rest = values.get(REST, "")
        before = prefix.fill(values)
        return (before.rstrip("/") + rest if rest else before), request.query

    return target


def _by_regex(block: Substitution) -> Callable[[Request, Values], tuple[str, str]]:
    expression = compile_regex(block.match)
    parts = parse_replacement(block.replace)

    def replace(found: Any) -> str:
        return "".join([part if isinstance(part, str) else found[part] or "" for part in parts])

    def target(request: Request, values: Values) -> tuple[str, str]:
        path = expression.sub(replace, request.path)
        if len(path) > LONGEST_PATH:
            raise RewriteError(f"the path that the rules make of it is longer than {LONGEST_PATH} characters")
        if path[:1] != "/" and request.path[:1] == "/":
            path = "/" + path  # `^/api/` with nothing in its place takes the first slash along, and means the rest
        return path, request.query

    return target
