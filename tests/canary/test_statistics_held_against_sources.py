"""Formulas of canary/stats held against what is computed otherwise: a sampled or enumerated definition, an integral, a
numerical derivative, or SciPy."""

from __future__ import annotations

import inspect
import itertools
import pkgutil
import re
import warnings
from importlib import import_module
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scipy.integrate import quad

import canary.stats
from canary.stats import allocation, boundaries, dispersion, fixed, means, rank
from canary.stats.blocks import Blocks
from canary.stats.fixed import Tail

MODULES = [import_module(f"canary.stats.{module.name}") for module in pkgutil.iter_modules(canary.stats.__path__)]


# --- fixed horizon ----------------------------------------------------------------------------------------------------


def sums(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Totals and sums of products of columns (n, k)."""
    return values.sum(axis=0), values.T @ values


def test_the_delta_method_is_the_spread_of_a_ratio_over_many_samples() -> None:
    rng = np.random.default_rng(1)
    n = 400
    below = rng.poisson(4, (3000, n)) + 1.0
    above = below * rng.normal(2, 0.3, (3000, n)) + rng.normal(0, 1, (3000, n))
    ratios = above.sum(axis=1) / below.sum(axis=1)

    side = fixed.of_ratio(n, *sums(np.column_stack((above[0], below[0]))))

    assert side.mean == pytest.approx(ratios[0])
    assert side.variance / n == pytest.approx(ratios.var(), rel=0.25)


def test_a_relative_difference_varies_as_its_numerical_gradient_says() -> None:
    legacy, candidate = fixed.Side(300, 5.0, 4.0), fixed.Side(200, 6.0, 9.0)
    step = 1e-6

    def relative(of_legacy: float, of_candidate: float) -> float:
        return of_candidate / of_legacy - 1

    by_legacy = (relative(5 + step, 6) - relative(5 - step, 6)) / (2 * step)
    by_candidate = (relative(5, 6 + step) - relative(5, 6 - step)) / (2 * step)
    found = fixed.difference(legacy, candidate, relative=True)

    assert found.estimate == pytest.approx(relative(5, 6))
    assert found.error**2 == pytest.approx(by_legacy**2 * 4 / 300 + by_candidate**2 * 9 / 200, rel=1e-6)


@pytest.mark.parametrize("relative", [False, True])
def test_what_the_past_explains_is_taken_off_as_a_regression_over_units_does_it(relative: bool) -> None:
    rng = np.random.default_rng(2)
    sides = []
    for n, shift in ((500, 0.0), (300, 0.4)):
        before = rng.normal(10, 2, n)
        sides.append(np.column_stack((before * 0.8 + shift + rng.normal(0, 1, n), before)))
    centred = [side - side.mean(axis=0) for side in sides]
    spread = [side.T @ side / (len(side) - 1) for side in centred]
    theta = (spread[0][0, 1] + spread[1][0, 1]) / (spread[0][1, 1] + spread[1][1, 1])
    adjusted = [side[:, 0] - theta * side[:, 1] for side in sides]
    gap = adjusted[1].mean() - adjusted[0].mean()

    found = fixed.adjusted_means(*(fixed.of_past_sums(len(side), *sums(side)) for side in sides), relative=relative)

    assert found.estimate == pytest.approx(gap / (sides[0][:, 0].mean() if relative else 1))
    if not relative:
        error = sum(values.var(ddof=1) / len(values) for values in adjusted)
        assert found.error**2 == pytest.approx(error)


def test_ratios_less_their_past_vary_as_over_many_samples() -> None:
    rng = np.random.default_rng(3)
    found, errors = [], []
    for _ in range(400):
        sides = []
        for n in (250, 200):
            liking = rng.normal(3, 0.5, n)
            columns = []
            for _ in range(2):  # after, before
                asks = rng.poisson(5, n) + 1.0
                columns += [asks * liking + rng.normal(0, 1, n), asks]
            sides.append(fixed.of_past_ratios(n, *sums(np.column_stack(columns))))
        difference = fixed.adjusted_ratios(*sides, relative=True)
        found.append(difference.estimate)
        errors.append(difference.error)

    assert np.std(found) == pytest.approx(np.mean(errors), rel=0.12)


@pytest.mark.parametrize("tail", [Tail.BOTH, Tail.GREATER])
def test_a_confidence_sequence_is_left_at_some_time_by_few_walks(tail: Tail) -> None:
    rng = np.random.default_rng(4)
    walks, looks = 600, np.unique(np.geomspace(50, 4000, 120).astype(int))
    totals = rng.normal(0, 1, (walks, 4000)).cumsum(axis=1)
    left = np.zeros(walks, np.bool_)
    for n in looks:
        for walk in np.flatnonzero(~left):
            mean = float(totals[walk, n - 1] / n)
            seen = fixed.sequence(fixed.Difference(mean, float(n) ** -0.5, np.inf, int(n)), 0.1, 1000.0, tail)
            left[walk] = not seen.low <= 0 <= seen.high

    assert 0.01 * walks < left.sum() <= 0.1 * walks


# --- boundaries, allocation -------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 1000), st.floats(0.001, 0.2), st.floats(0.1, 100))
def test_the_mixture_of_supermartingales_is_one_over_alpha_on_its_boundary(v: float, alpha: float, rho: float) -> None:
    edge = boundaries.normal_mixture(v, alpha, rho)
    middle, spread = edge / (v + rho), (v + rho) ** -0.5

    def mixed(x: float) -> float:
        return float(np.exp(x * edge - x * x * v / 2) * scipy_stats.norm.pdf(x, 0, rho**-0.5))

    found = quad(mixed, middle - 12 * spread, middle + 12 * spread, epsabs=0, limit=200)[0]
    assert found == pytest.approx(1 / alpha, rel=1e-4)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.1, 0.3, 0.6)])
def test_the_bayes_factor_of_an_allocation_is_that_of_two_distributions_of_scipy(shares: tuple[float, ...]) -> None:
    prior, counts = np.array(shares) * 20, np.arange(1, len(shares) + 1) * 13.0
    n = int(counts.sum())

    other = scipy_stats.dirichlet_multinomial.pmf(counts.astype(int), prior, n)
    stated = scipy_stats.multinomial.pmf(counts.astype(int), n, shares)

    assert allocation.sequential_p(counts, np.array(shares), prior) == pytest.approx(min(1.0, float(stated / other)))


# --- ranks ------------------------------------------------------------------------------------------------------------

samples = st.lists(st.integers(0, 6), min_size=2, max_size=9).map(lambda found: np.array(found, np.float64))


@given(samples, samples)
def test_u_counts_pairs_and_ties_half(x: np.ndarray, y: np.ndarray) -> None:
    counted = sum((a > b) + (a == b) / 2 for a, b in itertools.product(x, y))

    assert rank.u_statistic(x, y) == counted
    assert rank.common_language(x, y) == pytest.approx(counted / (len(x) * len(y)))


def test_the_score_has_the_variance_of_u_over_all_ways_to_share_out_the_values() -> None:
    values, n = np.array([1.0, 2, 2, 3, 3, 3, 4, 7, 9]), 4
    every = [
        rank.u_statistic(values[list(chosen)], np.delete(values, list(chosen)))
        for chosen in itertools.combinations(range(len(values)), n)
    ]
    x, y = values[[0, 3, 7, 8]], values[[1, 2, 4, 5, 6]]

    distance = rank.u_statistic(x, y) - n * (len(values) - n) / 2
    assert rank.score(x, y) == pytest.approx((distance - np.sign(distance) / 2) / np.std(every))


@given(samples, samples)
def test_cohen_s_d_is_the_t_statistic_less_its_sizes(x: np.ndarray, y: np.ndarray) -> None:
    if not (x.var() or y.var()):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's, of values that are nearly alike
        t = scipy_stats.ttest_ind(x, y).statistic

    assert rank.cohen_d(x, y) == pytest.approx(abs(t) * np.sqrt(1 / len(x) + 1 / len(y)))


# --- dispersion, means, blocks ----------------------------------------------------------------------------------------


def test_the_variance_of_independent_exchanges_is_that_over_many_samples() -> None:
    rng = np.random.default_rng(6)
    n_c, n_l = rng.integers(5, 60, 40), rng.integers(20, 200, 40)
    h = n_c * n_l / (n_c + n_l)
    rate_c, rate_l, ratio = 0.08, 0.1, 0.8
    sampled = (
        h * (rng.binomial(n_c, rate_c, (6000, 40)) / n_c - ratio * rng.binomial(n_l, rate_l, (6000, 40)) / n_l)
    ).sum(axis=1)

    said = dispersion.independent(float((h * h / n_c).sum()), float((h * h / n_l).sum()), ratio, rate_c, rate_l)

    assert said == pytest.approx(sampled.var(), rel=0.06)


def test_dispersion_of_independent_exchanges_is_one_on_average_however_uneven_the_clusters() -> None:
    rng = np.random.default_rng(7)
    exchanges = np.vstack((rng.geometric(0.02, 64), rng.geometric(0.1, 64))).astype(float)
    rate, squares, expected = np.array([[0.1], [0.12]]), 0.0, 0.0
    for _ in range(1500):
        events = rng.binomial(exchanges.astype(int), rate).astype(float)
        total, found = exchanges.sum(axis=1, keepdims=True), events.sum(axis=1, keepdims=True)
        part = found / total
        squares += float((np.square(events - part * exchanges) / (1 - exchanges / total)).sum())
        expected += float((found * (1 - part)).sum())
        assert dispersion.of_units(events, exchanges) >= 1

    assert squares / expected == pytest.approx(1.0, abs=0.03)


def test_the_variance_by_clusters_is_that_of_means_over_many_samples_of_units() -> None:
    rng = np.random.default_rng(8)
    factor, found, said, freedoms = 1.1, [], [], []
    for _ in range(500):
        counts = rng.poisson(6, (2, 128)) + 1.0
        own = rng.normal(5, 1, (2, 128))  # what the requests of a unit have in common
        totals = counts * own + rng.normal(0, 2, (2, 128)) * np.sqrt(counts)
        h, mean, influence = means.influences(counts, totals)
        variance, freedom = means.unit_variance(means.moments(influence), factor, counts.sum(axis=1))
        found.append(h * (mean[1] - factor * mean[0]))
        said.append(variance)
        freedoms.append(freedom)

    assert np.var(found) == pytest.approx(np.mean(said), rel=0.12)
    assert 0.2 * 256 < np.mean(freedoms) <= 256  # a third of them, where influences are normal: careful by so much


def test_evidence_of_means_is_worth_at_most_one_on_average_at_a_size_where_nothing_differs() -> None:
    """U / sqrt(V) with the t distribution of V's degrees of freedom, as where values are normal."""
    for freedom in (20.0, 63.0, 1e4):
        worth = [
            np.exp(means.log_evidence(float(ratio) * 3.0, 9.0, freedom, 40.0, 0.1))
            for ratio in scipy_stats.t.ppf((np.arange(4000) + 0.5) / 4000, freedom)
        ]
        assert 0.5 < np.mean(worth) <= 1.0, freedom


def test_blocks_hold_the_sums_of_products_that_a_loop_finds() -> None:
    windows = np.random.default_rng(9).normal(1, 1, (37, 3))
    blocks = Blocks()
    for window in windows:
        blocks.push(window)

    for level in range(6):
        length = 2**level
        made = [windows[at : at + length].sum(axis=0) for at in range(0, len(windows) - length + 1, length)]
        assert blocks.count[level] == len(made)
        np.testing.assert_allclose(blocks.own[level], sum(np.outer(one, one) for one in made))
        pairs = sum((np.outer(one, other) for one, other in itertools.pairwise(made)), np.zeros((3, 3)))
        np.testing.assert_allclose(blocks.next[level], pairs)
    np.testing.assert_allclose(blocks.total, windows.sum(axis=0))


# --- the promise of the package ---------------------------------------------------------------------------------------


PLAIN = {"of_sums", "of_proportion", "of_past_sums", "of_past_ratios", "mean_ratio", "honest_ratio"}
"""Definitions that claim nothing and test nothing."""


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_whatever_claims_something_says_by_which_formula_and_from_where(module: ModuleType) -> None:
    whole = inspect.getdoc(module) or ""
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if name.startswith("_") or function.__module__ != module.__name__ or name in PLAIN:
            continue
        own = inspect.getdoc(function) or ""
        assert own, f"{name} has no docstring"
        assert re.search(r"Source|[( ](1[89]|20)\d\d[);,:]|As `|`score`", own + whole), f"{name}: from where?"
        if not re.search(r"Formula", whole):
            assert re.search(r"Formula|Source|t-test|As `|`score`", own), f"{name}: by which formula?"
