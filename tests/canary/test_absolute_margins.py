"""Absolute margins of business metrics: units are compared at one age, and a difference that grows promotes nothing."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from canary import words
from canary.cohort import CAPACITY, Cohort
from canary.evidence import Evidence
from canary.gate import judge
from canary.measures.evenness import Evenness
from canary.spec import Gate
from canary.verdict import MetricJudgement, Verdict
from canary.window_time import STRAYS, WindowTime
from rules.quantities import margin_text, parse_margin
from tests.canary.shoppers import EVENT, Shoppers, begin, gate_on, visited
from tests.canary.traffic import START

RATE = {"kind": "rate", "event": "order_placed", "margin": "5pp", "within": "20s"}
PER_UNIT = {"kind": "mean_per_unit", "event": "order_placed", "margin": "4 absolute", "within": "20s"}
PER_EVENT = {"kind": "mean_per_event", "event": "order_placed", "margin": "4 absolute"}
ASKED = {"kind": "throughput", "margin": "0.5 absolute", "within": "20s"}


def looked(metric: dict[str, Any], shoppers: Shoppers, seconds: int) -> tuple[Verdict, str, MetricJudgement]:
    gate = gate_on(metric)
    judgement = judge(gate, visited(begin(gate), shoppers, seconds), START + seconds)
    return judgement.verdict, judgement.reason, judgement.metrics[-1]


@pytest.mark.parametrize("metric", [RATE, PER_UNIT, PER_EVENT, ASKED], ids=lambda metric: str(metric["kind"]))
def test_equal_sides_are_promoted(metric: dict[str, Any]) -> None:
    verdict, reason, shown = looked(metric, Shoppers(1, later=3.0), 160)
    assert verdict is Verdict.PROMOTE, reason
    assert not shown.relative
    assert shown.high is not None
    assert shown.high <= shown.margin
    assert shown.legacy == pytest.approx(shown.candidate, rel=0.2)


@pytest.mark.parametrize(
    ("metric", "shoppers", "worse"),
    [
        (RATE, Shoppers(2, orders=(0.3, 0.15), later=3.0), 0.15),
        (RATE | {"direction": "higher_is_worse"}, Shoppers(2, orders=(0.15, 0.3), later=3.0), 0.15),
        (PER_UNIT, Shoppers(2, orders=(0.4, 0.2), later=3.0), 8.0),
        (PER_EVENT, Shoppers(2, worth=(40, 26)), 14.0),
        (ASKED, Shoppers(2, asks=(4.0, 1.5)), 2.5),
    ],
    ids=["rate", "cart abandonment", "mean_per_unit", "mean_per_event", "throughput"],
)
def test_a_candidate_that_is_worse_is_rolled_back_for_it(
    metric: dict[str, Any], shoppers: Shoppers, worse: float
) -> None:
    verdict, reason, shown = looked(metric, shoppers, 160)
    assert verdict is Verdict.ROLLBACK, reason
    assert re.match(r"'m0' (is|became) worse by ", reason)
    assert shown.estimate == pytest.approx(worse, rel=0.35)


@pytest.mark.parametrize(
    ("metric", "orders"), [(RATE, (0.3, 0.25)), (PER_UNIT, (0.4, 0.3))], ids=["rate", "mean_per_unit"]
)
def test_a_difference_that_is_still_growing_promotes_nothing(
    metric: dict[str, Any], orders: tuple[float, float]
) -> None:
    """Worse by the margin in the end, and by little at first: orders come slowly."""
    gate, promoted = gate_on(metric), 0
    for seed in range(2):
        evidence, shoppers = begin(gate), Shoppers(seed, orders=orders, later=8.0)
        for at in range(0, 100, 5):
            visited(evidence, shoppers, 5, start=at)
            promoted += judge(gate, evidence, START + at + 5).metrics[-1].verdict is Verdict.PROMOTE
    assert promoted == 0


def test_nobody_counts_before_the_time_is_over() -> None:
    _, reason, shown = looked(RATE, Shoppers(1), 20)
    assert shown.legacy_count == 0
    assert "units count 25 s after their first request" in shown.reason
    assert "units count" in reason


def test_events_after_the_time_do_not_count() -> None:
    _, _, shown = looked(RATE | {"within": "10s"}, Shoppers(1, orders=(1.0, 1.0), later=20.0), 60)
    assert shown.legacy is not None
    assert shown.legacy == pytest.approx(100 * (1 - np.exp(-10 / 20)), abs=6)


def test_another_step_begins_anew_with_its_units() -> None:
    gate, shoppers = gate_on(RATE), Shoppers(5, later=2.0)
    evidence = visited(begin(gate, share=250_000), shoppers, 60)
    evidence.share_changed(500_000)  # which ends the window, and counts those who are old enough
    before = judge(gate, evidence, START + 60).metrics[-1].legacy_count
    visited(evidence, shoppers, 15, start=60)
    assert judge(gate, evidence, START + 75).metrics[-1].legacy_count == before


@pytest.mark.parametrize("seconds", [4, 15])
def test_a_step_that_is_too_short_is_named_where_nobody_counts(seconds: int) -> None:
    evidence, shoppers = begin(gate_on(ASKED), share=250_000), Shoppers(5, arriving=10)
    visited(evidence, shoppers, seconds)
    came = int(evidence.happenings.cohort.arrived.sum())
    evidence.share_changed(500_000)
    assert f"{came:,} were left out" in (said := judge(evidence.gate, evidence, START + 15).metrics[-1].reason)
    assert said.endswith("or the step was over before")


def test_evidence_survives_a_restart() -> None:
    gate = gate_on(RATE, PER_UNIT, PER_EVENT, ASKED)
    shoppers = Shoppers(9)
    one = visited(begin(gate), shoppers, 60)
    other: Evidence = begin(gate)
    other.restore(one.snapshot())
    assert other.snapshot() == one.snapshot()
    assert judge(gate, other, START + 60) == judge(gate, one, START + 60)


def test_memory_does_not_grow_beyond_the_units_that_are_remembered() -> None:
    gate, rng = gate_on(RATE, ASKED), np.random.default_rng(3)
    evidence, empty = begin(gate), len(begin(gate).snapshot())
    for at in range(20):
        units = rng.integers(0, 2**64 - 1, CAPACITY // 8, dtype=np.uint64)
        sides = (units % np.uint64(1_000_000) < np.uint64(500_000)).astype(np.uint8)
        clock, none = START + at + np.sort(rng.random(len(units))), np.zeros(len(units), np.uint8)
        evidence.ingest(clock, units, np.full(len(units), 0.005), sides, none)
        cohort = evidence.happenings.cohort
        assert cohort.kept.shape[1] == len(cohort.begun) == len(cohort.dated) == int(cohort.units.sum()) <= CAPACITY
        of_a_unit = 8 + 24 + 16 + 2 * 8  # in the arrivals and in the cohort, as canary.evidence says
        assert len(evidence.snapshot()) < empty + of_a_unit * CAPACITY + 10_000


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        (RATE | {"within": None}, "say until when they count"),
        (RATE | {"margin": "5%"}, "'within' belongs to absolute margins"),
        (PER_EVENT | {"within": "1m"}, "'within' belongs to absolute margins"),
        (RATE | {"margin": "5 absolute"}, "does not suit kind rate"),
        (RATE | {"within": "9s"}, "lasts less than 10 windows"),
        ({"kind": "error_rate", "margin": "5 absolute"}, "does not suit kind error_rate"),
    ],
)
def test_a_margin_that_has_no_size_is_refused(metric: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Gate.model_validate({"metrics": [{"name": "m", **metric}]})


def test_an_absolute_margin_reads_back() -> None:
    margin = parse_margin("0.5 absolute")
    assert (margin.value, margin.relative, margin.measure) == (0.5, False, "absolute")
    assert parse_margin(margin_text(margin)) == margin


def test_what_is_said_of_it_is_in_its_own_numbers() -> None:
    _, _, shown = looked(PER_UNIT, Shoppers(1, later=3.0), 120)
    assert shown.reason == "worse by 4 per unit is excluded"
    assert np.isfinite(shown.evidence_promote)


@pytest.mark.parametrize("metric", [PER_UNIT, PER_EVENT, ASKED], ids=lambda metric: str(metric["kind"]))
def test_without_numbers_yet_a_margin_is_not_told_in_percentage_points(metric: dict[str, Any]) -> None:
    gate = gate_on(metric)
    evidence = begin(gate)
    evidence.measures[-1].read = None  # type: ignore[method-assign,assignment]
    shown = judge(gate, evidence, START).metrics[-1]
    assert shown.verdict is Verdict.FAULT
    assert words.bound(shown.margin, shown) == f"{shown.margin:g} {gate.metrics[-1].kind.counted_in}"


# --- clocks -----------------------------------------------------------------------------------------------------------


def counted(evidence: Evidence, at: float) -> int:
    shown = judge(evidence.gate, evidence, at).metrics[-1]
    return shown.legacy_count + shown.candidate_count


class Moved:
    """Evidence whose rows are dated by another clock, `ahead` of the true one."""

    def __init__(self, evidence: Evidence, ahead: float) -> None:
        self._evidence, self._ahead = evidence, ahead
        self.share = evidence.share

    def ingest(self, clock: Any, *columns: Any) -> None:
        self._evidence.ingest(clock + self._ahead, *columns)

    def ingest_events(self, clock: Any, *columns: Any) -> None:
        self._evidence.ingest_events(clock + self._ahead, *columns)


def moved(evidence: Evidence, shoppers: Shoppers, ahead: float, seconds: int, start: int) -> None:
    visited(Moved(evidence, ahead), shoppers, seconds, start)  # type: ignore[arg-type]


def one_row(evidence: Evidence, at: float) -> None:
    none = np.zeros(1, np.uint8)
    evidence.ingest(np.array([at]), np.array([12345], np.uint64), np.array([0.005]), none, none)


def test_a_row_that_is_dated_ahead_makes_nobody_older() -> None:
    evidence, shoppers = begin(gate_on(RATE)), Shoppers(1)
    for at in range(20):
        visited(evidence, shoppers, 1, start=at)
        one_row(evidence, START + at + 700)
    assert counted(evidence, START + 20) == 0
    visited(evidence, shoppers, 40, start=20)
    assert counted(evidence, START + 60) > 1000  # and stops nobody


def test_a_second_that_is_dated_ahead_makes_nobody_older() -> None:
    evidence, shoppers = begin(gate_on(RATE)), Shoppers(1)
    visited(evidence, shoppers, 10)
    moved(evidence, shoppers, 700, 1, 10)
    for at in range(11, 60):
        visited(evidence, shoppers, 1, start=at)
        if at < 35:  # the clock is right again from 11 on
            assert counted(evidence, START + at + 1) == 0
    assert counted(evidence, START + 60) > 1000


@pytest.mark.parametrize("ahead", [-3600.0, -100.0, -8.0, 8.0, 3600.0])
def test_a_clock_that_is_set_makes_nobody_older(ahead: float) -> None:
    evidence, shoppers = begin(gate_on(RATE)), Shoppers(1)
    visited(evidence, shoppers, 10)
    for at in range(10, 34):
        moved(evidence, shoppers, ahead, 1, at)
        assert counted(evidence, START + at + 1 + ahead) == 0
    moved(evidence, shoppers, ahead, 40, 34)
    assert counted(evidence, START + 74 + ahead) > 1000


def test_a_clock_that_was_set_back_is_of_no_matter_to_the_next_step() -> None:
    evidence, shoppers = begin(gate_on(RATE), share=250_000), Shoppers(2)
    visited(evidence, shoppers, 5, start=3600)
    evidence.share_changed(500_000)
    left = evidence.measures[-1].state()["left_out"].copy()
    visited(evidence, shoppers, 24)
    assert counted(evidence, START + 24) == 0
    visited(evidence, shoppers, 20, start=24)
    assert counted(evidence, START + 44) > 500
    assert evidence.measures[-1].state()["left_out"] == left


@pytest.mark.parametrize("metric", [RATE, EVENT], ids=["absolute", "relative"])
def test_an_event_that_falls_silent_after_a_clock_was_set_back_is_a_fault(
    metric: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence, shoppers = begin(gate_on(metric)), Shoppers(2)
    visited(evidence, shoppers, 10, start=3600)
    visited(evidence, shoppers, 10)
    monkeypatch.setattr(evidence, "ingest_events", lambda *_: None)
    visited(evidence, shoppers, 40, start=10)
    assert "has no event 'order_placed' for 40 s" in judge(evidence.gate, evidence, START + 50).metrics[-1].reason


def test_a_later_row_does_not_say_when_its_unit_came() -> None:
    cohort, unit, none = Cohort(0, 1), np.array([7], np.uint64), np.zeros(1, np.bool_)
    for at in (10.4, 10.2):  # of one window
        cohort.enter(unit, none, np.array([at]))
    cohort.date(10.9)
    cohort.enter(unit, none, np.array([3.0]))
    assert (cohort.begun.tolist(), cohort.dated.tolist()) == ([10.2], [10.9])


def test_a_unit_that_comes_with_a_row_that_is_dated_wrong_never_counts() -> None:
    evidence, shoppers = begin(gate_on(ASKED)), Shoppers(2)
    visited(evidence, shoppers, 5)
    one_row(evidence, START - 1000)
    visited(evidence, shoppers, 60, start=5)
    assert evidence.measures[-1].state()["left_out"].tolist() == [1]
    assert counted(evidence, START + 65) > 1000


# --- lost rows --------------------------------------------------------------------------------------------------------


def lose(evidence: Evidence, rows: int = 5) -> None:
    none = np.zeros(0)
    evidence.ingest(none, none.astype(np.uint64), none, none.astype(np.uint8), none.astype(np.uint8), dropped=rows)


def test_units_of_whose_time_rows_were_lost_do_not_count() -> None:
    evidence, shoppers = begin(gate_on(ASKED)), Shoppers(3)
    for at in range(0, 100, 10):  # no 20 s are whole
        visited(evidence, shoppers, 10, start=at)
        lose(evidence)
    assert counted(evidence, START + 100) == 0
    assert "were left out, as rows were lost" in judge(evidence.gate, evidence, START + 100).metrics[-1].reason
    visited(evidence, shoppers, 60, start=100)
    assert counted(evidence, START + 160) > 1000


def test_units_of_whose_time_events_were_lost_do_not_count() -> None:
    evidence, shoppers = begin(gate_on(RATE)), Shoppers(3)
    visited(evidence, shoppers, 24)
    evidence.happenings.lose(5)
    visited(evidence, shoppers, 20, start=24)
    assert counted(evidence, START + 44) == 0
    visited(evidence, shoppers, 20, start=44)
    assert counted(evidence, START + 64) > 200


@pytest.mark.parametrize(
    ("metric", "orders"), [(RATE, (0.3, 0.2)), (PER_UNIT, (0.4, 0.2))], ids=["rate", "mean_per_unit"]
)
def test_units_in_whose_time_the_event_stayed_away_do_not_count(
    metric: dict[str, Any], orders: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody told anything for longer than `within`: that is no time in which both sides did as much."""
    gate = gate_on(metric | {"harm": metric["margin"].replace("5", "4.9").replace("4 ", "3.9 ")})
    evidence, shoppers = begin(gate), Shoppers(1, orders=orders, later=3.0)
    visited(evidence, shoppers, 40)
    monkeypatch.setattr(evidence, "ingest_events", lambda *_: None)
    visited(evidence, shoppers, 15, start=40)
    before = counted(evidence, START + 55)
    for at in range(55, 150, 5):
        visited(evidence, shoppers, 5, start=at)
        assert counted(evidence, START + at + 5) == before
    monkeypatch.undo()
    visited(evidence, shoppers, 15, start=150)
    shown = judge(gate, evidence, START + 165).metrics[-1]
    assert shown.evidence_promote < 20
    assert shown.legacy_count + shown.candidate_count == before


def test_units_that_came_before_any_event_was_told_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    evidence, shoppers = begin(gate_on(RATE)), Shoppers(1)
    monkeypatch.setattr(evidence, "ingest_events", lambda *_: None)
    visited(evidence, shoppers, 60)
    assert counted(evidence, START + 60) == 0
    assert "'order_placed' stayed away" in judge(evidence.gate, evidence, START + 29).metrics[-1].reason


def test_units_in_whose_time_values_could_not_be_read_do_not_count() -> None:
    """However many values were read in steps before, whose units did not count."""
    evidence, rng = begin(gate_on(PER_UNIT), share=250_000), np.random.default_rng(1)
    visited(evidence, Shoppers(1), 5)
    units, worth = rng.integers(0, 2**64 - 1, 100_000, dtype=np.uint64), np.full(100_000, 40.0)
    evidence.ingest_events(
        np.full(100_000, START + 4.5), units, worth, units.astype(np.uint8) % 2, np.zeros(100_000, np.uint8)
    )
    evidence.share_changed(500_000)
    shoppers = Shoppers(2, later=3.0, unreadable=1.0)
    visited(evidence, shoppers, 40, start=5)
    assert counted(evidence, START + 45) == 0
    shown = judge(evidence.gate, evidence, START + 45).metrics[-1]
    assert shown.verdict is Verdict.KEEP_WATCHING
    assert "values could not be read" in shown.reason
    shoppers.unreadable = 0.003  # as some always are
    visited(evidence, shoppers, 60, start=45)
    assert counted(evidence, START + 105) > 1000


def test_events_that_come_after_their_units_have_counted_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a worker whose rows wait for longer than units do."""
    evidence, shoppers, held = begin(gate_on(RATE)), Shoppers(3, later=20.0), []
    take = evidence.ingest_events

    def ingest_events(clock: Any, unit: Any, *columns: Any) -> None:
        of_it = unit % np.uint64(3) == 0
        take(clock[~of_it], unit[~of_it], *(column[~of_it] for column in columns))
        held.append((clock[of_it], unit[of_it], *(column[of_it] for column in columns)))

    monkeypatch.setattr(evidence, "ingest_events", ingest_events)
    visited(evidence, shoppers, 40)
    assert judge(evidence.gate, evidence, START + 40).metrics[-1].verdict is Verdict.KEEP_WATCHING
    for columns in held:
        take(*columns)
    shown = judge(evidence.gate, evidence, START + 40).metrics[-1]
    assert shown.verdict is Verdict.FAULT
    assert "came over 5 s late, after their units had counted" in shown.reason


# --- large values -----------------------------------------------------------------------------------------------------


class Spenders(Shoppers):
    """Everybody orders at once, mostly for some 20, and one in 250 for `large` on either side."""

    def __init__(self, seed: int, large: tuple[float, float]) -> None:
        super().__init__(seed, arriving=150)
        self._large = np.array(large)

    def second(self, evidence: Evidence, at: int) -> None:
        rng = self._rng
        units = rng.integers(0, 2**64 - 1, int(rng.poisson(self.arriving)), dtype=np.uint64)
        side = (units % np.uint64(1_000_000) < np.uint64(evidence.share)).astype(np.uint8)
        clock, none = START + at + np.sort(rng.random(len(units))) * 0.5, np.zeros(len(units), np.uint8)
        evidence.ingest(clock, units, np.full(len(units), 0.005), side, none)
        worth = np.where(rng.random(len(units)) < 1 / 250, self._large[side], rng.uniform(19, 21, len(units)))
        evidence.ingest_events(clock + 0.3, units, worth, side, none)


@pytest.mark.parametrize("metric", [PER_UNIT | {"margin": "8 absolute"}, PER_EVENT | {"margin": "8 absolute"}])
def test_what_is_worse_by_the_margin_in_large_orders_alone_is_not_promoted(metric: dict[str, Any]) -> None:
    gate = gate_on(metric)
    worse, equal = begin(gate), begin(gate)
    some, others = Spenders(2, (2020, 20)), Spenders(2, (2020, 2020))
    for at in range(0, 160, 20):
        visited(worse, some, 20, start=at)
        visited(equal, others, 20, start=at)
        assert judge(gate, worse, START + at + 20).metrics[-1].evidence_promote < 20
    assert worse.measures[-1].state()["cap"] < 25  # all of the difference lies above where harm is cut
    assert judge(gate, equal, START + 160).metrics[-1].evidence_promote >= 20
    assert judge(gate, worse, START + 160).metrics[-1].estimate == pytest.approx(8, rel=0.3)


@pytest.mark.parametrize("large", [1e110, -1e200, 1.7e308])
@pytest.mark.parametrize("metric", [PER_UNIT, PER_EVENT], ids=lambda metric: str(metric["kind"]))
def test_a_value_that_nobody_can_reckon_with_promotes_nothing_and_hides_no_harm(
    metric: dict[str, Any], large: float
) -> None:
    gate = gate_on(metric)
    evidence, shoppers = begin(gate), Shoppers(2, worth=(40, 26), orders=(0.6, 0.6), later=1.0)
    visited(evidence, shoppers, 40)
    shoppers.worth = (large, large)
    visited(evidence, shoppers, 1, start=40)
    shoppers.worth = (40, 26)
    visited(evidence, shoppers, 120, start=41)
    shown = judge(gate, evidence, START + 161).metrics[-1]
    assert shown.verdict is Verdict.ROLLBACK, shown.reason
    assert shown.evidence_promote == 0
    assert np.isfinite([shown.legacy or 0.0, shown.candidate or 0.0]).all()


def test_values_of_which_the_largest_outweigh_all_others_are_never_enough() -> None:
    rng = np.random.default_rng(4)
    evenness, even = Evenness(), Evenness()
    values = rng.pareto(1.3, 20_000)
    evenness.add(np.arange(20_000) % 2 == 1, values)
    even.add(np.arange(20_000) % 2 == 1, rng.lognormal(3, 0.8, 20_000))
    assert "10,000 values of legacy are too uneven for their mean" in evenness.missing()
    assert even.missing() == ""
    assert "legacy" in Evenness().missing()


# --- what a window's time is ------------------------------------------------------------------------------------------


@given(
    st.lists(st.floats(0, 1), min_size=10, max_size=40),
    st.lists(st.floats(-1e6, 1e6), max_size=STRAYS),
    st.integers(0, 2**32 - 1),
)
def test_a_windows_time_is_that_of_its_rows_whatever_few_of_them_say(
    clock: list[float], strays: list[float], seed: int
) -> None:
    rows = np.array(clock + strays)
    together, apart = WindowTime(), WindowTime()
    together.see(rows)
    for part in np.array_split(np.random.default_rng(seed).permutation(rows), 4):
        apart.see(part)
    together.end()
    apart.end()
    assert (together.first, together.last) == (apart.first, apart.last)
    assert min(clock) <= together.last and together.first <= max(clock)
    assert together.first <= sorted(clock)[STRAYS] and together.last >= sorted(clock)[-STRAYS - 1]
