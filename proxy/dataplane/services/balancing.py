"""Which endpoint of a service gets the next request. Pure: chance is an argument. Hot where a service has several URLs.

Endpoints are their numbers in the order of the file. `usable` is kept by whoever knows who is well: it changes seldom,
and choosing happens for every request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

PANIC = 0.5
"""With a smaller part of the endpoints left, all are asked: the few would hardly bear what all bore. Envoy's default
(its architecture overview, "Panic threshold": 50 %)."""


def usable(wells: Sequence[bool]) -> tuple[int, ...]:
    """The endpoints that may be asked, by whether each is well: neither ill nor ejected. Never none of them."""
    found = tuple(number for number, well in enumerate(wells) if well)
    return found if found and len(found) >= len(wells) * PANIC else tuple(range(len(wells)))


class Busy(Protocol):
    """Requests under way, of each endpoint by its number."""

    def __getitem__(self, number: int, /) -> int: ...


class Balancer(Protocol):
    def pick(self, usable: Sequence[int], busy: Busy, roll: Callable[[], int]) -> int:
        """One of `usable` (not empty); `roll` draws 0 to 999,999."""


class RoundRobin:
    """Each in turn."""

    __slots__ = ("_turn",)

    def __init__(self, start: int = 0) -> None:
        """`start`: by chance, so that workers do not all begin with the same endpoint."""
        self._turn = start

    def pick(self, usable: Sequence[int], busy: Busy, roll: Callable[[], int]) -> int:
        turn = self._turn = self._turn + 1
        return usable[turn % len(usable)]


class LeastRequests:
    """The less busy one of two that chance draws: nearly as good as looking at all of them, without every worker
    running to the same one (Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001; Envoy's load
    balancing policy LeastRequest, whose choice_count is 2)."""

    __slots__ = ()

    def pick(self, usable: Sequence[int], busy: Busy, roll: Callable[[], int]) -> int:
        count = len(usable)
        if count == 1:
            return usable[0]
        rest, first = divmod(roll(), count)
        one, other = usable[first], usable[(first + 1 + rest % (count - 1)) % count]
        return other if busy[other] < busy[one] else one
