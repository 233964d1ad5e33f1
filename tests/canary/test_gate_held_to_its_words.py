"""Numbers of the gate's rules, held to the sentences that promise them: dues, weights, estimates, the mean's cuts."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log
from typing import Any

import numpy as np
import pytest

from canary import histogram
from canary.evidence import Evidence
from canary.gate import judge
from canary.measures.measure import Reading
from canary.measures.rates import ErrorRate
from canary.spec import Gate, Metric
from canary.verdict import Judgement, MetricJudgement, Verdict
from tests.canary.traffic import REFERENCE, START, Columns, Traffic, begin, gate

MEAN = gate(metrics=[{"name": "mean", "kind": "latency", "margin": "10%"}])
SECONDS = 90
WEEK = 7 * 86_400.0


# --- what the e-values of several metrics come to --------------------------------------------------------------------


class Told(ErrorRate):
    """A metric whose evidence is what it was given."""

    def __init__(self, metric: Metric, rollback: float, promote: float = 1.0, counts: tuple[int, int] = (0, 0)) -> None:
        """`rollback`, `promote`: e-values; `counts`: exchanges of legacy and of the candidate."""
        super().__init__(metric)
        self._reading = Reading(
            "%",
            legacy=1.0,
            candidate=1.0,
            estimate=0.0,
            legacy_count=counts[0],
            candidate_count=counts[1],
            log_rollback=log(rollback),
            log_promote=log(promote),
        )

    def read(self, alpha: float) -> Reading:
        return self._reading


def gate_of(*metrics: dict[str, Any]) -> Gate:
    """With a metric for each of these; alpha is 5 %."""
    errors = {"kind": "error_rate", "margin": "2pp"}
    return gate(metrics=[{"name": f"m{number}", **errors, **one} for number, one in enumerate(metrics)])


def judged(of: Gate, *rollback: float) -> Judgement:
    """What a gate says whose metrics have found these e-values of harm."""
    evidence = begin(of)
    evidence.measures = tuple(Told(metric, one) for metric, one in zip(of.metrics, rollback, strict=True))
    return judge(of, evidence, START)


@pytest.mark.parametrize("critical", [1, 2, 3])
def test_critical_metrics_share_their_half_of_alpha_evenly(critical: int) -> None:
    of = gate_of(*[{"critical": True}] * critical, {}, {"weight": 10})
    due = 2 * critical / 0.05

    below = judged(of, due - 1, *[1] * (critical + 1))
    reached = judged(of, due + 1, *[1] * (critical + 1))

    assert [metric.rollback_due for metric in reached.metrics] == [pytest.approx(due)] * critical + [None, None]
    assert reached.harm_due == pytest.approx(2 / 0.05), "the other half is the average's"
    assert reached.harm < 2 / 0.05, "so it is the critical metric alone that speaks"
    assert (below.verdict is Verdict.ROLLBACK, reached.verdict is Verdict.ROLLBACK) == (False, True)


def test_without_a_critical_metric_the_average_has_all_of_alpha() -> None:
    assert judged(gate_of({}, {}), 1, 1).harm_due == pytest.approx(1 / 0.05)


@pytest.mark.parametrize(
    ("weights", "found", "average"),
    [((1, 3), (40, 1), 10.75), ((3, 1), (40, 1), 30.25), ((1, 3), (1, 40), 30.25), ((0.5, 0.5), (30, 20), 25)],
)
def test_metrics_count_in_the_average_by_their_weight(
    weights: tuple[float, float], found: tuple[float, float], average: float
) -> None:
    judgement = judged(gate_of(*({"weight": weight} for weight in weights)), *found)

    assert judgement.harm == pytest.approx(average)
    assert (judgement.verdict is Verdict.ROLLBACK) == (average >= 1 / 0.05)


@pytest.mark.parametrize(
    ("part", "more"), [(1 / 2, 1000), (1 / 4, 3000), (1 / 11, 10_000), (0.8, 250), (0.04, None), (1.0, None)]
)
def test_as_many_exchanges_are_still_needed_as_the_evidence_so_far_took_in_proportion(
    part: float, more: int | None
) -> None:
    """`part`: of the logarithm of the evidence that is due, after 1,000 exchanges of the side with fewer."""
    of = gate_of({})
    evidence = begin(of)
    evidence.measures = (Told(of.metrics[0], 1.0, exp(part * log(20.001)), (4000, 1000)),)

    shown = judge(of, evidence, START).metrics[0]

    assert shown.more_needed == (None if more is None else pytest.approx(more, abs=2))


@pytest.mark.parametrize(
    ("estimate", "low", "high", "more"),
    [
        (0.0, -0.04, 0.04, 3000),  # twice as narrow is within the margin of 2 pp
        (0.01, -0.02, 0.04, 8000),  # three times as narrow is within it, and above 0
        (0.03, -0.03, 0.09, 3000),  # never within it; twice as narrow is harm
        (0.0, -0.01, 0.01, None),  # within it, so that something else is missing
        (0.02, None, 0.5, None),  # not within it, and no lower end
        (0.0, -3.0, 3.0, None),  # 22,500 times as many
        (None, None, None, None),
    ],
)
def test_while_evidence_has_hardly_come_the_interval_says_how_much_is_needed(
    estimate: float | None, low: float | None, high: float | None, more: int | None
) -> None:
    of = gate_of({})
    evidence = begin(of)
    told = Told(of.metrics[0], 1.0, 0.9, (4000, 1000))
    told._reading = replace(told._reading, estimate=estimate, low=low, high=high)
    evidence.measures = (told,)

    shown = judge(of, evidence, START).metrics[0]

    assert shown.more_needed == (None if more is None else pytest.approx(more, abs=2))


# --- what is cut of times, and what a failure takes ------------------------------------------------------------------


def mean_of(columns: Columns, reference: dict[int, int]) -> MetricJudgement:
    evidence: Evidence = begin(MEAN, reference=reference)
    evidence.ingest(*columns)
    return judge(MEAN, evidence, START + SECONDS).metrics[0]


@pytest.mark.parametrize("side", [0, 1], ids=["legacy", "candidate"])
def test_a_time_of_a_week_says_no_more_of_a_mean_than_one_above_the_999th_permille(side: int) -> None:
    once_hung = REFERENCE | {histogram.index(WEEK): 1}  # one in 2,001: above that quantile, as such times are
    columns = Traffic(41).between(START, START + SECONDS)
    seconds = columns[2].astype(np.float64)
    one = np.flatnonzero(columns[3] == side)[100]

    def with_a_time_of(length: float) -> MetricJudgement:
        seconds[one] = length
        return mean_of((*columns[:2], seconds.copy(), *columns[3:]), once_hung)

    shown = with_a_time_of(WEEK)

    assert shown.evidence_promote > 1, "it has found something, that could change"
    assert shown == with_a_time_of(1.0)


@pytest.mark.parametrize("failing", [0.05, 0.5, 1.0])
def test_a_candidate_that_fails_at_once_is_not_fast_in_the_mean(failing: float) -> None:
    clock, unit, seconds, side, failure = Traffic(42, failing=(0.0, failing)).between(START, START + SECONDS)
    slow = float(np.quantile(seconds[side == 0], 0.95)) * 1000

    shown = mean_of((clock, unit, np.where(failure, 1e-5, seconds), side, failure), REFERENCE)

    assert shown.estimate is not None and shown.legacy is not None and shown.candidate is not None
    assert shown.estimate > 0
    assert shown.candidate == pytest.approx((1 - failing) * shown.legacy + failing * slow, rel=0.1)
    assert shown.evidence_promote < 1
