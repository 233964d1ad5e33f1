"""What is fatal within seconds, and what only looks so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.instant import Glimpse
from canary.plan import Instant

NOW = 1_700_000_000.0


def seen(
    glimpse: Glimpse,
    *,
    failing: tuple[float, float],
    n: tuple[int, int] = (100, 100),
    units: int = 50,
    length: float = 4.0,
    now: float = NOW,
) -> Glimpse:
    """`n` exchanges of legacy and candidate in the `length` seconds before `now`, of which parts `failing` failed."""
    for side in (0, 1):
        count = n[side]
        clock = now - length + length * (np.arange(count) + 0.5) / max(count, 1)
        unit = (np.arange(count, dtype=np.uint64) % np.uint64(units)) << np.uint64(56)
        failed = np.arange(count) % 100 < failing[side] * 100
        order = np.random.default_rng(1).permutation(count)
        glimpse.add(clock, unit, np.full(count, side == 1), failed[order], now)
    return glimpse


def fatal(more: dict[str, Any] | None = None, **traffic: Any) -> str:
    return seen(Glimpse(Instant.model_validate(more or {})), **traffic).fatal(NOW)


def test_a_candidate_that_fails_most_of_its_exchanges_goes_at_once() -> None:
    assert fatal(failing=(0.0, 0.8)).startswith(
        "at once: the candidate is far worse, 80 of its 100 exchanges failed within 5 s (legacy 0 of 100;"
    )


def test_legacy_need_not_have_been_asked() -> None:
    assert "legacy was not asked" in fatal(failing=(0.0, 1.0), n=(0, 40))


@pytest.mark.parametrize(
    ("traffic", "why"),
    [
        ({"failing": (0.0, 0.4)}, "below the floor: for the gate to decide"),
        ({"failing": (0.0, 1.0), "n": (100, 19)}, "too few"),
        ({"failing": (0.8, 0.9)}, "both sides are broken"),
        ({"failing": (0.0, 1.0), "units": 2}, "two broken clients"),
        ({"failing": (0.0, 1.0), "length": 0.6}, "one hiccup"),
        ({"failing": (0.0, 1.0), "now": NOW - 60}, "long ago"),
        ({"failing": (0.0, 1.0), "now": NOW + 3600}, "a clock an hour ahead"),
    ],
)
def test_what_only_looks_fatal_waits_for_the_gate(traffic: dict[str, Any], why: str) -> None:
    given_now = traffic.pop("now", NOW)
    glimpse = Glimpse(Instant())
    if given_now != NOW:
        shifted = Glimpse(Instant())
        seen(shifted, now=given_now, **traffic)
        assert shifted.fatal(given_now), "at its own time it is"
        count = 100
        clock = np.full(count, given_now) - np.linspace(0, 4, count)
        unit = np.arange(count, dtype=np.uint64) << np.uint64(56)
        glimpse.add(clock, unit, np.full(count, True), np.full(count, True), NOW)
    else:
        seen(glimpse, **traffic)
    assert glimpse.fatal(NOW) == "", why


def test_a_route_on_which_a_fifth_fails_anyway_is_not_taken_back_by_chance() -> None:
    """Half of 20 is reached in two thousand windows of five seconds, which are three hours; here for one."""
    glimpse, rng = Glimpse(Instant()), np.random.default_rng(5)
    for second in range(3600):
        count = 8
        side = np.arange(count) % 2 == 1
        clock = NOW + second + rng.random(count)
        glimpse.add(
            clock, rng.integers(0, 2**64 - 1, count, np.uint64), side, rng.random(count) < 0.2, NOW + second + 1
        )
        assert glimpse.fatal(NOW + second + 1) == ""


def exchanges(glimpse: Glimpse, side: int, count: int, failed: int, now: float = NOW) -> None:
    """`count` of one side in the four seconds before `now`, of as many units; the failed ones evenly among them."""
    clock = now - 4 + 4 * (np.arange(count) + 0.5) / count
    unit = np.arange(count, dtype=np.uint64) << np.uint64(56)
    bad = np.floor(np.arange(1, count + 1) * failed / count) > np.floor(np.arange(count) * failed / count)
    glimpse.add(clock, unit, np.full(count, side == 1), bad, now)


def test_what_breaks_both_sides_in_the_same_seconds_is_not_the_candidates_fault() -> None:
    """However well legacy did before: here only its part in these seconds speaks for the candidate."""
    glimpse = Glimpse(Instant())
    for minute in range(30, 0, -1):
        exchanges(glimpse, 0, 250, 0, NOW - 60 * minute)
    exchanges(glimpse, 0, 100, 45)
    exchanges(glimpse, 1, 100, 80)
    assert glimpse.fatal(NOW) == ""

    exchanges(glimpse, 0, 150, 0)  # 45 of 250
    assert glimpse.fatal(NOW)


def test_what_legacy_fails_at_all_times_is_no_news_of_the_candidate() -> None:
    """Ten of twenty, where a fifth fails anyway and legacy was lucky: here only what it failed before is against it."""
    glimpse = Glimpse(Instant())
    for minute in range(30, 0, -1):
        exchanges(glimpse, 0, 250, 50, NOW - 60 * minute)
    exchanges(glimpse, 0, 20, 1)
    exchanges(glimpse, 1, 20, 10)
    assert glimpse.fatal(NOW) == ""

    exchanges(glimpse, 1, 20, 20)  # 30 of 40
    assert glimpse.fatal(NOW)


def test_a_clock_ahead_does_not_blind_it() -> None:
    glimpse = Glimpse(Instant())
    exchanges(glimpse, 1, 100, 80)
    count = 400
    unit = np.arange(count, dtype=np.uint64) << np.uint64(56)
    ahead = NOW + 3600 - np.linspace(0, 6, count)
    glimpse.add(ahead, unit, np.full(count, True), np.full(count, False), NOW)

    assert glimpse.fatal(NOW)


def test_where_units_cannot_be_told_more_requests_are_asked_for() -> None:
    glimpse = Glimpse(Instant())
    for second in range(4):
        glimpse.add_counts(24, 24, NOW - second)
    assert glimpse.fatal(NOW) == ""
    glimpse.add_counts(24, 24, NOW)
    assert glimpse.fatal(NOW)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.booleans(), st.booleans()), max_size=200))
def test_whatever_comes_the_rings_hold_no_more_than_the_last_seconds(rows: list[tuple[float, bool, bool]]) -> None:
    glimpse = Glimpse(Instant())
    recent = [side for at, side, _ in rows if -5 < at <= 0]
    for at, side, failed in rows:
        glimpse.add(np.array([NOW + at]), np.zeros(1, np.uint64), np.array([side]), np.array([failed]), NOW)

    assert glimpse._requests.sum() >= len(recent)
    assert glimpse._requests.shape == (2, 12)
    assert glimpse.fatal(NOW + 100) == ""
