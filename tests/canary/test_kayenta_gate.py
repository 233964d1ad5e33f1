"""A gate with `method: kayenta`: judged once, when its windows are complete, and never open where data is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from canary.evidence import Evidence
from canary.gate import judge
from canary.measures.points import WindowPoints
from canary.report import from_dict, to_dict, to_markdown, to_text
from canary.spec import Gate
from canary.steps import Answer, Stretch
from canary.verdict import Judgement, Verdict
from tests.canary.traffic import START, Traffic, begin, fed

ERRORS: dict[str, Any] = {
    "name": "errors",
    "kind": "error_rate",
    "critical": True,
    "kayenta": {"direction": "increase", "groups": ["errors"]},
}
TIMES: dict[str, Any] = {
    "name": "p90",
    "kind": "latency",
    "quantile": 0.9,
    "kayenta": {"direction": "increase", "groups": ["times"]},
}
POINTS = 20


def gate(*metrics: dict[str, Any], **terms: Any) -> Gate:
    found = list(metrics) or [ERRORS, TIMES]
    return Gate.model_validate(
        {"method": "kayenta", "metrics": found, "window": "1s", "kayenta": {"points": POINTS} | terms}
    )


def evidence(of: Gate, traffic: Traffic, length: float = POINTS + 2) -> Evidence:
    return fed(begin(of, share=traffic.share), traffic, length)


def judged(of: Gate, traffic: Traffic, length: float = POINTS + 2) -> Judgement:
    return judge(of, evidence(of, traffic, length), START + length)


def equal(seed: int = 3) -> Traffic:
    return Traffic(seed, rate=200, share=500_000)


def test_an_equal_candidate_is_promoted_with_a_score() -> None:
    found = judged(gate(), equal())

    assert (found.verdict, found.score, found.method) == (Verdict.PROMOTE, 100.0, "kayenta")
    assert "score 100 of 100 after 20 points" in found.reason


def test_nothing_is_decided_before_the_windows_are_complete() -> None:
    found = judged(gate(), Traffic(3, rate=200, share=500_000, failing=(0, 1)), POINTS / 2)

    assert (found.verdict, found.score) == (Verdict.KEEP_WATCHING, None)
    assert "judged once, when there are 20 points" in found.reason


def test_a_critical_metric_that_is_high_rolls_back() -> None:
    found = judged(gate(), Traffic(3, rate=200, share=500_000, failing=(0.01, 0.2)))

    assert (found.verdict, found.score) == (Verdict.ROLLBACK, 0.0)
    assert "critical metric 'errors' is High" in found.reason


def test_errors_that_begin_at_none_pass_no_allowed_increase() -> None:
    lenient = ERRORS | {"kayenta": {"direction": "increase", "effect": {"allowed_increase": 3, "critical_increase": 3}}}

    assert judged(gate(lenient), Traffic(3, rate=200, share=500_000, failing=(0, 0.2))).verdict is Verdict.ROLLBACK


def test_a_score_below_marginal_rolls_back_and_one_above_it_waits_for_a_person() -> None:
    slow = Traffic(3, rate=200, share=500_000, slower=0.05)

    assert judged(gate(groups={"errors": 50, "times": 50}), slow).verdict is Verdict.ROLLBACK
    waiting = judged(gate(groups={"errors": 80, "times": 20}), slow)
    assert (waiting.verdict, waiting.score) == (Verdict.KEEP_WATCHING, 80.0)
    assert "a person decides" in waiting.reason


def test_a_watched_metric_has_no_say() -> None:
    found = judged(gate(ERRORS, TIMES | {"required": False}), Traffic(3, rate=200, share=500_000, slower=0.05))

    assert found.verdict is Verdict.PROMOTE
    assert [one.verdict for one in found.metrics] == [Verdict.PROMOTE, Verdict.ROLLBACK]


def test_what_comes_after_the_last_window_changes_no_answer() -> None:
    of = gate()
    kept = evidence(of, equal())
    before = judge(of, kept, START + POINTS + 2)
    fed(kept, Traffic(5, rate=200, share=500_000, failing=(0, 1)), 5, start=START + POINTS + 2)

    after = judge(of, kept, START + POINTS + 7)

    assert (before.score, after.score) == (100.0, 100.0)


def test_a_verdict_that_is_too_old_promotes_nothing() -> None:
    found = judged(gate(), equal(), 2 * POINTS + 4)

    assert (found.verdict, found.score) == (Verdict.FAULT, 100.0)
    assert "too old" in found.reason


def test_no_data_is_a_fault_however_empty_points_are_read() -> None:
    lenient = ERRORS | {"kayenta": {"direction": "increase", "nan": "replace"}}

    found = judge(gate(lenient), begin(gate(lenient)), START + 31)

    assert (found.verdict, found.score) == (Verdict.FAULT, None)


def test_a_side_that_falls_silent_after_the_windows_is_a_fault() -> None:
    of = gate()

    assert judge(of, evidence(of, equal()), START + 100).verdict is Verdict.FAULT


def test_a_failed_exchange_is_slower_than_anything() -> None:
    found = judged(gate(TIMES), Traffic(3, rate=200, share=500_000, failing=(0, 0.3)))

    assert found.verdict is Verdict.ROLLBACK


def test_only_the_kinds_of_failure_that_are_named_count() -> None:
    bad = Traffic(3, rate=200, share=500_000, failing=(0.01, 0.2))  # every one a failure to connect

    assert judged(gate(ERRORS | {"failures": ["connect"]}), bad).verdict is Verdict.ROLLBACK
    assert judged(gate(ERRORS | {"failures": ["timeout"]}), bad).verdict is Verdict.PROMOTE


def test_the_windows_survive_a_restart() -> None:
    of = gate()
    before = evidence(of, equal(), POINTS / 2 + 0.5)
    after = begin(of, share=500_000)
    after.restore(before.snapshot())
    for one in (before, after):
        fed(one, Traffic(4, rate=200, share=500_000), POINTS, start=START + POINTS / 2 + 0.5)

    verdicts = [judge(of, one, START + 30.5) for one in (before, after)]

    assert verdicts[0] == verdicts[1]
    assert verdicts[0].score == 100


def test_memory_does_not_grow_with_windows() -> None:
    of = gate()
    kept = evidence(of, equal(), 3 * POINTS)
    measure = kept.measures[0]

    assert isinstance(measure, WindowPoints)
    assert len(measure.values()[0]) == POINTS


def test_a_metric_that_cannot_be_classified_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    of = gate(TIMES)
    kept = evidence(of, equal())
    measure = kept.measures[0]
    assert isinstance(measure, WindowPoints)
    measure.values()[0][3] = np.inf

    found = judge(of, kept, START + POINTS + 2)

    assert found.verdict is Verdict.FAULT
    assert "cannot be classified" in found.reason


def test_half_of_the_points_must_have_a_value() -> None:
    of = gate(TIMES)
    kept = evidence(of, equal())
    measure = kept.measures[0]
    assert isinstance(measure, WindowPoints)
    measure.values()[1][: POINTS // 2 + 1] = np.nan

    found = judge(of, kept, START + POINTS + 2)

    assert found.verdict is Verdict.FAULT
    assert "has 9 of 20 values of the candidate" in found.reason


def test_the_judgement_goes_through_json() -> None:
    found = judged(gate(), equal())

    assert from_dict(to_dict(found)) == found


QUEUE: dict[str, Any] = {
    "name": "queue",
    "kind": "query",
    "source": "prom",
    "query": 'depth{app="$side"}',
    "step": "60s",
    "kayenta": {"direction": "increase"},
}


def asked(legacy: np.ndarray, candidate: np.ndarray, **terms: Any) -> Judgement:
    """The judgement of a gate that asks a source alone, which has said these numbers, a minute apart."""
    of = Gate.model_validate({"method": "kayenta", "metrics": [QUEUE], "kayenta": {"points": POINTS} | terms})
    kept = Evidence("shop", "ci", of, subject="v2", share=0, since=START, alone=True)
    (measure,) = kept.sourced
    now = START + 60 * (len(legacy) + 2)
    stretch = measure.due(now)
    assert stretch is not None
    stretch = Stretch(stretch.first, stretch.first + len(legacy) - 1, stretch.length)
    values = np.stack((legacy, candidate))
    held = np.isfinite(values).astype(np.float64)
    measure.take(Answer(stretch, held, np.nan_to_num(values), np.nan_to_num(values) ** 2), now)
    return judge(of, kept, now)


def test_numbers_of_a_source_are_judged_likewise() -> None:
    chance = np.random.default_rng(7)
    legacy, candidate = chance.normal(10, 1, (2, POINTS + 5))

    equal_one, worse = asked(legacy, candidate), asked(legacy, candidate + 5)

    assert equal_one.verdict is Verdict.PROMOTE
    assert (worse.verdict, worse.score) == (Verdict.ROLLBACK, 0.0)
    assert worse.metrics[0].relative
    assert worse.metrics[0].estimate == pytest.approx(0.5, abs=0.1)
    assert worse.metrics[0].age == 0.0
    assert "source     answered 0 s before" in to_text(worse)


def test_a_source_that_lacks_a_side_is_a_fault() -> None:
    numbers = np.random.default_rng(7).normal(10, 1, POINTS)

    found = asked(numbers, np.full(POINTS, np.nan))

    assert found.verdict is Verdict.FAULT
    assert "no number of the candidate" in found.reason


def test_only_the_first_points_of_a_source_are_judged() -> None:
    legacy = np.random.default_rng(7).normal(10, 1, POINTS + 10)
    candidate = legacy + 0.01
    candidate[POINTS:] += 50

    assert asked(legacy, candidate).verdict is Verdict.PROMOTE


def test_reports_tell_no_e_values_and_no_promise_that_does_not_hold() -> None:
    found = judged(gate(), equal())

    for text in (to_text(found), to_markdown(found)):
        assert "however often" not in text
        assert "for that one look" in text
        assert "score 100 of 100" in text


@pytest.mark.parametrize(
    ("metric", "terms", "told"),
    [
        ({"name": "e", "kind": "error_rate", "margin": "1pp"}, {}, "needs 'kayenta'"),
        (ERRORS | {"margin": "1pp"}, {}, "'margin' is not used by the method kayenta"),
        (ERRORS | {"weight": 2}, {}, "'weight' is not used"),
        (ERRORS | {"required": False}, {}, "cannot be critical|no metric is required"),
        (ERRORS | {"kayenta": {"direction": "up"}}, {}, "'increase', 'decrease' or 'either'"),
        (ERRORS, {"groups": {"latency": 100}}, "no metric is in the group 'latency'"),
        (ERRORS, {"groups": {"errors": 90}}, "must sum to 100"),
        (ERRORS, {"groups": {"errors": 110}}, "may sum to 100 at most"),
        (ERRORS, {"marginal": 96}, "swap them"),
        (ERRORS, {"points": 2}, "greater than or equal to 20"),
        (
            {"name": "c", "kind": "rate", "event": "order", "kayenta": {}},
            {},
            "judges series of windows, which kind rate has none of",
        ),
    ],
)
def test_a_gate_that_kayentas_judge_could_not_judge_is_refused(
    metric: dict[str, Any], terms: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValidationError, match=told):
        gate(metric, **terms)


def test_the_block_kayenta_needs_its_method() -> None:
    with pytest.raises(ValidationError, match="belongs to 'method: kayenta'"):
        Gate.model_validate({"metrics": [ERRORS]})
