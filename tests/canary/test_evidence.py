"""Evidence of an attempt: windows, reference, bounds, lost rows, snapshots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary import histogram
from canary.arrivals import CAPACITY, Arrivals
from canary.gate import judge
from canary.snapshot import SnapshotError
from canary.verdict import Verdict
from rules.failures import FAILURES
from tests.canary.traffic import START, Traffic, begin, fed, gate

MEAN = {"metrics": [{"name": "mean", "kind": "latency", "margin": "10%"}]}
REFERENCE = {histogram.index(0.005 + i * 1e-5): 1 for i in range(1000)}

KEPT = fed(begin(gate()), Traffic(3), 2).snapshot()
KINDS = ["timeout", "status", "fallback", ""]


def rows(*given: tuple[float, int, float, int, int]) -> tuple[Any, ...]:
    clock, unit, seconds, side, failure = zip(*given, strict=True)
    return (
        np.array(clock),
        np.array(unit, np.uint64),
        np.array(seconds, np.float32),
        np.array(side, np.uint8),
        np.array(failure, np.uint8),
    )


def second(at: float, n: int, side: int) -> list[tuple[float, int, float, int, int]]:
    return [(START + at + i * 0.01, i * 7919 << 40, 0.005, side, 0) for i in range(n)]


def test_a_window_closes_when_it_has_lasted_and_either_side_has_enough() -> None:
    evidence = begin(gate(), reference=REFERENCE)

    evidence.ingest(*rows(*second(0, 20, 0), *second(0, 4, 1)))
    evidence.ingest(*rows(*second(1, 20, 0)))
    assert evidence.windows == 0, "the candidate has four requests only"

    evidence.ingest(*rows(*second(1, 4, 1)))
    assert evidence.windows == 0, "the second is not over"

    evidence.ingest(*rows(*second(2, 1, 0)))
    assert evidence.windows == 1


def test_a_batch_of_many_seconds_is_as_many_windows() -> None:
    evidence = begin(gate(), reference=REFERENCE)
    traffic = Traffic(1)

    evidence.ingest(*traffic.between(START, START + 20))

    assert evidence.windows == 19


def test_a_change_of_share_closes_the_window() -> None:
    evidence = begin(gate(), reference=REFERENCE)
    evidence.ingest(*rows(*second(0, 20, 0), *second(0, 20, 1)))

    evidence.share_changed(500_000)

    assert evidence.windows == 1
    assert evidence.share == 500_000


def test_rows_of_a_former_share_belong_to_no_window() -> None:
    evidence = begin(gate(), reference=REFERENCE)
    evidence.share_changed(500_000)

    evidence.ingest(*rows(*second(0, 20, 1)), share=250_000)
    evidence.ingest(*rows(*second(0, 10, 1)), share=500_000)

    assert evidence.late == 20
    assert evidence.requests.tolist() == [0, 10]


def test_without_a_reference_the_first_requests_of_legacy_are_it_and_do_not_count() -> None:
    evidence = begin(gate(metrics=[{"name": "p90", "kind": "latency", "quantile": 0.9, "margin": "50%"}]))

    evidence.ingest(*rows(*second(0, 100, 0), *second(0, 20, 1)))
    evidence.ingest(*rows(*second(1, 30, 0), *second(1, 10, 1)))
    evidence.ingest(*rows(*second(2, 1, 0)))
    shown = judge(evidence.gate, evidence, START + 2).metrics[0]

    assert (shown.legacy_count, shown.candidate_count) == (30, 10)


def test_pooling_over_a_change_of_share_does_not_make_a_difference_where_there_is_none() -> None:
    # Errors rise from 1 to 8 % on both sides while the share rises from 5 to 50 %: pooled, the candidate looks worse.
    evidence = begin(gate(), share=50_000, reference=REFERENCE)
    traffic = Traffic(8, rate=1000, share=50_000, failing=(0.01, 0.01))
    fed(evidence, traffic, 20)
    evidence.share_changed(500_000)
    traffic.share, traffic.failing = 500_000, (0.08, 0.08)
    fed(evidence, traffic, 40, start=START + 20)
    errors = judge(evidence.gate, evidence, START + 60).metrics[0]

    assert errors.candidate is not None and errors.legacy is not None
    assert errors.candidate > 1.5 * errors.legacy
    assert errors.evidence_rollback < 20
    assert errors.verdict is Verdict.PROMOTE


def test_a_window_that_lost_more_than_one_percent_of_its_rows_is_not_used() -> None:
    evidence = begin(gate(), reference=REFERENCE)

    evidence.ingest(*rows(*second(0, 50, 0), *second(0, 48, 1)), dropped=2)
    evidence.ingest(*rows(*second(1, 1, 0)))

    assert evidence.windows == 0
    assert evidence.spoilt_at > START


def test_rows_that_cannot_be_read_count_as_lost() -> None:
    evidence = begin(gate())

    evidence.ingest(*rows((START, 1, float("nan"), 0, 0), (float("inf"), 1, 0.1, 0, 0), (START, 1, 0.1, 7, 0)))

    assert evidence.dropped == 3
    assert evidence.requests.sum() == 0


def test_a_clock_that_is_set_back_does_not_stop_the_windows() -> None:
    evidence = begin(gate(), reference=REFERENCE)
    evidence.ingest(*rows(*second(0, 20, 0), *second(0, 20, 1)))
    for at in (-3600, -3599, -3598):
        evidence.ingest(*rows(*second(at, 20, 0), *second(at, 20, 1)))

    assert evidence.windows == 3


@pytest.mark.parametrize("changes", [{}, MEAN])
def test_evidence_survives_a_restart_to_the_last_bit(changes: dict[str, Any]) -> None:
    one, other = begin(gate(**changes)), begin(gate(**changes))
    traffic = Traffic(2, rate=400)
    fed(one, traffic, 80)

    other.restore(one.snapshot())
    last = traffic.between(START + 80, START + 85)
    one.ingest(*last)
    other.ingest(*last)

    assert judge(one.gate, one, START + 85) == judge(other.gate, other, START + 85)
    assert one.snapshot() == other.snapshot()


def test_a_snapshot_of_another_candidate_gate_or_of_noise_is_refused() -> None:
    kept = fed(begin(gate()), Traffic(3), 5).snapshot()

    for other in (begin(gate(), subject="v3"), begin(gate(alpha="1%"))):
        with pytest.raises(SnapshotError, match="another attempt"):
            other.restore(kept)
    with pytest.raises(SnapshotError, match="damaged"):
        begin(gate()).restore(b"\xc1" + kept[:100])


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_one_turned_bit_anywhere_in_a_snapshot_is_damage(where: float, bit: int) -> None:
    data = bytearray(KEPT)
    data[int(where * len(data))] ^= 1 << bit

    with pytest.raises(SnapshotError, match="damaged"):
        begin(gate()).restore(bytes(data))


def test_a_snapshot_does_not_grow_with_traffic() -> None:
    evidence = begin(gate(), reference=REFERENCE)
    traffic = Traffic(4, rate=2000, units=100_000)
    fed(evidence, traffic, 20)
    early = len(evidence.snapshot())
    fed(evidence, traffic, 40, start=START + 20)

    assert len(evidence.snapshot()) < early + CAPACITY * 8


def test_first_seen_units_are_a_bounded_sample_that_says_the_same() -> None:
    rng = np.random.default_rng(5)
    fair, leaking = Arrivals(), Arrivals()
    for _ in range(20):
        unit = rng.integers(0, 2**64 - 1, 10_000, dtype=np.uint64)
        candidate = unit % np.uint64(1_000_000) < np.uint64(250_000)
        fair.add(unit, candidate, 250_000)
        leaking.add(unit, candidate & (rng.random(10_000) < 0.9), 250_000)

    assert len(fair.state()["known"]) <= CAPACITY
    assert fair.log_mismatch < np.log(1000) < leaking.log_mismatch


def test_a_unit_counts_once_however_often_it_comes() -> None:
    arrivals = Arrivals()
    unit = np.arange(10, dtype=np.uint64)
    for _ in range(5):
        arrivals.add(unit, np.ones(10, np.bool_), 500_000)

    assert arrivals.seen == 10


def test_a_metric_of_some_failures_counts_those_alone() -> None:
    every = {"name": "errors", "kind": "error_rate", "margin": "5%"}
    evidence = begin(gate(metrics=[every, {**every, "name": "timeouts", "failures": ["timeout", "reset"]}]))
    failing = [(*row[:4], FAILURES.index(kind)) for row, kind in zip(second(0, 20, 1), KINDS * 5, strict=True)]
    evidence.ingest(*rows(*failing, *second(0, 20, 0)))
    evidence.ingest(*rows(*second(1, 1, 0)))

    found = [shown.candidate for shown in judge(evidence.gate, evidence, START + 2).metrics]

    assert found == [75.0, 25.0]
