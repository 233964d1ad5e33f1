"""Routes at one place of the index: which of them is the first that takes a request.

They are tried in file order. Where several ask exact values of headers, query parameters or cookies (ten thousand
tenants on one path, told apart by a header), a dictionary finds those whose values fit.
"""

from __future__ import annotations

from collections.abc import Sequence

from rules.decision import Request
from rules.match import Match
from rules.matching.conditions import ConditionPredicate, Reader, reader
from rules.matching.predicates import Predicate

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
    methods = None
    exact = None
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
        left = tuple(predicate for predicate in entry.predicates or () if not _is_answered(predicate, exact))
        found = self._ways[keys][1].setdefault(tuple(exact[key] for key in keys), [])
        found.append(Entry(entry.index, entry.methods, left or None))

    def find(self, request: Request, method: str, best: int) -> int:
        for readers, by_values in self._ways.values():
            entries = by_values.get(tuple([read(request) for read in readers]))
            if entries is not None:
                best = first(entries, request, method, best)
        return best


Entries = Sequence[Entry | Fork]
"""In file order."""


def first(entries: Entries, request: Request, method: str, best: int) -> int:
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


def _is_answered(predicate: Predicate, exact: Exact) -> bool:
    """Whether it asks for one of these values, and for nothing else."""
    if not isinstance(predicate, ConditionPredicate):
        return False
    value = predicate.wanted.only_value
    return value is not None and exact.get((predicate.kind, predicate.key)) == value


def exact_values(match: Match) -> Exact:
    """The values that must be exactly so, and have no further condition."""
    exact: Exact = {}
    for kind, conditions in (("header", match.headers), ("query", match.query), ("cookie", match.cookies)):
        for key, wanted in conditions.items():
            value = wanted.only_value
            if value is not None:
                exact[kind, key] = value
    return exact


def entered(entries: Entries, entry: Entry) -> Entries:
    """The list with one entry more. Most lists hold one for good, so that is a tuple: half as large."""
    if not entries:
        return (entry,)
    found = entries if isinstance(entries, list) else [*entries]
    if entry.exact is None:
        found.append(entry)
        return found
    if isinstance(found[0], Fork):
        found[0].add(entry)
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
