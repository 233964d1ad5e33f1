"""Where routes stand and may go: file against store, and a person's moves. Pure; the clock is an argument.

DESIGN section 2: Git holds intent, the store holds where a rollout stands. A file's stage applies when the store does
not know the route, or when its value changed between two accepted loads; otherwise the store wins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace

from canary.rollout import Rollout, placed, renewed
from proxy.control.records import Change, Entry, Standing
from rules.document import Route, Rules
from rules.effective import Position
from rules.stages import MILLION, Stage

Steps = Mapping[str, Sequence[int]]
"""Route name -> shares of its rollout's steps, ascending; routes without a rollout are absent."""


class MoveError(Exception):
    """A move that cannot be made from where the route stands; says why, and what can be done."""


def sided(rules: Rules) -> Iterator[Route]:
    """The routes that have sides, in file order: only they stand somewhere, and move."""
    return (route for route in rules.routes if route.candidate is not None)


def answers(route: Route) -> str:
    """Who answers on a route without sides: ``fig itself (redirect)``, ``the service monolith``."""
    if route.redirect is not None or route.respond is not None:
        return f"fig itself ({'redirect' if route.redirect is not None else 'respond'})"
    return f"the service {route.legacy}"


def declared(route: Route) -> str:
    """What the file says about where the route stands, as text to compare two loads by."""
    return route.stage.value if not route.share else f"{route.stage.value} {route.share}"


def position_for(stage: Stage, share: int | None, steps: Sequence[int], frozen: bool = False) -> Position:
    """Where a route that enters `stage` stands: canary at `share`, or else at the first step."""
    if stage is Stage.CANARY:
        return Position(stage, share if share is not None else (steps[0] if steps else 0), frozen)
    return Position(stage, MILLION if stage in (Stage.LIVE, Stage.RETIRED) else 0, frozen)


class Subjects:
    """What attempts try: ``e3b0c44298fc1c14.5feceb66``, of the candidate's definition and of how units are told apart.

    Another release is another attempt. So is another split: under another unit or salt whoever was on one side may be
    on the other, and what was counted of either is not of the same units.
    """

    def __init__(self, rules: Rules) -> None:
        self._services = {
            name: _digest(service.model_dump_json(exclude_defaults=True))[:16]
            for name, service in rules.services.items()
        }

    def of(self, route: Route) -> str:
        """Raises KeyError for a route without a candidate."""
        unit = route.unit
        split = "" if unit is None else f"{unit.cookie}|{unit.header}|{unit.address}"
        return f"{self._services[route.candidate or '']}.{_digest(f'{route.salt}|{split}')[:8]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def completed(rules: Rules, known: Mapping[str, Standing]) -> Mapping[str, Standing]:
    """The standings of a fig that wrote no split into its subjects: nothing else can be meant than the present one."""
    old = [name for name, standing in known.items() if standing.rollout.subject and "." not in standing.rollout.subject]
    if not old:
        return known
    tried, routes = Subjects(rules), {route.name: route for route in sided(rules)}
    after = dict(known)
    for name in old:
        rollout = known[name].rollout
        subject = tried.of(routes[name]) if name in routes else ""
        if subject.startswith(f"{rollout.subject}."):
            after[name] = replace(known[name], rollout=replace(rollout, subject=subject))
    return after


def placed_as(rules: Rules, route: Route, position: Position, now: float) -> Standing:
    """A route's standing where nothing but its position is known."""
    began = now if position.stage is Stage.CANARY else None
    rollout = Rollout(position.stage, position.share, now, position.frozen, began, subject=Subjects(rules).of(route))
    return Standing(route.name, rollout, declared(route))


def reconcile(
    rules: Rules,
    steps: Steps,
    known: Mapping[str, Standing],
    generation: int,
    now: float,
    rolled_back_since: Container[str] = (),
    watching: Container[str] = (),
) -> list[Change]:
    """What an accepted load of the rules file changes, in file order, then routes that left the file.

    `generation` is the one that the changes will be part of; `now` is in seconds since the epoch. `rolled_back_since`
    names routes that were moved back after the file was read: it does not put those forward again. `watching` names
    routes that are to be watched once they are live.
    """
    changes: list[Change] = []
    tried = Subjects(rules)
    for route in sided(rules):
        trying, shares = tried.of(route), steps.get(route.name, ())
        standing = known.get(route.name)
        if standing is None:
            changes.append(_entering(route, trying, shares, generation, now))
        elif standing.declared != declared(route):
            is_held = route.name in rolled_back_since
            watch = route.name in watching
            changes.append(_redeclared(route, standing, trying, shares, generation, now, is_held=is_held, watch=watch))
        elif standing.rollout.subject != trying:
            changes.append(_released(standing, trying, generation, now))
    present = {route.name: route for route in rules.routes}
    for name, standing in known.items():
        if name not in present or present[name].candidate is None:
            why = "the route has no candidate any more" if name in present else "the route left the rules file"
            changes.append(Change(None, Entry(now, name, "file", "leave", standing.position, None, why, generation)))
    return changes


def _entering(route: Route, trying: str, steps: Sequence[int], generation: int, now: float) -> Change:
    position = position_for(route.stage, route.share or None, steps)
    began = now if route.stage is Stage.CANARY else None
    rollout = Rollout(position.stage, position.share, now, began=began, subject=trying)
    entry = Entry(
        now, route.name, "file", "enter", None, position, f"the rules file says {declared(route)}", generation
    )
    return Change(Standing(route.name, rollout, declared(route)), entry)


def _redeclared(
    route: Route,
    standing: Standing,
    trying: str,
    steps: Sequence[int],
    generation: int,
    now: float,
    *,
    is_held: bool,
    watch: bool,
) -> Change:
    """The file's stage changed between two accepted loads: the file applies, whatever the store says.

    But not where it leads further than a route that `is_held`: that was moved back knowing more than the file.
    """
    before = standing.position
    after = position_for(route.stage, route.share or None, steps, before.frozen)
    why = f"the rules file changed: {standing.declared} -> {declared(route)}"
    if is_held and order(after) > order(before):
        after = before
        why += "; the route stays, for it was rolled back while they were being loaded"
    rollout = renewed(moved(standing.rollout, after, now, watch=watch), trying, now)
    entry = Entry(now, route.name, "file", "stage", before, after, why, generation)
    return Change(Standing(route.name, rollout, declared(route)), entry)


def _released(standing: Standing, trying: str, generation: int, now: float) -> Change:
    """Another candidate behind the same name, or other units: nothing moves, but what was learnt is not about it."""
    position = standing.position
    if standing.rollout.subject.split(".")[0] == trying.split(".")[0]:
        why = "the route's unit or group changed, so units change sides"
    else:
        why = "the candidate's definition changed"
    if position.stage in (Stage.SHADOW, Stage.CANARY):
        why += "; what was learnt before does not count"
    entry = Entry(now, standing.route, "file", "attempt", position, position, why, generation)
    return Change(replace(standing, rollout=renewed(standing.rollout, trying, now)), entry)


def rolled_back_between(before: Mapping[str, Standing], now: Mapping[str, Standing]) -> frozenset[str]:
    """The routes that stand further back now than before."""
    if before is now:
        return frozenset()
    return frozenset(
        name
        for name, standing in now.items()
        if name in before and standing is not before[name] and order(standing.position) < order(before[name].position)
    )


def moved(rollout: Rollout, position: Position, now: float, *, watch: bool = False) -> Rollout:
    """The rollout after someone put the route at `position`; freezing alone is no move, so holds go on.

    `watch`: whether a canary that goes live is to be watched.
    """
    after = replace(rollout, frozen=position.frozen)
    if (position.stage, position.share) == (rollout.stage, rollout.share):
        return after
    return placed(after, position.stage, position.share, now, watch=watch)


def staged(route: Route, position: Position, stage: Stage, share: int | None, steps: Sequence[int]) -> Position:
    """Where `fig stage` puts the route. Raises MoveError."""
    if share is not None and stage is not Stage.CANARY:
        raise MoveError(f"a share belongs to the stage canary; {stage.value} has none")
    if stage is Stage.CANARY and route.unit is None:
        raise MoveError(f"route '{route.name}' has no unit to split by; add `unit:` to the rules file")
    after = position_for(stage, share, steps, position.frozen)
    if stage is Stage.CANARY and share is None and not steps:
        raise MoveError(f"route '{route.name}' has no rollout steps; say which share: --share 5%")
    if position.frozen and order(after) > order(position):
        raise MoveError(
            f"route '{route.name}' is frozen; `fig unfreeze {route.name}` first (a rollback needs no unfreezing)"
        )
    return after


def promoted(route: Route, position: Position, steps: Sequence[int]) -> Position:
    """The next step up. Raises MoveError at the top: retiring is no promotion, for it ends the copies to legacy."""
    if position.stage is Stage.LIVE:
        raise MoveError(f"route '{route.name}' is live; `fig stage {route.name} retired` ends its copies to legacy")
    if position.stage is Stage.RETIRED:
        raise MoveError(f"route '{route.name}' is retired; there is no stage above")
    if position.stage is Stage.LEGACY:
        return staged(route, position, Stage.SHADOW, None, steps)
    if position.stage is Stage.SHADOW:
        return staged(route, position, Stage.CANARY, None, steps)
    higher = next((step for step in steps if step > position.share), None)
    if higher is None:
        return staged(route, position, Stage.LIVE, None, steps)
    return staged(route, position, Stage.CANARY, higher, steps)


def rolled_back(route: Route, position: Position, to: Stage) -> Position:
    """One step back, for every unit, frozen or not. Raises MoveError when the route stands there or below already."""
    if to not in (Stage.SHADOW, Stage.LEGACY):
        raise MoveError(f"a rollback goes to shadow or legacy, not to {to.value}")
    after = position_for(to, None, (), position.frozen)
    if order(after) >= order(position):
        hint = "; `--to legacy` ends its copies too" if position.stage is Stage.SHADOW else ""
        raise MoveError(f"route '{route.name}' is in stage {position.stage.value}; there is nothing to roll back{hint}")
    return after


def order(position: Position) -> tuple[int, int]:
    """How far along the migration a position is: by stage, then by share."""
    return (tuple(Stage).index(position.stage), position.share)
