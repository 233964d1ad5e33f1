"""Every case of sequential.json (published vectors of sequential statistics): those that fig has a function for agree
to 1e-5, and the others are skipped by name, with the reason. A case that is neither is a failure."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from canary.stats import allocation, boundaries, fixed, means
from canary.stats.fixed import Difference, Past, Side, Sums, Tail

PLACE = Path(os.environ.get("FIG_CASES") or Path(__file__).parents[2] / "../shared/cases").resolve() / "sequential.json"
CASES: list[dict[str, Any]] = json.loads(PLACE.read_text())["cases"] if PLACE.exists() else []

NOT_FIGS = {
    "gamma_exponential_log_mixture": "fig has no sub-exponential sums: heavy tails are cut at a cap fixed beforehand",
    "gamma_poisson_log_mixture": "fig compares counts with counts, never with a known rate",
    "beta_binomial_log_mixture": "fig compares two rates: a grid of alternatives, not a prior over one rate",
    "beta_binomial_mixture_bound": "fig compares two rates: a grid of alternatives, not a prior over one rate",
    "poly_stitching_bound": "fig mixes; stitched boundaries are wider at every size that a canary reaches",
    "empirical_process_lil_bound": "fig fixes its quantiles beforehand, and bounds no whole distribution",
    "double_stitching_bound": "fig fixes its quantiles beforehand, and bounds no quantile",
    "quantile_ab_p_value": "fig counts what exceeds a time fixed beforehand, and compares no two running quantiles",
    "bernoulli_confidence_interval": "fig compares two rates, and bounds no single one",
}
"""Name -> why fig has no such function."""
GROUP_SEQUENTIAL = "fig looks at any time, not at planned ones: it spends no alpha"

TAILS = {
    "two_sided_t": Tail.BOTH,
    "one_sided_greater_t": Tail.GREATER,
    "one_sided_lesser_t": Tail.LESSER,
    "sequential_two_sided": Tail.BOTH,
    "sequential_one_sided_greater": Tail.GREATER,
    "sequential_one_sided_lesser": Tail.LESSER,
}


def symmetric(names: tuple[str, ...], side: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Totals and moments of the named values: [sum, sum of squares] each, sums of products by joined names."""
    totals = np.array([side[name][0] for name in names])
    moments = np.diag([side[name][1] for name in names])
    for i, one in enumerate(names):
        for j, other in enumerate(names):
            if i != j:
                moments[i, j] = side[f"{one}_{other}"] if f"{one}_{other}" in side else side[f"{other}_{one}"]
    return totals, moments


def side_of(side: dict[str, Any]) -> Side | Past:
    n = side["n"]
    if side["kind"] == "mean":
        return fixed.of_sums(n, Sums(side["sum"], side["sum_squares"]))
    if side["kind"] == "proportion":
        return fixed.of_proportion(n, side["sum"])
    if side["kind"] == "mean_cuped":
        return fixed.of_past_sums(n, *symmetric(("post", "pre"), side))
    if side["kind"] == "ratio":
        return fixed.of_ratio(n, *symmetric(("m", "d"), side))
    assert side["kind"] == "ratio_cuped"
    return fixed.of_past_ratios(n, *symmetric(("m_post", "d_post", "m_pre", "d_pre"), side))


def difference_of(case: dict[str, Any]) -> Difference:
    legacy, candidate = side_of(case["control"]), side_of(case["experiment"])
    relative = case["difference"] == "relative"
    if isinstance(legacy, Past) and isinstance(candidate, Past):
        adjusted = fixed.adjusted_means if case["control"]["kind"] == "mean_cuped" else fixed.adjusted_ratios
        return adjusted(legacy, candidate, relative=relative)
    assert isinstance(legacy, Side)
    assert isinstance(candidate, Side)
    return fixed.difference(legacy, candidate, relative=relative)


def check_ab_summary(case: dict[str, Any]) -> None:
    found, tail, params = difference_of(case), TAILS[case["test"]], case["params"]
    if case["test"].startswith("sequential"):
        inference = fixed.sequence(found, params["alpha"], params["sequential_tuning_parameter"], tail)
    else:
        inference = fixed.welch(found, params["alpha"], tail)
    expected = case["expected"]
    numbers = {"estimate": found.estimate, "stderr": found.error, "p_value": inference.p}
    within = 10 ** -case["round_decimals"]
    assert set(expected) <= {*numbers, "ci"}
    for name in expected.keys() - {"ci"}:
        assert numbers[name] == pytest.approx(expected[name], abs=within), name
    low, high = (float(end) for end in expected["ci"])
    assert inference.low == pytest.approx(low, abs=within)
    assert inference.high == pytest.approx(high, abs=within)


def normal_log_mixture(params: dict[str, Any]) -> float:
    """Of the very function that the gate's means are judged by, with its prior's mean at 0."""
    assert params["one_sided"]
    rho = boundaries.best_rho(params["v_opt"], 2 * params["alpha_opt"])
    return means.log_mixture(params["s"], params["v"], 0.0, 1 / sqrt(rho))


def normal_mixture_bound(params: dict[str, Any]) -> float:
    assert not params["one_sided"]
    return boundaries.normal_mixture(
        params["v"], params["alpha"], boundaries.best_rho(params["v_opt"], params["alpha_opt"])
    )


BOUNDARIES: dict[str, Callable[[dict[str, Any]], float]] = {
    "two_sided_normal_best_rho": lambda params: boundaries.best_rho(params["v_opt"], params["alpha_opt"]),
    "one_sided_normal_best_rho": lambda params: boundaries.best_rho(params["v_opt"], 2 * params["alpha_opt"]),
    "normal_log_mixture": normal_log_mixture,
    "normal_mixture_bound": normal_mixture_bound,
}


def check_boundary(case: dict[str, Any]) -> None:
    found = BOUNDARIES[case["name"]](case["params"])
    assert found == pytest.approx(case["expected"]["value"], abs=case["expected"]["abs_tol"])


def check_multinomial_sequential_p(case: dict[str, Any]) -> None:
    params = case["params"]
    counts, shares, prior = (np.array(params[name], np.float64) for name in ("counts", "p", "dirichlet_alpha"))
    found = allocation.sequential_p(counts, shares, prior)
    assert found == pytest.approx(case["expected"]["value"], abs=case["expected"].get("abs_tol", 1e-5))


@pytest.mark.skipif(not CASES, reason=f"{PLACE} is not here: set FIG_CASES to the folder of published cases")
@pytest.mark.parametrize("case", CASES, ids=[f"{case['kind']}: {case['name']}" for case in CASES])
def test_a_published_vector_is_met(case: dict[str, Any]) -> None:
    reason = GROUP_SEQUENTIAL if case["kind"] == "group_sequential" else NOT_FIGS.get(case["name"])
    if reason is not None:
        pytest.skip(f"{case['name']}: {reason}")
    globals()[f"check_{case['kind']}"](case)


def test_what_fig_has_is_not_skipped() -> None:
    assert not set(NOT_FIGS) & set(BOUNDARIES)
