"""Routes that no request reaches, because they take none or because earlier routes take them all. Proven, each time.

A route is asked for a request that it takes; where the table gives that to an earlier route, for one that this route
does not take either, and so on. Nearly every route is reached by the first request, so this costs about a decision a
route.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rules.asked import Asked
from rules.review.remarks import Remark
from rules.table import Table
from rules.witness import Demand, look

CATCH_ALL = "catch-all-not-last"
MOST_TAKERS = 24
"""Earlier routes that together take all of a route's requests; where more are needed, nothing is said."""


def unreached(table: Table, demands: Sequence[Demand]) -> Iterator[Remark]:
    """What is wrong with the reach of each route; `demands` are those of the routes' matches, in file order."""
    for number, demand in enumerate(demands):
        found = look([demand], [])
        if found.impossible:
            message = "takes no request: what it asks cannot hold together, or no client can send it; mend the match"
            yield Remark("takes-nothing", message, ("routes", number, "match"))
        elif found.request is not None:
            remark = _taken_by_others(table, demands, number, found.request)
            if remark is not None:
                yield remark
        if takes_everything(demand):
            after = len(demands) - number - 1
            if after:
                later = "the route after it is" if after == 1 else f"the {after} routes after it are"
                message = f"takes every request, so {later} never reached; move it to the end"
                yield Remark(CATCH_ALL, message, ("routes", number, "match"), found.request)
            return


def takes_everything(demand: Demand) -> bool:
    """Whether the match asks nothing."""
    return not demand.way.literals and not demand.way.formulas


def _taken_by_others(table: Table, demands: Sequence[Demand], number: int, shown: Asked) -> Remark | None:
    request = shown
    takers: list[int] = []
    while len(takers) < MOST_TAKERS:
        taker = table.route(request).index
        if taker >= number or taker in takers:
            return None
        takers.append(taker)
        found = look([demands[number]], [demands[each] for each in takers])
        if found.impossible:
            names = [f"'{table.routes[each].name}'" for each in sorted(takers)]
            listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
            message = (
                f"is never reached: earlier routes take each of its requests ({listed}); move it before, or remove it"
            )
            return Remark("unreachable-route", message, ("routes", number, "match"), shown)
        if found.request is None:
            return None
        request = found.request
    return None
