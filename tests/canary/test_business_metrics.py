"""Metrics on business events: conversion, values per unit and per event, requests per unit, and what is no evidence."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.cohort import CAPACITY, Cohort
from canary.evidence import Evidence
from canary.gate import judge
from canary.happenings import WAITING, Happenings
from canary.spec import Gate
from canary.verdict import Judgement, MetricJudgement, Verdict
from tests.canary.shoppers import EVENT, Shoppers, begin, gate_on, visited
from tests.canary.traffic import START

PER_UNIT = {"kind": "mean_per_unit", "event": "order_placed", "margin": "50%"}
PER_EVENT = {"kind": "mean_per_event", "event": "order_placed", "margin": "20%"}
ASKED = {"kind": "throughput", "margin": "20%"}
ORDERS = {"kind": "throughput", "event": "order_placed", "margin": "25%"}


def looked(metric: dict[str, Any], shoppers: Shoppers, seconds: int, **more: Any) -> tuple[Judgement, MetricJudgement]:
    gate = gate_on(metric, **more)
    judgement = judge(gate, visited(begin(gate), shoppers, seconds), START + seconds)
    return judgement, judgement.metrics[-1]


@pytest.mark.parametrize(
    ("metric", "shoppers", "seconds", "unit"),
    [
        (EVENT, Shoppers(1), 150, "%"),
        (PER_UNIT, Shoppers(2), 200, "per unit"),
        (PER_EVENT, Shoppers(3), 160, "per event"),
        (ASKED, Shoppers(4), 160, "requests per unit"),
        (ORDERS, Shoppers(4, unreadable=0.5), 220, "events per unit"),
    ],
    ids=["rate", "mean_per_unit", "mean_per_event", "throughput", "throughput of events"],
)
def test_equal_sides_are_promoted(metric: dict[str, Any], shoppers: Shoppers, seconds: int, unit: str) -> None:
    judgement, shown = looked(metric, shoppers, seconds)
    assert judgement.verdict is Verdict.PROMOTE, judgement.reason
    assert shown.unit == unit
    assert shown.high is not None
    assert shown.high <= shown.margin
    assert shown.legacy == pytest.approx(shown.candidate, rel=0.25)


@pytest.mark.parametrize(
    ("metric", "shoppers", "seconds", "worse"),
    [
        (EVENT, Shoppers(1, orders=(0.3, 0.15)), 60, 0.5),
        (PER_UNIT, Shoppers(2, orders=(0.3, 0.15)), 150, 0.5),
        (PER_EVENT, Shoppers(3, worth=(40, 26)), 150, 0.35),
        (ASKED, Shoppers(4, asks=(4.0, 1.5)), 120, 0.42),
        (ORDERS, Shoppers(2, orders=(0.3, 0.15), unreadable=1.0), 150, 0.5),
        (EVENT | {"direction": "higher_is_worse"}, Shoppers(1, orders=(0.15, 0.3)), 60, 1.0),
    ],
    ids=["rate", "mean_per_unit", "mean_per_event", "throughput", "throughput of events", "cart abandonment"],
)
def test_a_candidate_that_sells_less_is_rolled_back_for_it(
    metric: dict[str, Any], shoppers: Shoppers, seconds: int, worse: float
) -> None:
    judgement, shown = looked(metric, shoppers, seconds)
    assert judgement.verdict is Verdict.ROLLBACK, judgement.reason
    assert "'m0' is worse by" in judgement.reason
    assert shown.estimate == pytest.approx(worse, rel=0.5)


@pytest.mark.parametrize("worth", [1e-6, 4e8, 1e12])
def test_values_of_any_size_are_compared(worth: float) -> None:
    judgement, shown = looked(PER_UNIT, Shoppers(2, worth=(worth, 0.5 * worth)), 150)

    assert judgement.verdict is Verdict.ROLLBACK
    assert shown.estimate == pytest.approx(0.5, abs=0.15)


def test_a_cut_is_not_fixed_from_values_that_are_nothing() -> None:
    evidence = visited(begin(gate_on(PER_UNIT)), Shoppers(1, worth=(0.0, 0.0)), 60)

    assert "of 200 values of legacy" in judge(evidence.gate, evidence, START + 60).metrics[-1].reason


def test_a_candidate_that_sells_more_is_not_rolled_back() -> None:
    judgement, shown = looked(EVENT, Shoppers(1, orders=(0.15, 0.3)), 60)
    assert judgement.verdict is Verdict.PROMOTE, judgement.reason
    assert shown.estimate is not None
    assert shown.estimate < 0


def test_orders_that_come_minutes_after_the_first_request_count_as_well() -> None:
    judgement, shown = looked(EVENT, Shoppers(1, orders=(0.3, 0.12), later=120.0), 150)
    assert judgement.verdict is Verdict.ROLLBACK, judgement.reason
    assert shown.legacy_count > 3000


def test_what_is_shown_weighs_every_step_alike_on_both_sides() -> None:
    """Most of legacy's units came at 5 %, when nobody had had the time to order."""
    gate, shoppers = gate_on(EVENT), Shoppers(5)
    evidence = visited(begin(gate, share=50_000), shoppers, 4)
    evidence.share_changed(500_000)
    shown = judge(gate, visited(evidence, shoppers, 60, start=4), START + 64).metrics[-1]
    assert shown.legacy == pytest.approx(shown.candidate, rel=0.2)


def test_a_rollback_follows_for_a_checkout_that_breaks_after_a_while() -> None:
    gate, good = gate_on(EVENT | {"critical": True}), Shoppers(6, later=1.0)
    evidence = visited(begin(gate), good, 120)
    broken = Shoppers(7, later=1.0, orders=(0.3, 0.0))
    assert judge(gate, visited(evidence, broken, 40, start=120), START + 160).verdict is Verdict.ROLLBACK


# --- what cannot carry a promotion ------------------------------------------------------------------------------------


def faulty(evidence: Evidence, gate: Gate, at: float) -> str:
    judgement = judge(gate, evidence, START + at)
    assert judgement.verdict is Verdict.FAULT, judgement.reason
    return judgement.reason


def test_without_a_single_event_there_is_patience_first_and_a_fault_then() -> None:
    gate = gate_on(EVENT, silence="20s")
    evidence = visited(begin(gate), Shoppers(1, orders=(0.0, 0.0)), 15)
    assert judge(gate, evidence, START + 15).verdict is Verdict.KEEP_WATCHING
    visited(evidence, Shoppers(2, orders=(0.0, 0.0)), 10, start=15)
    assert "metric 'm0' has no event 'order_placed' for 25 s" in faulty(evidence, gate, 25)


def test_events_that_stop_coming_are_a_fault() -> None:
    gate = gate_on(EVENT, silence="20s")
    evidence = visited(begin(gate), Shoppers(1, later=1.0), 60)
    visited(evidence, Shoppers(2, orders=(0.0, 0.0)), 30, start=60)
    assert "were to be expected" in faulty(evidence, gate, 90)


def test_an_event_that_one_side_never_tells_of_is_a_fault_though_less_of_it_is_better() -> None:
    left = EVENT | {"direction": "higher_is_worse"}
    gate = gate_on(left)
    evidence = visited(begin(gate), Shoppers(1, orders=(0.3, 0.0), later=1.0), 60)
    assert "has no event 'order_placed' of" in faulty(evidence, gate, 60)
    less = visited(begin(gate), Shoppers(1, orders=(0.3, 0.1), later=1.0), 60)
    assert judge(gate, less, START + 60).verdict is Verdict.PROMOTE


@pytest.mark.parametrize(("orders", "name"), [((0.0, 0.3), "legacy"), ((0.3, 0.0), "the candidate")])
@pytest.mark.parametrize("direction", ["lower_is_worse", "higher_is_worse"])
def test_an_event_that_one_side_stops_telling_of_stays_a_fault_unless_it_is_harm(
    orders: tuple[float, float], name: str, direction: str
) -> None:
    """What breaks legacy's way to tell would else promote: the candidate seems to sell far more."""
    gate = gate_on(EVENT | {"direction": direction})
    evidence = visited(begin(gate), Shoppers(1, later=1.0), 30)
    assert judge(gate, evidence, START + 30).verdict is Verdict.KEEP_WATCHING
    visited(evidence, Shoppers(2, orders=orders, later=1.0), 30, start=30)
    visited(evidence, Shoppers(3, later=1.0), 30, start=60)

    if (name == "the candidate") is (direction == "lower_is_worse"):
        assert judge(gate, evidence, START + 90).verdict is Verdict.ROLLBACK
    else:
        restored = begin(gate)
        restored.restore(evidence.snapshot())
        said = faulty(restored, gate, 90)
        assert f"had no event 'order_placed' of {name} for a time in which the other side had it too often" in said


def test_a_side_that_rarely_has_an_event_is_not_silent_when_none_comes_for_a_while() -> None:
    gate = gate_on(EVENT | {"direction": "higher_is_worse"})
    evidence = visited(begin(gate), Shoppers(1, orders=(0.4, 0.01), later=1.0), 90)

    assert judge(gate, evidence, START + 90).verdict is Verdict.PROMOTE


def test_a_candidate_without_a_single_order_is_rolled_back_and_no_fault() -> None:
    judgement, _ = looked(EVENT, Shoppers(1, orders=(0.3, 0.0), later=1.0), 60)
    assert judgement.verdict is Verdict.ROLLBACK, judgement.reason


def test_values_that_cannot_be_read_are_a_fault_of_a_mean_and_none_of_a_rate() -> None:
    gate = gate_on(PER_EVENT, EVENT)
    evidence = visited(begin(gate), Shoppers(1, unreadable=0.03), 60)
    assert "events 'order_placed' have none that can be read" in faulty(evidence, gate, 60)
    only_counted = gate_on(EVENT)
    evidence = visited(begin(only_counted), Shoppers(1, unreadable=0.03), 60)
    assert judge(only_counted, evidence, START + 60).verdict is not Verdict.FAULT


def test_events_that_were_lost_on_their_way_are_a_fault() -> None:
    gate = gate_on(EVENT)
    evidence = visited(begin(gate), Shoppers(1), 60)
    none = np.zeros(0)
    evidence.ingest_events(none, none.astype(np.uint64), none, none.astype(int), none.astype(int), dropped=50)
    assert "has lost 50 of" in faulty(evidence, gate, 60)


def test_a_metric_that_is_only_watched_is_no_fault_when_its_events_are_missing() -> None:
    gate = gate_on(EVENT | {"required": False}, silence="20s")
    evidence = visited(begin(gate), Shoppers(1, orders=(0.0, 0.0)), 60)
    assert judge(gate, evidence, START + 60).verdict is not Verdict.FAULT


def test_events_of_a_former_share_are_not_counted() -> None:
    gate = gate_on(EVENT)
    evidence = visited(begin(gate), Shoppers(1), 5)
    before = evidence.happenings.taken
    one = np.array([1.0])
    evidence.ingest_events(one, one.astype(np.uint64), one, one.astype(int), np.zeros(1, int), share=1)
    assert evidence.happenings.taken == before
    assert evidence.late == 1


def test_evidence_survives_a_restart_of_control_with_its_units_and_events() -> None:
    gate = gate_on(EVENT, PER_UNIT, PER_EVENT, ASKED)
    shoppers = Shoppers(9)
    one = visited(begin(gate), shoppers, 70)
    other = begin(gate)
    other.restore(one.snapshot())
    assert other.snapshot() == one.snapshot()
    assert judge(gate, other, START + 70) == judge(gate, one, START + 70)


def test_an_event_that_waits_for_its_unit_still_does_so_after_a_restart() -> None:
    gate, unit = gate_on(EVENT), np.array([7], np.uint64)
    one = begin(gate)
    none = np.zeros(1, np.uint8)
    one.ingest_events(np.array([START]), unit, np.ones(1), none, none)
    other = begin(gate)
    other.restore(one.snapshot())

    other.ingest(np.array([START + 0.1]), unit, np.array([0.01], np.float32), none, none)

    assert other.happenings.firsts.tolist() == [[1, 0]]


# --- the units of a step ----------------------------------------------------------------------------------------------


class Heard:
    """A metric that remembers what it was told."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.firsts = 0

    def happened(self, places: Any, values: Any, firsts: Any) -> None:
        self.values += values.tolist()
        self.firsts += len(firsts)

    def asked(self, places: Any) -> None: ...

    def step_over(self) -> None: ...


def tell(happenings: Happenings, units: list[int], at: float = 1.0) -> None:
    n = len(units)
    columns = np.full(n, at), np.array(units, np.uint64), np.arange(n, dtype=float)
    happenings.take(*columns, np.zeros(n, int), np.zeros(n, int))


def come(happenings: Happenings, *units: int) -> None:
    none = np.zeros(len(units), np.bool_)
    happenings.asked(np.array(units, np.uint64), none, none.astype(np.intp), none, np.ones(len(units)))


def test_an_event_that_is_told_before_its_unit_waits_for_it_a_while() -> None:
    happenings, heard = Happenings(("order",), 0.0), Heard()
    happenings.listen(heard, "order")
    tell(happenings, [7])
    assert heard.values == []
    come(happenings, 7)
    assert heard.values == [0.0]
    tell(happenings, [8], at=2.0)
    tell(happenings, [7], at=60.0)
    come(happenings, 8)
    assert heard.values == [0.0, 0.0]


def test_an_event_that_is_dated_ahead_lets_the_others_wait_for_their_units() -> None:
    happenings, heard = Happenings(("order",), 0.0), Heard()
    happenings.listen(heard, "order")
    tell(happenings, [7], at=9999.0)
    come(happenings, 7)
    tell(happenings, [8])
    come(happenings, 8)
    assert heard.values == [0.0, 0.0]


def test_a_unit_counts_once_however_often_it_orders_and_again_in_the_next_step() -> None:
    happenings, heard = Happenings(("order",), 0.0), Heard()
    happenings.listen(heard, "order")
    come(happenings, 7, 8)
    tell(happenings, [7, 7, 8, 7])
    tell(happenings, [7])
    assert heard.firsts == 2
    happenings.clear()
    come(happenings, 7)
    tell(happenings, [7])
    assert heard.firsts == 3


def test_a_unit_that_a_rising_share_moves_counts_for_the_side_that_it_then_has() -> None:
    evidence = begin(gate_on(EVENT))
    unit, when, none, one = np.array([7], np.uint64), np.array([START]), np.zeros(1, np.uint8), np.ones(1, np.uint8)
    evidence.ingest(when, unit, np.array([0.01]), none, none)
    evidence.share_changed(600_000)

    evidence.ingest(when + 1, unit, np.array([0.01]), one, none)
    evidence.ingest_events(when + 1, unit, np.ones(1), one, none)

    assert evidence.happenings.firsts.tolist() == [[0, 1]]
    assert evidence.happenings.cohort.arrived.tolist() == [0, 1]


def test_events_of_units_that_never_come_are_not_kept_for_ever() -> None:
    happenings = Happenings(("order",), 0.0)
    happenings.listen(Heard(), "order")
    for batch in range(3):
        tell(happenings, list(range(batch * WAITING, (batch + 1) * WAITING)))
    assert len(happenings.state()["waiting"][0]) == WAITING


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=40), st.sets(st.integers(0, 40)))
def test_it_does_not_matter_in_which_batches_exchanges_and_events_come(
    told: list[tuple[int, bool]], cuts: set[int]
) -> None:
    """(unit, whether it is an event), in order; all within the seconds that events wait for their unit."""
    together, apart = Happenings(("order",), 0.0), Happenings(("order",), 0.0)
    heard = {id(each): Heard() for each in (together, apart)}
    for each in (together, apart):
        each.listen(heard[id(each)], "order")
    for batch in _cut(told, cuts):
        come(apart, *(unit for unit, is_event in batch if not is_event))
        tell(apart, [unit for unit, is_event in batch if is_event])
    come(apart)
    tell(together, [unit for unit, is_event in told if is_event])
    come(together, *(unit for unit, is_event in told if not is_event))
    units = {unit for unit, is_event in told if not is_event}
    assert heard[id(together)].firsts == heard[id(apart)].firsts == len(units & {u for u, event in told if event})
    assert (together.cohort.units == apart.cohort.units).all()


def _cut(told: list[tuple[int, bool]], cuts: set[int]) -> list[list[tuple[int, bool]]]:
    bounds = [0, *sorted(cut for cut in cuts if 0 < cut < len(told)), len(told)]
    return [told[start:end] for start, end in pairwise(bounds)]


def test_the_units_that_are_remembered_are_bounded_and_those_that_leave_take_their_events_along() -> None:
    cohort = Cohort(1)
    units = np.random.default_rng(1).integers(0, 2**64 - 1, 3 * CAPACITY, dtype=np.uint64)
    for some in np.split(units, 12):
        cohort.enter(some, some % np.uint64(2) == 0, np.ones(len(some)))
        at = cohort.find(some)
        cohort.mark(at[at >= 0], 0)
        assert cohort.units.sum() <= CAPACITY
        assert (cohort.had[0] == cohort.units).all()
    assert cohort.units.sum() > CAPACITY / 4
    known = cohort.find(units) >= 0
    assert known.sum() == cohort.units.sum()
    assert (cohort.sampled(units) >= known).all()
