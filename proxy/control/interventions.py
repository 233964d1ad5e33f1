"""What people decide about an attempt without choosing a stage: freeze, unfreeze, approve, abort, and back. Pure.

Each takes where the route stands and gives where its rollout stands then, or raises MoveError with what can be done
instead. `standings` has the moves from stage to stage.
"""

from __future__ import annotations

from dataclasses import replace

from canary.plan import RolloutPlan
from canary.rollout import Rollout, aborted, approvable, place_text
from proxy.control import standings
from proxy.control.records import Standing
from proxy.control.standings import MoveError
from rules.document import Route
from rules.stages import Stage


def frozen(standing: Standing, *, pinned: bool) -> Rollout:
    """Nothing rises any more; `pinned`: nor does the pilot take it back where harm is proven."""
    rollout = standing.rollout
    if rollout.frozen and rollout.pinned == pinned:
        raise MoveError(f"route '{standing.route}' is frozen already{', against rollback too' if pinned else ''}")
    return replace(rollout, frozen=True, pinned=pinned)


def unfrozen(standing: Standing, now: float) -> Rollout:
    """The route may move again. Holds have gone on meanwhile; a deadline counts from `now`, or where it has passed the
    route would be frozen again at the next look. It binds anew until the gate says `promote`."""
    if not standing.rollout.frozen:
        raise MoveError(f"route '{standing.route}' is not frozen")
    return replace(standing.rollout, frozen=False, pinned=False, resumed=now, proven=None)


def approved(standing: Standing, plan: RolloutPlan | None, share: int | None) -> Rollout:
    """The next step may be taken. `share`: which one is meant, where the person said so; MILLION is live."""
    name, rollout = standing.route, standing.rollout
    if plan is None:
        raise MoveError(f"route '{name}' has no rollout, so nothing waits for an approval")
    due = approvable(rollout, plan)
    if due is None:
        if rollout.approved:
            raise MoveError(
                f"{place_text(rollout.approved)} of route '{name}' is approved already, and nothing else is due"
            )
        wanting = [place_text(each) for each in plan.shares if plan.wants_approval(each)]
        wanting += ["live"] if plan.approve_live else []
        known = f"; of its steps {', '.join(wanting)} will, when it is next" if wanting else ""
        raise MoveError(f"the next step of route '{name}' wants no approval{known}")
    if share is not None and share != due:
        raise MoveError(
            f"the next step of route '{name}' is {place_text(due)}, not {place_text(share)}; "
            "an approval is for one step, when it is next"
        )
    return replace(rollout, approved=due)


def ended(standing: Standing, who: str, why: str, now: float) -> Rollout:
    """The attempt is over, frozen or not: legacy answers, copies go on, and the pilot does not begin another."""
    after = aborted(standing.rollout, f"aborted by {who}" + (f": {why}" if why else ""), now)
    if after is None:
        stage = standing.rollout.stage.value
        over = f" since its attempt ended ({standing.rollout.ended})" if standing.rollout.ended else ""
        raise MoveError(f"route '{standing.route}' is in stage {stage}{over}; there is no attempt to abort")
    return after


def rolled_back(route: Route, standing: Standing, to: Stage, who: str, why: str, now: float) -> Rollout:
    """One step back, frozen or not. Whoever takes an attempt back does not want the pilot to begin it again at once."""
    after = standings.moved(standing.rollout, standings.rolled_back(route, standing.position, to), now)
    return replace(after, ended=f"rolled back by {who}" + (f": {why}" if why else ""))
