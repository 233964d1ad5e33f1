"""The count e-processes: exactly e-values, summed over all that a window can bring; and what tempers them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, hypergeom, norm

from canary.measures.measure import Batch
from canary.measures.rates import ErrorRate
from canary.measures.tempering import Tempering
from canary.spec import Metric
from canary.stats import allocation, differences, dispersion, ratios

sizes = st.integers(1, 12)
rates = st.floats(0.001, 0.95)
parts = st.integers(0, 1000).map(lambda n: n / 1000)
SLACK = 1 + 1e-9
NULLS = np.array([0.3, 1.0, 1.5, 4.0])


def ratio_expectation(n_c: int, n_l: int, r_c: float, r_l: float, null: float, way: int) -> float:
    """The largest mean, over the alternatives, of what one window multiplies an e-value by."""
    total = np.zeros(len(ratios.PHI))
    for x_c in range(n_c + 1):
        for x_l in range(n_l + 1):
            chance = binom.pmf(x_c, n_c, r_c) * binom.pmf(x_l, n_l, r_l)
            total += chance * np.exp(ratios.increments(np.array([x_c]), x_l, n_c, n_l, np.array([null]))[way][0])
    return float(total.max())


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, rates, parts, st.sampled_from([0.5, 1.0, 1.3]))
def test_a_candidate_that_is_not_worse_than_the_ratio_cannot_gain_evidence(
    n_c: int, n_l: int, r_l: float, part: float, null: float
) -> None:
    r_c = min(1.0, part * null * r_l)

    assert ratio_expectation(n_c, n_l, r_c, r_l, null, way=0) <= SLACK


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, st.floats(0.001, 0.5), st.floats(1.0, 3.0), st.sampled_from([0.5, 1.0, 1.3]))
def test_a_candidate_that_is_worse_than_the_ratio_cannot_be_cleared(
    n_c: int, n_l: int, r_l: float, more: float, null: float
) -> None:
    r_c = min(1.0, more * null * r_l)
    if r_c < null * r_l:
        return

    assert ratio_expectation(n_c, n_l, r_c, r_l, null, way=1) <= SLACK


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.data())
def test_exchangeable_exchanges_cannot_gain_evidence_given_their_total(n_c: int, n_l: int, data: st.DataObject) -> None:
    total = data.draw(st.integers(0, n_c + n_l))
    mean = np.zeros((2, len(ratios.PHI)))
    for x_c in range(max(0, total - n_l), min(n_c, total) + 1):
        chance = hypergeom.pmf(x_c, n_c + n_l, n_c, total)
        up, down = ratios.increments(np.array([x_c]), total - x_c, n_c, n_l, np.ones(1))
        mean += chance * np.exp(np.vstack((up, down)))

    assert mean.max() <= SLACK


@settings(max_examples=25, deadline=None)
@given(
    sizes,
    sizes,
    parts,
    parts,
    st.sampled_from([-0.2, 0.0, 0.005, 0.02, 0.3]),
    st.sampled_from([1, -1]),
)
def test_a_difference_on_the_null_s_side_cannot_gain_evidence(
    n_c: int, n_l: int, r_l: float, where: float, null: float, sign: int
) -> None:
    # `up` speaks against r_c - r_l <= null, `down` against >= null: any pair of rates of that null will do.
    least, most = (0.0, r_l + null) if sign > 0 else (r_l + null, 1.0)
    least, most = max(0.0, least), min(1.0, most)
    if least > most:
        return
    r_c = least + where * (most - least)
    mean = np.zeros(len(differences.WEIGHTS))
    for x_c in range(n_c + 1):
        for x_l in range(n_l + 1):
            chance = binom.pmf(x_c, n_c, r_c) * binom.pmf(x_l, n_l, r_l)
            mean += chance * np.exp(differences.increments(x_c, x_l, n_c, n_l, np.array([null]), 0.01, sign)[0])

    assert mean.max() <= 1 + 1e-7


def test_alternatives_lie_beyond_their_null_and_are_rates() -> None:
    nulls = np.array([-0.9, -0.2, 0.0, 0.001, 0.02, 0.5, 0.9])
    for sign in (1, -1):
        t_c, t_l = differences.alternatives(nulls, 0.02, sign)

        assert ((t_c > 0) & (t_c < 1) & (t_l > 0) & (t_l < 1)).all()
        assert (sign * (t_c - t_l - nulls[:, None]) > 0).all()


def test_without_one_failure_a_margin_in_percentage_points_is_excluded_and_a_relative_one_never() -> None:
    n = 400
    absolute = differences.increments(0, 0, n, n, np.array([0.02]), 0.02, -1)
    relative = ratios.increments(np.zeros(1), 0, n, n, np.array([1.5]))[1]

    assert ratios.log_mean(absolute, differences.WEIGHTS)[0] > np.log(20)
    assert ratios.log_mean(relative, ratios.WEIGHTS)[0] == pytest.approx(0)


@pytest.mark.parametrize(("margin", "requests"), [(0.02, 200), (0.005, 900)])
@pytest.mark.parametrize("share", [0.5, 0.01])
def test_a_margin_in_percentage_points_needs_as_many_requests_without_a_failure_as_the_documents_say(
    margin: float, requests: int, share: float
) -> None:
    def proof(n: float) -> float:
        logs = differences.increments(0, 0, n, n * (1 - share) / share, np.array([margin]), margin, -1)
        return float(ratios.log_mean(logs, differences.WEIGHTS)[0])

    assert proof(0.9 * requests) < np.log(20) <= proof(1.02 * requests)


def test_evidence_by_difference_falls_as_the_null_rises_to_what_is_seen() -> None:
    nulls = np.array([0.0, 0.01, 0.05, 0.1, 0.2])
    up = ratios.log_mean(differences.increments(60, 0, 300, 300, nulls, 0.02, +1), differences.WEIGHTS)

    assert (np.diff(up) < 0).all()
    assert up[0] > np.log(1000) > up[-1]


def test_a_window_with_an_empty_side_says_nothing() -> None:
    assert not ratios.increments(np.array([3.0]), 0, 5, 0, np.ones(1))[0].any()
    assert not differences.increments(0, 2, 0, 5, np.ones(1) * 0.1, 0.01, 1).any()


def test_looking_after_every_window_rolls_back_at_most_alpha_of_equal_candidates() -> None:
    rng = np.random.default_rng(7)
    runs, windows, wrong = 150, 200, 0
    for _ in range(runs):
        n_c, n_l = rng.integers(1, 6, windows), rng.integers(5, 40, windows)
        rate = rng.uniform(0.005, 0.1, windows)  # the common rate drifts as it likes
        x_c, x_l = rng.binomial(n_c, rate), rng.binomial(n_l, rate)
        steps = np.array(
            [
                ratios.increments(np.array([float(a)]), float(b), float(c), float(d), np.ones(1))[0][0]
                for a, b, c, d in zip(x_c, x_l, n_c, n_l, strict=True)
            ]
        )
        wrong += bool((ratios.log_mean(steps.cumsum(axis=0), ratios.WEIGHTS) >= np.log(20)).any())

    assert wrong <= 0.05 * runs


def test_a_share_says_how_first_seen_units_fall_and_any_other_way_is_found() -> None:
    rng = np.random.default_rng(3)
    fair = allocation.increments(float(rng.binomial(50_000, 0.25)), 50_000, 0.25)
    skewed = allocation.increments(float(rng.binomial(50_000, 0.24)), 50_000, 0.25)

    assert ratios.log_mean(fair, allocation.EQUAL) < 0
    assert ratios.log_mean(skewed, allocation.EQUAL) > np.log(1000)


@given(st.integers(1, 60), st.floats(0.001, 0.999))
def test_units_that_fall_as_the_share_says_cannot_gain_evidence_of_a_mismatch(n: int, share: float) -> None:
    mean = sum(binom.pmf(x, n, share) * np.exp(allocation.increments(x, n, share)) for x in range(n + 1))

    assert np.max(mean) <= SLACK


def test_independent_failures_are_not_tempered_and_one_unit_s_failures_are() -> None:
    rng = np.random.default_rng(5)
    exchanges = np.full((2, 256), 40.0)
    spread = rng.binomial(40, 0.02, (2, 256)).astype(float)
    lumped = np.zeros((2, 256))
    lumped[1, :8] = 40.0

    assert dispersion.of_units(spread, exchanges) == pytest.approx(1.0, abs=0.15)
    assert dispersion.of_units(lumped, exchanges) > 20
    assert dispersion.of_units(np.zeros((2, 256)), exchanges) == 1.0


def test_what_chance_alone_says_tempers_hardly() -> None:
    """The largest of 1 and an unbiased estimate would be 1.04 here on average; real clustering is kept nearly whole."""
    rng = np.random.default_rng(6)
    exchanges = np.full((2, 256), 40.0)
    found = [dispersion.of_units(rng.binomial(40, 0.01, (2, 256)).astype(float), exchanges) for _ in range(400)]
    prone = np.where(rng.random((2, 256)) < 0.1, 0.05, 0.005)  # variance of the rates 1.8e-4: 1 + 39 * 0.018
    clustered = [dispersion.of_units(rng.binomial(40, prone).astype(float), exchanges) for _ in range(400)]

    assert 1.0 < np.mean(found) < 1.02
    assert np.mean(clustered) == pytest.approx(1 + 39 * np.var(prone) / (np.mean(prone) * 0.99), rel=0.03)


def test_slow_noise_is_assumed_on_busy_routes_and_fades_as_windows_come() -> None:
    at_p90 = dispersion.sensitivity_of_slow(0.1)

    assert at_p90 == pytest.approx(norm.pdf(norm.ppf(0.1)) ** 2 / 0.09)
    assert dispersion.unproven(2000, at_p90, 1) > 100 * dispersion.unproven(2, at_p90, 1)
    assert dispersion.unproven(2000, at_p90, dispersion.PROVING) == 1.0
    assert dispersion.unproven(2000, dispersion.sensitivity_of_failures(0.0), 0) == 1.0


def test_noise_of_one_side_shows_in_time_and_noise_of_both_does_not() -> None:
    rng = np.random.default_rng(9)
    own, common = Tempering(lambda _: 0.0), Tempering(lambda _: 0.0)
    for _ in range(64):
        exchanges = np.full((2, 256), 4.0)
        level = rng.uniform(0.05, 0.15, 2)
        own.add(rng.binomial(4, level[:, None], (2, 256)).astype(float), exchanges)
        common.add(rng.binomial(4, level[0], (2, 256)).astype(float), exchanges)

    assert own.dispersion() > 5
    assert common.dispersion() < 2.5


@settings(max_examples=30, deadline=None)
@given(st.floats(0.001, 0.999), st.sampled_from([-0.5, -0.01, 0.0, 0.005, 0.3]), st.sampled_from([1, -1]))
def test_the_projection_is_where_the_divergence_is_least(part: float, null: float, sign: int) -> None:
    nulls = np.array([null])
    t_c, t_l = differences.alternatives(nulls, 0.01, sign)
    q = differences.projection(t_c, t_l, nulls, part)

    def apart(t: differences.Floats, from_: differences.Floats) -> differences.Floats:
        return np.asarray(t * np.log(t / from_) + (1 - t) * np.log((1 - t) / (1 - from_)))

    def divergence(q: differences.Floats) -> differences.Floats:
        c = q + null
        legacy = t_l * np.log(t_l / q) + (1 - t_l) * np.log((1 - t_l) / (1 - q))
        return np.asarray(
            part * (t_c * np.log(t_c / c) + (1 - t_c) * np.log((1 - t_c) / (1 - c))) + (1 - part) * legacy
        )

    least, most = np.maximum(0, -null), np.minimum(1, 1 - null)
    for nearer in (q + 0.01 * (most - q), q - 0.01 * (q - least)):
        assert (divergence(q) <= divergence(nearer) + 1e-12).all()


def test_a_window_cannot_gain_evidence_for_the_alternative_that_a_margin_names() -> None:
    n_c, n_l, times = 30, 50, 1.5
    for rate in (0.0, 0.01, 0.2, 1.0):
        x_c, x_l = np.arange(n_c + 1), np.arange(n_l + 1)
        likely = binom.pmf(x_c, n_c, rate)[:, None] * binom.pmf(x_l, n_l, rate)
        found = [[np.exp(ratios.increment(c, x, n_c, n_l, times)) for x in x_l] for c in x_c]

        assert (likely * np.array(found)).sum() <= 1 + 1e-12


def test_one_alternative_is_the_column_of_many() -> None:
    many, _ = ratios.increments(np.array([7.0]), 3.0, 200.0, 100.0, np.ones(1))

    assert [ratios.increment(7, 3, 200, 100, times) for times in ratios.RATIOS] == pytest.approx(many[0].tolist())


@pytest.mark.parametrize(("quantile", "largest"), [(0.05, 1.15), (0.5, 1.85), (0.95, 10.0), (0.99, 50.0)])
def test_no_weight_goes_to_what_a_quantile_cannot_become(quantile: float, largest: float) -> None:
    weights = ratios.weights_below(1 / (1 - quantile))

    assert weights.sum() == pytest.approx(1)
    assert ratios.RATIOS[len(weights) - 1] == largest
    assert ratios.log_mean(np.append(np.zeros(len(weights)), 50.0), weights) == pytest.approx(0)


def test_the_excess_of_rare_events_is_the_fourth_cumulant_of_their_difference() -> None:
    rng = np.random.default_rng(13)
    n, ratio = np.array([[20.0, 80.0], [400.0, 100.0]]), 1.7  # two windows: legacy's and the candidate's exchanges
    mean = n * np.array([0.01, 0.03])
    h = n.prod(axis=1) / n.sum(axis=1)
    scale = h[:, None] / n
    events = rng.poisson(mean, (400_000, 2, 2)) * scale
    sums = (events[..., 1] - ratio * events[..., 0]).sum(axis=1)
    moved = sums - sums.mean()
    seen = ((moved**4).mean() - 3 * (moved**2).mean() ** 2) / (moved**2).mean() ** 2
    legacy, candidate = (np.array([(scale[:, side] ** k * mean[:, side]).sum() for k in (2, 4)]) for side in (0, 1))

    assert dispersion.excess(candidate, legacy, ratio) == pytest.approx(seen, rel=0.05)
    assert dispersion.excess(np.zeros(2), np.zeros(2), ratio) == 0


def test_what_is_known_of_the_noise_stands_in_for_a_guess_after_a_threshold_moved() -> None:
    rng = np.random.default_rng(14)
    counts = np.full((2, 256), 8.0)
    former = Tempering(dispersion.sensitivity_of_slow)
    for _ in range(60):
        former.add(rng.binomial(8, 0.05, (2, 256)).astype(float), counts)
    window = rng.binomial(8, 0.05, (2, 256)).astype(float)
    fresh, after = Tempering(dispersion.sensitivity_of_slow), Tempering(dispersion.sensitivity_of_slow, former)
    fresh.add(window, counts)
    after.add(window, counts)

    assert former.dispersion() < 2
    assert after.dispersion() < 2
    assert fresh.dispersion() > 100  # a thousand a side in one window, and no idea of the noise
    again = Tempering(dispersion.sensitivity_of_slow)
    again.restore(after.state())
    assert again.dispersion() == after.dispersion()


def test_a_measure_that_was_read_before_forgets_what_it_knew_when_it_is_restored() -> None:
    metric = Metric.model_validate({"name": "errors", "kind": "error_rate", "margin": "0.5pp"})
    rng = np.random.default_rng(16)
    counts = np.full((2, 256), 40.0)

    def fed(noise: float) -> ErrorRate:
        measure = ErrorRate(metric)
        for _ in range(64):
            chances = rng.uniform(0.1 - noise, 0.1 + noise, 2)[np.repeat([0, 1], 256 * 40)]
            place = np.repeat(np.arange(512), 40)
            failed = rng.random(512 * 40) < chances
            zeros = np.zeros(512 * 40)
            measure.add(Batch(place, place >= 256, zeros, failed, failed.astype(np.uint8)))
            measure.close(counts)
        return measure

    noisy, again = fed(0.09), fed(0.0)
    again.read(0.05)
    again.restore({name: array.copy() for name, array in noisy.state().items()})

    assert again.read(0.05) == noisy.read(0.05)


def test_windows_that_are_much_larger_than_those_before_are_unproven_again() -> None:
    tempering = Tempering(dispersion.sensitivity_of_slow)
    rng = np.random.default_rng(17)
    for _ in range(100):
        tempering.add(rng.binomial(1, 0.05, (2, 256)).astype(float), np.ones((2, 256)))
    known = tempering.dispersion()
    tempering.add(rng.binomial(100, 0.05, (2, 256)).astype(float), np.full((2, 256), 100.0))

    assert known < 2
    assert tempering.dispersion() > 10
