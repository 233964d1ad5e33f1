"""A mean that becomes worse after a good while: neither hidden by the good past nor taken for slow noise."""

from __future__ import annotations

import re
from typing import Any

import pytest

from canary.gate import judge
from canary.verdict import Verdict
from tests.canary.shoppers import Shoppers, gate_on, visited
from tests.canary.shoppers import begin as begun
from tests.canary.traffic import REFERENCE, START, Traffic, begin, fed, gate

MEAN = {"name": "mean", "kind": "latency", "margin": "20%", "critical": True}


@pytest.mark.parametrize("good", [0, 60, 200, 600])
def test_a_candidate_that_becomes_half_as_slow_again_is_rolled_back_within_two_minutes(good: int) -> None:
    only, traffic = gate(metrics=[MEAN]), Traffic(3, share=500_000)
    evidence = fed(begin(only, share=500_000, reference=REFERENCE), traffic, good)
    assert judge(only, evidence, START + good).verdict is not Verdict.ROLLBACK

    traffic.slower = 0.003
    for end, columns in traffic.batches(120, every=1.0, start=START + good):
        evidence.ingest(*columns)
        judgement = judge(only, evidence, end)
        if judgement.verdict is Verdict.ROLLBACK:
            break

    assert judgement.verdict is Verdict.ROLLBACK
    assert "ms in the last" in judgement.reason


@pytest.mark.parametrize("kind", ["mean_per_event", "mean_per_unit"])
@pytest.mark.parametrize("margin", ["20%", "8 absolute"])
def test_orders_that_become_half_as_large_after_a_good_while_are_harm(kind: str, margin: str) -> None:
    metric: dict[str, Any] = {"kind": kind, "event": "order_placed", "margin": margin, "critical": True}
    if margin != "20%" and kind == "mean_per_unit":
        metric["within"] = "20s"
    only, bad = gate_on(metric), Shoppers(7, later=1.0, worth=(40.0, 20.0))
    evidence = visited(begun(only), Shoppers(6, later=1.0), 150)
    assert judge(only, evidence, START + 150).verdict is not Verdict.ROLLBACK

    for at in range(150, 450, 10):
        judgement = judge(only, visited(evidence, bad, 10, start=at), START + at + 10)
        if judgement.verdict is Verdict.ROLLBACK:
            break

    assert judgement.verdict is Verdict.ROLLBACK
    assert "in the last" in judgement.reason


@pytest.mark.parametrize(
    ("metric", "bad"),
    [
        ({"kind": "mean_per_unit", "event": "order_placed"}, Shoppers(7, later=1.0, worth=(40.0, 20.0))),
        ({"kind": "throughput"}, Shoppers(7, later=1.0, asks=(4.0, 2.0))),
    ],
    ids=["mean_per_unit", "throughput"],
)
def test_what_units_did_lately_is_told_as_a_part_of_what_legacys_did(metric: dict[str, Any], bad: Shoppers) -> None:
    """The mean of one window is no number of a unit: 0.08 per unit, say, where one spends 12."""
    good = Shoppers(6, later=1.0, asks=(4.0, 4.0)) if "event" not in metric else Shoppers(6, later=1.0)
    only = gate_on({**metric, "margin": "20%", "critical": True})
    evidence = visited(visited(begun(only), good, 150), bad, 60, start=150)

    lately = evidence.measures[-1].read(0.05).lately

    found = re.fullmatch(r"candidate at ([0-9.]+) % of legacy in the last \d+ windows", lately)
    assert found is not None, lately
    assert 40 < float(found[1]) < 70


def test_a_mean_that_jumps_says_why_nothing_is_known_of_it_as_a_whole() -> None:
    only, traffic = gate(metrics=[MEAN]), Traffic(3, share=500_000)
    evidence = fed(begin(only, share=500_000, reference=REFERENCE), traffic, 200)
    traffic.slower = 0.003

    reading = fed(evidence, traffic, 200, start=START + 200).measures[0].read(0.05)

    assert "moved so much for so long that nothing tells how much is chance" in reading.waiting
    assert reading.log_promote is None
