"""Where a rollout goes: the table, its laws, and the diagram in the docs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.openings import is_open
from canary.plan import DeadlineEnd, RolloutPlan, Step
from canary.rollout import (
    TRANSITIONS,
    Action,
    Event,
    Freeze,
    Look,
    Move,
    Note,
    Rest,
    Rollout,
    Situation,
    Standing,
    Transition,
    aborted,
    advance,
    approvable,
    diagram,
    hindrances,
    placed,
    renewed,
    situation,
    wanted,
)
from canary.verdict import Verdict
from rules.quantities import share_text
from rules.stages import MILLION, Stage

STEPS: dict[str, Any] = {"steps": ["1%", "5%", "25%", "95%"], "hold": "60s", "gate": "g", "deadline": "1h"}
PLAN = RolloutPlan.model_validate(STEPS)
CAREFUL = RolloutPlan.model_validate(
    STEPS
    | {"steps": ["1%", {"share": "5%", "approval": True}, "25%", {"share": "95%", "approval": True}]}
    | {"only": "Thu 00:30-01:30 UTC", "approve_live": True, "watch": "10m"}
)
"""Everything that a plan can have against a move; the epoch began on a Thursday."""
ENDING = RolloutPlan.model_validate(STEPS | {"on_deadline": "rollback"})
PLANS = (PLAN, CAREFUL, ENDING, RolloutPlan.model_validate({"steps": ["10%"], "hold": "60s", "gate": "g"}))
SHADOW = Rollout(Stage.SHADOW, 0, since=0.0)


def canary(share: int, since: float = 0.0, began: float = 0.0) -> Rollout:
    return Rollout(Stage.CANARY, share, since=since, began=began)


def look(verdict: Verdict | None = None, standing: Standing | None = None, now: float = 100.0) -> Look:
    return Look(verdict, f"the gate says {verdict}", standing, now, windows=1)


looks = st.builds(
    Look,
    verdict=st.sampled_from([None, *Verdict]),
    reason=st.just("as the gate says"),
    standing=st.sampled_from([None, *Standing]),
    now=st.floats(0, 10_000),
    windows=st.sampled_from([0, 1, 9]),
    tripped=st.sampled_from(["", "", "the breaker is open"]),
    blocked=st.sampled_from([(), (), ("a webhook said no",)]),
)
plans = st.sampled_from(PLANS)
rollouts = st.builds(
    Rollout,
    stage=st.sampled_from(list(Stage)),
    share=st.sampled_from([0, 10_000, 30_000, 50_000, 250_000, 950_000, 990_000, MILLION]),
    since=st.floats(0, 1000),
    frozen=st.booleans(),
    began=st.none() | st.floats(0, 1000),
    ended=st.sampled_from(["", "worse"]),
    pinned=st.booleans(),
    approved=st.sampled_from([0, 50_000, 950_000, MILLION]),
    watched=st.booleans(),
    proven=st.none() | st.floats(0, 10_000),
)


def test_a_good_certificate_starts_the_first_step() -> None:
    after, commands = advance(SHADOW, PLAN, look(standing=Standing.GO))

    assert (after.stage, after.share, after.began) == (Stage.CANARY, 10_000, 100.0)
    assert [(c.stage, c.share) for c in commands if isinstance(c, Move)] == [(Stage.CANARY, 10_000)]


def test_any_other_certificate_starts_nothing() -> None:
    for standing in (None, Standing.NO_GO, Standing.TOO_FEW, Standing.FAULT):
        assert advance(SHADOW, PLAN, look(standing=standing)) == (SHADOW, [])


def test_a_step_waits_for_its_hold_and_then_rises_without_a_promotion() -> None:
    early, _ = advance(canary(10_000), PLAN, look(Verdict.KEEP_WATCHING, now=59))
    late, _ = advance(canary(10_000), PLAN, look(Verdict.KEEP_WATCHING, now=60))

    assert early.share == 10_000
    assert late.share == 50_000


def test_a_fault_holds_the_share() -> None:
    assert advance(canary(10_000), PLAN, look(Verdict.FAULT))[1] == []


def test_the_last_step_goes_live_on_a_promotion_only() -> None:
    kept, _ = advance(canary(950_000), PLAN, look(Verdict.KEEP_WATCHING))
    live, commands = advance(canary(950_000), PLAN, look(Verdict.PROMOTE))

    assert kept.stage is Stage.CANARY
    assert (live.stage, live.share) == (Stage.LIVE, MILLION)
    assert commands == [Move(Stage.LIVE, MILLION, "the gate says promote")]


def test_a_rollback_ends_the_attempt_until_a_person_or_another_candidate_begins_anew() -> None:
    after, commands = advance(canary(250_000), PLAN, look(Verdict.ROLLBACK, now=3))

    assert commands == [Move(Stage.SHADOW, 0, "the gate says rollback")]
    assert advance(after, PLAN, look(standing=Standing.GO)) == (after, [])
    by_person = placed(after, Stage.SHADOW, 0, now=9.0)
    assert advance(by_person, PLAN, look(standing=Standing.GO))[0].stage is Stage.CANARY
    released = renewed(after, "another release", now=9.0)
    assert advance(released, PLAN, look(standing=Standing.GO))[0].stage is Stage.CANARY


@pytest.mark.parametrize("stage", [Stage.CANARY, Stage.LIVE, Stage.RETIRED])
def test_whoever_takes_a_route_back_to_shadow_does_not_want_it_begun_again_at_once(stage: Stage) -> None:
    back = placed(Rollout(stage, 50_000, since=0.0, began=0.0), Stage.SHADOW, 0, now=9.0)

    assert advance(back, PLAN, look(standing=Standing.GO)) == (back, [])
    assert back.ended == "taken back to shadow"
    begun = placed(Rollout(Stage.LEGACY, 0, since=0.0), Stage.SHADOW, 0, now=9.0)
    assert advance(begun, PLAN, look(standing=Standing.GO))[0].stage is Stage.CANARY


def test_a_passed_deadline_freezes_and_never_promotes() -> None:
    after, commands = advance(canary(950_000), PLAN, look(Verdict.KEEP_WATCHING, now=3600))

    assert after.frozen
    assert after.share == 950_000
    assert isinstance(commands[0], Freeze)
    assert advance(after, PLAN, look(Verdict.PROMOTE, now=4000)) == (after, [])


def test_a_deadline_counts_anew_from_when_a_person_let_the_route_go_on() -> None:
    frozen, _ = advance(canary(950_000), PLAN, look(Verdict.KEEP_WATCHING, now=3600))

    let_on = replace(frozen, frozen=False, resumed=4000.0)

    assert advance(let_on, PLAN, look(Verdict.KEEP_WATCHING, now=7599)) == (let_on, []), "not frozen again at once"
    assert advance(let_on, PLAN, look(Verdict.KEEP_WATCHING, now=7600))[0].frozen
    for anew in (placed(let_on, Stage.SHADOW, 0, now=9.0), renewed(replace(let_on, subject="v1"), "v2", now=9.0)):
        assert anew.resumed == 0.0


@pytest.mark.parametrize("share", [10_000, 950_000])
@pytest.mark.parametrize("verdict", [Verdict.KEEP_WATCHING, Verdict.FAULT])
def test_a_passed_deadline_takes_the_route_back_where_the_plan_says_so(share: int, verdict: Verdict) -> None:
    after, [move] = advance(canary(share), ENDING, look(verdict, now=3600))

    assert move == Move(Stage.SHADOW, 0, "the deadline of 3600 s passed before it was live; rolled back")
    assert (after.stage, after.share, after.began, after.frozen) == (Stage.SHADOW, 0, None, False)
    assert after.ended == move.why
    assert advance(after, ENDING, look(standing=Standing.GO, now=4000)) == (after, []), "not begun again by itself"
    assert advance(canary(share), ENDING, look(Verdict.FAULT, now=3599))[1] == []


def test_what_is_worse_at_the_deadline_goes_back_for_that() -> None:
    for seen in (look(Verdict.ROLLBACK, now=3600), replace(look(Verdict.FAULT, now=3600), tripped="breaker open")):
        after, [move] = advance(canary(50_000), ENDING, seen)

        assert move.why == after.ended == (seen.tripped or seen.reason)


def test_a_deadline_takes_nothing_back_that_a_person_froze_or_that_is_live() -> None:
    late = look(Verdict.KEEP_WATCHING, now=9000)
    for there in (replace(canary(50_000), frozen=True), Rollout(Stage.LIVE, MILLION, since=0.0)):
        assert advance(there, ENDING, late) == (there, [])
    let_on = replace(canary(50_000), resumed=8000.0)
    assert advance(let_on, ENDING, late)[0].stage is Stage.CANARY, "it counts from when a person let the route go on"


@given(rollouts, looks)
def test_nothing_is_under_way_after_a_deadline_that_rolls_back_but_what_was_proven_in_time(
    rollout: Rollout, seen: Look
) -> None:
    there = replace(rollout, stage=Stage.CANARY, frozen=False, began=0.0)
    in_time = there.proven is not None and there.proven < 3600

    after, _ = advance(there, ENDING, replace(seen, now=3600.0 + seen.now))

    assert after.share == 0 or in_time


def test_what_happens_at_a_deadline_is_said_of_a_deadline() -> None:
    without = {key: value for key, value in STEPS.items() if key != "deadline"}

    with pytest.raises(ValueError, match="'on_deadline' without a 'deadline'"):
        RolloutPlan.model_validate(without | {"on_deadline": "rollback"})


def test_no_deadline_promotes() -> None:
    assert {end.value for end in DeadlineEnd} == {"freeze", "rollback"}
    assert PLAN.on_deadline is DeadlineEnd.FREEZE
    with pytest.raises(ValueError, match="'freeze' or 'rollback'"):
        RolloutPlan.model_validate(STEPS | {"on_deadline": "promote"})


def test_a_change_of_share_by_a_person_belongs_to_the_same_attempt() -> None:
    after = placed(canary(10_000, began=5.0), Stage.CANARY, 300_000, now=50.0)

    assert (after.began, after.since, after.share) == (5.0, 50.0, 300_000)
    assert advance(after, PLAN, look(Verdict.KEEP_WATCHING, now=200))[0].share == 950_000


def test_another_release_in_canary_holds_its_step_anew() -> None:
    before = replace(canary(50_000), subject="v1")

    assert renewed(before, "v1", now=9.0) == before
    assert renewed(before, "v2", now=9.0).since == 9.0


@given(plans, rollouts, looks)
def test_no_step_is_ever_skipped(plan: RolloutPlan, rollout: Rollout, seen: Look) -> None:
    after, _ = advance(rollout, plan, seen)

    if after.stage is Stage.CANARY and after.share != rollout.share:
        former = rollout.share if rollout.stage is Stage.CANARY else 0
        assert after.share == min(step for step in plan.shares if step > former)
    if after.stage is Stage.LIVE and rollout.stage is not Stage.LIVE:
        assert rollout.stage is Stage.CANARY
        assert rollout.share >= plan.shares[-1]


@given(plans, rollouts, looks)
def test_legacy_keeps_its_holdback_while_the_pilot_has_the_route_in_canary(
    plan: RolloutPlan, rollout: Rollout, seen: Look
) -> None:
    after, commands = advance(rollout, plan, seen)

    if any(isinstance(command, Move) for command in commands) and after.stage is Stage.CANARY:
        assert after.share <= MILLION - plan.holdback


@given(plans, rollouts, looks)
def test_nothing_rises_while_anything_stands_against_it(plan: RolloutPlan, rollout: Rollout, seen: Look) -> None:
    after, _ = advance(rollout, plan, seen)

    if after.share > rollout.share:
        assert not rollout.frozen
        assert not seen.blocked
        assert is_open(plan.only, seen.now)
        assert not plan.wants_approval(after.share) or rollout.approved == after.share
        assert not seen.tripped or rollout.stage is Stage.SHADOW
        assert rollout.stage is not Stage.SHADOW or not rollout.ended


@given(plans, rollouts, looks)
def test_a_share_never_rises_without_its_hold_and_data_in_order(
    plan: RolloutPlan, rollout: Rollout, seen: Look
) -> None:
    after, _ = advance(rollout, plan, seen)

    if rollout.stage is Stage.CANARY and after.share > rollout.share:
        assert seen.now - rollout.since >= plan.hold
        assert seen.windows > 0
        assert seen.verdict in (Verdict.KEEP_WATCHING, Verdict.PROMOTE)


@given(plans, rollouts, looks, st.sampled_from(["the gate says so", "the breaker is open"]))
def test_a_rollback_is_possible_from_everywhere_that_is_not_pinned(
    plan: RolloutPlan, rollout: Rollout, seen: Look, why: str
) -> None:
    fatal = "breaker" in why
    bad = replace(seen, verdict=Verdict.FAULT if fatal else Verdict.ROLLBACK, tripped=why if fatal else "", reason=why)
    there = replace(rollout, pinned=False)

    after, commands = advance(there, plan, bad)

    if there.stage is Stage.CANARY or situation(there, plan) is Situation.WATCHED:
        assert commands == [Move(Stage.SHADOW, 0, why)]
        assert (after.stage, after.share, after.ended, after.frozen) == (Stage.SHADOW, 0, why, there.frozen)
        assert advance(after, plan, replace(bad, standing=Standing.GO, blocked=()))[1] == [], "not by itself"


@given(plans, rollouts, looks)
def test_a_frozen_route_moves_back_at_most_and_a_pinned_one_not_at_all(
    plan: RolloutPlan, rollout: Rollout, seen: Look
) -> None:
    frozen = replace(rollout, frozen=True)

    after, commands = advance(frozen, plan, seen)

    assert after.share <= frozen.share
    assert not commands or (after.stage, not frozen.pinned) == (Stage.SHADOW, True)


@given(plans, rollouts, looks)
def test_what_is_wanted_is_what_is_done_once_nothing_stands_against_it(
    plan: RolloutPlan, rollout: Rollout, seen: Look
) -> None:
    free = plan.model_copy(update={"only": (), "approve_live": False, "steps": tuple(_free(plan))})
    after, commands = advance(rollout, free, replace(seen, blocked=()))

    move = wanted(rollout, plan, seen)

    assert (move is not None) == (after.share > rollout.share)
    assert move is None or commands == [move]


def _free(plan: RolloutPlan) -> Iterator[Step]:
    return (Step.model_validate({"share": share_text(share)}) for share in plan.shares)


@given(plans, rollouts, looks)
def test_what_is_done_is_what_the_rollout_says_afterwards(plan: RolloutPlan, rollout: Rollout, seen: Look) -> None:
    after, commands = advance(rollout, plan, seen)

    assert bool(commands) == (after != rollout)
    for command in commands:
        assert command.why
        if isinstance(command, Move):
            assert (command.stage, command.share) == (after.stage, after.share)
        elif isinstance(command, Freeze):
            assert after.frozen
        elif isinstance(command, Note):
            assert after == replace(rollout, proven=seen.now)
        else:
            assert not after.is_exposed


@given(plans, rollouts, looks)
def test_every_move_is_a_row_of_the_table(plan: RolloutPlan, rollout: Rollout, seen: Look) -> None:
    after, commands = advance(rollout, plan, seen)

    if commands:
        rows = [row for row in TRANSITIONS if row.situation is situation(rollout, plan)]
        reached = {replace(after, frozen=True, pinned=False)} if after.pinned and after.frozen else {after}
        assert {situation(one, plan) for one in reached} <= {to for row in rows for to in row.to}


FROM = {
    Situation.WAITING: SHADOW,
    Situation.STEPPING: canary(50_000),
    Situation.LAST_STEP: canary(950_000),
    Situation.WATCHED: Rollout(Stage.LIVE, MILLION, since=0.0, watched=True),
    Situation.FROZEN: replace(canary(250_000), frozen=True),
}
"""A rollout in each situation that has a way on."""
SEEN = {
    Event.CERTIFIED: look(standing=Standing.GO),
    Event.TRIPPED: replace(look(Verdict.FAULT), tripped="the breaker is open"),
    Event.HARMED: look(Verdict.ROLLBACK),
    Event.HELD: look(Verdict.KEEP_WATCHING),
    Event.PROVEN: look(Verdict.PROMOTE),
    Event.LATE: look(Verdict.KEEP_WATCHING, now=3600.0),
    Event.EXPIRED: look(Verdict.KEEP_WATCHING, now=3600.0),
    Event.IN_TIME: look(Verdict.PROMOTE, now=30.0),
    Event.ELAPSED: look(Verdict.KEEP_WATCHING, now=600.0),
}
"""A look at which each event happens."""


@pytest.mark.parametrize("row", TRANSITIONS, ids=lambda row: f"{row.situation}: {row.event}")
def test_every_row_of_the_table_can_be_reached_with_every_end(row: Transition) -> None:
    usual = ENDING if row.event is Event.EXPIRED else PLAN
    last = Rollout(Stage.CANARY, 10_000, since=0.0, began=0.0)
    ways = [
        (FROM[row.situation], usual.model_copy(update={"watch": 600.0})),
        (FROM[row.situation], usual),
        (FROM[row.situation], usual.model_copy(update={"steps": usual.steps[:1]})),
        (last, usual.model_copy(update={"steps": usual.steps[:2]})),
    ]
    reached = set()
    for rollout, plan in ways:
        if situation(rollout, plan) is row.situation:
            after, commands = advance(rollout, plan, SEEN[row.event])
            if commands:
                reached.add(situation(after, plan))

    assert reached == set(row.to)


def test_every_situation_but_the_resting_ones_has_a_way_on() -> None:
    left = set(Situation) - {row.situation for row in TRANSITIONS}

    assert left == {Situation.OVER, Situation.PINNED, Situation.RESTING}
    assert {row.event for row in TRANSITIONS} == set(Event)
    assert {row.action for row in TRANSITIONS} == set(Action)


def test_the_docs_draw_these_transitions() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "canary.md").read_text(encoding="utf-8")

    assert diagram() in page


def test_no_step_is_taken_and_nothing_goes_live_before_a_window_of_the_present_share_is_complete() -> None:
    for share in (10_000, 950_000):
        here = canary(share)
        blind = replace(look(Verdict.PROMOTE), windows=0)

        assert advance(here, PLAN, blind) == (here, [])
        assert advance(here, PLAN, replace(blind, windows=1))[1]


def test_a_step_that_wants_a_person_waits_for_one_and_an_approval_is_for_its_step_alone() -> None:
    plan = CAREFUL.model_copy(update={"only": ()})
    here, held = canary(10_000), look(Verdict.KEEP_WATCHING)

    assert approvable(here, plan) == 50_000
    assert advance(here, plan, held) == (here, [])
    [reason] = hindrances(here, plan, Move(Stage.CANARY, 50_000, ""), 100.0)
    assert "5% wants a person's approval" in reason

    agreed = replace(here, approved=50_000)
    assert approvable(agreed, plan) is None
    risen, _ = advance(agreed, plan, held)
    assert risen.share == 50_000
    assert approvable(risen, plan) is None, "25% wants nobody"
    at_25, _ = advance(risen, plan, replace(held, now=300.0))
    assert at_25.share == 250_000
    assert approvable(at_25, plan) == 950_000


def test_an_approval_ends_with_its_attempt() -> None:
    agreed = replace(canary(10_000), approved=50_000, subject="v1")

    assert advance(agreed, PLAN, look(Verdict.ROLLBACK))[0].approved == 0
    assert placed(agreed, Stage.SHADOW, 0, now=9.0).approved == 0
    assert renewed(agreed, "v2", now=9.0).approved == 0
    assert placed(agreed, Stage.CANARY, 30_000, now=9.0).approved == 50_000, "the same attempt, and 5% is still next"


def test_an_approval_is_used_up_by_its_step_and_gone_when_the_share_is_lowered() -> None:
    plan = CAREFUL.model_copy(update={"only": ()})
    agreed = replace(canary(10_000), approved=50_000)
    risen, _ = advance(agreed, plan, look(Verdict.KEEP_WATCHING))
    raised = placed(agreed, Stage.CANARY, 50_000, now=9.0)

    first = RolloutPlan.model_validate(STEPS | {"steps": [{"share": "1%", "approval": True}, "5%"]})
    assert advance(replace(SHADOW, approved=10_000), first, look(standing=Standing.GO))[0].approved == 0
    for there in (risen, raised):
        lowered = placed(there, Stage.CANARY, 10_000, now=200.0)
        assert approvable(lowered, plan) == 50_000, "whoever lowered it has seen something"
        assert advance(lowered, plan, look(Verdict.KEEP_WATCHING, now=300.0)) == (lowered, [])
    assert placed(replace(canary(20_000), approved=50_000), Stage.CANARY, 10_000, now=9.0).approved == 0


def test_nothing_moves_forward_outside_its_hours_and_the_reason_says_when_it_will() -> None:
    agreed = replace(canary(10_000), approved=50_000)
    early, open_ = look(Verdict.KEEP_WATCHING, now=100.0), look(Verdict.KEEP_WATCHING, now=1800.0)

    assert advance(agreed, CAREFUL, early) == (agreed, [])
    assert hindrances(agreed, CAREFUL, Move(Stage.CANARY, 50_000, ""), 100.0) == (
        "outside of Thu 00:30-01:30 UTC; next Thu 1970-01-01 00:30 UTC",
    )
    assert advance(agreed, CAREFUL, open_)[0].share == 50_000
    assert advance(agreed, CAREFUL, replace(early, verdict=Verdict.ROLLBACK))[0].stage is Stage.SHADOW


def test_a_route_that_went_live_is_watched_and_then_rests() -> None:
    plan = PLAN.model_copy(update={"watch": 600.0})
    live, [move] = advance(canary(950_000), plan, look(Verdict.PROMOTE, now=100.0))

    assert live.is_exposed
    assert "watched for 600 s" in move.why
    rested, [rest] = advance(live, plan, look(Verdict.KEEP_WATCHING, now=700.0))
    assert (rested.stage, rested.watched) == (Stage.LIVE, False)
    assert rest.why == "nothing was worse than in its canary for 600 s"
    _, [blind] = advance(live, plan, look(Verdict.FAULT, now=700.0))
    assert blind.why == "the watch of 600 s is over, and it saw nothing: the gate says fault"
    assert advance(live, plan, look(Verdict.KEEP_WATCHING, now=699.0)) == (live, [])
    worse, _ = advance(live, plan, look(Verdict.ROLLBACK, now=699.0))
    assert (worse.stage, worse.watched) == (Stage.SHADOW, False)
    rested, [rest] = advance(live, plan, look(Verdict.KEEP_WATCHING, now=700.0))
    assert isinstance(rest, Rest)
    assert advance(rested, plan, look(Verdict.ROLLBACK, now=701.0)) == (rested, [])


def test_a_person_who_takes_a_canary_live_begins_its_watch_too() -> None:
    assert placed(canary(950_000), Stage.LIVE, MILLION, now=9.0, watch=True).watched
    assert not placed(canary(950_000), Stage.LIVE, MILLION, now=9.0).watched
    assert not placed(SHADOW, Stage.LIVE, MILLION, now=9.0, watch=True).watched


def test_a_watch_that_left_the_rules_is_over() -> None:
    watched = Rollout(Stage.LIVE, MILLION, since=0.0, watched=True)

    after, [rest] = advance(watched, PLAN, look(Verdict.FAULT, now=1.0))

    assert (after.watched, rest.why) == (False, "no watch any more")


def test_what_a_person_aborted_is_not_begun_again_by_itself() -> None:
    for rollout in (SHADOW, canary(50_000), replace(canary(50_000), frozen=True)):
        after = aborted(rollout, "the shop is closed", now=9.0)

        assert after is not None
        assert (after.stage, after.share, after.ended) == (Stage.SHADOW, 0, "the shop is closed")
        assert advance(after, PLAN, look(standing=Standing.GO)) == (after, [])
        assert aborted(after, "again", now=10.0) is None
    assert aborted(Rollout(Stage.LIVE, MILLION, since=0.0), "no attempt", now=9.0) is None
