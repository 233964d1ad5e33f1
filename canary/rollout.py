"""Where a rollout goes next. Pure: `advance` decides from where the route stands, what the gate says and the time.

The transitions are the table TRANSITIONS, and docs/canary.md draws them (`diagram`). What is not in the table does not
happen. The pilot calls `advance` and performs its commands; people move routes past it, and `placed` records that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import NamedTuple

from canary.openings import closed_because
from canary.plan import DeadlineEnd, RolloutPlan
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
    pinned: bool = False
    """Frozen, and not even taken back by the pilot where harm is proven: somebody said so."""
    approved: int = 0
    """The share that a person has agreed to in this attempt, of the steps that want one; MILLION is live, 0 none."""
    watched: bool = False
    """Live since its canary, and held against it until the plan's watch is over."""
    resumed: float = 0.0
    """When a person last let it go on in this attempt, seconds since the epoch: the deadline counts from there."""
    proven: float | None = None
    """When the gate first said `promote` in this attempt: if in time, the deadline does not bind any more."""

    @property
    def is_exposed(self) -> bool:
        """Whether the candidate answers clients in an attempt that is not over."""
        return self.stage is Stage.CANARY or (self.stage is Stage.LIVE and self.watched)


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
    WATCHED = "watched"
    """Live, and held against its own canary for a while."""
    FROZEN = "frozen"
    """Anywhere: nothing rises, and proven harm is taken back."""
    PINNED = "pinned"
    """Frozen, and harm is left where it is: somebody wants it so."""
    RESTING = "resting"
    """Legacy, live or retired: only people move it."""


class Event(StrEnum):
    """What can happen to a route between two looks."""

    CERTIFIED = "certificate is GO"
    TRIPPED = "fatal errors, or breaker open"
    HARMED = "gate says rollback"
    HELD = "hold elapsed, data in order"
    PROVEN = "hold elapsed, gate says promote"
    LATE = "deadline passed"
    EXPIRED = "deadline passed, to roll back"
    IN_TIME = "gate says promote before the deadline"
    ELAPSED = "watch over"


class Action(StrEnum):
    START = "canary at the first step"
    BACK = "shadow, share 0, attempt over"
    GIVE_UP = "shadow, share 0, time over"
    RAISE = "the next step"
    LIVE = "live"
    FREEZE = "frozen where it stands"
    NOTE = "the deadline binds no more"
    REST = "the attempt is over, live"


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
    Transition(Situation.STEPPING, Event.TRIPPED, Action.BACK, (Situation.OVER,)),
    Transition(Situation.STEPPING, Event.HARMED, Action.BACK, (Situation.OVER,)),
    Transition(Situation.STEPPING, Event.LATE, Action.FREEZE, (Situation.FROZEN,)),
    Transition(Situation.STEPPING, Event.EXPIRED, Action.GIVE_UP, (Situation.OVER,)),
    Transition(Situation.STEPPING, Event.HELD, Action.RAISE, _CANARY),
    Transition(Situation.STEPPING, Event.IN_TIME, Action.NOTE, (Situation.STEPPING,)),
    Transition(Situation.LAST_STEP, Event.TRIPPED, Action.BACK, (Situation.OVER,)),
    Transition(Situation.LAST_STEP, Event.HARMED, Action.BACK, (Situation.OVER,)),
    Transition(Situation.LAST_STEP, Event.LATE, Action.FREEZE, (Situation.FROZEN,)),
    Transition(Situation.LAST_STEP, Event.EXPIRED, Action.GIVE_UP, (Situation.OVER,)),
    Transition(Situation.LAST_STEP, Event.PROVEN, Action.LIVE, (Situation.WATCHED, Situation.RESTING)),
    Transition(Situation.LAST_STEP, Event.IN_TIME, Action.NOTE, (Situation.LAST_STEP,)),
    Transition(Situation.WATCHED, Event.TRIPPED, Action.BACK, (Situation.OVER,)),
    Transition(Situation.WATCHED, Event.HARMED, Action.BACK, (Situation.OVER,)),
    Transition(Situation.WATCHED, Event.ELAPSED, Action.REST, (Situation.RESTING,)),
    Transition(Situation.FROZEN, Event.TRIPPED, Action.BACK, (Situation.FROZEN,)),
    Transition(Situation.FROZEN, Event.HARMED, Action.BACK, (Situation.FROZEN,)),
)
"""In order: of two events at one look, the upper row counts; a move forward that something stands against is passed
over."""


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


@dataclass(frozen=True, slots=True)
class Rest:
    """The attempt is over and the route stays where it is; record why."""

    why: str


@dataclass(frozen=True, slots=True)
class Note:
    """Nothing moves, but the attempt remembers more; record why."""

    why: str


Command = Move | Freeze | Rest | Note


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a route found."""

    verdict: Verdict | None
    """The gate's, or of the watch; None where neither was asked (no attempt under way)."""
    reason: str
    """The gate's own sentence."""
    standing: Standing | None
    """The certificate's; None where the route has none, which leaves the first step to a person."""
    now: float
    windows: int = 0
    """Of evidence at the present share: without one, nobody knows what the candidate does under it."""
    tripped: str = ""
    """Why the candidate must go at once, evidence or not; ``""`` while nothing fatal was seen."""
    blocked: tuple[str, ...] = ()
    """Why the candidate may get no more traffic now, whatever the gate says; a way back is never blocked."""


def situation(rollout: Rollout, plan: RolloutPlan) -> Situation:
    """Which row of the table a route is in."""
    if rollout.frozen:
        return Situation.PINNED if rollout.pinned else Situation.FROZEN
    if rollout.stage is Stage.SHADOW:
        return Situation.OVER if rollout.ended else Situation.WAITING
    if rollout.stage is Stage.LIVE and rollout.watched:
        return Situation.WATCHED
    if rollout.stage is not Stage.CANARY:
        return Situation.RESTING
    return Situation.STEPPING if next_step(rollout, plan) is not None else Situation.LAST_STEP


def next_step(rollout: Rollout, plan: RolloutPlan) -> int | None:
    """The smallest step above the share that the candidate has, in millionths; None at the last one."""
    return next((step for step in plan.shares if step > rollout.share), None)


def _held(rollout: Rollout, plan: RolloutPlan, look: Look) -> bool:
    return look.now - rollout.since >= plan.hold and look.windows > 0


def _late(end: DeadlineEnd, rollout: Rollout, plan: RolloutPlan, look: Look) -> bool:
    if plan.deadline is None or plan.on_deadline is not end or rollout.began is None:
        return False
    by = look.now if rollout.proven is None else rollout.proven
    return by - max(rollout.began, rollout.resumed) >= plan.deadline


def _in_time(rollout: Rollout, plan: RolloutPlan, look: Look) -> bool:
    """The first `promote`, asked where no row of a deadline holds."""
    first = plan.deadline is not None and rollout.proven is None
    return first and look.verdict is Verdict.PROMOTE and look.windows > 0


_HAPPENS: dict[Event, Callable[[Rollout, RolloutPlan, Look], bool]] = {
    Event.CERTIFIED: lambda rollout, plan, look: look.standing is Standing.GO,
    Event.TRIPPED: lambda rollout, plan, look: rollout.is_exposed and bool(look.tripped),
    Event.HARMED: lambda rollout, plan, look: rollout.is_exposed and look.verdict is Verdict.ROLLBACK,
    Event.HELD: lambda rollout, plan, look: (
        _held(rollout, plan, look) and look.verdict in (Verdict.KEEP_WATCHING, Verdict.PROMOTE)
    ),
    Event.PROVEN: lambda rollout, plan, look: _held(rollout, plan, look) and look.verdict is Verdict.PROMOTE,
    Event.LATE: partial(_late, DeadlineEnd.FREEZE),
    Event.EXPIRED: partial(_late, DeadlineEnd.ROLLBACK),
    Event.IN_TIME: _in_time,
    Event.ELAPSED: lambda rollout, plan, look: plan.watch is None or look.now - rollout.since >= plan.watch,
}


def _start(rollout: Rollout, plan: RolloutPlan, look: Look) -> tuple[Rollout, list[Command]]:
    share = plan.shares[0]
    after = replace(rollout, stage=Stage.CANARY, share=share, since=look.now, began=look.now, approved=0, proven=None)
    return after, [Move(Stage.CANARY, share, f"the certificate is GO; first step, {share_text(share)}")]


def _back(rollout: Rollout, plan: RolloutPlan, look: Look) -> tuple[Rollout, list[Command]]:
    why = look.tripped or look.reason
    return _over(rollout, why or "rollback", look.now), [Move(Stage.SHADOW, 0, why)]


def _over(rollout: Rollout, why: str, now: float) -> Rollout:
    """In shadow, and nothing of the attempt is left but why it ended."""
    return replace(_anew(rollout), stage=Stage.SHADOW, share=0, since=now, began=None, ended=why)


def _anew(rollout: Rollout) -> Rollout:
    """Without what people decided about the attempt that it was, and what its gate said."""
    return replace(rollout, approved=0, resumed=0.0, watched=False, proven=None)


def _raise(rollout: Rollout, plan: RolloutPlan, look: Look) -> tuple[Rollout, list[Command]]:
    share = next_step(rollout, plan)
    assert share is not None  # the situation STEPPING means just that
    held = f"{share_text(rollout.share)} held for {look.now - rollout.since:.0f} s without harm"
    why = f"{held}; next step, {share_text(share)}"
    proven = look.now if _in_time(rollout, plan, look) else rollout.proven
    return replace(rollout, share=share, since=look.now, approved=0, proven=proven), [Move(Stage.CANARY, share, why)]


def _live(rollout: Rollout, plan: RolloutPlan, look: Look) -> tuple[Rollout, list[Command]]:
    watched = plan.watch is not None
    after = replace(_anew(rollout), stage=Stage.LIVE, share=MILLION, since=look.now, began=None, watched=watched)
    watch = f"; watched for {plan.watch:g} s" if watched else ""
    return after, [Move(Stage.LIVE, MILLION, look.reason + watch)]


def _freeze(rollout: Rollout, plan: RolloutPlan, look: Look) -> tuple[Rollout, list[Command]]:
    why = f"{_too_late(plan)}; frozen at {share_text(rollout.share)}"
    return replace(rollout, frozen=True), [Freeze(why)]


def _note(rollout: Rollout, plan: RolloutPlan, look: Look) -> tuple[Rollout, list[Command]]:
    why = f"the gate says promote before the deadline of {plan.deadline:g} s, which binds no more"
    return replace(rollout, proven=look.now), [Note(why)]


def _give_up(rollout: Rollout, plan: RolloutPlan, look: Look) -> tuple[Rollout, list[Command]]:
    why = f"{_too_late(plan)}; rolled back"
    return _over(rollout, why, look.now), [Move(Stage.SHADOW, 0, why)]


def _too_late(plan: RolloutPlan) -> str:
    return f"the deadline of {plan.deadline:g} s passed before it was live"


def _rest(rollout: Rollout, plan: RolloutPlan, look: Look) -> tuple[Rollout, list[Command]]:
    if plan.watch is None:
        why = "no watch any more"
    elif look.verdict in (Verdict.KEEP_WATCHING, Verdict.PROMOTE):
        why = f"nothing was worse than in its canary for {look.now - rollout.since:.0f} s"
    else:
        why = f"the watch of {plan.watch:g} s is over, and it saw nothing: {look.reason or 'nobody was asked'}"
    return replace(rollout, watched=False), [Rest(why)]


_PERFORM: dict[Action, Callable[[Rollout, RolloutPlan, Look], tuple[Rollout, list[Command]]]] = {
    Action.START: _start,
    Action.BACK: _back,
    Action.RAISE: _raise,
    Action.LIVE: _live,
    Action.FREEZE: _freeze,
    Action.GIVE_UP: _give_up,
    Action.NOTE: _note,
    Action.REST: _rest,
}


def advance(rollout: Rollout, plan: RolloutPlan, look: Look) -> tuple[Rollout, list[Command]]:
    """Where the route stands after this look, and what must be done for it to stand there; often nothing."""
    move = wanted(rollout, plan, look)
    waits = move is not None and bool(look.blocked or hindrances(rollout, plan, move, look.now))
    return _next(rollout, plan, look, passed_over=FORWARD if waits else frozenset())[1:]


def wanted(rollout: Rollout, plan: RolloutPlan, look: Look) -> Move | None:
    """The move forward that is due, were it not for whatever stands against it; None where there is none to make."""
    action, _, commands = _next(rollout, plan, look)
    if action not in FORWARD:
        return None
    return next((command for command in commands if isinstance(command, Move)), None)


def hindrances(rollout: Rollout, plan: RolloutPlan, move: Move, now: float) -> tuple[str, ...]:
    """What the plan itself has against a move forward now: its hours, and a person who has not agreed yet."""
    found = [closed_because(plan.only, now)]
    if plan.wants_approval(move.share) and rollout.approved != move.share:
        found.append(f"{place_text(move.share)} wants a person's approval (`fig approve`)")
    return tuple(filter(None, found))


def approvable(rollout: Rollout, plan: RolloutPlan) -> int | None:
    """The share that the next move gives, if it wants a person who has not agreed yet; None where it does not."""
    here = situation(replace(rollout, frozen=False), plan)
    share = {Situation.WAITING: plan.shares[0], Situation.STEPPING: next_step(rollout, plan)}.get(here)
    if here is Situation.LAST_STEP:
        share = MILLION
    if share is None or not plan.wants_approval(share) or rollout.approved == share:
        return None
    return share


def place_text(share: int) -> str:
    """``25%``; ``live``."""
    return "live" if share == MILLION else share_text(share)


def _next(
    rollout: Rollout, plan: RolloutPlan, look: Look, passed_over: frozenset[Action] = frozenset()
) -> tuple[Action | None, Rollout, list[Command]]:
    """The first row of the table that holds, performed, whatever may be against it."""
    here = situation(rollout, plan)
    for row in TRANSITIONS:
        if row.situation is here and row.action not in passed_over and _HAPPENS[row.event](rollout, plan, look):
            return row.action, *_PERFORM[row.action](rollout, plan, look)
    return None, rollout, []


_BEYOND_SHADOW = (Stage.CANARY, Stage.LIVE, Stage.RETIRED)


def placed(rollout: Rollout, stage: Stage, share: int, now: float, *, watch: bool = False) -> Rollout:
    """The rollout after a person (or the rules file) put the route somewhere: a fresh attempt, with no memory of a
    former end.

    A change of share within canary belongs to the same attempt, and so does the `watch`, if there is to be one, of a
    canary that went live. Whoever takes a route back to shadow ends its attempt: a certificate that is still GO would
    begin it again at the next look. An approval outlives a move that leads towards its step; whoever lowers the share
    has seen something that others did not know when they agreed.
    """
    if stage is Stage.CANARY and rollout.stage is Stage.CANARY:
        approved = rollout.approved if rollout.share <= share < rollout.approved else 0
        return replace(rollout, share=share, since=now, ended="", approved=approved)
    return replace(
        _anew(rollout),
        stage=stage,
        share=share,
        since=now,
        began=now if stage is Stage.CANARY else None,
        ended="taken back to shadow" if stage is Stage.SHADOW and rollout.stage in _BEYOND_SHADOW else "",
        watched=watch and stage is Stage.LIVE and rollout.stage is Stage.CANARY,
    )


def aborted(rollout: Rollout, why: str, now: float) -> Rollout | None:
    """The rollout after a person ended the attempt: in shadow, and not begun again by itself. None where none is under
    way, or about to be."""
    if rollout.stage is Stage.SHADOW and not rollout.ended:
        return replace(_anew(rollout), ended=why)
    return _over(rollout, why, now) if rollout.is_exposed else None


def renewed(rollout: Rollout, subject: str, now: float) -> Rollout:
    """The rollout under another candidate or other rules: what ended the former attempt does not bind this one, nor
    does what a person agreed to then."""
    if rollout.subject == subject:
        return rollout
    began = now if rollout.stage is Stage.CANARY and rollout.subject else rollout.began
    since = now if rollout.stage is Stage.CANARY and rollout.subject else rollout.since
    return replace(_anew(rollout), subject=subject, ended="", began=began, since=since)


def diagram() -> str:
    """The transitions as a mermaid state diagram, as docs/canary.md shows them."""
    lines = ["stateDiagram-v2", "    [*] --> waiting"]
    for row in TRANSITIONS:
        lines += [f"    {row.situation} --> {to}: {row.event} / {row.action}" for to in row.to]
    return "\n".join(lines)
