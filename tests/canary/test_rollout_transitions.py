"""Where a rollout goes: the table, its laws, and the diagram in the docs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from canary.plan import RolloutPlan
from canary.rollout import (
    TRANSITIONS,
    Action,
    Event,
    Freeze,
    Look,
    Move,
    Rollout,
    Situation,
    Standing,
    advance,
    diagram,
    placed,
    renewed,
    situation,
    wanted,
)
from canary.verdict import Verdict
from rules.stages import MILLION, Stage

PLAN = RolloutPlan.model_validate({"steps": ["1%", "5%", "25%", "95%"], "hold": "60s", "gate": "g", "deadline": "1h"})
SHADOW = Rollout(Stage.SHADOW, 0, since=0.0)


def canary(share: int, since: float = 0.0, began: float = 0.0) -> Rollout:
    return Rollout(Stage.CANARY, share, since=since, began=began)


def look(verdict: Verdict | None = None, standing: Standing | None = None, now: float = 100.0) -> Look:
    return Look(verdict, f"the gate says {verdict}", standing, now, windows=1)


looks = st.builds(
    look,
    st.sampled_from([None, *Verdict]),
    st.sampled_from([None, *Standing]),
    st.floats(0, 10_000),
)
rollouts = st.builds(
    Rollout,
    stage=st.sampled_from(list(Stage)),
    share=st.sampled_from([0, 10_000, 30_000, 50_000, 250_000, 950_000, 990_000, MILLION]),
    since=st.floats(0, 1000),
    frozen=st.booleans(),
    began=st.none() | st.floats(0, 1000),
    ended=st.sampled_from(["", "worse"]),
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


def test_a_passed_deadline_freezes_and_never_promotes() -> None:
    after, commands = advance(canary(950_000), PLAN, look(Verdict.KEEP_WATCHING, now=3600))

    assert after.frozen
    assert after.share == 950_000
    assert isinstance(commands[0], Freeze)
    assert advance(after, PLAN, look(Verdict.PROMOTE, now=4000)) == (after, [])


def test_a_change_of_share_by_a_person_belongs_to_the_same_attempt() -> None:
    after = placed(canary(10_000, began=5.0), Stage.CANARY, 300_000, now=50.0)

    assert (after.began, after.since, after.share) == (5.0, 50.0, 300_000)
    assert advance(after, PLAN, look(Verdict.KEEP_WATCHING, now=200))[0].share == 950_000


def test_another_release_in_canary_holds_its_step_anew() -> None:
    before = replace(canary(50_000), subject="v1")

    assert renewed(before, "v1", now=9.0) == before
    assert renewed(before, "v2", now=9.0).since == 9.0


@given(rollouts, looks)
def test_no_step_is_ever_skipped(rollout: Rollout, seen: Look) -> None:
    after, _ = advance(rollout, PLAN, seen)

    if after.stage is Stage.CANARY and after.share != rollout.share:
        former = rollout.share if rollout.stage is Stage.CANARY else 0
        assert after.share == min(step for step in PLAN.shares if step > former)
    if after.stage is Stage.LIVE and rollout.stage is not Stage.LIVE:
        assert rollout.stage is Stage.CANARY
        assert rollout.share >= PLAN.shares[-1]


@given(rollouts, looks)
def test_a_frozen_route_never_moves(rollout: Rollout, seen: Look) -> None:
    frozen = replace(rollout, frozen=True)

    assert advance(frozen, PLAN, seen) == (frozen, [])


@given(rollouts, looks)
def test_a_share_never_rises_without_its_hold_and_data_in_order(rollout: Rollout, seen: Look) -> None:
    after, _ = advance(rollout, PLAN, seen)

    if rollout.stage is Stage.CANARY and after.share > rollout.share:
        assert seen.now - rollout.since >= PLAN.hold
        assert seen.verdict in (Verdict.KEEP_WATCHING, Verdict.PROMOTE)


@given(rollouts, st.floats(0, 10_000))
def test_a_rollback_is_reached_from_every_share_of_a_canary(rollout: Rollout, now: float) -> None:
    there = replace(rollout, stage=Stage.CANARY, frozen=False)

    after, commands = advance(there, PLAN, look(Verdict.ROLLBACK, now=now))

    assert (after.stage, after.share, bool(after.ended)) == (Stage.SHADOW, 0, True)
    assert len(commands) == 1


@given(rollouts, looks)
def test_nothing_rises_while_something_stands_against_it(rollout: Rollout, seen: Look) -> None:
    after, _ = advance(rollout, PLAN, replace(seen, blocked=("a webhook said no",)))

    assert after.share <= rollout.share
    assert after.stage is rollout.stage or after.stage is Stage.SHADOW


@given(rollouts, looks)
def test_what_is_wanted_is_what_is_done_once_nothing_stands_against_it(rollout: Rollout, seen: Look) -> None:
    after, commands = advance(rollout, PLAN, seen)

    move = wanted(rollout, PLAN, replace(seen, blocked=("not now",)))

    assert (move is not None) == (after.share > rollout.share)
    assert move is None or commands == [move]


@given(rollouts, looks)
def test_what_is_done_is_what_the_rollout_says_afterwards(rollout: Rollout, seen: Look) -> None:
    after, commands = advance(rollout, PLAN, seen)

    assert bool(commands) == (after != rollout)
    for command in commands:
        if isinstance(command, Move):
            assert (command.stage, command.share) == (after.stage, after.share)
            assert command.why
        else:
            assert after.frozen


@given(rollouts, looks)
def test_every_move_is_a_row_of_the_table(rollout: Rollout, seen: Look) -> None:
    after, commands = advance(rollout, PLAN, seen)

    if commands:
        rows = [row for row in TRANSITIONS if row.situation is situation(rollout, PLAN)]
        assert situation(after, PLAN) in {to for row in rows for to in row.to}


def test_every_situation_but_the_resting_ones_has_a_way_on() -> None:
    left = set(Situation) - {row.situation for row in TRANSITIONS}

    assert left == {Situation.OVER, Situation.FROZEN, Situation.RESTING}
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
