"""Burn rates and budgets: the laws of the windows, the workbook's thresholds, and what survives a restart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.slo.burning import ALERTS, DAY, HOUR, WINDOWS, Severity, remaining
from canary.slo.ledger import Ledger, LedgerError, Reading
from canary.slo.ring import Counts, Ring
from canary.slo.spec import Objective

NOW = 1_700_000_000.0
COUNTS = st.builds(Counts, st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
ADDED = st.lists(st.tuples(st.floats(NOW - 8 * DAY, NOW), COUNTS), max_size=30)


def availability(goal: str = "99.9%", **others: object) -> Objective:
    return Objective.model_validate({"route": "products", "availability": goal, **others})


def read(ledger: Ledger, now: float = NOW) -> Reading:
    [reading] = ledger.read(now)
    return reading


def steadily(ledger: Ledger, seconds: float, total: int, failed: int, until: float = NOW) -> Ledger:
    """The same counts every minute."""
    for minute in range(int(seconds / 60), 0, -1):
        ledger.add(until - minute * 60, Counts(total, failed))
    return ledger


@given(
    failed=st.integers(0, 1000),
    goal=st.sampled_from(["90%", "99%", "99.9%", "99.99%"]),
    seconds=st.sampled_from([600.0, 2 * HOUR, DAY, 4 * DAY]),
)
def test_a_constant_error_rate_burns_at_rate_over_budget_in_every_window(
    failed: int, goal: str, seconds: float
) -> None:
    objective = availability(goal)
    assert objective.availability is not None
    reading = read(steadily(Ledger("a", objective), seconds, 1000, failed))
    for burn in reading.burns.values():
        assert burn.rate == pytest.approx(failed / 1000 / (1 - objective.availability))


@given(st.sampled_from(sorted(WINDOWS)), st.floats(NOW - 8 * DAY, NOW), st.floats(1, 90))
def test_a_window_holds_what_happened_within_it(window: str, at: float, days: float) -> None:
    ledger = Ledger("a", availability())
    ledger.add(at, Counts(1, 1))
    counted = ledger.counts(NOW, WINDOWS[window]).total
    width = 3600 if window == "3d" else 60
    if NOW - at < WINDOWS[window]:
        assert counted == 1
    if NOW - at > WINDOWS[window] + 2 * width:
        assert counted == 0


@given(ADDED, ADDED, st.sampled_from([300.0, HOUR, 5 * DAY]))
def test_merging_rings_is_addition(
    one: list[tuple[float, Counts]], other: list[tuple[float, Counts]], seconds: float
) -> None:
    whole, left, right = (Ring(3600, 24 * 10) for _ in range(3))
    for ring, added in ((left, one), (right, other), (whole, [*one, *other])):
        for at, counts in added:
            ring.add(at, counts)
    left.merge(right)
    assert left.sum(NOW, seconds) == whole.sum(NOW, seconds)


@given(ADDED)
def test_a_ring_is_read_as_it_was_written(added: list[tuple[float, Counts]]) -> None:
    ring, again = Ring(60, 300), Ring(60, 300)
    for at, counts in added:
        ring.add(at, counts)
    again.merge(Ring.load(ring.dump()))
    for seconds in (60.0, HOUR, 3 * HOUR):
        assert again.sum(NOW, seconds) == ring.sum(NOW, seconds)


def test_buckets_of_another_width_are_not_added() -> None:
    with pytest.raises(ValueError, match="buckets of 60 s"):
        Ring(3600, 10).merge(Ring(60, 10))


def test_what_is_older_than_the_ring_does_not_come_back() -> None:
    ring, former = Ring(60, 10), Ring(60, 10)
    ring.add(NOW, Counts(5))
    former.add(NOW - 600, Counts(7))  # the same slot
    ring.merge(former)
    assert ring.sum(NOW, 3600) == Counts(5)


def test_thresholds_are_the_workbooks() -> None:
    assert [(alert.severity, alert.long, alert.short, round(alert.threshold(30 * DAY), 9)) for alert in ALERTS] == [
        (Severity.PAGE, "1h", "5m", 14.4),
        (Severity.PAGE, "6h", "30m", 6),
        (Severity.TICKET, "3d", "6h", 1),
    ]


@pytest.mark.parametrize(
    ("seconds", "failed", "level"),
    [(2 * HOUR, 150, "page"), (2 * HOUR, 50, ""), (7 * HOUR, 65, "page"), (4 * DAY, 11, "ticket"), (4 * DAY, 9, "")],
)
def test_an_alert_needs_its_pace_in_both_windows(seconds: float, failed: int, level: str) -> None:
    """Of 10,000 a minute, at 99.9 %: 10 are the pace that uses the budget up."""
    ledger = steadily(Ledger("a", availability()), 5 * DAY - seconds, 10_000, 0, NOW - seconds)
    reading = read(steadily(ledger, seconds, 10_000, failed))
    assert reading.level == level


def test_an_alert_ends_soon_after_its_cause() -> None:
    ledger = steadily(Ledger("a", availability()), 6 * HOUR, 1000, 0, NOW - 600)
    steadily(ledger, 600, 1000, 100)
    assert read(ledger).level == "page"
    assert read(ledger).stops_promotion
    steadily(ledger, 600, 1000, 0, NOW + 600)
    assert read(ledger, NOW + 420).level == "ticket"
    assert not read(ledger, NOW + 420).stops_promotion


def test_too_few_requests_raise_nothing() -> None:
    ledger = Ledger("a", availability())
    ledger.add(NOW, Counts(99, 99))
    assert read(ledger).level == ""
    ledger.add(NOW, Counts(1, 1))
    assert read(ledger).level == "page"


def test_without_requests_nothing_is_left_and_nothing_burns() -> None:
    reading = read(Ledger("a", availability()))
    assert reading.remaining is None
    assert not reading.stops_promotion
    assert {burn.rate for burn in reading.burns.values()} == {None}


@given(st.floats(0, 50), st.floats(0.001, 1), st.integers(1, 10**6))
def test_a_burn_rate_takes_its_part_of_the_budget_whatever_the_traffic(rate: float, part: float, total: int) -> None:
    bad = rate * 0.001 * total
    assert remaining(total, bad, 0.999, part * 30 * DAY, 30 * DAY) == pytest.approx(1 - rate * part)  # type: ignore[arg-type]


def test_an_exhausted_budget_stops_promotion_though_nothing_burns_any_more() -> None:
    ledger = Ledger("a", availability())
    steadily(ledger, 3 * DAY, 100, 2, NOW - 4 * DAY)  # 20 times the pace
    steadily(ledger, 4 * DAY, 100, 0)
    reading = read(ledger)
    assert reading.level == "exhausted"
    assert reading.stops_promotion
    assert "is used up" in reading.sentence


def test_latency_is_a_promise_of_its_own() -> None:
    objective = Objective.model_validate(
        {"service": "shop", "availability": "99.9%", "latency": {"part": "95%", "under": "300ms"}}
    )
    ledger = Ledger("shop", objective)
    ledger.add(NOW, Counts(1000, 0, 800))
    fine, slow = ledger.read(NOW)
    assert (fine.promise, fine.level) == ("availability", "")
    assert (slow.promise, slow.level) == ("latency", "page")
    assert "latency 95% under 0.3s, service shop" in slow.sentence


def test_counts_outlive_their_ledger() -> None:
    former = steadily(Ledger("a", availability()), 3 * DAY, 100, 1)
    former.told["availability"] = "page"
    later = Ledger("a", availability("99.5%"))  # another goal over the same counts
    later.add(NOW, Counts(50, 50))
    later.restore(former.dump())
    assert later.counts(NOW, DAY).total == former.counts(NOW, DAY).total + 50
    assert later.since == former.since
    assert later.told == {"availability": "page"}


def test_counts_of_something_else_are_not_taken_up() -> None:
    other = Ledger("a", Objective.model_validate({"route": "cart", "availability": "99.9%"}))
    other.add(NOW, Counts(10, 10))
    ledger = Ledger("a", availability())
    for kept in (other.dump(), b"", b"\x00" * 40, other.dump()[:-5]):
        with pytest.raises(LedgerError):
            ledger.restore(kept)
    assert ledger.counts(NOW, 30 * DAY) == Counts()


def test_a_budget_that_was_begun_by_a_clock_ahead_is_used_up_all_the_same() -> None:
    """Else nothing of it would count as seen until the clock is there again, and it would be full all the while."""
    ledger = Ledger("a", availability())
    ledger.add(NOW + 400 * DAY, Counts(1, 0))

    steadily(ledger, 30 * DAY, 10, 1)

    assert read(ledger).exhausted


@given(st.floats(60, 400 * DAY), st.integers(1, 500))
def test_what_was_counted_by_a_clock_ahead_keeps_nothing_out(ahead: float, minutes: int) -> None:
    ledger = steadily(Ledger("a", availability()), minutes * 60, 10, 0, until=NOW + ahead)

    steadily(ledger, 3600, 10, 1)

    assert ledger.counts(NOW, 3600).failed == 60


@pytest.mark.parametrize("restarted", [False, True])
def test_what_was_counted_before_the_clock_was_set_covers_nothing(restarted: bool) -> None:
    """Else the first failure after it is held against one day's requests as if they were all of the period's."""
    objective = availability()
    ledger = Ledger("orders", objective)
    ledger.add(50.0, Counts(1, 0, 0))
    if restarted:
        former, ledger = ledger, Ledger("orders", objective)
        ledger.restore(former.dump())
    ledger.add(NOW - DAY, Counts(999, 1, 0))

    assert ledger.since == NOW - DAY
    assert not read(ledger).exhausted


def test_a_period_without_a_pause_stays_covered() -> None:
    ledger = Ledger("orders", availability())
    began = NOW - 90 * DAY
    for day in range(90):
        ledger.add(began + day * DAY, Counts(10, 0, 0))

    assert ledger.since == began


def test_memory_does_not_grow_with_time() -> None:
    ledger = Ledger("a", availability())
    for hour in range(24 * 100):
        ledger.add(NOW + hour * HOUR, Counts(1))
    before = len(ledger.dump())
    for hour in range(24 * 100, 24 * 200):
        ledger.add(NOW + hour * HOUR, Counts(1))
    assert len(ledger.dump()) <= before + 64
