"""The index of the compiled table: by host, by path segment and by exact values, so that a decision costs what its
request costs and not what the table holds.

A route is entered at every place (rules/places.py) where a request that it takes may be looked for. Where many routes
share a place and differ by the exact value of a header, query parameter or cookie, a dictionary finds those that fit.
What neither answers is asked of the entry's predicates, in file order. Only numbers of routes are kept here, so one
index serves every table of the same rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rules.conditions import ConditionPredicate, Reader, reader
from rules.decision import Request
from rules.hosts import plain_host
from rules.match import Match
from rules.places import places
from rules.predicates import HostPredicate, PathPredicate, Predicate, further_predicates
from rules.trie import Trie

Keys = tuple[tuple[str, str], ...]
"""(``header``, ``query`` or ``cookie``; name) of each value that is read."""
Exact = dict[tuple[str, str], str]
"""What those values must be."""
FEW = 3
"""So many entries of one place that ask exact values are found by them, and no longer tried one by one."""


class Entry:
    """One route at one place of the index."""

    __slots__ = ("exact", "index", "methods", "predicates")

    def __init__(
        self,
        index: int,
        methods: frozenset[str] | None,
        predicates: tuple[Predicate, ...] | None,
        exact: Exact | None = None,
    ) -> None:
        self.index = index
        self.methods = methods
        self.exact = exact
        """The exact values that are among what is asked; None without any."""
        self.predicates = predicates
        """What remains to be asked; None for nothing."""


class Fork:
    """Stands at the beginning of a list of entries, for those of them that ask exact values."""

    __slots__ = ("_ways", "index")
    methods = exact = None
    predicates: tuple[Predicate, ...] = ()

    def __init__(self, index: int) -> None:
        self.index = index
        self._ways: dict[Keys, tuple[tuple[Reader, ...], dict[tuple[str | None, ...], list[Entry]]]] = {}

    def add(self, entry: Entry) -> None:
        """One that asks exact values; of those added, in file order."""
        exact = entry.exact or {}
        keys = tuple(sorted(exact))
        if keys not in self._ways:
            self._ways[keys] = tuple(reader(kind, key) for kind, key in keys), {}
        # Under the values nobody has to ask for them once more.
        asked = entry.predicates or ()
        left = tuple(p for p in asked if not (isinstance(p, ConditionPredicate) and (p.kind, p.key) in exact))
        found = self._ways[keys][1].setdefault(tuple(exact[key] for key in keys), [])
        found.append(Entry(entry.index, entry.methods, left or None))

    def find(self, request: Request, method: str, best: int) -> int:
        for readers, by_values in self._ways.values():
            entries = by_values.get(tuple([read(request) for read in readers]))
            if entries is not None:
                best = _first(entries, request, method, best)
        return best


Entries = Sequence[Entry | Fork]
"""In file order."""


def _first(entries: Entries, request: Request, method: str, best: int) -> int:
    """The least number below `best` of an entry that takes the request; `best` when none does. Hot."""
    for entry in entries:
        if entry.index >= best:
            return best
        methods = entry.methods
        if methods is not None and method not in methods:
            continue
        predicates = entry.predicates
        if predicates is None:
            return entry.index
        for predicate in predicates:
            if not predicate.holds(request):
                break
        else:
            if not isinstance(entry, Fork):
                return entry.index
            best = entry.find(request, method, best)
    return best


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
        entry = Entry(number, methods, asked or None, _exact_values(match) or None)
        for host, pattern, stem in where.all:
            node = self._trie(host).node(pattern)
            if stem:
                stems = node.stemmed(stem)
                stems[stem] = _entered(stems.get(stem, ()), entry)
            elif pattern.rest:
                node.rest = _entered(node.rest, entry)
            else:
                node.here = _entered(node.here, entry)
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
                best = _first(entries, request, method, best)
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


def _exact_values(match: Match) -> Exact:
    """The values that must be exactly so, and have no further condition."""
    exact: Exact = {}
    for kind, conditions in (("header", match.headers), ("query", match.query), ("cookie", match.cookies)):
        for key, wanted in conditions.items():
            value = wanted.only_value
            if value is not None:
                exact[kind, key] = value
    return exact


def _entered(entries: Entries, entry: Entry) -> Entries:
    """The list with one entry more. Most lists hold one for good, so that is a tuple: half as large."""
    if not entries:
        return (entry,)
    found = entries if isinstance(entries, list) else [*entries]
    if entry.exact is None:
        found.append(entry)
        return found
    first = found[0]
    if isinstance(first, Fork):
        first.add(entry)
        return found
    found.append(entry)
    return found if sum(each.exact is not None for each in found) < FEW else _forked(found)


def _forked(entries: list[Entry | Fork]) -> Entries:
    """The list with a fork in place of the entries that ask exact values."""
    fork = Fork(entries[0].index)
    for entry in entries:
        if isinstance(entry, Entry) and entry.exact is not None:
            fork.add(entry)
    return [fork, *(entry for entry in entries if entry.exact is None)]
