"""Why routes that stand earlier did not take a request: of each, the first predicate that failed. Pure.

Asks every route's predicates one after the other, as a person would; the table asks its index instead, and the tests
hold that both find the same winner. Of 100,000 routes nearly all fail on host or path, which says nothing to anyone, so
those are counted, and the ones that might have taken the request are told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rules.decision import Request
from rules.matching.predicates import AllPredicate, AnyPredicate, NotPredicate, Predicate, predicates
from rules.table import CompiledRoute

FEW = 20
"""So many misses are told, whatever they failed on."""
_PLACE = ("host", "path")
"""What a route's place in the table is found by; failing on anything else is a near miss."""


@dataclass(frozen=True, slots=True)
class Miss:
    """An earlier route, and the first of its predicates that failed."""

    route: str
    predicate: str
    why: str

    @property
    def is_near(self) -> bool:
        """Whether its host and path would have fitted."""
        return self.predicate not in _PLACE


@dataclass(frozen=True, slots=True)
class Misses:
    """In file order."""

    told: tuple[Miss, ...]
    far: int
    """Further ones whose host or path does not fit."""
    near: int
    """Further ones that fail on something else."""


def misses_of(routes: Iterable[CompiledRoute], request: Request, every: bool = False) -> Misses:
    """Those of `routes`, none of which takes the request; all of them told with `every`."""
    first: list[Miss] = []
    near: list[Miss] = []
    far_count = near_count = 0
    for route in routes:
        miss = miss_of(route, request)
        if miss is None:
            raise ValueError(f"route '{route.name}' takes the request")
        if every or len(first) < FEW:
            first.append(miss)
        if not miss.is_near:
            far_count += 1
            continue
        near_count += 1
        if len(near) < FEW:
            near.append(miss)
    if every or far_count + near_count <= FEW:
        return Misses(tuple(first), 0, 0)
    return Misses(tuple(near), far_count, near_count - len(near))


def miss_of(route: CompiledRoute, request: Request) -> Miss | None:
    """None when the route takes the request."""
    for predicate in predicates(route.spec.match):
        if not predicate.holds(request):
            return Miss(route.name, predicate.name, _why(predicate, request))
    return None


def _why(predicate: Predicate, request: Request) -> str:
    """One sentence, also for what has predicates inside."""
    if isinstance(predicate, AnyPredicate):
        tries = [f"({number}) {_why(each, request)}" for number, each in enumerate(predicate.inner, 1)]
        return "none of its alternatives holds: " + ", ".join(tries)
    if isinstance(predicate, AllPredicate):
        failed = next(each for each in predicate.inner if not each.holds(request))
        return _why(failed, request)
    if isinstance(predicate, NotPredicate):
        inside = " and ".join(dict.fromkeys(each.name for each in predicate.inner.inner))
        return f"it is what 'not' leaves out, by its {inside}"
    return predicate.why_not(request)
