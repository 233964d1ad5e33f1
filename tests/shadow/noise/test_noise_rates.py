"""How noise is held against differences: intervals and tests as textbooks have them, and drift blamed on nobody."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, fisher_exact

from shadow.noise.counts import PathCounts
from shadow.noise.rates import ALPHA, PathVerdict, judge_path, rate, rates_test, sign_test


def counts(asked: int, both: int, only_after: int, only_differing: int) -> PathCounts:
    after, differing = both + only_after, both + only_differing
    return PathCounts(asked, after, after, after, differing, only_after, only_differing)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_are_those_of_clopper_and_pearson(sample: tuple[int, int]) -> None:
    hits, of = sample
    expected = binomtest(hits, of).proportion_ci(0.95, method="exact")
    found = rate(hits, of)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.low <= found.value <= found.high


def test_of_nothing_any_rate_is_possible() -> None:
    assert (rate(0, 0).low, rate(0, 0).high, rate(0, 0).value) == (0.0, 1.0, 0.0)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_sign_test_is_the_exact_one_sided_binomial_one(only_differing: int, only_after: int) -> None:
    if not only_differing + only_after:
        assert sign_test(0, 0) == 1.0
        return
    expected = binomtest(only_differing, only_differing + only_after, 0.5, alternative="greater").pvalue
    assert sign_test(only_differing, only_after) == pytest.approx(expected)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_the_test_of_rates_is_fishers(hits: int, others: int, noisy: int, quiet: int) -> None:
    expected = fisher_exact([[hits, others], [noisy, quiet]], alternative="greater").pvalue
    assert rates_test(hits, hits + others, noisy, noisy + quiet) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("found", "wide", "verdict"),
    [
        (counts(400, 400, 0, 0), None, PathVerdict.EXPLAINED),  # a value that is never the same twice
        (counts(400, 0, 40, 38), None, PathVerdict.EXPLAINED),
        (counts(400, 0, 0, 12), None, PathVerdict.BEYOND),
        (counts(400, 0, 40, 80), None, PathVerdict.BEYOND),
        (counts(400, 0, 0, 2), None, PathVerdict.TOO_FEW),  # it may be anything
        (counts(29, 29, 0, 0), None, PathVerdict.TOO_FEW),
        (counts(400, 0, 12, 0), None, PathVerdict.NO_DIFFERENCE),
        (counts(4000, 0, 0, 0), (2000, 200_000), PathVerdict.BEYOND),  # seen only in pairs that were no samples
        (counts(4000, 0, 0, 0), (2, 200_000), PathVerdict.TOO_FEW),
        (counts(4000, 0, 400, 398), (20_100, 200_000), PathVerdict.EXPLAINED),
    ],
)
def test_a_verdict_says_what_noise_explains(
    found: PathCounts, wide: tuple[int, int] | None, verdict: PathVerdict
) -> None:
    assert judge_path(found, wide) is verdict


def test_noise_alone_is_hardly_ever_called_more_than_noise() -> None:
    chance = random.Random(5)
    wrong = 0
    for _ in range(1000):
        after, differing = ([chance.random() < 0.2 for _ in range(200)] for _ in range(2))
        only_after = sum(a and not d for a, d in zip(after, differing, strict=True))
        only_differing = sum(d and not a for a, d in zip(after, differing, strict=True))
        found = counts(200, sum(after) - only_after, only_after, only_differing)
        wrong += judge_path(found) is PathVerdict.BEYOND
    assert wrong <= 1000 * ALPHA * 2


def test_what_changes_as_time_goes_by_is_blamed_on_nobody() -> None:
    """A value that moves on at random moments: the candidate is asked before legacy's last answer, so shows it less."""
    chance = random.Random(6)
    only_after = only_differing = both = 0
    for _ in range(2000):
        moved = chance.random() * 20  # legacy is asked at 0, 1 and 3, the candidate at 2
        differs, noisy = moved < 2, moved < 3
        both += differs and noisy
        only_after += noisy and not differs
        only_differing += differs and not noisy
    assert judge_path(counts(2000, both, only_after, only_differing)) is PathVerdict.EXPLAINED
