"""What the gate says, end to end on seeded traffic, and what it never promotes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from canary import histogram
from canary.evidence import Evidence
from canary.gate import judge
from canary.spec import Gate
from canary.verdict import Judgement, Verdict
from tests.canary.traffic import GATE, START, Traffic, begin, fed, gate

REFERENCE: dict[int, int] = {}
for _time in 0.005 * np.exp(np.random.default_rng(0).normal(0, 0.5, 2000)):
    REFERENCE[histogram.index(_time)] = REFERENCE.get(histogram.index(_time), 0) + 1

MEAN = {"name": "mean", "kind": "latency", "margin": "10%"}
CONVERSION = {"name": "conversion", "kind": "rate", "event": "order_placed", "margin": "10%"}


def until_verdict(traffic: Traffic, of: Gate | None = None, length: float = 60) -> tuple[float, Judgement]:
    """Look after every half second, as the pilot does; (seconds, judgement) of the first verdict."""
    of = of or gate(window="500ms")
    evidence = begin(of, share=traffic.share, reference=REFERENCE)
    judgement = judge(of, evidence, START)
    for now, columns in traffic.batches(length):
        evidence.ingest(*columns)
        judgement = judge(of, evidence, now)
        if judgement.verdict in (Verdict.PROMOTE, Verdict.ROLLBACK):
            return now - START, judgement
    return length, judgement


def good(of: Gate | None = None) -> Evidence:
    """Evidence on which the gate promotes."""
    return fed(begin(of or gate(), reference=REFERENCE), Traffic(11), 30)


def test_an_equal_candidate_is_promoted_without_one_failure_within_twenty_seconds() -> None:
    seconds, judgement = until_verdict(Traffic(1))

    assert judgement.verdict is Verdict.PROMOTE
    assert seconds <= 20
    assert judgement.verdict.exit_code == 0


@pytest.mark.parametrize("share", [100_000, 250_000])
def test_a_candidate_two_hundred_milliseconds_slower_is_rolled_back_within_four_seconds(share: int) -> None:
    seconds, judgement = until_verdict(Traffic(2, share=share, slower=0.2))

    assert judgement.verdict is Verdict.ROLLBACK
    assert seconds <= 4
    assert "'p90' is worse by" in judgement.reason


@pytest.mark.parametrize("typical", [0.05, 0.0005])
def test_a_threshold_follows_legacy_when_both_sides_drift_away_from_it(typical: float) -> None:
    # The reference is of 5 ms: at 50 ms everything exceeds it, at 0.5 ms hardly anything does.
    only = gate(metrics=[GATE["metrics"][1] | {"critical": True}], window="500ms")

    slower = until_verdict(Traffic(21, slower=4 * typical, typical=typical), only)[1]
    equal = until_verdict(Traffic(22, typical=typical), only)[1]

    assert slower.verdict is Verdict.ROLLBACK
    assert equal.verdict is Verdict.PROMOTE


def test_a_candidate_that_fails_every_fifth_request_is_rolled_back_within_five_seconds() -> None:
    seconds, judgement = until_verdict(Traffic(3, rate=200, share=100_000, failing=(0.0, 0.2)))

    assert judgement.verdict is Verdict.ROLLBACK
    assert seconds <= 5


def test_looking_twice_a_second_rolls_back_at_most_alpha_of_equal_candidates() -> None:
    strict = gate(metrics=[GATE["metrics"][0] | {"margin": "0.1pp"}, GATE["metrics"][1] | {"margin": "2%"}])  # type: ignore[index]
    ends = [until_verdict(Traffic(100 + seed, failing=(0.02, 0.02)), strict, length=12)[1] for seed in range(30)]

    # 30 runs at 5 %: more than 5 have a probability below 0.4 %
    assert sum(end.verdict is Verdict.ROLLBACK for end in ends) <= 5


def test_a_candidate_worse_by_its_margin_is_hardly_ever_promoted() -> None:
    ends = [
        until_verdict(Traffic(300 + seed, failing=(0.0, 0.02)), gate(metrics=GATE["metrics"][:1]), length=20)[1]
        for seed in range(25)
    ]

    assert sum(end.verdict is Verdict.PROMOTE for end in ends) <= 4


def test_a_mean_speaks_after_its_burn_in_and_rolls_back() -> None:
    only = gate(metrics=[MEAN | {"critical": True}])
    evidence = fed(begin(only, reference=REFERENCE), Traffic(4, rate=400, slower=0.001), 60)
    early = judge(only, evidence, START + 60)
    fed(evidence, Traffic(4, rate=400, slower=0.001), 20, start=START + 60)
    late = judge(only, evidence, START + 80)

    assert early.verdict is Verdict.KEEP_WATCHING
    assert "64 windows" in early.reason
    assert late.verdict is Verdict.ROLLBACK
    shown = late.metrics[0]
    assert shown.low is not None and shown.estimate is not None and 0 < shown.low < shown.estimate


def test_a_mean_promotes_an_equal_candidate_and_its_interval_says_why() -> None:
    only = gate(metrics=[MEAN])
    shown = judge(only, fed(begin(only, reference=REFERENCE), Traffic(5, rate=400), 120), START + 120).metrics[0]

    assert shown.verdict is Verdict.PROMOTE
    assert shown.low is not None and shown.high is not None
    assert shown.low < 0 < shown.high < 0.10


@pytest.mark.parametrize("margin", ["20ms", "50%"])
def test_promotion_and_interval_agree(margin: str) -> None:
    of = gate(metrics=[{"name": "p90", "kind": "latency", "quantile": 0.9, "margin": margin}])
    evidence = begin(of, reference=REFERENCE)
    for now, columns in Traffic(6).batches(30):
        evidence.ingest(*columns)
        shown = judge(of, evidence, now).metrics[0]

        assert (shown.verdict is Verdict.PROMOTE) == (shown.high is not None and shown.high <= shown.margin)


def test_a_candidate_that_fails_at_once_is_not_fast() -> None:
    only = gate(metrics=[{"name": "p50", "kind": "latency", "quantile": 0.5, "margin": "50%"}])

    _, judgement = until_verdict(Traffic(7, failing=(0.0, 1.0)), only)

    assert judgement.verdict is Verdict.ROLLBACK


def test_one_unit_that_only_fails_is_no_proof_against_the_candidate() -> None:
    evidence = begin(gate(), share=250_000, reference=REFERENCE)
    traffic = Traffic(9, units=60)
    clock, unit, seconds, side, failure = traffic.between(START, START + 30)
    bad = unit == unit[side == 1][0]
    evidence.ingest(clock, unit, seconds, side, np.where(bad, 1, failure))

    assert judge(evidence.gate, evidence, START + 30).verdict is not Verdict.ROLLBACK


def test_a_rollback_names_the_metric_values_counts_interval_harm_rule_and_alpha() -> None:
    _, judgement = until_verdict(Traffic(3, rate=200, failing=(0.0, 0.3)))

    for part in ("'errors'", "legacy 0 % of ", "candidate ", " pp, ...]", "harm of 0 pp", ">= 40", "alpha 2.5 %"):
        assert part in judgement.reason
    assert judgement.metrics[0].verdict is Verdict.ROLLBACK


def test_a_critical_metric_needs_its_half_of_alpha_only() -> None:
    _, judgement = until_verdict(Traffic(3, rate=200, failing=(0.0, 0.3)))

    assert "critical metric at alpha 2.5 %" in judgement.reason
    assert judgement.metrics[0].evidence_rollback >= 40


# Fail closed: on each of these the evidence is good but for one thing.


def verdict_after(evidence: Evidence, now: float = START + 30) -> Judgement:
    return judge(evidence.gate, evidence, now)


def test_the_good_evidence_of_the_tests_below_promotes() -> None:
    assert verdict_after(good()).verdict is Verdict.PROMOTE


def test_no_data_at_all_is_a_fault_once_the_silence_is_over() -> None:
    assert verdict_after(begin(gate()), START + 5).verdict is Verdict.KEEP_WATCHING
    assert verdict_after(begin(gate()), START + 31).verdict is Verdict.FAULT


def test_a_side_that_falls_silent_is_a_fault() -> None:
    judgement = verdict_after(good(), START + 61)

    assert judgement.verdict is Verdict.FAULT
    assert "no counted request" in judgement.reason


def test_a_side_that_falls_silent_after_its_clock_was_ahead_is_a_fault_all_the_same() -> None:
    evidence = good()
    fed(evidence, Traffic(15), 5, start=START + 3600)  # a clock that runs ahead, and is set right
    ahead = verdict_after(evidence, START + 30)
    fed(evidence, Traffic(16), 5, start=START + 40)

    assert ahead.verdict is Verdict.FAULT
    assert "ahead of the clock" in ahead.reason
    assert verdict_after(evidence, START + 45).verdict is Verdict.PROMOTE
    assert "no counted request" in verdict_after(evidence, START + 90).reason


def test_lost_rows_are_a_fault() -> None:
    evidence = good()
    clock = np.full(90, START + 31.0)
    unit, zero = np.arange(90, dtype=np.uint64), np.zeros(90, np.uint8)
    evidence.ingest(clock, unit, zero.astype(np.float32), zero, zero, dropped=10)

    judgement = verdict_after(evidence, START + 31)

    assert judgement.verdict is Verdict.FAULT
    assert "lost" in judgement.reason


def test_a_sample_ratio_mismatch_is_a_fault() -> None:
    evidence = fed(begin(gate(), reference=REFERENCE), Traffic(12, rate=400, units=20_000, leak=0.3), 30)

    judgement = verdict_after(evidence)

    assert judgement.verdict is Verdict.FAULT
    assert "sample ratio mismatch" in judgement.reason


def test_a_required_metric_without_data_is_a_fault_and_a_watched_one_is_told() -> None:
    with_required = gate(metrics=[*GATE["metrics"], CONVERSION])
    with_watched = gate(metrics=[*GATE["metrics"], CONVERSION | {"required": False}])

    required, watched = verdict_after(good(with_required)), verdict_after(good(with_watched))

    assert required.verdict is Verdict.FAULT
    assert "'conversion'" in required.reason and "not measured yet" in required.reason
    assert watched.verdict is Verdict.PROMOTE
    assert watched.metrics[2].verdict is Verdict.FAULT


def test_harm_is_told_though_another_metric_has_no_data() -> None:
    _, judgement = until_verdict(Traffic(3, failing=(0.0, 0.5)), gate(metrics=[*GATE["metrics"], CONVERSION]))

    assert judgement.verdict is Verdict.ROLLBACK


class Broken:
    """A measure that fails, or gives what is not a number."""

    def __init__(self, inner: Any, result: float | Exception) -> None:
        self._inner = inner
        self._result = result
        self.reference_needed = inner.reference_needed

    def read(self, alpha: float) -> Any:
        if isinstance(self._result, Exception):
            raise self._result
        return replace(self._inner.read(alpha), log_promote=self._result)


@pytest.mark.parametrize("result", [ZeroDivisionError("by zero"), float("nan")])
def test_an_exception_or_not_a_number_is_a_fault(result: float | Exception) -> None:
    evidence = good()
    evidence.measures = (evidence.measures[0], Broken(evidence.measures[1], result))  # type: ignore[assignment]

    judgement = verdict_after(evidence)

    assert judgement.verdict is Verdict.FAULT
    assert "'p90'" in judgement.reason


def test_evidence_that_cannot_be_read_at_all_is_a_fault() -> None:
    evidence = good()
    evidence.measures = ()

    assert verdict_after(evidence).verdict is Verdict.FAULT


def test_too_few_requests_or_units_keep_watching() -> None:
    requests = verdict_after(good(gate(min_requests=100_000)))
    units = verdict_after(good(gate(min_units=128)))

    assert requests.verdict is Verdict.KEEP_WATCHING
    assert "of 100,000 requests" in requests.reason
    assert units.verdict is Verdict.KEEP_WATCHING
    assert "of 128 different units" in units.reason


def test_while_watching_the_requests_still_needed_are_estimated() -> None:
    evidence = fed(begin(gate(), reference=REFERENCE), Traffic(14), 5)
    judgement = verdict_after(evidence, START + 5)

    assert judgement.verdict is Verdict.KEEP_WATCHING
    assert any(metric.more_needed for metric in judgement.metrics)


def test_a_candidate_that_stops_answering_is_a_fault_long_before_the_silence_is_over() -> None:
    # Rows come with the answer: a candidate that hangs has none, and its former evidence would go on promoting it.
    evidence = good()
    clock, unit, seconds, side, failure = Traffic(13).between(START + 30, START + 35)
    legacy = side == 0
    evidence.ingest(clock[legacy], unit[legacy], seconds[legacy], side[legacy], failure[legacy])

    judgement = verdict_after(evidence, START + 35)

    assert judgement.verdict is Verdict.FAULT
    assert "the candidate" in judgement.reason and "expected" in judgement.reason


def test_a_share_under_which_the_candidate_has_answered_nothing_proves_nothing() -> None:
    evidence = good()
    evidence.share_changed(500_000)

    judgement = verdict_after(evidence, START + 30.1)

    assert judgement.verdict is Verdict.KEEP_WATCHING
    assert judgement.windows == 0
    assert "no window" in judgement.reason
