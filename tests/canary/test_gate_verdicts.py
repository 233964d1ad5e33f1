"""What the gate says, end to end on seeded traffic, and what it never promotes on."""

from __future__ import annotations

import numpy as np
import pytest

from canary import histogram
from canary.evidence import Evidence
from canary.gate import judge
from canary.measures.measure import CLUSTERS, Batch
from canary.measures.quantiles import LatencyQuantile
from canary.spec import Gate, Metric
from canary.verdict import Judgement, Verdict
from tests.canary.traffic import GATE, REFERENCE, START, Traffic, begin, fed, gate, good

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


def test_a_mean_speaks_of_the_whole_after_its_burn_in_and_rolls_back() -> None:
    only = gate(metrics=[MEAN | {"critical": True}])
    evidence = fed(begin(only, reference=REFERENCE), Traffic(4, rate=400, slower=0.001), 20)
    early = judge(only, evidence, START + 20)
    fed(evidence, Traffic(4, rate=400, slower=0.001), 60, start=START + 20)
    late = judge(only, evidence, START + 80)

    assert early.verdict is Verdict.KEEP_WATCHING
    assert "19 of 64 windows" in early.metrics[0].reason
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


# What makes a fault of good evidence is the table of test_fail_closed.py; here is what must not.


def verdict_after(evidence: Evidence, now: float = START + 30) -> Judgement:
    return judge(evidence.gate, evidence, now)


def test_a_clock_that_was_ahead_and_is_set_right_is_forgiven() -> None:
    evidence = good()
    fed(evidence, Traffic(15), 5, start=START + 3600)
    fed(evidence, Traffic(16), 5, start=START + 40)

    assert verdict_after(evidence, START + 45).verdict is Verdict.PROMOTE


def test_a_watched_metric_without_data_is_told_and_holds_up_nothing() -> None:
    judgement = verdict_after(good(gate(metrics=[*GATE["metrics"], CONVERSION | {"required": False}])))

    assert judgement.verdict is Verdict.PROMOTE
    assert judgement.metrics[2].verdict is Verdict.FAULT


def test_harm_is_told_though_another_metric_has_no_data() -> None:
    _, judgement = until_verdict(Traffic(3, failing=(0.0, 0.5)), gate(metrics=[*GATE["metrics"], CONVERSION]))

    assert judgement.verdict is Verdict.ROLLBACK


def test_while_watching_the_requests_still_needed_are_estimated() -> None:
    evidence = fed(begin(gate(), reference=REFERENCE), Traffic(14), 5)
    judgement = verdict_after(evidence, START + 5)

    assert judgement.verdict is Verdict.KEEP_WATCHING
    assert any(metric.more_needed for metric in judgement.metrics)


def test_a_threshold_is_not_moved_by_a_few_requests() -> None:
    metric = Metric.model_validate({"name": "p95", "kind": "latency", "quantile": 0.95, "margin": "10%"})
    rng = np.random.default_rng(30)
    for _ in range(20):
        measure = LatencyQuantile(metric)
        measure.fix(np.bincount(histogram.offsets(rng.exponential(0.1, 20_000)), minlength=histogram.SIZE))
        fixed = measure.state()["time"].copy()
        for _ in range(100):
            side = np.repeat([0, 1], 15)
            seconds = rng.exponential(0.1, 30)
            place = rng.integers(0, CLUSTERS, 30) + CLUSTERS * side
            none = np.zeros(30, np.uint8)
            measure.add(Batch(place=place, candidate=side == 1, seconds=seconds, failed=none != 0, failure=none))
            measure.close(np.bincount(place, minlength=2 * CLUSTERS).reshape(2, CLUSTERS).astype(float))

        assert measure.state()["time"] == fixed


@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.999])
def test_a_threshold_follows_legacy_down_at_every_quantile(quantile: float) -> None:
    metric = Metric.model_validate({"name": "slow", "kind": "latency", "quantile": quantile, "margin": "10%"})
    rng = np.random.default_rng(31)
    measure = LatencyQuantile(metric)
    measure.fix(np.bincount(histogram.offsets(rng.exponential(1.0, 200_000)), minlength=histogram.SIZE))
    fixed = float(measure.state()["time"][0])
    size = 20_000
    for _ in range(12):
        side = np.repeat([0, 1], size // 2)
        seconds = rng.exponential(0.01, size)
        place = rng.integers(0, CLUSTERS, size) + CLUSTERS * side
        none = np.zeros(size, np.uint8)
        measure.add(Batch(place=place, candidate=side == 1, seconds=seconds, failed=none != 0, failure=none))
        measure.close(np.bincount(place, minlength=2 * CLUSTERS).reshape(2, CLUSTERS).astype(float))

    assert float(measure.state()["time"][0]) < fixed / 50
