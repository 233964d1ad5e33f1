"""The evidence of a metric of kind query: pairs of steps, what varies, what is missing, and what a restart keeps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from canary.evidence import Evidence
from canary.gate import judge
from canary.measures.sourced import ALIKE, MOST_STEPS, Sourced
from canary.spec import Gate, Metric
from canary.stats import means
from canary.steps import Answer
from canary.verdict import Verdict

SINCE = 3_000_000.0
STEP = 30


def metric(**changes: Any) -> Metric:
    asked = {"name": "depth", "kind": "query", "source": "prom", "query": "x", "margin": "10%"}
    return Metric.model_validate(asked | changes)


def begun(**changes: Any) -> Sourced:
    sourced = Sourced(metric(**changes))
    sourced.begin(SINCE)
    return sourced


def fed(sourced: Sourced, legacy: Any, candidate: Any, n: float = 1.0) -> float:
    """Everything that is due, from two columns of means of n observations each; when it was taken."""
    now = SINCE + len(legacy) * STEP
    while (stretch := sourced.due(now)) is not None:
        answer = Answer.empty(stretch)
        for side, column in enumerate((legacy, candidate)):
            begin = int(stretch.begin - SINCE) // STEP
            values = np.asarray(column, np.float64)[begin : begin + len(stretch)]
            held = np.isfinite(values)
            answer.n[side] = np.where(held, n, 0)
            answer.total[side] = np.where(held, n * values, 0)
            answer.squares[side] = math.nan
        sourced.take(answer, now)
    return now


def both(seed: int = 1, steps: int = 200, worse: float = 0.0, spread: float = 4.0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    common = 10 * np.sin(np.arange(steps) / 20)
    return 40 + common + rng.normal(0, spread, steps), 40 + worse + common + rng.normal(0, spread, steps)


def test_what_both_sides_have_in_common_cancels() -> None:
    sourced = begun()
    fed(sourced, *both(spread=0.5))

    reading = sourced.read(0.05)

    assert reading.low is not None
    assert reading.high is not None
    assert reading.high - reading.low < 0.03
    assert reading.counted == "steps"


def test_the_interval_holds_the_one_of_a_paired_t_test() -> None:
    legacy, candidate = both(worse=1.0)
    sourced = begun(margin="100ms")
    fed(sourced, legacy, candidate)
    differences = candidate - legacy

    reading = sourced.read(0.05)
    once = scipy_stats.t.interval(0.9, 199, differences.mean(), scipy_stats.sem(differences))

    assert reading.estimate == pytest.approx(differences.mean())
    assert reading.low is not None
    assert reading.high is not None
    assert reading.low < once[0]
    assert reading.high > once[1]


def test_a_lower_number_is_worse_where_the_metric_says_so() -> None:
    worse, better = begun(direction="lower_is_worse"), begun()
    legacy, candidate = both(worse=-6)
    fed(worse, legacy, candidate)
    fed(better, legacy, candidate)

    assert worse.read(0.05).estimate == pytest.approx(-(better.read(0.05).estimate or 0))
    assert (worse.read(0.05).log_rollback or 0) > math.log(1000)
    assert (better.read(0.05).log_promote or 0) > math.log(1000)


def test_a_rate_of_nothing_at_all_is_told_from_never() -> None:
    zeros = np.zeros(100)
    few, many = begun(measure="rate", margin="0.5pp"), begun(measure="rate", margin="0.5pp")
    fed(few, zeros, zeros, n=2)
    fed(many, zeros, zeros, n=500)

    assert (few.read(0.05).log_promote or 0) < math.log(20)
    assert (many.read(0.05).log_promote or 0) > math.log(20)


def test_numbers_that_never_vary_say_nothing_of_chance() -> None:
    sourced = begun()
    fed(sourced, np.full(100, 5.0), np.full(100, 5.0))

    assert sourced.read(0.05).log_promote is None
    assert "do not vary" in sourced.read(0.05).waiting


def outweighed() -> tuple[Any, Any]:
    legacy, candidate = both(steps=172, spread=0.2)
    candidate[171] = 990
    return legacy, candidate


def drifting() -> tuple[Any, Any]:
    legacy, candidate = both(steps=100, spread=0.01)
    return legacy, candidate + np.arange(100)


@pytest.mark.parametrize("numbers", [outweighed, drifting])
def test_numbers_that_vary_too_seldom_are_not_called_the_same(numbers: Any) -> None:
    sourced = begun()
    fed(sourced, *numbers())

    assert sourced.read(0.05).log_promote is None
    assert sourced.read(0.05).waiting == (
        "a few steps, or a slow drift of the numbers, outweigh all else, so nothing tells how much chance may move them"
    )


def failing(seed: int, often: float, most: int = 50) -> tuple[Any, Any]:
    """How many were observed in each of 200 steps, and how many of them failed, of one side."""
    chance = np.random.default_rng(seed)
    n = 200.0 + chance.integers(0, most, 200)
    return n, chance.binomial(n.astype(int), often).astype(float)


def counted(sourced: Sourced, legacy: tuple[Any, Any], candidate: tuple[Any, Any], steps: int = 200) -> float:
    """Everything that is due, from counts and totals of either side; when it was taken."""
    now = SINCE + steps * STEP
    while (stretch := sourced.due(now)) is not None:
        answer = Answer.empty(stretch)
        begin = int(stretch.begin - SINCE) // STEP
        for side, (n, total) in enumerate((legacy, candidate)):
            answer.n[side] = n[begin : begin + len(stretch)]
            answer.total[side] = total[begin : begin + len(stretch)]
            answer.squares[side] = answer.total[side]
        sourced.take(answer, now)
    return now


@pytest.mark.parametrize(("measure", "margin"), [("rate", "0.5pp"), ("mean", "10%"), ("value", "10%")])
def test_two_sides_that_are_the_same_numbers_are_a_fault(measure: str, margin: str) -> None:
    sourced = begun(measure=measure, margin=margin)
    same = failing(1, often=0.02)
    early = counted(sourced, same, same, ALIKE)
    assert sourced.problem(early) == ""

    now = counted(sourced, same, same, ALIKE + 20)

    assert "both are asked for the same thing" in sourced.problem(now)
    assert "required: false" in sourced.problem(now)


def test_a_rate_that_both_sides_share_is_a_fault_though_their_counts_differ() -> None:
    sourced = begun(measure="rate", margin="0.5pp")
    n, total = failing(1, often=0.02)

    now = counted(sourced, (n, total), (3 * n, 3 * total))

    assert "both are asked for the same thing" in sourced.problem(now)


def test_a_step_that_one_query_had_sooner_does_not_excuse_the_same_numbers() -> None:
    sourced = begun(measure="rate", margin="0.5pp")
    n, total = failing(1, often=0.02)
    other = total.copy()
    other[100] += 1

    now = counted(sourced, (n, total), (n, other))

    assert "both are asked for the same thing" in sourced.problem(now)


def test_the_same_numbers_are_known_after_a_restart() -> None:
    same = failing(1, often=0.02)
    first, second = begun(measure="rate", margin="0.5pp"), begun(measure="rate", margin="0.5pp")
    counted(first, same, same, ALIKE)
    second.restore({name: array.copy() for name, array in first.state().items()})

    now = counted(second, same, same, ALIKE + 1)

    assert "both are asked for the same thing" in second.problem(now)


def _blips(n: Any, *steps: int) -> Any:
    total = np.zeros_like(n)
    total[list(steps)] = n[list(steps)] // 2
    return total


@pytest.mark.parametrize(
    ("legacy", "candidate"),
    [
        pytest.param(failing(1, 0.0), failing(1, 0.0), id="nothing failed of the same mirrored requests"),
        pytest.param(failing(1, 0.0), failing(2, 0.0), id="nothing failed of others"),
        pytest.param(failing(1, 1.0), failing(2, 1.0), id="everything failed"),
        pytest.param((np.full(200, 2.0), np.ones(200)), (np.full(200, 4.0), np.full(200, 2.0)), id="always a half"),
        pytest.param(failing(1, 0.02, most=1), failing(2, 0.02, most=1), id="as many probes of either side"),
        pytest.param(
            (np.full(200, 2.0), failing(1, 0.01)[1] % 3), (np.full(200, 2.0), failing(2, 0.01)[1] % 3), id="few"
        ),
        pytest.param(
            (failing(1, 0)[0], _blips(failing(1, 0)[0], 20, 21, 90)),
            (failing(1, 0)[0], _blips(failing(1, 0)[0], 20, 21, 90)),
            id="what both rest on failed twice for the same probes",
        ),
    ],
)
def test_sides_that_are_alike_are_no_fault(legacy: tuple[Any, Any], candidate: tuple[Any, Any]) -> None:
    sourced = begun(measure="rate", margin="0.5pp")

    now = counted(sourced, legacy, candidate)

    assert sourced.problem(now) == ""


def test_an_answer_that_cannot_be_used_is_none() -> None:
    sourced = begun(measure="rate", margin="0.5pp")
    assert sourced.age(counted(sourced, failing(1, 0.02), failing(2, 0.02), 10)) == 0

    now = SINCE + 20 * STEP
    stretch = sourced.due(now)
    assert stretch is not None
    answer = Answer.empty(stretch)
    answer.n[:], answer.total[:] = 1, 2
    sourced.take(answer, now)

    assert "is not a part of all" in sourced.problem(now)
    assert sourced.age(now) == 10 * STEP


def test_a_relative_margin_of_nothing_says_nothing() -> None:
    sourced = begun()
    fed(sourced, both()[0] - 60, both()[1] - 60)

    assert sourced.read(0.05).log_promote is None
    assert "write an absolute margin" in sourced.read(0.05).waiting


def test_the_step_in_which_the_share_changed_is_left_out() -> None:
    sourced = begun()
    sourced.moved(SINCE + 10 * STEP + 1)
    fed(sourced, *both(steps=100))

    assert sourced.read(0.05).legacy_count == 99


def test_steps_that_lack_a_side_make_no_pair() -> None:
    legacy, candidate = both(steps=100)
    candidate[7:10] = math.nan
    sourced = begun()
    fed(sourced, legacy, candidate)

    assert sourced.read(0.05).candidate_count == 97
    assert np.isnan(sourced.series.candidate).sum() == 3
    assert len(sourced.series.whole()) == 97


def test_what_was_taken_survives_and_is_not_asked_for_again() -> None:
    legacy, candidate = both(steps=300)
    whole, first = begun(), begun()
    fed(whole, legacy, candidate)
    fed(first, legacy[:200], candidate[:200])

    second = begun()
    second.restore({name: array.copy() for name, array in first.state().items()})
    fed(second, legacy, candidate)

    assert second.read(0.05) == whole.read(0.05)
    assert second.due(SINCE + 300 * STEP) is None


def test_harm_that_begins_late_is_not_outweighed_by_a_long_good_past() -> None:
    legacy, candidate = both(steps=1060)
    candidate[1000:] *= 1.5
    before, after = begun(), begun()
    fed(before, legacy[:1000], candidate[:1000])
    fed(after, legacy, candidate)

    assert (before.read(0.05).log_rollback or 0) < 0
    assert (after.read(0.05).log_rollback or 0) > math.log(20)
    assert after.read(0.05).lately.endswith("in the last 36 steps")


def test_only_complete_steps_since_the_beginning_are_due_a_thousand_at_a_time() -> None:
    sourced = begun()
    sourced.delay = 15.0

    assert sourced.due(SINCE + STEP + 14) is None
    first = sourced.due(SINCE + STEP + 15)
    assert first is not None
    assert (first.begin, first.end) == (SINCE, SINCE + STEP)
    later = sourced.due(SINCE + 10**7)
    assert later is not None
    assert len(later) == MOST_STEPS


def test_before_the_burn_in_there_is_no_evidence() -> None:
    sourced = begun()
    fed(sourced, *both(steps=means.BURN_IN - 1, worse=400))

    assert sourced.read(0.05).log_rollback is None
    assert sourced.read(0.05).waiting == f"{means.BURN_IN - 1} of {means.BURN_IN} steps"


def _gate(**changes: Any) -> tuple[Gate, Evidence, Sourced]:
    gate = Gate(metrics=(metric(**changes), metric(name="other")))
    evidence = Evidence("shop", "g", gate, subject="", share=0, since=SINCE, alone=True)
    first, second = evidence.sourced
    fed(second, *both(seed=2, steps=400))
    return gate, evidence, first


def test_a_watched_metric_without_numbers_is_told_and_does_not_stand_in_the_way() -> None:
    gate, evidence, watched = _gate(required=False)
    watched.failed("no answer within 10 s")

    judgement = judge(gate, evidence, SINCE + 400 * STEP)

    assert judgement.verdict is Verdict.PROMOTE
    assert judgement.metrics[0].verdict is Verdict.FAULT
    assert judgement.metrics[0].reason == "no answer within 10 s (source 'prom')"


def test_a_critical_metric_without_numbers_stands_in_the_way_though_only_watched() -> None:
    gate, evidence, watched = _gate(required=False, critical=True)
    watched.failed("no answer within 10 s")

    assert judge(gate, evidence, SINCE + 400 * STEP).verdict is Verdict.FAULT


def test_harm_that_is_proven_is_told_though_the_source_is_down_now() -> None:
    gate, evidence, sourced = _gate()
    fed(sourced, *both(worse=20, steps=400))
    sourced.failed("no answer within 10 s")

    assert judge(gate, evidence, SINCE + 400 * STEP).verdict is Verdict.ROLLBACK


def test_fewer_samples_than_asked_for_are_waited_for() -> None:
    gate, evidence, sourced = _gate(min_samples=401)
    fed(sourced, *both(steps=400))

    judgement = judge(gate, evidence, SINCE + 400 * STEP)

    assert judgement.verdict is Verdict.KEEP_WATCHING
    assert "400 steps on the side with fewer (min_samples)" in judgement.reason
