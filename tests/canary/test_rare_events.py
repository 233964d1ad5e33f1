"""Events that are rare, on one side rarer still, of one price or without one: what few of them prove, and what not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from canary.evidence import Evidence
from canary.gate import judge
from canary.happenings import unlikely
from canary.verdict import Judgement, Verdict
from rules.stages import MILLION
from tests.canary.shoppers import begin, gate_on
from tests.canary.traffic import START

ORDER: dict[str, Any] = {"event": "order_placed"}
PER_UNIT = ORDER | {"kind": "mean_per_unit", "margin": "20%"}
PER_EVENT = ORDER | {"kind": "mean_per_event", "margin": "10%"}
TIMELY = ORDER | {"kind": "mean_per_unit", "margin": "1 absolute", "within": "10s"}


class Visits:
    """`arriving` units a second, of which the part `orders` orders once for `worth` at the end of that second; by
    side."""

    def __init__(
        self,
        seed: int,
        arriving: int = 100,
        orders: tuple[float, float] = (0.3, 0.3),
        worth: tuple[float, float] = (40.0, 40.0),
        spread: float = 0.4,
        unreadable: float = 0.0,
    ) -> None:
        """`unreadable`: part of legacy's values."""
        self._rng, self._arriving, self._spread = np.random.default_rng(seed), arriving, spread
        self.orders, self._worth, self._unreadable = np.array(orders), np.array(worth), unreadable

    def second(self, evidence: Evidence, at: int) -> None:
        rng, n = self._rng, int(self._rng.poisson(self._arriving))
        units = rng.integers(0, 2**64 - 1, n, dtype=np.uint64)
        side = (units % np.uint64(MILLION) < evidence.share).astype(np.uint8)
        times = (0.005 * np.exp(rng.normal(0, 0.5, n))).astype(np.float32)
        evidence.ingest(START + at + np.sort(rng.random(n)), units, times, side, np.zeros(n, np.uint8))
        sold = np.flatnonzero(rng.random(n) < self.orders[side])
        values = self._worth[side[sold]] * rng.lognormal(0, self._spread, len(sold))
        values[(side[sold] == 0) & (rng.random(len(sold)) < self._unreadable)] = np.nan
        clock, none = np.full(len(sold), START + at + 0.99), np.zeros(len(sold), np.uint8)
        evidence.ingest_events(clock, units[sold], values, side[sold], none)


def looks(metric: dict[str, Any], visits: Visits, seconds: int, share: int = 500_000) -> list[Judgement]:
    """Every three seconds."""
    gate = gate_on(metric)
    evidence, found = begin(gate, share), []
    for at in range(seconds):
        visits.second(evidence, at)
        if at % 3 == 2:
            found.append(judge(gate, evidence, START + at + 1))
    return found


@pytest.mark.parametrize("metric", [PER_UNIT, ORDER | {"kind": "throughput", "margin": "30%"}], ids=["mean", "count"])
def test_a_side_that_had_no_order_yet_proves_no_harm(metric: dict[str, Any]) -> None:
    """Of equal sides with 1 % of the traffic, most were rolled back within a minute."""
    for seed in range(4):
        found = looks(metric | {"critical": True}, Visits(seed, 800, (0.004, 0.004)), 130, share=10_000)
        assert Verdict.ROLLBACK not in [each.verdict for each in found], found[-1].reason


def test_orders_that_are_all_worth_nothing_are_harm_though_they_do_not_vary() -> None:
    found = looks(PER_EVENT, Visits(1, worth=(40.0, 0.0)), 90)
    assert found[-1].verdict is Verdict.ROLLBACK, found[-1].reason


@pytest.mark.parametrize("share", [10_000, 50_000, 950_000])
def test_an_event_that_is_rare_on_one_side_falls_silent_there_only_beyond_chance(share: int) -> None:
    for seed in range(3):
        found = looks(ORDER | {"kind": "rate", "margin": "10%"}, Visits(seed, 50, (0.02, 0.02)), 240, share)
        assert not [each.reason for each in found if "nobody knows what happened there" in each.reason]


def test_chance_counts_units_and_what_each_says_by_itself() -> None:
    assert unlikely(1, 1e6) < 20, "one unit proves nothing, however much traffic the other side has"
    assert unlikely(100, 0.1) == pytest.approx(-100 * np.log(1 / 1.1))


def test_what_a_few_units_do_again_and_again_silences_nobody() -> None:
    """Monitors that order in turn on legacy, while the candidate's few clients sleep."""
    gate = gate_on(ORDER | {"kind": "rate", "margin": "10%"})
    evidence, visits = begin(gate), Visits(3)
    for at in range(30):
        visits.second(evidence, at)
    visits.orders = np.zeros(2)
    for at in range(30, 120):
        visits.second(evidence, at)
        unit = np.array([at % 3 << 60, (at + 1) % 3 << 60], np.uint64)
        legacy, times = np.zeros(2, np.uint8), START + at + np.array([0.5, 0.6])
        evidence.ingest_events(times, unit, np.ones(2), legacy, legacy)
    assert "nobody knows what happened there" not in judge(gate, evidence, START + 120).reason


def test_one_price_for_all_is_no_reason_not_to_promote() -> None:
    """Values at the cut: cut lower on the candidate's side alone, they would be worse by the margin."""
    for metric in (PER_EVENT, PER_EVENT | {"direction": "higher_is_worse"}):
        found = looks(metric, Visits(2, spread=0.0), 150)[-1].metrics[-1]
        assert found.verdict is Verdict.PROMOTE, found.reason


def test_harm_is_seen_though_legacy_does_next_to_nothing_of_it() -> None:
    """Refunds: 200 of legacy's would take an hour."""
    refunds = TIMELY | {"direction": "higher_is_worse", "critical": True}
    found = looks(refunds, Visits(0, orders=(0.01, 0.5)), 150)
    assert found[-1].verdict is Verdict.ROLLBACK, found[-1].reason


def test_a_few_values_of_a_small_side_that_cannot_be_read_are_chance() -> None:
    """0.6 % of both sides'."""
    gate = gate_on(ORDER | {"kind": "mean_per_event", "margin": "10%"})
    evidence, told = begin(gate, 10_000), np.array([20_000, 200])
    evidence.happenings.counts[0], evidence.happenings.valued[0] = told, told - np.array([120, 4])
    assert evidence.happenings._unread(0) == ""
    evidence.happenings.valued[0] = told - np.array([120, 20])
    assert "20 of 200 events 'order_placed' of the candidate have none" in evidence.happenings._unread(0)


def test_a_unit_whose_value_is_not_known_is_left_out() -> None:
    gate = gate_on(TIMELY)
    evidence, visits = begin(gate), Visits(4, orders=(1.0, 1.0), spread=0.0, unreadable=0.005)
    for at in range(60):
        visits.second(evidence, at)
    found = judge(gate, evidence, START + 60).metrics[-1]
    assert (evidence.happenings.valued < evidence.happenings.counts)[0, 0], "or the test shows nothing"
    assert (found.legacy, found.candidate) == pytest.approx((40.0, 40.0))


def test_values_that_one_side_alone_does_not_tell_are_a_fault() -> None:
    """Of all values they are too few to be one."""
    found = looks(PER_UNIT, Visits(5, unreadable=0.18), 60, share=970_000)[-1]
    assert found.verdict is Verdict.FAULT
    assert "events 'order_placed' of legacy have none that can be read" in found.reason


def test_an_event_dated_ahead_does_not_hide_that_all_others_stopped() -> None:
    gate = gate_on(ORDER | {"kind": "rate", "margin": "10%"})
    evidence, visits = begin(gate), Visits(6)
    for at in range(40):
        visits.second(evidence, at)
    one = np.zeros(1, np.uint8)
    evidence.ingest_events(np.full(1, START + 1e6), np.full(1, 9, np.uint64), np.ones(1), one, one)
    visits.orders = np.zeros(2)
    for at in range(40, 100):
        visits.second(evidence, at)
    found = judge(gate, evidence, START + 100)
    assert found.verdict is Verdict.FAULT
    assert "has no event 'order_placed' for" in found.reason
