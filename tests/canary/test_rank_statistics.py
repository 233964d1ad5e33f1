"""Ranks of two samples: agreement with SciPy, and the laws that shift, interval and effect sizes obey."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from canary.stats import rank

NUMBERS = st.lists(st.integers(-50, 50), min_size=2, max_size=30).map(lambda found: np.array(found, np.float64))
"""Whole numbers: many ties, and sums that are exact."""


@given(NUMBERS, NUMBERS)
def test_u_and_its_p_value_are_those_of_scipy(x: np.ndarray, y: np.ndarray) -> None:
    theirs = stats.mannwhitneyu(x, y, alternative="two-sided", method="asymptotic", use_continuity=True)

    assert rank.u_statistic(x, y) == theirs.statistic
    if len(np.unique(np.concatenate((x, y)))) == 1:
        assert rank.p_value(x, y) == 1
    elif theirs.statistic == len(x) * len(y) / 2:
        assert rank.p_value(x, y) == 1  # SciPy subtracts the correction from a distance of 0, too, and cuts at 1
    else:
        assert rank.p_value(x, y) == pytest.approx(theirs.pvalue, rel=1e-9)


@given(NUMBERS, NUMBERS)
def test_the_interval_holds_the_shifts_that_the_test_does_not_reject(x: np.ndarray, y: np.ndarray) -> None:
    x = x + np.linspace(0, 0.3, len(x))  # no ties within a side, so that the score is defined everywhere
    found = rank.shift(x, y, 0.9, tolerance=1e-9)

    assert found.low <= found.estimate <= found.high
    inside = found.low + (found.high - found.low) * np.array([0.01, 0.5, 0.99])
    if found.high - found.low > 1e-6:
        assert all(abs(rank.score(x, y, float(mu))) <= stats.norm.ppf(0.95) + 1e-9 for mu in inside)


def test_the_estimate_is_the_median_of_all_differences() -> None:
    chance = np.random.default_rng(5)
    x, y = chance.normal(3, 1, 60), chance.normal(0, 1, 50)

    found = rank.shift(x, y, 0.95, tolerance=1e-9)

    assert found.estimate == pytest.approx(float(np.median(x[:, None] - y)), abs=5e-3)


@given(NUMBERS, NUMBERS, st.integers(-20, 20))
def test_a_shift_of_one_side_moves_the_interval_by_as_much(x: np.ndarray, y: np.ndarray, by: int) -> None:
    one, other = (rank.shift(moved, y, 0.95, tolerance=1e-9) for moved in (x, x + by))

    assert other.low == pytest.approx(one.low + by, abs=1e-6)
    assert other.high == pytest.approx(one.high + by, abs=1e-6)


@given(NUMBERS, NUMBERS)
def test_common_language_sizes_of_both_directions_sum_to_one(x: np.ndarray, y: np.ndarray) -> None:
    assert rank.common_language(x, y) + rank.common_language(y, x) == pytest.approx(1)


def test_two_constant_samples_have_a_shift_without_spread() -> None:
    assert rank.shift(np.full(5, 10.0), np.full(5, 1.0), 0.98) == rank.Shift(9.0, 9.0, 9.0)


def test_small_values_need_a_tolerance_that_suits_them() -> None:
    chance = np.random.default_rng(1)
    seconds = chance.lognormal(-11, 0.1, 60)  # some 17 microseconds

    coarse, fine = rank.shift(seconds * 1.5, seconds, 0.98), rank.shift(seconds * 1.5, seconds, 0.98, tolerance=1e-12)

    assert fine.low > 0
    assert coarse.low < 0  # R's own tolerance, and Kayenta's: the first guess is within it


def test_a_ratio_to_nothing_is_infinite_or_one_but_never_not_a_number() -> None:
    none, some = np.zeros(3), np.array([0.0, 0.0, 3.0])

    assert np.isnan(rank.mean_ratio(some, none))
    assert rank.honest_ratio(some, none) == np.inf
    assert rank.honest_ratio(none, some) == 0
    assert rank.honest_ratio(none, none) == 1


@pytest.mark.parametrize(
    ("x", "y", "level"), [([], [1.0], 0.9), ([1.0], [], 0.9), ([np.nan], [1.0], 0.9), ([1.0], [2.0], 98.0)]
)
def test_what_has_no_shift_is_refused(x: list[float], y: list[float], level: float) -> None:
    with pytest.raises(ValueError, match=r"empty|finite|level"):
        rank.shift(np.array(x), np.array(y), level)
