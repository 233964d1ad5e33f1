"""Which item of one list answers which item of the other, when a mask lets the list come in any order. Pure.

By an identity field where one is named and every item has its own; else as multisets: items that are exactly equal,
then items that agree under the masks (a maximum matching, so that tolerance does not depend on who is asked first),
then the nearest of what is left, so that a changed field is named instead of an item missing and another added.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from shadow.comparing.values import Json, canonical, kind_of


class BudgetSpentError(Exception):
    """There was more to look at than a comparison may spend on matching lists."""


class Purse(Protocol):
    """What the matching may spend, because hostile lists are long. Both raise BudgetSpentError when it is spent."""

    def spend(self, cost: int) -> None:
        """Take the cost of looking at so many values."""

    def price(self, a: Json, b: Json) -> int:
        """How many differences two items have; costs what looking at them costs."""


CHARACTERS_PER_VALUE = 8
"""What writing an item in canonical form costs, in values looked at."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Indexes of items that belong together, and of those that only one side has."""

    pairs: tuple[tuple[int, int], ...]
    """(legacy's index, candidate's index), by legacy's."""
    missing: tuple[int, ...]
    added: tuple[int, ...]

    @property
    def moved(self) -> bool:
        """Whether the items that both sides have come in different orders."""
        order = [right for _, right in self.pairs]
        return any(x > y for x, y in pairwise(order))


def match_items(a: list[Json], b: list[Json], by: str | None, purse: Purse) -> Matching:
    """Match the items of two lists. Raises BudgetSpentError when there is more to look at than `purse` has left."""
    found = _by_identity(a, b, by) if by is not None else None
    if found is None:
        found = _exactly_equal(a, b, purse)
        for match in (_agreeing, _nearest):
            left, right = _rest(len(a), found.keys()), _rest(len(b), found.values())
            if left and right:
                found |= match(a, b, left, right, purse)
    return Matching(
        tuple(sorted(found.items())), tuple(_rest(len(a), found.keys())), tuple(_rest(len(b), found.values()))
    )


def same_items(a: list[Json], b: list[Json], purse: Purse) -> bool:
    """Whether both have the same items, whatever their order and however often each comes."""
    return set(_texts(a, purse)) == set(_texts(b, purse))


def _rest(size: int, taken: Iterable[int]) -> list[int]:
    gone = set(taken)
    return [index for index in range(size) if index not in gone]


def _by_identity(a: list[Json], b: list[Json], by: str) -> dict[int, int] | None:
    """Pairs with the same identity; None unless every item of both lists has one that is its own."""
    left, right = _identities(a, by), _identities(b, by)
    if left is None or right is None:
        return None
    return {index: right[identity] for identity, index in left.items() if identity in right}


def _identities(items: list[Json], by: str) -> dict[str, int] | None:
    found: dict[str, int] = {}
    for index, item in enumerate(items):
        if not isinstance(item, dict) or by not in item:
            return None
        found[canonical(item[by])] = index
    return found if len(found) == len(items) else None


def _exactly_equal(a: list[Json], b: list[Json], purse: Purse) -> dict[int, int]:
    waiting: defaultdict[str, deque[int]] = defaultdict(deque)
    for index, text in enumerate(_texts(b, purse)):
        waiting[text].append(index)
    found = {}
    for index, text in enumerate(_texts(a, purse)):
        if equal := waiting.get(text):
            found[index] = equal.popleft()
    return found


def _texts(items: list[Json], purse: Purse) -> Iterator[str]:
    for item in items:
        text = canonical(item)
        purse.spend(1 + len(text) // CHARACTERS_PER_VALUE)
        yield text


def _agreeing(a: list[Json], b: list[Json], left: list[int], right: list[int], purse: Purse) -> dict[int, int]:
    """A maximum matching of items without a difference between them, by augmenting paths (Berge 1957)."""
    matched: dict[int, int] = {}
    owner: dict[int, int] = {}
    for rank, start in enumerate(left):
        reached_from: dict[int, int] = {}
        queue = deque([start])
        free = None
        while queue and free is None:
            item = queue.popleft()
            for other in right[rank:] + right[:rank]:  # the same place first: most lists are in the same order
                if other in reached_from:
                    continue
                if purse.price(a[item], b[other]) == 0:
                    reached_from[other] = item
                    if other not in owner:
                        free = other
                        break
                    queue.append(owner[other])
        while free is not None:
            item = reached_from[free]
            owner[free] = item
            matched[item], free = free, matched.get(item)
    return matched


def _nearest(a: list[Json], b: list[Json], left: list[int], right: list[int], purse: Purse) -> dict[int, int]:
    """Pairs with fewest differences first, as long as they have more in common than not."""
    costs = []
    for item in left:
        for other in right:
            if isinstance(a[item], dict | list) and type(a[item]) is type(b[other]):
                cost = purse.price(a[item], b[other])
                if 2 * cost <= max(_leaves(a[item]), _leaves(b[other])) + 1:
                    costs.append((cost, item, other))
    found: dict[int, int] = {}
    taken: set[int] = set()
    for _, item, other in sorted(costs):
        if item not in found and other not in taken:
            found[item] = other
            taken.add(other)
    if len(a) == len(b) == 1 and kind_of(a[0]) == kind_of(b[0]):  # whatever it is, it changed
        found[0] = 0
    return found


def _leaves(value: Json) -> int:
    """Values in an item that hold no others; an empty object or list is one."""
    if isinstance(value, dict | list) and value:
        return sum(map(_leaves, value.values() if isinstance(value, dict) else value))
    return 1
