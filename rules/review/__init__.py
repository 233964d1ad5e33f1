"""What a whole rules file allows and probably does not mean: found on validated rules, by `fig rules check` alone.

Looks at every route and, by an index, at the pairs that may meet; loading for a running fig leaves it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from rules.document import Rules
from rules.effective import Effective
from rules.memory import without_collector
from rules.problems import Place, Problem, Severity
from rules.review.expressions import plain_expressions
from rules.review.habits import habits
from rules.review.overlaps import Effort, overlaps
from rules.review.reach import unreached
from rules.review.redirects import endless_redirect
from rules.review.remarks import Remark
from rules.table import compile_table
from rules.witness import Demand
from rules.witness.told import command

MOST_TOLD = 100
"""Warnings of one code that are told one by one."""


@dataclass(frozen=True, slots=True)
class Review:
    problems: tuple[Problem, ...]
    """Warnings, in the order of their codes and routes."""
    is_whole: bool
    """Whether every pair of routes that may overlap was looked at."""


def review(rules: Rules, place: Callable[..., Place], rollouts: Collection[str] = ()) -> Review:
    """`place`: where what stands at a path of the rules stands in the files. `rollouts`: the routes that have one."""
    effort = Effort()
    with without_collector():
        remarks = list(_remarks(rules, rollouts, effort))
    return Review(tuple(_problems(remarks, rules, place)), not effort.is_cut)


def _remarks(rules: Rules, rollouts: Collection[str], effort: Effort) -> Iterator[Remark]:
    table = compile_table(Effective(generation=1, rules=rules))
    demands = [Demand(route.match) for route in rules.routes]
    yield from unreached(table, demands)
    yield from overlaps(table, demands, effort)
    for number, route in enumerate(rules.routes):
        yield from plain_expressions(route.match, ("routes", number, "match"))
        if route.redirect is not None and (found := endless_redirect(table, number, demands[number])) is not None:
            yield found
    yield from habits(rules, rollouts)


def _problems(remarks: Iterable[Remark], rules: Rules, place: Callable[..., Place]) -> Iterator[Problem]:
    told: Counter[str] = Counter()
    last: dict[str, Problem] = {}
    for remark in remarks:
        told[remark.code] += 1
        if told[remark.code] <= MOST_TOLD:
            number = remark.route
            name = rules.routes[number].name if number is not None else None
            witness = command(remark.witness) if remark.witness is not None else None
            where = place(*remark.path)
            last[remark.code] = Problem(where, remark.message, remark.code, name, Severity.WARNING, witness)
            yield last[remark.code]
    for code, count in told.items():
        if count > MOST_TOLD:
            message = f"and {count - MOST_TOLD} more of the kind '{code}'"
            yield Problem(last[code].place, message, code, severity=Severity.WARNING)
