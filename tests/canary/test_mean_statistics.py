"""Means, their variance over units and over time, and the mixture: against definitions and against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import chi2, norm, t

from canary.stats import means
from canary.stats.blocks import SURE, Blocks, most_by_chance


@pytest.mark.parametrize("score", [-3.0, 0.0, 2.0, 40.0])
@pytest.mark.parametrize("mu", [0.0, 0.05])
def test_the_mixture_is_the_integral_that_it_stands_for(score: float, mu: float) -> None:
    information, tau = 400.0, 0.025

    def weighted(delta: float) -> float:
        return float(np.exp(delta * score - delta**2 * information / 2) * norm.pdf(delta, mu, tau))

    integral = quad(weighted, 0, 1, points=[0.05, 0.1])[0] / norm.sf(0, mu, tau)

    assert means.log_mixture(score, information, mu, tau) == pytest.approx(np.log(integral), abs=1e-6)


@pytest.mark.parametrize("ratio", [-4.0, -0.3, 0.0, 2.5, 9.0])
def test_a_score_has_the_tail_of_its_t(ratio: float) -> None:
    assert norm.sf(means.normal_score(ratio, 7.0)) == pytest.approx(t.sf(ratio, 7.0), rel=1e-9)


def test_a_score_beyond_floats_stays_finite() -> None:
    assert means.normal_score(-1e9, 1e6) == -38.0


def test_influences_give_the_variance_of_a_difference_of_means() -> None:
    rng = np.random.default_rng(1)
    counts = np.full((2, 256), 10.0)
    sums = rng.normal(50, 4, (2, 256))
    h, m, added = means.influences(counts, sums)
    variance, freedom = means.unit_variance(means.moments(added), 1.0, counts.sum(axis=1))

    # Per cluster the mean of ten; the classic variance of the difference of two means of 256 clusters each.
    clusters = sums / 10
    classic = clusters.var(axis=1, ddof=1).sum() / 256

    assert m == pytest.approx(clusters.mean(axis=1))
    assert variance / h**2 == pytest.approx(classic, rel=0.01)
    assert 100 < freedom <= 512


def test_blocks_of_independent_windows_have_the_variance_of_independent_windows() -> None:
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 1, 512)
    blocks = Blocks()
    for one in noise:
        blocks.push(np.array([one, 0.0, 1.0]))

    variance, freedom = blocks.variance(np.array([1.0, 0.0, -noise.mean()]))

    # the largest of several lengths: never below, and not far above
    assert 0.9 * 512 < variance < 2.5 * 512
    assert freedom > 4


def test_blocks_of_windows_that_resemble_their_neighbours_have_a_larger_one() -> None:
    rng = np.random.default_rng(4)
    noise = np.zeros(1024)
    for i in range(1, 1024):
        noise[i] = 0.7 * noise[i - 1] + rng.normal()
    blocks = Blocks()
    for one in noise:
        blocks.push(np.array([one, 0.0, 1.0]))

    variance, _ = blocks.variance(np.array([1.0, 0.0, -noise.mean()]))
    truth = 1024 / (1 - 0.7) ** 2

    assert 0.6 * truth < variance < 3 * truth


def test_blocks_survive_their_state() -> None:
    rng = np.random.default_rng(6)
    one, other = Blocks(), Blocks()
    for _ in range(100):
        one.push(rng.normal(size=3))
    other.restore({name: value.copy() for name, value in one.state().items()})
    window = rng.normal(size=3)
    one.push(window)
    other.push(window)
    line = np.array([1.0, -1.0, 0.1])

    assert one.variance(line) == other.variance(line)


def test_few_windows_have_no_variance_over_time() -> None:
    blocks = Blocks()
    for _ in range(15):
        blocks.push(np.ones(3))

    assert blocks.variance(np.array([1.0, -1.0, 0.0])) == (0.0, np.inf)


def test_no_variance_is_no_evidence() -> None:
    assert means.log_evidence(5.0, 0.0, 100.0, 10.0, 0.05) == means.SILENT
    assert means.log_evidence(np.nan, 1.0, 100.0, 10.0, 0.05) == means.SILENT


def test_blocks_say_nothing_against_an_estimate_that_they_do_not_surely_exceed() -> None:
    rng = np.random.default_rng(6)
    noise = rng.normal(0, 1, 512)
    blocks = Blocks()
    for one in noise:
        blocks.push(np.array([one, 0.0, 1.0]))
    line = np.array([1.0, 0.0, -noise.mean()])

    found, _ = blocks.variance(line)

    assert blocks.variance(line, beyond=found * 0.99) == (0.0, np.inf)
    assert blocks.variance(line, beyond=found / 3) == blocks.variance(line)


def test_windows_of_growing_weight_do_not_pass_for_noise() -> None:
    rng = np.random.default_rng(8)
    found = []
    for _ in range(40):
        blocks = Blocks()
        weights = np.repeat([1.0, 4.0, 20.0], 60)
        noise = rng.normal(0, np.sqrt(weights))
        for one, weight in zip(noise, weights, strict=True):
            blocks.push(np.array([one, 0.0, weight]))
        total = float(weights.sum())
        found.append(blocks.variance(np.array([1.0, 0.0, -noise.sum() / total]), beyond=total)[0] > 0)

    assert sum(found) <= 8


@pytest.mark.parametrize("freedom", [16.0, 40.0, 400.0])
def test_what_a_variance_is_by_chance_is_the_quantile_of_its_chi_square(freedom: float) -> None:
    assert most_by_chance(freedom) == pytest.approx(chi2.ppf(norm.cdf(SURE), freedom) / freedom, rel=2e-3)


def test_a_correlation_that_is_only_noise_does_not_raise_the_variance() -> None:
    rng = np.random.default_rng(9)
    found = []
    for _ in range(200):
        blocks = Blocks()
        noise = rng.normal(0, 1, 100)
        for one in noise:
            blocks.push(np.array([one, 0.0, 1.0]))
        found.append(blocks.variance(np.array([1.0, 0.0, -noise.mean()]), beyond=100.0)[0] > 0)

    assert sum(found) <= 24  # 6 % on average; an inflation by every correlation above 0 made it 13 %


def test_few_large_windows_do_not_hide_the_noise_that_many_small_ones_have_shown() -> None:
    rng = np.random.default_rng(10)
    found = []
    for _ in range(40):
        blocks = Blocks()
        weights = np.repeat([1.0, 5.0, 32.0], [60, 20, 4])
        noise = rng.normal(0, np.sqrt(3 * weights))  # three times as much as the units say
        for one, weight in zip(noise, weights, strict=True):
            blocks.push(np.array([one, 0.0, weight]))
        total = float(weights.sum())
        found.append(blocks.variance(np.array([1.0, 0.0, -noise.sum() / total]), beyond=total)[0])

    assert sum(one > 0 for one in found) >= 38
    assert np.median(found) / total == pytest.approx(3, rel=0.3)


def test_windows_whose_weight_says_nothing_of_their_noise_are_not_taken_for_alike() -> None:
    rng = np.random.default_rng(15)
    found = []
    for _ in range(40):
        blocks = Blocks()
        weights = np.arange(1.0, 101.0)  # units of a step: they become more, what they do in a window does not
        noise = rng.normal(0, 1, 100)
        for one, weight in zip(noise, weights, strict=True):
            blocks.push(np.array([one, 0.0, weight]))
        line = np.array([1.0, 0.0, 0.0])
        found.append([blocks.variance(line, beyond=100.0, alike=alike)[0] > 0 for alike in (False, True)])

    assert np.sum(found, axis=0).tolist()[0] <= 8
    assert np.sum(found, axis=0).tolist()[1] >= 32
