"""The arithmetic behind benchmarks/results.md."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Estimate, Goal, added_ratio, quantile, ratio, shown_goals

RATES = st.lists(st.floats(1, 1e6), min_size=1, max_size=9)


def goal(value: float, low: float, high: float, *, at_least: bool) -> Goal:
    return Goal("a figure", Estimate(value, low, high), 1.6, at_least=at_least)


@pytest.mark.parametrize(("part", "expected"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)])
def test_a_quantile_is_the_smallest_value_that_the_part_does_not_exceed(part: float, expected: int) -> None:
    values = list(range(100, 0, -1))

    assert quantile(values, part) == expected


def test_there_is_no_quantile_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        quantile([], 0.5)


def test_a_ratio_is_of_medians_so_that_one_bad_round_of_either_does_not_count() -> None:
    assert ratio([30, 31, 1], [10, 10, 500], Random(1)).value == 3


@given(RATES, st.floats(0.1, 10))
def test_noise_that_both_have_in_every_round_is_not_in_the_interval_of_their_ratio(
    theirs: list[float], factor: float
) -> None:
    estimate = ratio([rate * factor for rate in theirs], theirs, Random(1))

    assert estimate.low == pytest.approx(factor)
    assert estimate.high == pytest.approx(factor)


@given(RATES, RATES, st.integers(0, 9))
def test_the_interval_holds_only_what_rounds_could_give(ours: list[float], theirs: list[float], seed: int) -> None:
    rounds = min(len(ours), len(theirs))
    ours, theirs = ours[:rounds], theirs[:rounds]

    estimate = ratio(ours, theirs, Random(seed))

    assert min(ours) / max(theirs) <= estimate.low <= estimate.high <= max(ours) / min(theirs)


def test_a_ratio_of_different_numbers_of_rounds_is_refused() -> None:
    with pytest.raises(ValueError, match="same rounds"):
        ratio([1.0], [1.0, 2.0], Random(1))


def test_what_is_added_is_counted_from_direct() -> None:
    assert added_ratio([400.0], [300.0], [200.0], Random(1)).value == 2


def test_what_adds_less_than_nothing_is_never_beaten() -> None:
    assert added_ratio([400.0], [190.0], [200.0], Random(1)).value == float("inf")


@pytest.mark.parametrize(
    ("at_least", "figure", "met", "sure"),
    [
        (True, (1.8, 1.7, 1.9), True, True),
        (True, (1.8, 1.5, 1.9), True, False),
        (True, (1.5, 1.4, 1.55), False, True),
        (True, (1.5, 1.4, 1.9), False, False),
        (False, (1.5, 1.4, 1.55), True, True),
        (False, (1.8, 1.7, 1.9), False, True),
        (False, (1.8, 1.5, 1.9), False, False),
    ],
)
def test_a_goal_is_sure_where_its_whole_interval_says_the_same(
    at_least: bool, figure: tuple[float, float, float], met: bool, sure: bool
) -> None:
    one = goal(*figure, at_least=at_least)

    assert (one.is_met, one.is_sure) == (met, sure)


def test_a_goal_that_was_missed_says_so() -> None:
    rows = shown_goals([goal(1.5, 1.4, 1.9, at_least=True)])

    assert rows[-1] == "| a figure | at least 1.6 x | 1.50 x (1.40 to 1.90) | **not met**, within noise |  |"
