"""What a route asks of a request, one predicate at a time: whether it holds, and in words why not.

The table asks `holds` on the hot path, of those predicates that its index does not answer; rules/explaining asks all of
them, in the order of `predicates`. What values must be is conditions.py's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from rules.decision import Request
from rules.match import EVERY_PATH, Condition, Expression, Match, split_port
from rules.matching.conditions import ConditionPredicate, reader
from rules.matching.hosts import plain_host
from rules.matching.pattern import PathExpression, PathPattern, parse_pattern
from rules.matching.regex import whole_matcher


class Predicate(Protocol):
    @property
    def name(self) -> str:
        """``host``, ``path``, ``method``, ``client``, ``header x-app``, ``query q``, ``cookie c``, ``any``, ``not``."""

    def holds(self, request: Request) -> bool:
        """Never raises."""

    def why_not(self, request: Request) -> str:
        """One sentence for a request of which it does not hold."""


class HostPredicate:
    """The request's host is one of these."""

    __slots__ = ("_expressions", "_names", "_ported", "_suffixes", "text")
    name = "host"

    def __init__(self, hosts: Sequence[str | Expression]) -> None:
        wanted = [split_port(host) for host in hosts if isinstance(host, str)]
        self._names = frozenset(host for host, port in wanted if port is None and host[0] != "*")
        self._suffixes = tuple(host[1:] for host, port in wanted if port is None and host[0] == "*")
        self._ported = tuple((host, port) for host, port in wanted if port is not None)
        self._expressions = tuple(whole_matcher(host.regex) for host in hosts if isinstance(host, Expression))
        self.text = " or ".join(_text(host) for host in hosts)

    def holds(self, request: Request) -> bool:
        host = plain_host(request.host)
        if host in self._names or host[1:].endswith(self._suffixes):  # at least one character stands before a suffix
            return True
        for wanted, port in self._ported:
            if port == request.port and (host == wanted or (wanted[0] == "*" and host[1:].endswith(wanted[1:]))):
                return True
        return any(matches(host) for matches in self._expressions)

    def why_not(self, request: Request) -> str:
        port = f":{request.port}" if self._ported else ""
        return f"the host is '{request.host}{port}', not {self.text}"


class PathPredicate:
    """The request's path is one of these; it also reads the captures."""

    __slots__ = ("_ways", "text")
    name = "path"

    def __init__(self, paths: Sequence[str | Expression]) -> None:
        self._ways: tuple[PathPattern | PathExpression, ...] = tuple(
            parse_pattern(path) if isinstance(path, str) else PathExpression(path.regex) for path in paths
        )
        self.text = " or ".join(_text(path) for path in paths)

    def holds(self, request: Request) -> bool:
        path = request.path
        for way in self._ways:  # noqa: SIM110 (hot: a generator costs as much again)
            if way.matches(path):
                return True
        return False

    def captures(self, path: str) -> dict[str, str]:
        """Of the first that matches, in the order of the list; empty when none does."""
        ways = self._ways
        if len(ways) == 1:
            return ways[0].captures(path)
        return next((way.captures(path) for way in ways if way.matches(path)), {})

    def why_not(self, request: Request) -> str:
        only = self._ways[0] if len(self._ways) == 1 else None
        if isinstance(only, PathPattern) and request.path[:1] == "/":
            return _why_not_this_path(only, request.path)
        if isinstance(only, PathExpression):
            return f"the path does not match {self.text} as a whole"
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
        found: dict[tuple[int, int], set[int]] = {}
        for network in map(ipaddress.ip_network, networks):
            shift = network.max_prefixlen - network.prefixlen
            found.setdefault((network.version, shift), set()).add(int(network.network_address) >> shift)
        self._networks = tuple((version, shift, frozenset(bits)) for (version, shift), bits in found.items())
        """(4 or 6, bits of an address that do not count, the networks' other bits): one look per length of a prefix."""
        self.text = " or ".join(networks)

    def holds(self, request: Request) -> bool:
        version, number = _address(request.client)
        for of, shift, networks in self._networks:  # noqa: SIM110
            if of == version and number >> shift in networks:
                return True
        return False

    def why_not(self, request: Request) -> str:
        return f"the client's address {request.client} is not in {self.text}"


@lru_cache(maxsize=4096)
def _address(client: str) -> tuple[int, int]:
    """4 or 6, and the address as a number; version 0 for what is no address. Parsed once for all routes that ask."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return 0, 0
    return address.version, int(address)


@dataclass(frozen=True, slots=True)
class SchemePredicate:
    """The client came by http, or by https."""

    scheme: str
    name: str = "scheme"

    def holds(self, request: Request) -> bool:
        return request.secure is (self.scheme == "https")

    def why_not(self, request: Request) -> str:
        return f"the client came by {'https' if request.secure else 'http'}, not by {self.scheme}"


@dataclass(frozen=True, slots=True)
class AllPredicate:
    """A whole match, as one predicate: every predicate of it holds."""

    inner: tuple[Predicate, ...]
    name: str = "all"

    def holds(self, request: Request) -> bool:
        for predicate in self.inner:  # noqa: SIM110
            if not predicate.holds(request):
                return False
        return True

    def why_not(self, request: Request) -> str:
        return next(predicate.why_not(request) for predicate in self.inner if not predicate.holds(request))


class AnyPredicate:
    """At least one of its alternatives holds."""

    __slots__ = ("_others", "_values", "inner")
    name = "any"

    def __init__(self, inner: tuple[AllPredicate, ...]) -> None:
        self.inner = inner
        values: dict[tuple[str, str], set[str]] = {}
        others = []
        for each in inner:
            only = each.inner[0] if len(each.inner) == 1 else None
            value = only.wanted.only_value if isinstance(only, ConditionPredicate) else None
            if isinstance(only, ConditionPredicate) and value is not None:
                values.setdefault((only.kind, only.key), set()).add(value)
            else:
                others.append(each)
        self._values = tuple((reader(*key), frozenset(wanted)) for key, wanted in values.items())
        """A list of a thousand customers, each an alternative, is one look."""
        self._others = tuple(others)

    def holds(self, request: Request) -> bool:
        for read, values in self._values:
            if read(request) in values:
                return True
        for predicate in self._others:  # noqa: SIM110
            if predicate.holds(request):
                return True
        return False

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
        found += [_condition(kind, key, wanted) for key, wanted in conditions.items()]
    if match.client:
        found.append(_client(match.client))
    if match.scheme is not None:
        found.append(SchemePredicate(match.scheme))
    for each in match.all:
        found += predicates(each)
    if match.any:
        found.append(AnyPredicate(tuple(whole(each) for each in match.any)))
    if match.not_ is not None:
        found.append(NotPredicate(whole(match.not_)))
    return tuple(found)


@lru_cache(maxsize=1024)
def _condition(kind: str, key: str, wanted: Condition) -> ConditionPredicate:
    """Many routes ask the same of a value; they share what asks it."""
    return ConditionPredicate(kind, key, wanted)


@lru_cache(maxsize=1024)
def _client(networks: tuple[str, ...]) -> ClientPredicate:
    return ClientPredicate(networks)


def whole(match: Match) -> AllPredicate:
    return AllPredicate(predicates(match))


def _text(wanted: str | Expression) -> str:
    return f"'{wanted}'" if isinstance(wanted, str) else f"the regex '{wanted.regex}'"
