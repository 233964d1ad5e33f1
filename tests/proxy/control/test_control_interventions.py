"""What people decide about an attempt. Pure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from canary.plan import RolloutPlan
from canary.rollout import Rollout
from proxy.control import interventions
from proxy.control.records import Standing
from proxy.control.standings import MoveError
from rules.document import Route
from rules.stages import MILLION, Stage

PLAN = RolloutPlan.model_validate(
    {"steps": ["1%", {"share": "5%", "approval": True}, "50%"], "gate": "g", "approve_live": True}
)
ROUTE = Route.model_validate({"name": "cart", "match": {"path": "/**"}, "candidate": "shop", "unit": {"cookie": "u"}})


def canary(share: int, **more: object) -> Standing:
    rollout = Rollout(Stage.CANARY, share, since=5.0, began=4.0)
    return Standing("cart", replace(rollout, **more), "canary")  # type: ignore[arg-type]


def test_freezing_does_not_start_the_hold_anew_and_can_be_made_stricter() -> None:
    frozen = interventions.frozen(canary(10_000), pinned=False)

    assert (frozen.since, frozen.frozen, frozen.pinned) == (5.0, True, False)
    assert interventions.frozen(canary(10_000, frozen=True), pinned=True).pinned
    with pytest.raises(MoveError, match=r"frozen already$"):
        interventions.frozen(canary(10_000, frozen=True), pinned=False)


def test_unfreezing_ends_both() -> None:
    after = interventions.unfrozen(canary(10_000, frozen=True, pinned=True, proven=7.0), 9.0)

    assert (after.frozen, after.pinned, after.since) == (False, False, 5.0)
    assert after.resumed == 9.0, "its deadline counts from here, or it would be frozen again at once"
    assert after.proven is None, "and binds again"
    with pytest.raises(MoveError, match="is not frozen"):
        interventions.unfrozen(canary(10_000), 9.0)


def test_an_approval_is_for_the_next_step_when_it_wants_one() -> None:
    assert interventions.approved(canary(10_000), PLAN, None).approved == 50_000
    assert interventions.approved(canary(10_000, frozen=True), PLAN, 50_000).approved == 50_000
    assert interventions.approved(canary(500_000), PLAN, MILLION).approved == MILLION


@pytest.mark.parametrize(
    ("standing", "plan", "share", "told"),
    [
        (canary(10_000), None, None, "has no rollout"),
        (canary(50_000), PLAN, None, "wants no approval; of its steps 5%, live will"),
        (canary(10_000, approved=50_000), PLAN, None, "5% of route 'cart' is approved already"),
        (canary(10_000), PLAN, MILLION, "the next step of route 'cart' is 5%, not live"),
        (canary(500_000), PLAN, 50_000, "the next step of route 'cart' is live, not 5%"),
    ],
)
def test_any_other_approval_is_refused_with_what_is_due(
    standing: Standing, plan: RolloutPlan | None, share: int | None, told: str
) -> None:
    with pytest.raises(MoveError, match=told):
        interventions.approved(standing, plan, share)


def test_a_person_who_rolls_back_ends_the_attempt() -> None:
    after = interventions.rolled_back(ROUTE, canary(10_000), Stage.SHADOW, "ada", "too slow for me", 9.0)

    assert (after.stage, after.share, after.ended) == (Stage.SHADOW, 0, "rolled back by ada: too slow for me")


def test_an_attempt_can_be_aborted_before_it_begins_and_while_it_is_watched() -> None:
    shadow = Standing("cart", Rollout(Stage.SHADOW, 0, since=1.0), "shadow")
    watched = Standing("cart", Rollout(Stage.LIVE, MILLION, since=1.0, watched=True), "canary")

    assert interventions.ended(shadow, "ada", "", 9.0).ended == "aborted by ada"
    assert interventions.ended(watched, "ada", "", 9.0).stage is Stage.SHADOW
    over = replace(watched, rollout=replace(watched.rollout, watched=False))
    with pytest.raises(MoveError, match="in stage live; there is no attempt to abort"):
        interventions.ended(over, "ada", "", 9.0)
