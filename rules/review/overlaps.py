"""Pairs of routes of which neither lies within the other, that take a request both and do different things with it.

Which of them gets the request is decided by their order alone, which is easily changed without noticing. The specific
before the general is the normal idiom and is not told; neither are exceptions for certain askers, nor routes that are
never reached (reach.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from rules.document import Route
from rules.review.neighbours import Neighbours
from rules.review.reach import takes_everything
from rules.review.remarks import Remark
from rules.stages import Stage
from rules.table import Table
from rules.witness import Demand, look

TOLD = 3
"""Earlier routes that are named for one route."""
MOST_PAIRS = 60_000
"""Pairs that one review looks at, a third of a millisecond each."""
MOST_PAIRS_OF_A_ROUTE = 300
MOST_VISITS = 5_000_000
"""Nodes of the index, and routes there, that one review visits: one or two microseconds each."""
MOST_VISITS_OF_A_ROUTE = 5000


@dataclass
class Effort:
    """What a review of the overlaps has cost."""

    pairs: int = 0
    is_cut: bool = False
    """Whether it could not look at everything."""


def overlaps(table: Table, demands: Sequence[Demand], unreached: Collection[int], effort: Effort) -> Iterator[Remark]:
    """One remark for each route that overlaps with earlier ones, but for those that are known to be `unreached`.

    `demands` are those of the routes' matches, in file order.
    """
    neighbours = Neighbours()
    for number, demand in enumerate(demands):
        if takes_everything(demand):
            return  # every route before it lies within it, and none after it is reached
        if neighbours.visited > MOST_VISITS or effort.pairs > MOST_PAIRS:
            effort.is_cut = True
            return
        if number in unreached:
            continue
        remark = _overlaps_of(table, demands, number, neighbours, effort)
        if remark is not None:
            yield remark
        effort.is_cut = effort.is_cut or neighbours.is_cut
        neighbours.add(number, demand.match)


def _overlaps_of(
    table: Table, demands: Sequence[Demand], number: int, neighbours: Neighbours, effort: Effort
) -> Remark | None:
    own = demands[number]
    names: list[str] = []
    shown = None
    first = effort.pairs
    near = neighbours.meeting(own.match, but_within=_asks_paths_only(own), most=MOST_VISITS_OF_A_ROUTE)
    seen: set[int] = set()
    for other in near:
        if other in seen:
            continue
        seen.add(other)
        if (
            is_exception(demands[other])
            or are_apart(own, demands[other])
            or do_the_same(table.routes[other].spec, table.routes[number].spec)
        ):
            continue
        if effort.pairs - first >= MOST_PAIRS_OF_A_ROUTE:
            effort.is_cut = True
            break
        effort.pairs += 1
        both = look([demands[other], own], []).request
        if both is None or table.route(both).index != other:
            continue
        if look([demands[other]], [own]).impossible or look([own], [demands[other]]).impossible:
            continue
        shown = shown or both
        names.append(table.routes[other].name)
        if len(names) > TOLD:
            break
    if shown is None:
        return None
    more = " and others" if len(names) > TOLD else ""
    listed = ", ".join(f"'{name}'" for name in names[:TOLD]) + more
    message = (
        f"takes requests that {listed} before it {'takes' if len(names) == 1 else 'take'} too, with another outcome, "
        "so their order decides; make the matches exclude each other, or keep the order on purpose"
    )
    return Remark("overlap", message, ("routes", number, "match"), shown)


def _asks_paths_only(demand: Demand) -> bool:
    return demand.match.model_fields_set == {"path"} and all(isinstance(path, str) for path in demand.match.path)


def is_exception(demand: Demand) -> bool:
    """Whether it looks only at who asks, and how: a pilot's header, addresses, http. It is meant to be first."""
    return demand.match.model_fields_set <= {"headers", "cookies", "client", "scheme"}


def are_apart(one: Demand, other: Demand) -> bool:
    """Whether they differ in a method or in an exact value, which is seen without a search."""
    mine, theirs = one.match.methods, other.match.methods
    if mine is not None and theirs is not None and not set(mine) & set(theirs):
        return True
    few, many = sorted((one.exact, other.exact), key=len)
    return any(many.get(part, text) != text for part, text in few.items())


_OUTCOME = tuple(name for name in Route.model_fields if name not in ("name", "match", "group"))


def do_the_same(one: Route, other: Route) -> bool:
    """Whether it makes no difference to a request which of the two takes it."""
    if any(getattr(one, name) != getattr(other, name) for name in _OUTCOME):
        return False
    return one.stage is not Stage.CANARY or one.salt == other.salt
