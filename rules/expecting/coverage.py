"""Which routes a set of tests reached, and on which sides. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rules.expecting.judging import Judged
from rules.stages import MILLION, Side
from rules.table import NO_ROUTE, Table


@dataclass(frozen=True, slots=True)
class Coverage:
    """In file order. A route is reached when it took a test's request, whatever was expected of it."""

    routes: int
    unreached: tuple[str, ...]
    one_sided: tuple[tuple[str, Side], ...]
    """Routes with two sides of which no test saw the one that is named answer."""

    @property
    def reached(self) -> int:
        """Millionths of the routes; a file without routes is reached as a whole."""
        return (self.routes - len(self.unreached)) * MILLION // self.routes if self.routes else MILLION


def coverage_of(table: Table, judged: Iterable[Judged]) -> Coverage:
    """What `judged`, all of this table, reached."""
    sides: dict[str, set[Side]] = {}
    for each in judged:
        if each.route is not None:
            sides.setdefault(each.route, set()).update({each.side} if each.side is not None else ())
    unreached, one_sided = [], []
    routes = [route for route in table.routes if route.name != NO_ROUTE]
    for route in routes:
        if route.name not in sides:
            unreached.append(route.name)
        elif route.spec.candidate is not None:
            one_sided += [(route.name, side) for side in Side if side not in sides[route.name]]
    return Coverage(len(routes), tuple(unreached), tuple(one_sided))
