"""The index of the compiled table: by host and by path segment, so that a decision costs what its request costs and not
what the table holds.

A route is entered at every place (places.py) where a request that it takes may be looked for. What its place does not
answer is asked of its entry (entries.py). Only numbers of routes are kept here, so one index serves every table of the
same rules.
"""

from __future__ import annotations

from collections.abc import Iterator

from rules.decision import Request
from rules.match import Match
from rules.matching.entries import Entries, Entry, Fork, entered, exact_values, first
from rules.matching.hosts import plain_host
from rules.matching.places import places
from rules.matching.predicates import HostPredicate, PathPredicate, further_predicates
from rules.matching.trie import Trie


class Index:
    """Finds the first route, by number in file order, that takes a request. Routes are added in that order."""

    def __init__(self) -> None:
        self._everywhere: Trie[Entry | Fork] = Trie()
        self._hosts: dict[str, Trie[Entry | Fork]] = {}
        self._suffixes: dict[str, Trie[Entry | Fork]] = {}
        self._deepest = 0
        self._size = 0
        self._methods: dict[tuple[str, ...], frozenset[str]] = {}

    def add(self, number: int, match: Match) -> None:
        """The next route in file order."""
        methods = None
        if match.methods is not None:
            methods = self._methods.setdefault(match.methods, frozenset(match.methods))
        where = places(match)
        asked = further_predicates(match)
        if not where.answer_path:
            asked = (PathPredicate(match.path), *asked)
        if not where.answer_host:
            asked = (HostPredicate(match.host), *asked)
        entry = Entry(number, methods, asked or None, exact_values(match) or None)
        for host, pattern, stem in where.all:
            node = self._trie(host).node(pattern)
            if stem:
                stems = node.stemmed(stem)
                stems[stem] = entered(stems.get(stem, ()), entry)
            elif pattern.rest:
                node.rest = entered(node.rest, entry)
            else:
                node.here = entered(node.here, entry)
            self._deepest = max(self._deepest, len(pattern.segments))
        self._size = number + 1

    def _trie(self, host: str | None) -> Trie[Entry | Fork]:
        if host is None:
            return self._everywhere
        if host.startswith("*."):
            return self._suffixes.setdefault(host[1:], Trie())
        return self._hosts.setdefault(host, Trie())

    def find(self, request: Request) -> int:
        """The number of the first route that takes the request; one more than the last when none does."""
        # One split more than the deepest pattern has: what is left of a longer path stays in one piece. The path of
        # OPTIONS * is no more than the part before the first slash, so only what asks no path is found.
        segments = request.path.split("/", self._deepest + 1)
        found: list[Entries] = []
        self._everywhere.find(segments, 1, found)
        if self._hosts or self._suffixes:
            self._find_host(plain_host(request.host), segments, found)
        best = self._size
        if found:
            method = request.method
            for entries in found:
                best = first(entries, request, method, best)
        return best

    def dissolve(self) -> Iterator[None]:
        """Take the index apart, a piece at each step. It must not be asked any more."""
        yield from self._everywhere.dissolve()
        for tries in (self._hosts, self._suffixes):
            while tries:
                yield from tries.popitem()[1].dissolve()

    def _find_host(self, host: str, segments: list[str], found: list[Entries]) -> None:
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
