"""What must hold for any traffic: how rows are cut into batches is of no matter, nor is the unit of time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from canary import histogram
from canary.evidence import Evidence
from canary.gate import judge
from canary.measures.onsets import SHARE, Onsets
from canary.measures.tempering import Tempering
from canary.stats import means, ratios
from canary.verdict import Judgement
from tests.canary.traffic import REFERENCE, START, Columns, Traffic, begin, gate

METRICS = [
    {"name": "errors", "kind": "error_rate", "margin": "1pp"},
    {"name": "resets", "kind": "error_rate", "failures": ["reset"], "margin": "50%"},
    {"name": "p90", "kind": "latency", "quantile": 0.9, "margin": "20%"},
    {"name": "mean", "kind": "latency", "margin": "5%"},
]
WHOLE = gate(metrics=METRICS)


def told(evidence: Evidence) -> list[float]:
    judgement: Judgement = judge(WHOLE, evidence, START + 80)
    return [
        np.nan if value is None else value
        for one in judgement.metrics
        for value in (one.evidence_promote, one.evidence_rollback, one.estimate, one.low, one.high)
    ]


def part_of(columns: Columns, rows: object) -> Columns:
    return tuple(column[rows] for column in columns)


@settings(max_examples=4, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=12), st.integers(0, 2**32 - 1))
def test_rows_in_any_batches_and_in_any_order_within_a_window_are_the_same_evidence(
    cuts: list[float], seed: int
) -> None:
    columns = Traffic(3, rate=120, failing=(0.02, 0.04)).between(START, START + 75)
    one, other = begin(WHOLE, reference=REFERENCE), begin(WHOLE, reference=REFERENCE)

    one.ingest(*columns)
    clock = columns[0]
    shuffled = np.lexsort((np.random.default_rng(seed).random(len(clock)), np.floor(clock)))
    bounds = [0, *sorted(int(cut * len(clock)) for cut in cuts), len(clock)]
    for start, end in pairwise(bounds):
        other.ingest(*part_of(part_of(columns, shuffled), slice(start, end)))

    assert one.windows == other.windows
    np.testing.assert_allclose(told(other), told(one), rtol=1e-6)


@settings(max_examples=3, deadline=None)
@given(st.integers(-150, 150))
def test_times_in_another_unit_are_the_same_evidence(shift: int) -> None:
    columns = list(Traffic(4, rate=120, slower=0.0003).between(START, START + 75))
    one = begin(WHOLE, reference=REFERENCE)
    other = begin(WHOLE, reference={bucket + shift: count for bucket, count in REFERENCE.items()})

    columns[2] = columns[2].astype(np.float64)
    one.ingest(*columns)
    columns[2] = columns[2] * histogram.GAMMA**shift
    other.ingest(*columns)

    np.testing.assert_allclose(told(other), told(one), rtol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.floats(1, 1e6), st.floats(0.001, 0.5), st.floats(-3, 0))
def test_the_mixture_is_worth_at_most_one_on_average_where_nothing_is_worse(
    information: float, design: float, worse: float
) -> None:
    spread = np.sqrt(information)
    drift = worse / spread

    def weighted(z: float) -> float:
        score = drift * information + z * spread
        return float(np.exp(means.log_mixture(score, information, design, design / 2) + norm.logpdf(z)))

    assert quad(weighted, -12, 12, limit=400)[0] <= 1 + 1e-6
    peak = design * spread  # with a large design the mass of the mean lies far out
    assert quad(weighted, peak - 30, peak + 30, limit=400)[0] <= 1 + 1e-6


def test_evidence_from_some_time_on_is_worth_at_most_one_on_average_where_nothing_is_worse() -> None:
    rng = np.random.default_rng(11)
    exchanges = np.zeros((2, 256))
    exchanges[:, :2] = 10.0
    worth = []
    for _ in range(60):
        onsets, overall = Onsets(ratios.WEIGHTS, lambda _: 0.0), Tempering(lambda _: 0.0)
        for _ in range(30):
            events = np.zeros((2, 256))
            events[:, :2] = rng.binomial(10, 0.1, (2, 2))
            x_l, x_c = events.sum(axis=1)
            added = ratios.increments(np.array([x_c]), float(x_l), 20.0, 20.0, np.ones(1))[0][0]
            onsets.add(added, events, exchanges, overall)
            overall.add(events, exchanges)
        worth.append(np.exp(onsets.log_evidence()))

    assert np.mean(worth) <= 1.0


def test_evidence_that_says_nothing_from_any_time_on_leaves_the_whole_with_its_weight() -> None:
    onsets = Onsets(ratios.WEIGHTS, lambda _: 0.0)

    assert onsets.joined(3.0) == pytest.approx(3.0 + np.log(1 - SHARE), abs=0.02)
