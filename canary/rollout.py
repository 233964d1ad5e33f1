"""Where a rollout goes next. Pure: `advance` decides from where the route stands, what the gate says and the time.

The transitions are the table TRANSITIONS, and docs/canary.md draws them (`diagram`). What is not in the table does not
happen. The pilot calls `advance` and performs its commands; people move routes past it, and `placed` records that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from canary.plan import RolloutPlan
from canary.verdict import Verdict
from rules.quantities import share_text
from rules.stages import MILLION, Stage


class Standing(StrEnum):
    """What the shadow certificate says of a route."""

    GO = "go"
    NO_GO = "no_go"
    TOO_FEW = "too_few"
    FAULT = "fault"
    """Gaps, doubts, or pairs that cannot be read."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """Where a route stands, and what its current attempt remembers."""

    stage: Stage
    share: int
    """The candidate's, in millionths; 0 in shadow, all in live."""
    since: float
    """When stage and share last changed, seconds since the epoch."""
    frozen: bool = False
    began: float | None = None
    """When the current attempt entered canary; None outside one."""
    ended: str = ""
    """Why the attempt is over; it does not begin again by itself until a person moves the route or `subject`
    changes."""
    subject: str = ""
    """What is being tried: a digest of candidate and rules. Another subject is another attempt."""


class Situation(StrEnum):
    """What `advance` tells apart."""

    WAITING = "waiting"
    """In shadow: the certificate is not good enough yet."""
    OVER = "over"
    """In shadow after a rollback."""
    STEPPING = "stepping"
    """In canary, with steps before it."""
    LAST_STEP = "last_step"
    """In canary, at the last step: live comes next."""
    FROZEN = "frozen"
    RESTING = "resting"
    """Legacy, live or retired: only people move it."""


class Event(StrEnum):
    """What can happen to a route between two looks."""

    CERTIFIED = "certificate is GO"
    HARMED = "gate says rollback"
    HELD = "hold elapsed, data in order"
    PROVEN = "hold elapsed, gate says promote"
    LATE = "deadline passed"


class Action(StrEnum):
    START = "canary at the first step"
    BACK = "shadow, share 0, attempt over"
    RAISE = "the next step"
    LIVE = "live"
    FREEZE = "frozen where it stands"


FORWARD = frozenset((Action.START, Action.RAISE, Action.LIVE))
"""Actions that give the candidate more traffic."""


class Transition(NamedTuple):
    situation: Situation
    event: Event
    action: Action
    to: tuple[Situation, ...]
    """Where that can lead; a plan may have a single step."""


_CANARY = (Situation.STEPPING, Situation.LAST_STEP)

TRANSITIONS = (
    Transition(Situation.WAITING, Event.CERTIFIED, Action.START, _CANARY),
    Transition(Situation.STEPPING, Event.HARMED, Action.BACK, (Situation.OVER,)),
    Transition(Situation.STEPPING, Event.LATE, Action.FREEZE, (Situation.FROZEN,)),
    Transition(Situation.STEPPING, Event.HELD, Action.RAISE, _CANARY),
    Transition(Situation.LAST_STEP, Event.HARMED, Action.BACK, (Situation.OVER,)),
    Transition(Situation.LAST_STEP, Event.PROVEN, Action.LIVE, (Situation.RESTING,)),
    Transition(Situation.LAST_STEP, Event.LATE, Action.FREEZE, (Situation.FROZEN,)),
)
"""In order: of two events at one look, the upper row counts."""


@dataclass(frozen=True, slots=True)
class Move:
    """Put the route there, for every worker, and record why."""

    stage: Stage
    share: int
    why: str


@dataclass(frozen=True, slots=True)
class Freeze:
    """Stop all movement by the pilot, and record why."""

    why: str


Command = Move | Freeze


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a route found."""

    verdict: Verdict | None
    """The gate's; None where it was not asked (outside canary)."""
    reason: str
    """The gate's own sentence."""
    standing: Standing | None
    """The certificate's; None where the route has none, which leaves the first step to a person."""
    now: float
    windows: int = 0
    """Of evidence at the present share: without one, nobody knows what the candidate does under it."""
    blocked: tuple[str, ...] = ()
    """Why the candidate may get no more traffic now, whatever the gate says; a way back is never blocked."""


def situation(rollout: Rollout, plan: RolloutPlan) -> Situation:
    """Which row of the table a route is in."""
    if rollout.frozen:
        return Situation.FROZEN
    if rollout.stage is Stage.SHADOW:
        return Situation.OVER if rollout.ended else Situation.WAITING
    if rollout.stage is not Stage.CANARY:
        return Situation.RESTING
    return Situation.STEPPING if next_step(rollout, plan) is not None else Situation.LAST_STEP


def next_step(rollout: Rollout, plan: RolloutPlan) -> int | None:
    """The smallest step above the share that the candidate has, in millionths; None at the last one."""
    return next((step for step in plan.shares if step > rollout.share), None)


def _held(rollout: Rollout, plan: RolloutPlan, look: Look) -> bool:
    return look.now - rollout.since >= plan.hold and look.windows > 0


def _late(rollout: Rollout, plan: RolloutPlan, look: Look) -> bool:
    return plan.deadline is not None and rollout.began is not None and look.now - rollout.began >= plan.deadline


_HAPPENS: dict[Event, Callable[[Rollout, RolloutPlan, Look], bool]] = {
    Event.CERTIFIED: lambda rollout, plan, look: look.standing is Standing.GO,
    Event.HARMED: lambda rollout, plan, look: look.verdict is Verdict.ROLLBACK,
    Event.HELD: lambda rollout, plan, look: (
        _held(rollout, plan, look) and look.verdict in (Verdict.KEEP_WATCHING, Verdict.PROMOTE)
    ),
    Event.PROVEN: lambda rollout, plan, look: _held(rollout, plan, look) and look.verdict is Verdict.PROMOTE,
    Event.LATE: _late,
}


def _start(rollout: Rollout, plan: RolloutPlan, look: Look) -> tuple[Rollout, list[Command]]:
    share = plan.shares[0]
    after = replace(rollout, stage=Stage.CANARY, share=share, since=look.now, began=look.now)
    return after, [Move(Stage.CANARY, share, f"the certificate is GO; first step, {share_text(share)}")]


def _back(rollout: Rollout, plan: RolloutPlan, look: Look) -> tuple[Rollout, list[Command]]:
    after = replace(rollout, stage=Stage.SHADOW, share=0, since=look.now, began=None, ended=look.reason or "rollback")
    return after, [Move(Stage.SHADOW, 0, look.reason)]


def _raise(rollout: Rollout, plan: RolloutPlan, look: Look) -> tuple[Rollout, list[Command]]:
    share = next_step(rollout, plan)
    assert share is not None  # the situation STEPPING means just that
    held = f"{share_text(rollout.share)} held for {look.now - rollout.since:.0f} s without harm"
    why = f"{held}; next step, {share_text(share)}"
    return replace(rollout, share=share, since=look.now), [Move(Stage.CANARY, share, why)]


def _live(rollout: Rollout, plan: RolloutPlan, look: Look) -> tuple[Rollout, list[Command]]:
    after = replace(rollout, stage=Stage.LIVE, share=MILLION, since=look.now, began=None)
    return after, [Move(Stage.LIVE, MILLION, look.reason)]


def _freeze(rollout: Rollout, plan: RolloutPlan, look: Look) -> tuple[Rollout, list[Command]]:
    why = f"no verdict within the deadline of {plan.deadline:g} s; frozen at {share_text(rollout.share)}"
    return replace(rollout, frozen=True), [Freeze(why)]


_PERFORM: dict[Action, Callable[[Rollout, RolloutPlan, Look], tuple[Rollout, list[Command]]]] = {
    Action.START: _start,
    Action.BACK: _back,
    Action.RAISE: _raise,
    Action.LIVE: _live,
    Action.FREEZE: _freeze,
}


def advance(rollout: Rollout, plan: RolloutPlan, look: Look) -> tuple[Rollout, list[Command]]:
    """Where the route stands after this look, and what must be done for it to stand there; often nothing."""
    here = situation(rollout, plan)
    for row in TRANSITIONS:
        if row.situation is here and _HAPPENS[row.event](rollout, plan, look):
            if row.action in FORWARD and look.blocked:
                return rollout, []
            return _PERFORM[row.action](rollout, plan, look)
    return rollout, []


def wanted(rollout: Rollout, plan: RolloutPlan, look: Look) -> Move | None:
    """The move forward that only `blocked` could keep the route from now; None where there is none to make."""
    after, commands = advance(rollout, plan, replace(look, blocked=()))
    if (after.stage, after.share) == (rollout.stage, rollout.share) or after.share < rollout.share:
        return None
    return next((command for command in commands if isinstance(command, Move)), None)


def placed(rollout: Rollout, stage: Stage, share: int, now: float) -> Rollout:
    """The rollout after a person (or the rules file) put the route somewhere: a fresh attempt, with no memory of a
    former end.

    A change of share within canary belongs to the same attempt.
    """
    within = stage is Stage.CANARY and rollout.stage is Stage.CANARY
    began = (rollout.began if within else now) if stage is Stage.CANARY else None
    return replace(rollout, stage=stage, share=share, since=now, began=began, ended="")


def renewed(rollout: Rollout, subject: str, now: float) -> Rollout:
    """The rollout under another candidate or other rules: what ended the former attempt does not bind this one."""
    if rollout.subject == subject:
        return rollout
    began = now if rollout.stage is Stage.CANARY and rollout.subject else rollout.began
    since = now if rollout.stage is Stage.CANARY and rollout.subject else rollout.since
    return replace(rollout, subject=subject, ended="", began=began, since=since)


def diagram() -> str:
    """The transitions as a mermaid state diagram, as docs/canary.md shows them."""
    lines = ["stateDiagram-v2", "    [*] --> waiting"]
    for row in TRANSITIONS:
        lines += [f"    {row.situation} --> {to}: {row.event} / {row.action}" for to in row.to]
    return "\n".join(lines)
