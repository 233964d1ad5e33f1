"""Which routes might take a request of which only a part is known, as of a line of an access log.

A condition on what is not known is neither true nor false, but open (Kleene's three values). The first route that is
sure to take the request ends the search; open ones before it might take it instead.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rules.asked import Asked
from rules.changes.neighbours import Neighbours
from rules.match import Match, split_port
from rules.matching.conditions import ConditionPredicate
from rules.matching.index import Index
from rules.matching.predicates import ClientPredicate, HostPredicate, MethodPredicate, PathPredicate
from rules.table import CompiledRoute, Table


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a request besides method, path and the client's address. Headers and cookies never are."""

    host: bool
    port: bool
    query: bool


Truth = bool | None
"""None: open."""
Test = Callable[[Asked, Known], Truth]


def test_of(match: Match) -> Test:
    """Whether the match takes a request, as far as can be known."""
    tests: list[Test] = [_path(match)]
    if match.host:
        tests.append(_host(match))
    if match.methods is not None:
        tests.append(_surely(MethodPredicate(match.methods).holds))
    if match.headers or match.cookies or match.scheme is not None:
        tests.append(lambda request, known: None)
    if match.query:
        tests.append(_query(match))
    if match.client:
        tests.append(_client(match))
    tests += [test_of(each) for each in match.all]
    if match.any:
        tests.append(_any([test_of(each) for each in match.any]))
    if match.not_ is not None:
        tests.append(_not(test_of(match.not_)))
    return _all(tests)


def _surely(holds: Callable[[Asked], bool]) -> Test:
    return lambda request, known: holds(request)


def _path(match: Match) -> Test:
    return _surely(PathPredicate(match.path).holds)


def _host(match: Match) -> Test:
    exactly = HostPredicate(match.host)
    whatever_port = HostPredicate([split_port(host)[0] if isinstance(host, str) else host for host in match.host])
    any_port = [host for host in match.host if not isinstance(host, str) or split_port(host)[1] is None]
    portless = HostPredicate(any_port) if any_port else None

    def test(request: Asked, known: Known) -> Truth:
        if not known.host:
            return None
        if known.port:
            return exactly.holds(request)
        if portless is not None and portless.holds(request):
            return True
        return None if whatever_port.holds(request) else False

    return test


def _query(match: Match) -> Test:
    wanted = [ConditionPredicate("query", key, condition) for key, condition in match.query.items()]
    return lambda request, known: all(each.holds(request) for each in wanted) if known.query else None


def _client(match: Match) -> Test:
    wanted = ClientPredicate(match.client)

    def test(request: Asked, known: Known) -> Truth:
        try:
            ipaddress.ip_address(request.client)
        except ValueError:
            return None  # a log may hold the client's name
        return wanted.holds(request)

    return test


def _all(tests: Sequence[Test]) -> Test:
    def test(request: Asked, known: Known) -> Truth:
        found: Truth = True
        for each in tests:
            truth = each(request, known)
            if truth is False:
                return False
            if truth is None:
                found = None
        return found

    return test


def _any(tests: Sequence[Test]) -> Test:
    return _not(_all([_not(each) for each in tests]))


def _not(inner: Test) -> Test:
    def test(request: Asked, known: Known) -> Truth:
        truth = inner(request, known)
        return None if truth is None else not truth

    return test


class Possibilities:
    """Asks one table about requests of which only a part is known."""

    def __init__(self, table: Table) -> None:
        self._routes = table.routes
        self._matches = [route.spec.match for route in table.routes[:-1]]
        self._tests: dict[int, Test] = {}
        self._indexes: dict[bool, Index] = {}
        self._neighbours: Neighbours | None = None
        self._is_clear = [_is_clear(match) for match in self._matches]

    def of(self, request: Asked, known: Known) -> tuple[CompiledRoute, ...]:
        """Who might take the request, in file order. The last is sure to when none before it does."""
        first = self._index(known.host).find(request)
        if first == len(self._matches):
            return (self._routes[-1],)
        if self._is_clear[first] and (known.host or not self._matches[first].host):
            return (self._routes[first],)
        return self._further(request, known, first)

    def _further(self, request: Asked, known: Known, first: int) -> tuple[CompiledRoute, ...]:
        found: list[CompiledRoute] = []
        if self._neighbours is None:
            self._neighbours = Neighbours(self._matches)
        for number in self._neighbours.of_path(request.path):
            truth = self._test(number)(request, known) if number >= first else False
            if truth is not False:
                found.append(self._routes[number])
            if truth:
                return tuple(found)
        return (*found, self._routes[-1])

    def _test(self, number: int) -> Test:
        test = self._tests.get(number)
        if test is None:
            test = self._tests[number] = test_of(self._matches[number])
        return test

    def _index(self, with_host: bool) -> Index:
        """Finds the first route whose method and path, and host where that is known, fit."""
        index = self._indexes.get(with_host)
        if index is None:
            index = self._indexes[with_host] = _index_of(self._matches, with_host)
        return index


def _index_of(matches: Iterable[Match], with_host: bool) -> Index:
    index = Index()
    for number, match in enumerate(matches):
        portless = tuple(split_port(host)[0] if isinstance(host, str) else host for host in match.host)
        host = portless if with_host else ()
        index.add(number, Match.model_construct(host=host, path=match.path, methods=match.methods))
    return index


_TOLD = frozenset(("host", "path", "methods"))
"""What the index looks at; whatever else a match asks is to be looked at apart, also what it will ask one day."""


def _is_clear(match: Match) -> bool:
    """Whether method, path and host alone tell."""
    if any(getattr(match, name) != info.default for name, info in Match.model_fields.items() if name not in _TOLD):
        return False
    return all(not isinstance(host, str) or split_port(host)[1] is None for host in match.host)
