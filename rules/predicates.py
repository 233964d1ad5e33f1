"""What a route asks of a request, one predicate at a time: whether it holds, and in words why not.

The table asks `holds` on the hot path, of those predicates that its index does not answer; rules/explain.py asks all of
them, in the order of `predicates`. Values of headers, cookies and queries may be secrets: no sentence shows one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import unquote_plus

from rules.cookies import cookie_in
from rules.decision import Request
from rules.match import EVERY_PATH, Condition, Expression, Match, split_port
from rules.pattern import PathPattern, parse_pattern
from rules.regex import compile_regex

_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,19}").fullmatch


class Predicate(Protocol):
    @property
    def name(self) -> str:
        """``host``, ``path``, ``method``, ``client``, ``header x-app``, ``query q``, ``cookie c``, ``any``, ``not``."""

    def holds(self, request: Request) -> bool: ...

    def why_not(self, request: Request) -> str:
        """One sentence for a request of which it does not hold."""


def _full_match(expression: Any, text: str) -> bool:
    try:
        return expression.fullmatch(text) is not None
    except UnicodeEncodeError:  # a lone surrogate is no text; RE2 cannot be asked about it
        return False


class HostPredicate:
    """The request's host is one of these."""

    __slots__ = ("_expressions", "_wanted", "text")
    name = "host"

    def __init__(self, hosts: Sequence[str | Expression]) -> None:
        self._wanted = [split_port(host) for host in hosts if isinstance(host, str)]
        self._expressions = [compile_regex(host.regex) for host in hosts if isinstance(host, Expression)]
        self.text = " or ".join(_text(host) for host in hosts)

    def holds(self, request: Request) -> bool:
        host = request.host
        for wanted, port in self._wanted:
            if port is not None and port != request.port:
                continue
            if host == wanted or (wanted[0] == "*" and host.endswith(wanted[1:]) and len(host) >= len(wanted)):
                return True
        return any(_full_match(expression, host) for expression in self._expressions)

    def why_not(self, request: Request) -> str:
        port = f":{request.port}" if any(port is not None for _, port in self._wanted) else ""
        return f"the host is '{request.host}{port}', not {self.text}"


class PathPredicate:
    """The request's path is one of these; it also reads the captures."""

    __slots__ = ("_expressions", "_patterns", "text")
    name = "path"

    def __init__(self, paths: Sequence[str | Expression]) -> None:
        self._patterns = [parse_pattern(path) for path in paths if isinstance(path, str)]
        self._expressions = [compile_regex(path.regex) for path in paths if isinstance(path, Expression)]
        self.text = " or ".join(_text(path) for path in paths)

    def holds(self, request: Request) -> bool:
        path = request.path
        return any(pattern.matches(path) for pattern in self._patterns) or any(
            _full_match(expression, path) for expression in self._expressions
        )

    def captures(self, path: str) -> dict[str, str]:
        """Of the first pattern that matches, text before expressions; empty when none does."""
        for pattern in self._patterns:
            if pattern.matches(path):
                return pattern.captures(path)
        for expression in self._expressions:
            found = expression.fullmatch(path)
            if found is not None:
                return {name: text or "" for name, text in found.groupdict().items()}
        return {}

    def why_not(self, request: Request) -> str:
        if len(self._patterns) == 1 and not self._expressions:
            return _why_not_this_path(self._patterns[0], request.path)
        if not self._patterns and len(self._expressions) == 1:
            return f"the path does not match the regex {self.text} as a whole"
        return f"the path matches none of {self.text}"


def _why_not_this_path(pattern: PathPattern, path: str) -> str:
    given, wanted = path[1:].split("/"), pattern.segments
    for number, (want, segment) in enumerate(zip(wanted, given, strict=False), 1):
        if want is not None and want != segment:
            return f"segment {number} is '{segment}', not '{want}' as in {pattern.text}"
        if want is None and not segment:
            return f"segment {number} is empty, and {pattern.text} wants one there"
    if len(given) < len(wanted):
        return f"the path ends after {len(given)} segments, and {pattern.text} has {len(wanted)}"
    return f"the path goes on after the {len(wanted)} segments of {pattern.text}"


@dataclass(frozen=True, slots=True)
class MethodPredicate:
    methods: tuple[str, ...]
    name: str = "method"

    def holds(self, request: Request) -> bool:
        return request.method in self.methods

    def why_not(self, request: Request) -> str:
        return f"the method is {request.method}, not {' or '.join(self.methods)}"


class ClientPredicate:
    """The client's address lies in one of these networks."""

    __slots__ = ("_networks", "text")
    name = "client"

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self.text = " or ".join(networks)

    def holds(self, request: Request) -> bool:
        try:
            address = ipaddress.ip_address(request.client)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def why_not(self, request: Request) -> str:
        return f"the client's address {request.client} is not in {self.text}"


class ValueTest:
    """One `Condition` of one value, None where there is none."""

    __slots__ = ("_inner", "_regex", "wanted")

    def __init__(self, wanted: Condition) -> None:
        self.wanted = wanted
        self._regex = compile_regex(wanted.regex) if wanted.regex is not None else None
        self._inner = ValueTest(wanted.not_) if wanted.not_ is not None else None

    def failed(self, value: str | None) -> str | None:
        """What is wrong with it, as the end of a sentence; None when nothing is."""
        wanted = self.wanted
        if value is None:
            if wanted.wants_absence or self._only_not():
                return None
            return "is absent"
        if wanted.wants_absence:
            return "is present, and must be absent"
        if wanted.exact is not None and value != wanted.exact:
            return f"is not '{wanted.exact}'"
        if wanted.prefix is not None and not value.startswith(wanted.prefix):
            return f"does not begin with '{wanted.prefix}'"
        if wanted.suffix is not None and not value.endswith(wanted.suffix):
            return f"does not end in '{wanted.suffix}'"
        if wanted.contains is not None and wanted.contains not in value:
            return f"does not contain '{wanted.contains}'"
        if self._regex is not None and not _full_match(self._regex, value):
            return f"does not match the regex '{wanted.regex}' as a whole"
        return self._failed_range(value) or self._failed_not(value)

    def _only_not(self) -> bool:
        """Whether nothing but `not` is asked, and it holds of an absent value."""
        asked = {name for name in type(self.wanted).model_fields if getattr(self.wanted, name) is not None}
        return asked == {"not_"} and self._inner is not None and self._inner.failed(None) is not None

    def _failed_range(self, value: str) -> str | None:
        between = self.wanted.range
        if between is None:
            return None
        if not _WHOLE_NUMBER(value):
            return "is not a whole number"
        number = int(value)
        if between.from_ is not None and number < between.from_:
            return f"is less than {between.from_}"
        if between.below is not None and number >= between.below:
            return f"is not below {between.below}"
        return None

    def _failed_not(self, value: str) -> str | None:
        if self._inner is not None and self._inner.failed(value) is None:
            return "is what it must not be"
        return None


class ConditionPredicate:
    """One header's, query parameter's or cookie's conditions."""

    __slots__ = ("_read", "_test", "name")

    def __init__(self, kind: str, key: str, wanted: Condition) -> None:
        self.name = f"{kind} {key}"
        self._test = ValueTest(wanted)
        self._read = _READERS[kind](key)

    def holds(self, request: Request) -> bool:
        return self._test.failed(self._read(request)) is None

    def why_not(self, request: Request) -> str:
        kind, _, key = self.name.partition(" ")
        return f"the {kind} '{key}' {self._test.failed(self._read(request))}"


def _header_reader(name: str) -> Callable[[Request], str | None]:
    def read(request: Request) -> str | None:
        values = request.values(name)  # several lines count as one value, joined by "," (RFC 9110 section 5.3)
        return (values[0] if len(values) == 1 else ",".join(values)) if values else None

    return read


def _cookie_reader(name: str) -> Callable[[Request], str | None]:
    def read(request: Request) -> str | None:
        lines = request.values("cookie")
        return cookie_in(";".join(lines), name) if lines else None

    return read


def _query_reader(name: str) -> Callable[[Request], str | None]:
    def read(request: Request) -> str | None:
        for pair in request.query.split("&"):
            key, _, value = pair.partition("=")
            if key == name or (("%" in key or "+" in key) and unquote_plus(key) == name):
                return unquote_plus(value)
        return None

    return read


_READERS = {"header": _header_reader, "cookie": _cookie_reader, "query": _query_reader}


@dataclass(frozen=True, slots=True)
class AllPredicate:
    """A whole match, as one predicate: every predicate of it holds."""

    inner: tuple[Predicate, ...]
    name: str = "all"

    def holds(self, request: Request) -> bool:
        return all(predicate.holds(request) for predicate in self.inner)

    def why_not(self, request: Request) -> str:
        return next(predicate.why_not(request) for predicate in self.inner if not predicate.holds(request))


@dataclass(frozen=True, slots=True)
class AnyPredicate:
    inner: tuple[AllPredicate, ...]
    name: str = "any"

    def holds(self, request: Request) -> bool:
        return any(predicate.holds(request) for predicate in self.inner)

    def why_not(self, request: Request) -> str:
        return "none of its alternatives holds: " + "; ".join(each.why_not(request) for each in self.inner)


@dataclass(frozen=True, slots=True)
class NotPredicate:
    inner: AllPredicate
    name: str = field(default="not")

    def holds(self, request: Request) -> bool:
        return not self.inner.holds(request)

    def why_not(self, request: Request) -> str:
        return "it is what must not match"


def predicates(match: Match) -> tuple[Predicate, ...]:
    """Every predicate of a match, in the order in which `explain` names the first that fails."""
    found: list[Predicate] = []
    if match.host:
        found.append(HostPredicate(match.host))
    if match.path != (EVERY_PATH,):
        found.append(PathPredicate(match.path))
    if match.methods is not None:
        found.append(MethodPredicate(match.methods))
    return (*found, *further_predicates(match))


def further_predicates(match: Match) -> tuple[Predicate, ...]:
    """Those that the table's index never answers: all but host, path and method."""
    found: list[Predicate] = []
    for kind, conditions in (("header", match.headers), ("query", match.query), ("cookie", match.cookies)):
        found += [ConditionPredicate(kind, key, wanted) for key, wanted in conditions.items()]
    if match.client:
        found.append(ClientPredicate(match.client))
    for each in match.all:
        found += predicates(each)
    if match.any:
        found.append(AnyPredicate(tuple(whole(each) for each in match.any)))
    if match.not_ is not None:
        found.append(NotPredicate(whole(match.not_)))
    return tuple(found)


def whole(match: Match) -> AllPredicate:
    return AllPredicate(predicates(match))


def _text(wanted: str | Expression) -> str:
    return f"'{wanted}'" if isinstance(wanted, str) else f"the regex '{wanted.regex}'"
