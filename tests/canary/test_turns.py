"""Whose turn it is: caps over all routes, and one rollout of a group at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from canary.plan import Pace
from canary.turns import against_move, against_start

GROUPS = {"cart": "shop", "products": "shop", "search": "search", "account": "account"}


def test_routes_of_a_group_go_one_at_a_time_and_others_do_not_mind() -> None:
    [reason] = against_start(Pace(), "cart", GROUPS, ["products"])

    assert reason == "products of the same group ('shop') is under way; one at a time"
    assert against_start(Pace(), "cart", GROUPS, ["search", "cart"]) == ()


def test_no_more_routes_are_under_way_than_may_be() -> None:
    pace = Pace(at_once=2)

    assert against_start(pace, "cart", GROUPS, ["search"]) == ()
    [reason] = against_start(pace, "cart", GROUPS, ["search", "account"])
    assert reason == "account, search are under way; at most 2 at once (pilot: at_once)"


def test_moves_of_the_last_hour_count_and_the_reason_says_when_the_next_may_be() -> None:
    pace = Pace(moves_per_hour=2)

    assert against_move(pace, [0.0, 1000.0], 3600.0) == ()
    [reason] = against_move(pace, [600.0, 1000.0], 3600.0)
    assert reason == "2 moves forward in the last hour; at most 2 (pilot: moves_per_hour), the next in 10 min"
    assert against_move(Pace(), [600.0] * 100, 3600.0) == ()


def test_setting_the_clock_back_makes_no_room() -> None:
    pace = Pace(moves_per_hour=1)

    assert against_move(pace, [5000.0], 4000.0), "made ten minutes ago by the clock before"
    assert against_move(pace, [500_000.0], 4000.0) == (), "by a clock that was days ahead: that binds nobody for days"


@given(st.integers(1, 5), st.lists(st.floats(0, 20_000), max_size=40))
def test_no_hour_ever_has_more_moves_than_it_may(cap: int, looks: list[float]) -> None:
    pace, made = Pace(moves_per_hour=cap), list[float]()
    for now in sorted(looks):
        if not against_move(pace, made, now):
            made.append(now)

    for at in made:
        assert sum(1 for other in made if at - 3600 < other <= at) <= cap
