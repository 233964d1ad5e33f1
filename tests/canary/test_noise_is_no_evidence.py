"""What exchanges have in common, by their unit or by their time, must not pass for a difference of the sides."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from canary.gate import judge
from canary.verdict import MetricJudgement
from rules.stages import MILLION
from tests.canary.traffic import REFERENCE, START, begin, gate

Floats = npt.NDArray[np.float64]
SIDES = (0, 1)
HALF = 500_000


def units_of(side: int, count: int, rng: np.random.Generator) -> npt.NDArray[np.uint64]:
    """Hashes whose side, at half of the traffic, is `side`."""
    found = rng.integers(0, 2**64 - MILLION, count, dtype=np.uint64)
    found -= found % np.uint64(MILLION)
    return found + np.uint64(1 if side else HALF + 1)


# --- of one time: means -----------------------------------------------------------------------------------------------

WINDOWS = 120
A_WINDOW = 60
"""Exchanges of a side."""
SEEDS = range(7)


def levels(rng: np.random.Generator) -> Floats:
    """By how much each window's times or values are larger, (2 sides, WINDOWS): each side's own slow noise."""
    logs = np.zeros((2, WINDOWS))
    for window in range(1, WINDOWS):
        logs[:, window] = 0.3 * logs[:, window - 1] + rng.normal(0, 0.2, 2)
    return np.exp(logs)


def heard(metric: dict[str, Any], seed: int, more: float) -> MetricJudgement:
    """What a metric on times or on orders has found after WINDOWS seconds, where the candidate's are `more` times those
    of legacy and both sides have slow noise."""
    of = gate(metrics=[{"name": "mean", "margin": "10%", **metric}])
    evidence, rng = begin(of, share=HALF, reference=REFERENCE), np.random.default_rng(seed)
    noise = levels(rng) * [[1], [more]]
    side = np.repeat(np.array(SIDES, np.uint8), A_WINDOW)
    none = np.zeros(2 * A_WINDOW, np.uint8)
    for window in range(WINDOWS):
        clock = START + window + np.sort(rng.random(2 * A_WINDOW))
        unit = np.concatenate([units_of(one, A_WINDOW, rng) for one in SIDES])
        found = noise[side, window] * rng.lognormal(0, 0.5, 2 * A_WINDOW)
        evidence.ingest(clock, unit, 0.005 * found, side, none)
        if of.events:
            evidence.ingest_events(clock, unit, 40 * found, side, none)
    return judge(of, evidence, START + WINDOWS).metrics[0]


@pytest.mark.parametrize(
    "metric",
    [
        {"kind": "latency"},
        {"kind": "mean_per_event", "event": "order_placed", "direction": "higher_is_worse"},
    ],
    ids=["latency", "mean_per_event"],
)
def test_slow_noise_of_either_side_passes_neither_for_harm_nor_for_its_absence(metric: dict[str, Any]) -> None:
    equal = [heard(metric, seed, 1.0).evidence_rollback for seed in SEEDS]
    at_margin = [heard(metric, 100 + seed, 1.1).evidence_promote for seed in SEEDS]

    assert np.count_nonzero(equal + at_margin) >= 10, "a mean that says nothing would not be wrong either"
    # 14 questions at 5 %: more than 2 wrong answers have a probability of 3 %
    assert sum(found >= 20 for found in equal + at_margin) <= 2, (equal, at_margin)


# --- of one unit: quantiles ------------------------------------------------------------------------------------------

Q90 = gate(metrics=[{"name": "p90", "kind": "latency", "quantile": 0.9, "margin": "20%"}])
SECONDS = 60
RATE = 100
"""Exchanges a second and side."""
FEW = 60
"""Units of a side that make them."""


def counted(seed: int, more: float, *, each_its_own: bool, drift: float = 1.0) -> MetricJudgement:
    """What a quantile has found of exchanges whose times are their units' own. `each_its_own`: the very same times, but
    each told of another unit; `drift`: how many times slower both sides are in the last quarter."""
    rng = np.random.default_rng(seed)
    evidence = begin(Q90, share=HALF, reference=REFERENCE)
    known = [units_of(side, FEW, rng) for side in SIDES]
    own = rng.normal(0, 0.5, (2, FEW))
    side = np.repeat(np.array(SIDES, np.uint8), RATE)
    none = np.zeros(2 * RATE, np.uint8)
    for second in range(SECONDS):
        clock = START + second + np.sort(rng.random(2 * RATE))
        chosen = rng.integers(0, FEW, 2 * RATE)
        fresh = np.concatenate([units_of(one, RATE, rng) for one in SIDES])
        unit = fresh if each_its_own else np.where(side, known[1][chosen], known[0][chosen])
        times = np.exp(own[side, chosen] + rng.normal(0, 0.2, 2 * RATE)) * np.where(side, more, 1.0)
        times *= drift if second >= 0.75 * SECONDS else 1.0
        evidence.ingest(clock, unit, 0.005 * times, side, none)
    return judge(Q90, evidence, START + SECONDS).metrics[0]


THRESHOLDS = pytest.mark.parametrize("drift", [1.0, 20.0], ids=["one threshold", "two thresholds"])


@THRESHOLDS
def test_exchanges_of_few_units_say_less_for_harm_than_those_of_many(drift: float) -> None:
    few, many = (counted(5, 1.4, each_its_own=each, drift=drift) for each in (False, True))

    assert few.estimate == many.estimate, "the same times"
    assert log(many.evidence_rollback) > 5
    assert log(few.evidence_rollback) < log(many.evidence_rollback) / 2


@THRESHOLDS
def test_exchanges_of_few_units_say_less_for_promotion_than_those_of_many(drift: float) -> None:
    few, many = (counted(5, 0.7, each_its_own=each, drift=drift) for each in (False, True))

    assert few.estimate == many.estimate, "the same times"
    assert log(many.evidence_promote) > 5
    assert log(few.evidence_promote) < log(many.evidence_promote) / 2
