"""What a route asks of a request, one predicate at a time: whether it holds, and in words why not.

The table asks `HeaderPredicate.holds` on the hot path; rules/explain.py asks all of them, in the order of `predicates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import re2

from rules.decision import Request
from rules.document import HeaderMatch, Match
from rules.pattern import PathPattern, parse_pattern


class Predicate(Protocol):
    @property
    def name(self) -> str:
        """``host``, ``path``, ``method`` or ``header x-app``."""

    def holds(self, request: Request) -> bool: ...

    def why_not(self, request: Request) -> str:
        """One sentence for a request of which it does not hold."""


@dataclass(frozen=True, slots=True)
class HostPredicate:
    host: str
    name: str = "host"

    def holds(self, request: Request) -> bool:
        if self.host.startswith("*."):
            return request.host.endswith(self.host[1:]) and len(request.host) > len(self.host) - 1
        return request.host == self.host

    def why_not(self, request: Request) -> str:
        return f"the host is '{request.host}', not '{self.host}'"


@dataclass(frozen=True, slots=True)
class PathPredicate:
    pattern: PathPattern
    name: str = "path"

    def holds(self, request: Request) -> bool:
        return self.pattern.matches(request.path)

    def why_not(self, request: Request) -> str:
        given, wanted = request.path[1:].split("/"), self.pattern.segments
        for number, (want, segment) in enumerate(zip(wanted, given, strict=False), 1):
            if want is not None and want != segment:
                return f"segment {number} is '{segment}', not '{want}' as in {self.pattern.text}"
            if want is None and not segment:
                return f"segment {number} is empty, and {self.pattern.text} wants one there"
        if len(given) < len(wanted):
            return f"the path ends after {len(given)} segments, and {self.pattern.text} has {len(wanted)}"
        return f"the path goes on after the {len(wanted)} segments of {self.pattern.text}"


@dataclass(frozen=True, slots=True)
class MethodPredicate:
    methods: tuple[str, ...]
    name: str = "method"

    def holds(self, request: Request) -> bool:
        return request.method in self.methods

    def why_not(self, request: Request) -> str:
        return f"the method is {request.method}, not {' or '.join(self.methods)}"


class HeaderPredicate:
    """One header's conditions. Several lines of the header count as one, joined by "," (RFC 9110 section 5.3)."""

    __slots__ = ("_regex", "header", "name", "wanted")

    def __init__(self, header: str, wanted: HeaderMatch) -> None:
        self.header = header
        self.name = f"header {header}"
        self.wanted = wanted
        self._regex: Any = re2.compile(wanted.regex) if wanted.regex is not None else None

    def holds(self, request: Request) -> bool:
        values = request.values(self.header)
        if not values:
            return self.wanted.present is False
        return self._failed(values) is None

    def why_not(self, request: Request) -> str:
        values = request.values(self.header)
        if not values:
            return f"the request has no header '{self.header}'"
        return f"the header '{self.header}' {self._failed(values)}"

    def _failed(self, values: Sequence[str]) -> str | None:
        """What is wrong with the values that are there; None when nothing is. Values may be secrets: none is shown."""
        wanted = self.wanted
        value = values[0] if len(values) == 1 else ",".join(values)
        if wanted.present is False:
            return "is present, and must be absent"
        if wanted.exact is not None and value != wanted.exact:
            return f"is not '{wanted.exact}'"
        if wanted.prefix is not None and not value.startswith(wanted.prefix):
            return f"does not begin with '{wanted.prefix}'"
        if wanted.suffix is not None and not value.endswith(wanted.suffix):
            return f"does not end in '{wanted.suffix}'"
        if wanted.contains is not None and wanted.contains not in value:
            return f"does not contain '{wanted.contains}'"
        if self._regex is not None and not self._full_match(value):
            return f"does not match the regex '{wanted.regex}' as a whole"
        return None

    def _full_match(self, value: str) -> bool:
        try:
            return self._regex.fullmatch(value) is not None
        except UnicodeEncodeError:  # a lone surrogate is no text; RE2 cannot be asked about it
            return False


def header_predicates(match: Match) -> tuple[HeaderPredicate, ...]:
    return tuple(HeaderPredicate(name, wanted) for name, wanted in match.headers.items())


def predicates(match: Match) -> tuple[Predicate, ...]:
    """Every predicate of a match, in the order in which `explain` names the first that fails."""
    found: list[Predicate] = []
    if match.host is not None:
        found.append(HostPredicate(match.host))
    found.append(PathPredicate(parse_pattern(match.path)))
    if match.methods is not None:
        found.append(MethodPredicate(match.methods))
    return (*found, *header_predicates(match))
