"""Statistics of a fixed size, and sequences: agreement with SciPy, and laws that no published vector covers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from canary.stats import allocation, boundaries, fixed
from canary.stats.fixed import Sums, Tail

VALUES = st.lists(st.floats(-100, 100), min_size=5, max_size=40).map(np.array)


def side(values: np.ndarray) -> fixed.Side:
    return fixed.of_sums(len(values), Sums(float(values.sum()), float((values**2).sum())))


@pytest.mark.parametrize(
    ("tail", "theirs"), [(Tail.BOTH, "two-sided"), (Tail.GREATER, "greater"), (Tail.LESSER, "less")]
)
def test_welch_is_that_of_scipy(tail: Tail, theirs: str) -> None:
    chance = np.random.default_rng(2)
    legacy, candidate = chance.normal(10, 2, 40), chance.normal(10.5, 4, 70)

    found = fixed.welch(fixed.difference(side(legacy), side(candidate), relative=False), 0.05, tail)

    expected = stats.ttest_ind(candidate, legacy, equal_var=False, alternative=theirs)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_a_ratio_with_a_constant_below_is_a_mean() -> None:
    chance = np.random.default_rng(3)
    above, below = chance.normal(5, 1, 30), np.full(30, 2.0)
    totals = np.array([above.sum(), below.sum()])
    moments = np.array([[above @ above, above @ below], [above @ below, below @ below]])

    found, plain = fixed.of_ratio(30, totals, moments), side(above / 2)

    assert (found.mean, found.variance) == pytest.approx((plain.mean, plain.variance))


def test_what_the_past_explains_makes_the_interval_narrower() -> None:
    chance = np.random.default_rng(4)

    def past(shift: float) -> tuple[fixed.Past, fixed.Side]:
        before = chance.normal(20, 5, 200)
        after = before + shift + chance.normal(0, 1, 200)
        totals, columns = np.array([after.sum(), before.sum()]), np.stack((after, before))
        return fixed.of_past_sums(200, totals, columns @ columns.T), side(after)

    (legacy, plain_legacy), (candidate, plain_candidate) = past(0), past(1)
    plain = fixed.difference(plain_legacy, plain_candidate, relative=True)

    for adjust in (fixed.adjusted_means, fixed.adjusted_ratios):
        adjusted = adjust(legacy, candidate, relative=True)
        assert adjusted.error < plain.error / 3
        assert adjusted.estimate == pytest.approx(0.05, abs=3 * adjusted.error)


@given(st.floats(0.01, 3), st.integers(50, 100_000), st.floats(0.001, 0.2))
def test_a_sequence_is_wider_than_an_interval_for_one_look(error: float, n: int, alpha: float) -> None:
    found = fixed.Difference(0.3, error, n - 2, n)

    for tail in Tail:
        once, always = fixed.welch(found, alpha, tail), fixed.sequence(found, alpha, 5000, tail)
        assert always.low <= once.low
        assert always.high >= once.high


@given(st.floats(-4, 4), st.integers(50, 100_000))
def test_a_sequences_p_value_is_the_level_at_which_it_excludes_no_difference(score: float, n: int) -> None:
    found = fixed.Difference(score, 1.0, n - 2, n)
    inference = fixed.sequence(found, 0.05, 5000)

    assert (inference.p < 0.05) == (inference.low > 0 or inference.high < 0)


@given(st.floats(1, 1e6), st.floats(1e-6, 0.3))
def test_the_tuned_boundary_is_about_lowest_where_it_was_aimed(v: float, alpha: float) -> None:
    rho = boundaries.best_rho(v, alpha)
    here = boundaries.normal_mixture(v, alpha, rho)

    assert here <= boundaries.normal_mixture(v, alpha, rho * 3) * 1.001
    assert here <= boundaries.normal_mixture(v, alpha, rho / 3) * 1.001


def test_units_that_fall_as_the_shares_say_refute_nothing_and_others_do() -> None:
    shares, prior = np.array([0.9, 0.1]), np.array([90.0, 10.0])

    assert allocation.sequential_p(np.array([9000.0, 1000.0]), shares, prior) == 1
    assert allocation.sequential_p(np.array([8700.0, 1300.0]), shares, prior) < 1e-9
    assert allocation.sequential_p(np.zeros(2), shares, prior) == pytest.approx(1)
