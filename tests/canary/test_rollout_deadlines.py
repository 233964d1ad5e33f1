"""What a deadline binds: an attempt whose gate has not said `promote` in time, and no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from canary.plan import RolloutPlan
from canary.rollout import Freeze, Look, Move, Note, Rollout, aborted, advance, placed, renewed
from canary.verdict import Verdict
from rules.stages import MILLION, Stage

HOUR = 3600.0
STEPS = {"steps": ["5%", "50%"], "hold": "1h", "gate": "g", "deadline": "24h"}
FREEZES = RolloutPlan.model_validate(STEPS)
ROLLS_BACK = RolloutPlan.model_validate(STEPS | {"on_deadline": "rollback"})
BY_DAY = ROLLS_BACK.model_copy(update={"only": RolloutPlan.model_validate(STEPS | {"only": "Thu 00-01 UTC"}).only})
"""The epoch began on a Thursday."""
AGREED = ROLLS_BACK.model_copy(update={"approve_live": True})
LAST = Rollout(Stage.CANARY, 500_000, since=2 * HOUR, began=0.0)


def at(hour: float, verdict: Verdict, blocked: tuple[str, ...] = ()) -> Look:
    return Look(verdict, f"the gate says {verdict}", None, hour * HOUR, windows=1, blocked=blocked)


@pytest.mark.parametrize(
    ("plan", "blocked"),
    [(BY_DAY, ()), (AGREED, ()), (ROLLS_BACK, ("a webhook said no",))],
    ids=["hours", "people", "veto"],
)
def test_a_promote_in_time_is_remembered_while_its_move_waits(plan: RolloutPlan, blocked: tuple[str, ...]) -> None:
    waiting, [note] = advance(LAST, plan, at(20, Verdict.PROMOTE, blocked))

    assert isinstance(note, Note)
    assert waiting == replace(LAST, proven=20 * HOUR)
    assert advance(waiting, plan, at(23, Verdict.PROMOTE, blocked)) == (waiting, []), "it is told once"
    for verdict in (Verdict.FAULT, Verdict.KEEP_WATCHING):
        assert advance(waiting, plan, at(30, verdict, blocked)) == (waiting, []), "the deadline does not bind it"
    live, _ = advance(replace(waiting, approved=MILLION), plan, at(7 * 24, Verdict.PROMOTE))
    assert (live.stage, live.proven) == (Stage.LIVE, None)
    assert advance(waiting, plan, at(30, Verdict.ROLLBACK))[0].stage is Stage.SHADOW


def test_a_hold_that_is_not_over_does_not_count_against_a_promote_in_time() -> None:
    risen = replace(LAST, since=23.5 * HOUR)

    holding, _ = advance(risen, ROLLS_BACK, at(23.9, Verdict.PROMOTE))

    assert advance(holding, ROLLS_BACK, at(24, Verdict.PROMOTE)) == (holding, [])
    assert advance(holding, ROLLS_BACK, at(24.5, Verdict.PROMOTE))[0].stage is Stage.LIVE


def test_a_promote_at_an_earlier_step_is_remembered_with_the_next_one() -> None:
    first = Rollout(Stage.CANARY, 50_000, since=22 * HOUR, began=0.0)

    early, [note] = advance(first, ROLLS_BACK, at(22.5, Verdict.PROMOTE))
    risen, [move] = advance(first, ROLLS_BACK, at(23.5, Verdict.PROMOTE))

    assert (isinstance(note, Note), early.proven) == (True, 22.5 * HOUR)
    assert (isinstance(move, Move), risen.share, risen.proven) == (True, 500_000, 23.5 * HOUR)
    assert advance(early, ROLLS_BACK, at(25, Verdict.KEEP_WATCHING))[0].share == 500_000
    assert advance(risen, ROLLS_BACK, at(25, Verdict.KEEP_WATCHING)) == (risen, [])


def test_a_promote_that_comes_after_the_deadline_promotes_nothing() -> None:
    frozen, [freeze] = advance(LAST, FREEZES, at(34, Verdict.PROMOTE))
    back, [move] = advance(LAST, ROLLS_BACK, at(34, Verdict.PROMOTE))

    assert isinstance(freeze, Freeze)
    assert (frozen.frozen, frozen.share, frozen.proven) == (True, 500_000, None)
    assert isinstance(move, Move)
    assert (back.stage, back.ended) == (Stage.SHADOW, "the deadline of 86400 s passed before it was live; rolled back")


def test_a_deadline_that_is_made_shorter_binds_what_was_not_proven_by_then() -> None:
    shorter = ROLLS_BACK.model_copy(update={"deadline": 12 * HOUR})

    assert advance(replace(LAST, proven=11 * HOUR), shorter, at(20, Verdict.FAULT))[1] == []
    assert advance(replace(LAST, proven=13 * HOUR), shorter, at(20, Verdict.PROMOTE))[0].stage is Stage.SHADOW


def test_what_the_gate_said_ends_with_the_attempt() -> None:
    proven = replace(LAST, proven=20 * HOUR, subject="v1")

    ended = aborted(proven, "a person", now=9.0)
    assert ended is not None
    for after in (
        ended,
        placed(proven, Stage.SHADOW, 0, now=9.0),
        renewed(proven, "v2", now=9.0),
        advance(proven, ROLLS_BACK, at(21, Verdict.ROLLBACK))[0],
    ):
        assert after.proven is None
    assert placed(proven, Stage.CANARY, 50_000, now=9.0).proven == 20 * HOUR, "the same attempt"


def test_without_a_deadline_or_a_window_of_the_present_share_nothing_is_remembered() -> None:
    held_up = at(20, Verdict.PROMOTE, ("no",))

    assert advance(LAST, ROLLS_BACK.model_copy(update={"deadline": None}), held_up) == (LAST, [])
    assert advance(LAST, ROLLS_BACK, replace(held_up, windows=0)) == (LAST, [])
