"""What a whole rules file allows and probably does not mean: found on validated rules, by `fig rules check` alone.

Looks at every route and, by an index, at the pairs that may meet; loading for a running fig leaves it out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from rules.document import Rules
from rules.effective import Effective
from rules.memory import without_collector
from rules.problems import Place, Problem, Severity
from rules.review.expressions import plain_expressions
from rules.review.habits import habits
from rules.review.overlaps import Effort, overlaps
from rules.review.reach import CATCH_ALL, unreached
from rules.review.redirects import endless_redirect
from rules.review.remarks import Remark
from rules.review.services import services
from rules.table import compile_table
from rules.witness import Demand
from rules.witness.told import command


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
        problems = tuple(_problem(remark, rules, place) for remark in _remarks(rules, rollouts, effort))
    return Review(problems, not effort.is_cut)


def _remarks(rules: Rules, rollouts: Collection[str], effort: Effort) -> Iterator[Remark]:
    table = compile_table(Effective(generation=1, rules=rules))
    demands = [Demand(route.match) for route in rules.routes]
    reach = list(unreached(table, demands))
    yield from reach
    hidden = {remark.route for remark in reach if remark.route is not None and remark.code != CATCH_ALL}
    yield from overlaps(table, demands, hidden, effort)
    for number, route in enumerate(rules.routes):
        yield from plain_expressions(route.match, ("routes", number, "match"))
        if route.redirect is not None and (found := endless_redirect(table, number, demands[number])) is not None:
            yield found
    yield from habits(rules, rollouts)
    yield from services(rules.services)


def _problem(remark: Remark, rules: Rules, place: Callable[..., Place]) -> Problem:
    name = rules.routes[remark.route].name if remark.route is not None else None
    witness = command(remark.witness) if remark.witness is not None else None
    return Problem(place(*remark.path), remark.message, remark.code, name, Severity.WARNING, witness)
