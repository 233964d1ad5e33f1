"""Lists that hold the same items in another order: found in two JSON values, so that order is told from content. Pure.

Without this, one list in another order looks like every field of every item having changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from shadow.paths import Step, path
from shadow.values import Json, canonical, same

MOST_ITEMS = 2_000
"""Items of a list that is looked at; a longer one is compared by position."""
MOST_LISTS = 20
"""Lists in another order that are told per pair of answers."""
MOST_FIELDS = 20
"""Fields of an item that are tried as its identity."""


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
    """As in shadow.differences.Difference."""
    order: Order
    by: tuple[str, ...]
    """Fields that identify every item of both lists, likely names first; empty where none does."""


def reordered(a: Json, b: Json) -> tuple[Reordered, ...]:
    """The lists of `a` whose items `b` has in another order; of lists within each other the outermost."""
    found: dict[str, Reordered] = {}
    for one in _walk(a, b, []):
        found.setdefault(one.path, one)
        if len(found) == MOST_LISTS:
            break
    return tuple(found.values())


def _walk(a: Json, b: Json, steps: list[Step]) -> Iterator[Reordered]:
    if isinstance(a, dict) and isinstance(b, dict):
        for key, value in a.items():
            if key in b:
                yield from _walk(value, b[key], [*steps, key])
    elif isinstance(a, list) and isinstance(b, list):
        one = _list(a, b, steps)
        if one is not None:
            yield one
            return
        for index, (left, right) in enumerate(zip(a, b, strict=False)):
            yield from _walk(left, right, [*steps, index])


def _list(a: list[Json], b: list[Json], steps: list[Step]) -> Reordered | None:
    if len(a) > MOST_ITEMS or len(b) > MOST_ITEMS or len(a) + len(b) < 3 or same(a, b):
        return None
    left, right = [canonical(item) for item in a], [canonical(item) for item in b]
    by = _identities(a, b)
    if Counter(left) == Counter(right):
        return Reordered(path(steps), Order.MULTISET, by)
    if by:
        first = [canonical(item[by[0]]) for item in a if isinstance(item, dict)]
        second = [canonical(item[by[0]]) for item in b if isinstance(item, dict)]
        if first != second and len(first) > 1:
            return Reordered(path(steps), Order.BY, by)
    if set(left) == set(right):
        return Reordered(path(steps), Order.SET, by)
    return None


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
