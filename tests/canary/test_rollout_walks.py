"""A rollout between the pilot and people, over many looks: what holds of every walk."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from canary.openings import is_open
from canary.plan import RolloutPlan
from canary.rollout import (
    Look,
    Rollout,
    Standing,
    aborted,
    advance,
    approvable,
    next_step,
    placed,
    renewed,
)
from canary.verdict import Verdict
from rules.stages import MILLION, Stage

PLAN = RolloutPlan.model_validate(
    {
        "steps": ["1%", {"share": "5%", "approval": True}, "50%", "90%"],
        "hold": "60s",
        "gate": "g",
        "holdback": "10%",
        "deadline": "3h",
        "only": "Thu 00:05-00:15 UTC",
        "approve_live": True,
        "watch": "10m",
    }
)
looks = st.builds(
    Look,
    verdict=st.sampled_from([Verdict.KEEP_WATCHING, Verdict.PROMOTE, Verdict.PROMOTE, Verdict.ROLLBACK, Verdict.FAULT]),
    reason=st.just("as the gate says"),
    standing=st.sampled_from([Standing.GO, Standing.GO, Standing.TOO_FEW]),
    now=st.floats(1, 600),
    windows=st.just(1),
    tripped=st.sampled_from(["", "", "", "", "breaker"]),
    blocked=st.sampled_from([(), (), (), ("no",)]),
)
people = st.sampled_from(["approve", "freeze", "pin", "unfreeze", "abort", "promote", "release"])
walks = st.lists(st.one_of(looks, looks, looks, people), max_size=60)


def _by_person(rollout: Rollout, what: str, now: float) -> Rollout:
    if what == "approve":
        return replace(rollout, approved=approvable(rollout, PLAN) or rollout.approved)
    if what in ("freeze", "pin"):
        return replace(rollout, frozen=True, pinned=what == "pin")
    if what == "unfreeze":
        return replace(rollout, frozen=False, pinned=False, resumed=now, proven=None)
    if what == "abort":
        return aborted(rollout, "a person", now) or rollout
    if what == "release":
        return renewed(rollout, f"release at {now}", now)
    if rollout.frozen or rollout.stage is Stage.LIVE:
        return rollout
    share = PLAN.shares[0] if rollout.stage is Stage.SHADOW else next_step(rollout, PLAN)
    return placed(rollout, Stage.LIVE if share is None else Stage.CANARY, share or MILLION, now)


@settings(max_examples=300)
@given(walks)
def test_whatever_people_do_between_the_pilot_goes_forward_only_where_it_may(walk: list[Look | str]) -> None:
    rollout, now = Rollout(Stage.SHADOW, 0, since=0.0, subject="v1"), 0.0
    agreed: set[int] = set()
    """What people agreed to in the present attempt."""
    for step in walk:
        before = rollout
        if isinstance(step, str):
            rollout = _by_person(rollout, step, now)
            if step == "approve" and rollout.approved:
                agreed.add(rollout.approved)
        else:
            now += step.now
            rollout, commands = advance(rollout, PLAN, replace(step, now=now))
            if rollout.share > before.share:
                assert not before.frozen
                assert not before.ended
                assert not step.blocked
                assert is_open(PLAN.only, now)
                assert not PLAN.wants_approval(rollout.share) or rollout.share in agreed
            if rollout.stage is Stage.CANARY:
                assert rollout.share <= MILLION - PLAN.holdback
            harmed = step.verdict is Verdict.ROLLBACK or step.tripped
            if before.is_exposed and harmed and not (before.frozen and before.pinned):
                assert (rollout.stage, rollout.share) == (Stage.SHADOW, 0)
                assert rollout.ended
            if not commands:
                assert rollout == before
        if not rollout.is_exposed and (rollout.stage, rollout.ended) != (before.stage, before.ended):
            agreed.clear()
        if rollout.subject != before.subject:
            agreed.clear()
