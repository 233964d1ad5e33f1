"""What checks make of an endpoint's standing, against a naive reading of all of them; and when checks are due."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.services.health import HealthRecord
from proxy.dataplane.services.jitter import sooner
from rules.service_care import HealthCheck
from rules.stages import MILLION

CHECKS = st.lists(st.booleans(), max_size=40)


def naive(checks: list[bool], healthy: int, unhealthy: int) -> list[bool]:
    """After each check: the first alone decides, then whoever has a long enough row at the end."""
    standings: list[bool] = []
    for number, good in enumerate(checks):
        if number == 0:
            standings.append(good)
            continue
        row = 0
        for before in reversed(range(number + 1)):
            if checks[before] != good:
                break
            row += 1
        enough = row >= (healthy if good else unhealthy)
        standings.append(good if enough else standings[-1])
    return standings


@given(CHECKS, st.integers(1, 4), st.integers(1, 4))
def test_the_standing_follows_rows_of_checks(checks: list[bool], healthy: int, unhealthy: int) -> None:
    record = HealthRecord(HealthCheck(path="/", healthy=healthy, unhealthy=unhealthy))
    was = record.is_well
    for good, expected in zip(checks, naive(checks, healthy, unhealthy), strict=True):
        changed = record.seen(good)
        assert record.is_well == expected
        assert changed == (expected != was)
        was = expected
    assert record.checks == len(checks)


def test_an_endpoint_is_well_until_a_check_says_otherwise() -> None:
    record = HealthRecord(HealthCheck(path="/"))
    assert record.is_well
    assert record.seen(False)
    assert not record.is_well


def test_one_that_is_well_bears_two_bad_checks() -> None:
    record = HealthRecord(HealthCheck(path="/"))
    assert [record.seen(good) for good in (True, False, False, True, False, False, False, True, True)] == [
        *[False] * 6, True, False, True,
    ]  # fmt: skip


@given(st.floats(0.01, 3600), st.integers(0, MILLION), st.floats(0, 1e6))
def test_checks_come_by_chance_up_to_a_tenth_sooner(every: float, chance: int, now: float) -> None:
    record = HealthRecord(HealthCheck.model_construct(path="/", every=every))
    assert now + every * 0.9 - 1e-6 <= record.next_at(now, chance) <= now + every
    assert now <= record.first_at(now, chance) <= now + min(every, 1.0)
    assert every * 0.9 * 0.999999 <= sooner(every, chance) <= every


def test_chance_decides_when() -> None:
    record = HealthRecord(HealthCheck(path="/"))
    assert [record.next_at(100.0, chance) for chance in (0, 500_000, 1_000_000)] == [105.0, 104.75, 104.5]
