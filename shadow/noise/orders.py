"""Lists that hold the same items in another order: found in two JSON values, so that order is told from content. Pure.

Without this, one list in another order looks like every field of every item having changed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from shadow.comparing.paths import Step, path
from shadow.comparing.values import Json, canonical, same

MOST_ITEMS = 2_000
"""Items of a list that is looked at; a longer one is compared by position."""
MOST_LISTS = 20
"""Lists in another order that are told per pair of answers."""
MOST_FIELDS = 20
"""Fields of an item that are tried as its identity."""
MOST_CHARACTERS = 4_000_000
"""Of lists' canonical texts, written per pair of answers: lists within lists are written once for each level."""


class Order(StrEnum):
    """How two lists that differ by position agree."""

    MULTISET = "multiset"
    """The same items, each as often."""
    SET = "set"
    """The same items, not each as often."""
    BY = "by"
    """Items with the same identities, which may differ within."""


@dataclass(frozen=True, slots=True)
class Reordered:
    """A list that holds the same items in another order."""

    path: str
    """As in shadow.comparing.differences.Difference."""
    order: Order
    by: tuple[str, ...]
    """Fields that identify every item of both lists, likely names first; empty where none does."""


def reordered(a: Json, b: Json) -> tuple[Reordered, ...]:
    """The lists of `a` whose items `b` has in another order; of lists within each other the outermost."""
    search = _Search()
    search.walk(a, b, [])
    return tuple(search.found.values())


class _Search:
    """One search through two values."""

    def __init__(self) -> None:
        self.found: dict[str, Reordered] = {}
        self._left = MOST_CHARACTERS

    def walk(self, a: Json, b: Json, steps: list[Step]) -> None:
        if len(self.found) == MOST_LISTS or self._left <= 0:
            return
        if isinstance(a, dict) and isinstance(b, dict):
            for key, value in a.items():
                if key in b:
                    self.walk(value, b[key], [*steps, key])
        elif isinstance(a, list) and isinstance(b, list):
            one = self._list(a, b, steps)
            if one is not None:
                self.found.setdefault(one.path, one)
                return
            for index, (left, right) in enumerate(zip(a, b, strict=False)):
                self.walk(left, right, [*steps, index])

    def _list(self, a: list[Json], b: list[Json], steps: list[Step]) -> Reordered | None:
        if max(len(a), len(b)) > MOST_ITEMS or len(a) + len(b) < 3 or same(a, b):
            return None
        left, right = [canonical(item) for item in a], [canonical(item) for item in b]
        self._left -= sum(map(len, left)) + sum(map(len, right))
        by = _identities(a, b)
        if Counter(left) == Counter(right):
            return Reordered(path(steps), Order.MULTISET, by)
        if by:
            first, second = _ids(a, by[0]), _ids(b, by[0])
            if first != second:
                return Reordered(path(steps), Order.BY, by)
        if set(left) == set(right):
            return Reordered(path(steps), Order.SET, by)
        return None


def _ids(items: list[Json], by: str) -> list[str]:
    return [canonical(item[by]) for item in items if isinstance(item, dict)]


def _identities(a: list[Json], b: list[Json]) -> tuple[str, ...]:
    """Fields whose values tell every item of a list from the others, and are the same ones in both lists."""
    if not a or not b or not isinstance(a[0], dict):
        return ()
    found = []
    for key in sorted(list(a[0])[:MOST_FIELDS], key=_unlikely):
        left, right = _values(a, key), _values(b, key)
        if left is not None and right is not None and left == right:
            found.append(key)
    return tuple(found)


def _values(items: list[Json], key: str) -> set[str] | None:
    values = set()
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get(key), str | int):
            return None
        values.add(canonical(item[key]))
    return values if len(values) == len(items) else None


def _unlikely(key: str) -> tuple[int, str]:
    """Sorts `id`, then what ends like an identity, then everything else."""
    name = key.lower()
    rank = 0 if name in ("id", "uuid", "key") else 1 if name.endswith(("id", "key", "code", "sku", "number")) else 2
    return rank, key
