"""The book: everything that control has accepted, as one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proxy.control.records import Change, Standing
from proxy.rulebook import Rulebook
from rules.document import Route
from rules.effective import Effective
from rules.problems import Problem


@dataclass(frozen=True, slots=True)
class Reloading:
    """How the last reload went."""

    ok: bool
    at: float
    """Seconds since the epoch."""
    problems: tuple[str, ...] = ()
    last_success: float = 0.0


@dataclass(slots=True)
class Book:
    """What is accepted now. Replaced as a whole, so that a reader never sees two loads mixed."""

    effective: Effective
    standings: Mapping[str, Standing]
    rulebook: Rulebook | None
    """None while the file has been broken since before control started: routes can be moved, but nothing rises."""
    last_good: Rulebook | None = None
    """Without a rulebook: gates and rollouts of the last one (proxy.control.last_good), if there were any."""

    @property
    def judged_by(self) -> Rulebook | None:
        """What says how routes are judged and taken back."""
        return self.rulebook if self.rulebook is not None else self.last_good

    @property
    def routes(self) -> Mapping[str, Route]:
        """By name, in file order; also those that have no sides, and so no standing."""
        return self.effective.routes

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(self.rulebook.warnings) if self.rulebook is not None else ()

    def steps(self, route: str) -> Sequence[int]:
        """The shares of the route's rollout, ascending."""
        plan = self.judged_by.rollouts.get(route) if self.judged_by is not None else None
        return plan.shares if plan is not None else ()


def steps_of(rulebook: Rulebook | None) -> dict[str, tuple[int, ...]]:
    """The shares of each route's rollout, ascending."""
    if rulebook is None:
        return {}
    return {name: plan.shares for name, plan in rulebook.rollouts.items()}


def applied(known: Mapping[str, Standing], changes: Sequence[Change]) -> dict[str, Standing]:
    """The standings after `changes`."""
    after = dict(known)
    for change in changes:
        if change.standing is None:
            after.pop(change.entry.route, None)
        else:
            after[change.entry.route] = change.standing
    return after
