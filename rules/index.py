"""The index of the compiled table: by host and by path segment, so that a decision costs what its request costs.

A route is entered under every host and path that it names, an expression everywhere. What its place in the index does
not answer is asked of the entry's predicates.
"""

from __future__ import annotations

from collections.abc import Sequence

from rules.decision import Request
from rules.match import Match, split_port
from rules.pattern import PathPattern, parse_pattern
from rules.predicates import HostPredicate, PathPredicate, Predicate, further_predicates
from rules.trie import Trie

_EVERYWHERE = parse_pattern("/**")


class Entry:
    """One route at one place of the index."""

    __slots__ = ("index", "methods", "predicates")

    def __init__(self, index: int, methods: frozenset[str] | None, predicates: tuple[Predicate, ...]) -> None:
        self.index = index
        self.methods = methods
        self.predicates = predicates


class Index:
    """Finds the first route, by number in file order, that takes a request. Routes are added in that order."""

    def __init__(self) -> None:
        self._everywhere: Trie[Entry] = Trie()
        self._hosts: dict[str, Trie[Entry]] = {}
        self._suffixes: dict[str, Trie[Entry]] = {}
        self._deepest = 0
        self._size = 0

    def add(self, number: int, match: Match) -> None:
        methods = frozenset(match.methods) if match.methods is not None else None
        entry = Entry(number, methods, _unanswered(match))
        for host, pattern in _places(match):
            self._trie(host).add(pattern, entry)
            self._deepest = max(self._deepest, len(pattern.segments))
        self._size = number + 1

    def _trie(self, host: str | None) -> Trie[Entry]:
        if host is None:
            return self._everywhere
        if host.startswith("*."):
            return self._suffixes.setdefault(host[1:], Trie())
        return self._hosts.setdefault(host, Trie())

    def find(self, request: Request) -> int:
        """The number of the first route that takes the request; one more than the last when none does."""
        # One split more than the deepest pattern has: what is left of a longer path stays in one piece.
        segments = request.path.split("/", self._deepest + 2)
        found: list[list[Entry]] = []
        self._everywhere.find(segments, 1, found)
        if self._hosts or self._suffixes:
            self._find_host(request.host, segments, found)
        best = self._size
        if not found:
            return best
        method = request.method
        for entries in found:
            for entry in entries:
                if entry.index >= best:
                    break
                if (entry.methods is None or method in entry.methods) and (
                    not entry.predicates or all(predicate.holds(request) for predicate in entry.predicates)
                ):
                    best = entry.index
                    break
        return best

    def _find_host(self, host: str, segments: list[str], found: list[list[Entry]]) -> None:
        trie = self._hosts.get(host)
        if trie is not None:
            trie.find(segments, 1, found)
        if self._suffixes:
            dot = host.find(".", 1)
            while dot >= 0:
                trie = self._suffixes.get(host[dot:])
                if trie is not None:
                    trie.find(segments, 1, found)
                dot = host.find(".", dot + 1)


def _unanswered(match: Match) -> tuple[Predicate, ...]:
    found: list[Predicate] = []
    if not all(isinstance(host, str) and split_port(host)[1] is None for host in match.host):
        found.append(HostPredicate(match.host))
    if not all(isinstance(path, str) for path in match.path):
        found.append(PathPredicate(match.path))
    return (*found, *further_predicates(match))


def _places(match: Match) -> list[tuple[str | None, PathPattern]]:
    """Every (host, path) under which a request of this match may be looked for."""
    hosts = _hosts(match)
    patterns = [parse_pattern(path) if isinstance(path, str) else _EVERYWHERE for path in match.path]
    return list(dict.fromkeys((host, pattern) for host in hosts for pattern in patterns))


def _hosts(match: Match) -> Sequence[str | None]:
    if not match.host or not all(isinstance(host, str) for host in match.host):
        return (None,)
    return tuple(split_port(host)[0] for host in match.host if isinstance(host, str))
