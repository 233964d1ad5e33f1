"""File against store, and where moves lead. Pure."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.rollout import Rollout
from proxy.control import standings
from proxy.control.book import applied
from proxy.control.records import Standing
from proxy.control.standings import MoveError
from rules.document import Route, Rules
from rules.effective import Position
from rules.service import Service
from rules.stages import MILLION, Stage

STEPS = (10_000, 50_000, 250_000)


def rules(candidate: str = "http://127.0.0.1:9001", **routes: dict[str, Any]) -> Rules:
    """Rules with these routes; each with a unit, in stage legacy unless told otherwise."""
    plain = {"match": {"path": "/**"}, "candidate": "shop", "unit": {"cookie": "unit"}}
    return Rules.model_validate(
        {
            "version": 1,
            "services": {"monolith": {"url": "http://127.0.0.1:9000"}, "shop": {"url": candidate}},
            "legacy": "monolith",
            "routes": [{"name": name, **plain, **given} for name, given in routes.items()],
        }
    )


def load(given: Rules, known: dict[str, Standing] | None = None, now: float = 1.0) -> dict[str, Standing]:
    """The standings after an accepted load."""
    known = known or {}
    return applied(known, standings.reconcile(given, {"cart": STEPS}, known, 7, now))


def moved(known: dict[str, Standing], name: str, stage: Stage, share: int = 0) -> dict[str, Standing]:
    """The standings after somebody moved a route past the file."""
    rollout = standings.moved(known[name].rollout, Position(stage, share), now=2.0)
    return {**known, name: replace(known[name], rollout=rollout)}


def route(**more: Any) -> Route:
    return rules(cart=more).routes[0]


def test_a_route_that_the_store_does_not_know_stands_where_the_file_says() -> None:
    known = load(rules(cart={"stage": "shadow"}, search={"stage": "live"}))

    assert known["cart"].position == Position(Stage.SHADOW, 0)
    assert known["search"].position == Position(Stage.LIVE, MILLION)


def test_a_reload_of_an_unchanged_file_changes_nothing_that_was_moved() -> None:
    known = moved(load(rules(cart={"stage": "canary"})), "cart", Stage.SHADOW)

    changes = standings.reconcile(rules(cart={"stage": "canary"}), {"cart": STEPS}, known, 8, 3.0)

    assert changes == []


def test_a_files_stage_applies_when_its_value_changed() -> None:
    known = moved(load(rules(cart={"stage": "shadow"})), "cart", Stage.LIVE, MILLION)

    known = load(rules(cart={"stage": "legacy"}), known)

    assert known["cart"].position == Position(Stage.LEGACY, 0)


def test_a_value_that_changed_and_came_back_applies_each_time() -> None:
    known = load(rules(cart={"stage": "shadow"}))
    known = load(rules(cart={"stage": "canary"}), known)
    known = moved(known, "cart", Stage.LIVE, MILLION)

    known = load(rules(cart={"stage": "shadow"}), known)

    assert known["cart"].position.stage is Stage.SHADOW


def test_a_changed_share_in_the_file_applies_like_a_changed_stage() -> None:
    known = load(rules(cart={"stage": "canary", "share": "1%"}))

    known = load(rules(cart={"stage": "canary", "share": "10%"}), known)

    assert known["cart"].position.share == 100_000


def test_a_canary_without_a_share_starts_at_the_first_step() -> None:
    assert load(rules(cart={"stage": "canary"}))["cart"].position.share == STEPS[0]


def test_a_route_that_left_the_file_is_forgotten_with_a_line() -> None:
    known = moved(load(rules(cart={"stage": "shadow"})), "cart", Stage.LIVE, MILLION)

    [change] = standings.reconcile(rules(), {}, known, 8, 3.0)

    assert change.standing is None
    assert (change.entry.action, change.entry.before) == ("leave", Position(Stage.LIVE, MILLION))


def test_another_release_of_the_candidate_begins_another_attempt_without_moving_the_route() -> None:
    known = moved(load(rules(cart={"stage": "shadow"})), "cart", Stage.CANARY, 50_000)
    ended = replace(known["cart"], rollout=replace(known["cart"].rollout, ended="too slow"))

    [change] = standings.reconcile(
        rules("http://127.0.0.1:9002", cart={"stage": "shadow"}), {"cart": STEPS}, {"cart": ended}, 8, 30.0
    )

    assert change.entry.action == "attempt"
    assert change.standing is not None
    assert change.standing.position == ended.position
    assert (change.standing.rollout.began, change.standing.rollout.ended) == (30.0, "")


def test_a_file_that_takes_a_route_back_ends_its_attempt_unless_it_brings_another_release() -> None:
    known = load(rules(cart={"stage": "canary"}))

    back = load(rules(cart={"stage": "shadow"}), known, now=3.0)
    assert back["cart"].rollout.ended == "taken back to shadow"

    released = load(rules("http://127.0.0.1:9002", cart={"stage": "shadow"}), known, now=3.0)
    assert (released["cart"].position.stage, released["cart"].rollout.ended) == (Stage.SHADOW, "")


def test_a_route_that_the_file_puts_live_is_watched_as_one_that_a_person_puts_there() -> None:
    known = load(rules(cart={"stage": "canary"}))
    live = rules(cart={"stage": "live"})

    [watched] = standings.reconcile(live, {"cart": STEPS}, known, 8, 3.0, watching={"cart"})
    [unwatched] = standings.reconcile(live, {"cart": STEPS}, known, 8, 3.0)

    assert watched.standing is not None and unwatched.standing is not None
    assert (watched.standing.rollout.watched, unwatched.standing.rollout.watched) == (True, False)
    released = rules("http://127.0.0.1:9002", cart={"stage": "live"})
    [other] = standings.reconcile(released, {"cart": STEPS}, known, 8, 3.0, watching={"cart"})
    assert other.standing is not None
    assert not other.standing.rollout.watched, "the canary was of another release"


def test_another_unit_or_group_begins_another_attempt_for_units_change_sides() -> None:
    known = moved(load(rules(cart={"stage": "shadow"})), "cart", Stage.CANARY, 50_000)

    for changed in ({"unit": {"header": "x-customer"}}, {"group": "shop"}):
        [change] = standings.reconcile(rules(cart={"stage": "shadow", **changed}), {"cart": STEPS}, known, 8, 30.0)
        assert change.entry.action == "attempt"
        assert change.entry.why.startswith("the route's unit or group changed")
        assert change.standing is not None
        assert (change.standing.rollout.began, change.standing.rollout.since) == (30.0, 30.0)
    issued = {"unit": {"cookie": "unit", "issue": True}}
    assert standings.reconcile(rules(cart={"stage": "shadow", **issued}), {"cart": STEPS}, known, 8, 30.0) == []


def test_an_attempt_that_an_earlier_fig_began_goes_on() -> None:
    """It knew nothing of units in what is tried."""
    given = rules(cart={"stage": "shadow"})
    known = load(given)
    rollout = replace(known["cart"].rollout, subject=known["cart"].rollout.subject.split(".")[0], ended="too slow")
    former = {"cart": replace(known["cart"], rollout=rollout)}

    now = standings.completed(given, former)

    assert standings.reconcile(given, {"cart": STEPS}, now, 8, 30.0) == []
    assert now["cart"].rollout.ended == "too slow"
    other = rules("http://127.0.0.1:9002", cart={"stage": "shadow"})
    [change] = standings.reconcile(other, {"cart": STEPS}, standings.completed(other, former), 8, 30.0)
    assert change.entry.why.startswith("the candidate's definition changed")


def test_a_default_that_is_written_out_begins_no_attempt() -> None:
    """So a key that a later fig knows begins none either."""
    given = rules(cart={"stage": "shadow"})
    shop = given.services["shop"].model_dump(mode="json")
    written = given.model_copy(
        update={"services": given.services | {"shop": Service.model_validate_json(json.dumps(shop))}}
    )

    assert written.services["shop"].model_fields_set > given.services["shop"].model_fields_set
    assert standings.reconcile(written, {"cart": STEPS}, load(given), 8, 30.0) == []


def test_a_frozen_route_stays_frozen_where_the_file_puts_it() -> None:
    known = load(rules(cart={"stage": "shadow"}))
    known["cart"] = replace(known["cart"], rollout=replace(known["cart"].rollout, frozen=True))

    known = load(rules(cart={"stage": "legacy"}), known)

    assert known["cart"].position == Position(Stage.LEGACY, 0, frozen=True)


def test_promotions_walk_from_legacy_over_every_step_to_live_and_no_further() -> None:
    position = Position(Stage.LEGACY, 0)
    seen = []
    while position.stage is not Stage.LIVE:
        position = standings.promoted(route(), position, STEPS)
        seen.append((position.stage.value, position.share))

    assert seen == [("shadow", 0), *(("canary", step) for step in STEPS), ("live", MILLION)]
    with pytest.raises(MoveError, match="fig stage cart retired"):
        standings.promoted(route(), position, STEPS)


positions = st.one_of(
    st.builds(Position, st.just(Stage.CANARY), st.integers(1, MILLION), st.booleans()),
    st.builds(
        lambda stage, frozen: standings.position_for(stage, None, (), frozen),
        st.sampled_from([Stage.LEGACY, Stage.SHADOW, Stage.LIVE, Stage.RETIRED]),
        st.booleans(),
    ),
)


@given(positions, st.sampled_from([Stage.SHADOW, Stage.LEGACY]))
def test_a_rollback_leaves_the_candidate_no_unit_frozen_or_not(position: Position, to: Stage) -> None:
    try:
        after = standings.rolled_back(route(), position, to)
    except MoveError:
        assert standings.order(position) <= standings.order(Position(to, 0))
    else:
        assert (after.stage, after.share, after.frozen) == (to, 0, position.frozen)


@given(positions)
def test_a_frozen_route_is_never_promoted(position: Position) -> None:
    with pytest.raises(MoveError):
        standings.promoted(route(), replace(position, frozen=True), STEPS)


def test_a_canary_needs_a_unit_and_a_share() -> None:
    shadow = Position(Stage.SHADOW, 0)
    with pytest.raises(MoveError, match="no unit"):
        standings.staged(route(unit=None), shadow, Stage.CANARY, 50_000, ())
    with pytest.raises(MoveError, match="--share"):
        standings.staged(route(), shadow, Stage.CANARY, None, ())


def test_a_share_belongs_to_the_canary_alone() -> None:
    with pytest.raises(MoveError, match="share belongs to the stage canary"):
        standings.staged(route(), Position(Stage.LEGACY, 0), Stage.SHADOW, 50_000, STEPS)


def test_freezing_does_not_start_the_hold_anew() -> None:
    rollout = Rollout(Stage.CANARY, 10_000, since=5.0, began=4.0)

    after = standings.moved(rollout, Position(Stage.CANARY, 10_000, frozen=True), now=9.0)

    assert (after.since, after.began, after.frozen) == (5.0, 4.0, True)
