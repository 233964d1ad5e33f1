"""The ejector against a naive one that remembers every result, over drawn lives; then Envoy's definitions in turn."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from proxy.dataplane.services.ejection import (
    ANSWERED,
    ERROR,
    GATEWAY,
    UNANSWERED,
    Ejector,
    below_the_others,
    kind_of,
)
from rules.service_care import Ejection, SuccessRate

OFF_OR_FEW = st.one_of(st.just("off"), st.integers(1, 4))
SPECS = st.builds(
    lambda errors, gateways, rates, percentage, base, factor, percent: Ejection.model_validate(
        {
            "consecutive_5xx": errors,
            "consecutive_gateway_failure": gateways,
            "success_rate": {"minimum_endpoints": 2, "request_volume": 3, "stdev_factor": 0.7} if rates else "off",
            "failure_percentage": {"minimum_endpoints": 2, "request_volume": 3, "threshold": "50%"}
            if percentage
            else "off",
            "base_ejection_time": f"{base}s",
            "max_ejection_time": f"{base * factor}s",
            "max_ejection_percent": f"{percent}%",
        }
    ),
    errors=OFF_OR_FEW,
    gateways=OFF_OR_FEW,
    rates=st.booleans(),
    percentage=st.booleans(),
    base=st.sampled_from([10, 25]),
    factor=st.sampled_from([1, 2, 10]),
    percent=st.sampled_from([1, 10, 50, 100]),
)


@dataclass
class Naive:
    """One endpoint: every result since it was last ejected or came back, and of the interval."""

    row: list[int] = field(default_factory=list)
    interval: list[int] = field(default_factory=list)
    until: float | None = None
    times: int = 0

    def at_end(self, kinds: tuple[int, ...]) -> int:
        """How many of the last results, without another between them, are of these kinds."""
        found = 0
        for kind in reversed(self.row):
            if kind not in kinds:
                break
            found += 1
        return found


class Lives(RuleBasedStateMachine):
    @initialize(spec=SPECS, count=st.integers(2, 6))
    def begin(self, spec: Ejection, count: int) -> None:
        self.spec = spec
        self.now = 50.0
        self.ejector = Ejector(spec, count)
        self.naive = [Naive() for _ in range(count)]
        self.ejector.sweep(self.now)
        self.swept = self.now
        self.allowed = max(1, int(count * spec.max_ejection_percent))

    @property
    def out(self) -> list[int]:
        return [number for number, each in enumerate(self.naive) if each.until is not None]

    def eject(self, each: Naive) -> bool:
        each.row = []
        if each.until is not None or len(self.out) >= self.allowed:
            return False
        lasts = self.spec.base_ejection_time * (each.times + 1)
        each.until = self.now + min(lasts, self.spec.max_ejection_time)
        if lasts <= self.spec.max_ejection_time:
            each.times += 1
        return True

    @rule(which=st.integers(0, 5), kinds=st.lists(st.sampled_from([ANSWERED, ERROR, GATEWAY, UNANSWERED]), max_size=8))
    def answer(self, which: int, kinds: list[int]) -> None:
        which %= len(self.naive)
        each = self.naive[which]
        for kind in kinds:
            each.row.append(kind)
            each.interval.append(kind)
            limits = (
                (self.spec.consecutive_gateway_failure, (GATEWAY, UNANSWERED)),
                (self.spec.consecutive_5xx, (ERROR, GATEWAY, UNANSWERED)),
            )
            found = any(limit != "off" and each.at_end(of) >= limit for limit, of in limits)
            ejected = found and self.eject(each)
            assert self.ejector.result(which, kind, self.now) == ejected

    @rule(seconds=st.sampled_from([1.0, 5.0, 10.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def sweep(self) -> None:
        swept = self.ejector.sweep(self.now)
        if self.now < self.swept + self.spec.interval:
            assert (swept.returned, swept.ejected) == ((), ())
            return
        self.swept = self.now
        returned = []
        for number, each in enumerate(self.naive):
            if each.until is None:
                each.times = max(0, each.times - 1)
            elif self.now >= each.until:
                each.until, each.row = None, []
                returned.append(number)
        ejected = [number for number in self.outliers_by_rate() if self.eject(self.naive[number])]
        ejected += [number for number in self.outliers_by_percentage() if self.eject(self.naive[number])]
        assert (list(swept.returned), list(swept.ejected)) == (returned, ejected)
        for each in self.naive:
            each.interval = []

    def rates(self) -> dict[int, Fraction]:
        return {
            number: Fraction(each.interval.count(ANSWERED), len(each.interval))
            for number, each in enumerate(self.naive)
            if each.until is None and len(each.interval) >= 3
        }

    def outliers_by_rate(self) -> list[int]:
        rates = self.rates()
        if self.spec.success_rate == "off" or len(rates) < 2:
            return []
        bound = float(statistics.mean(rates.values())) - 0.7 * statistics.pstdev(map(float, rates.values()))
        return sorted((number for number, rate in rates.items() if rate < bound - 1e-12), key=lambda each: rates[each])

    def outliers_by_percentage(self) -> list[int]:
        rates = self.rates()
        if self.spec.failure_percentage == "off":
            return []
        return sorted((number for number, rate in rates.items() if rate <= 0.5), key=lambda each: rates[each])

    @rule(which=st.integers(0, 5))
    def become_well(self, which: int) -> None:
        which %= len(self.naive)
        each = self.naive[which]
        assert self.ejector.readmit(which) == (each.until is not None)
        if each.until is not None:
            each.until, each.row = None, []

    @invariant()
    def both_have_the_same_out_and_never_too_many(self) -> None:
        out = [number for number in range(len(self.naive)) if self.ejector.is_out(number)]
        assert out == self.out
        assert self.ejector.out == len(out) <= self.allowed == self.ejector.at_most


Lives.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
test_every_life_is_the_naive_ones = Lives.TestCase


def ejector(count: int = 5, **spec: object) -> Ejector:
    found = Ejector(Ejection.model_validate(spec), count)
    found.sweep(1.0)  # the first interval begins
    return found


def fail(one: Ejector, endpoint: int, now: float, times: int = 5, kind: int = ERROR) -> bool:
    return [one.result(endpoint, kind, now) for _ in range(times)][-1]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, ANSWERED),
        (404, ANSWERED),
        (499, ANSWERED),
        (500, ERROR),
        (501, ERROR),
        (502, GATEWAY),
        (503, GATEWAY),
        (504, GATEWAY),
        (505, ERROR),
        (599, ERROR),
    ],
)
def test_a_status_is_of_one_kind(status: int, kind: int) -> None:
    assert kind_of(status) == kind


def test_five_failures_in_a_row_eject_whatever_their_kinds() -> None:
    one = ejector()
    assert [one.result(2, kind, 5.0) for kind in (ERROR, GATEWAY, UNANSWERED, ERROR, GATEWAY)] == [*[False] * 4, True]
    assert one.why(2) == "consecutive_5xx"


def test_a_row_begins_anew_after_an_answer_and_endpoints_have_their_own() -> None:
    one = ejector()
    fail(one, 0, 5.0, times=4)
    fail(one, 1, 5.0, times=4)
    one.result(0, ANSWERED, 5.0)
    assert not fail(one, 0, 5.0, times=4)
    assert one.out == 0


def test_gateway_failures_alone_are_not_looked_at_unless_it_is_asked_for() -> None:
    """Envoy's enforcing_consecutive_gateway_failure is 0."""
    assert not fail(ejector(consecutive_5xx="off"), 0, 5.0, 50, GATEWAY)
    one = ejector(consecutive_5xx="off", consecutive_gateway_failure=3)
    fail(one, 0, 5.0, 2, GATEWAY)
    one.result(0, ERROR, 5.0)  # no gateway's: the row is over
    assert not fail(one, 0, 5.0, 2, UNANSWERED)
    assert one.result(0, GATEWAY, 5.0)
    assert one.why(0) == "consecutive_gateway_failure"


def ejected_for(one: Ejector, since: float) -> float:
    """Seconds until a sweep brings endpoint 0 back; sweeps every second."""
    now = since
    while 0 not in one.sweep(now).returned:
        now += 1.0
        assert now < since + 10_000
    return now - since


def test_each_ejection_in_a_row_lasts_a_base_time_longer_up_to_the_longest() -> None:
    one = ejector(interval="1s", base_ejection_time="30s", max_ejection_time="100s")
    now, lasted = 1.0, []
    for _ in range(5):
        assert fail(one, 0, now)
        lasted.append(ejected_for(one, now))
        now += lasted[-1]
    assert lasted == [30.0, 60.0, 90.0, 100.0, 100.0]


def test_intervals_without_ejection_forgive_one_each() -> None:
    one = ejector(interval="10s")
    fail(one, 0, 1.0)
    now = 1.0 + ejected_for(one, 1.0)
    fail(one, 0, now)
    now += ejected_for(one, now)
    for _ in range(2):
        now += 10.0
        one.sweep(now)
    fail(one, 0, now)
    assert 30.0 <= ejected_for(one, now) <= 40.0


def test_at_its_longest_an_ejection_needs_no_more_forgiving() -> None:
    one = ejector(interval="1s", base_ejection_time="30s", max_ejection_time="60s")
    now = 1.0
    for _ in range(10):
        fail(one, 0, now)
        now += ejected_for(one, now)
    for _ in range(2):
        now += 1.0
        one.sweep(now)
    fail(one, 0, now)
    assert ejected_for(one, now) == 30.0


@pytest.mark.parametrize(
    ("count", "percent", "most"), [(2, "10%", 1), (10, "10%", 1), (19, "10%", 1), (20, "10%", 2),
                                                        (4, "50%", 2), (3, "100%", 3), (5, "0%", 1)])  # fmt: skip
def test_at_most_a_part_is_out_and_one_always_may(count: int, percent: str, most: int) -> None:
    one = ejector(count, max_ejection_percent=percent)
    assert [fail(one, number, 5.0) for number in range(count)].count(True) == most == one.out


def results(one: Ejector, rates: list[float], requests: int = 100) -> None:
    """For each endpoint, by its success rate; failures never in a long row."""
    for number, rate in enumerate(rates):
        good = round(rate * requests)
        for turn in range(requests):
            failed = (turn + 1) * (requests - good) // requests > turn * (requests - good) // requests
            one.result(number, ERROR if failed else ANSWERED, 5.0)


QUIET = {"consecutive_5xx": "off"}


@pytest.mark.parametrize(
    ("rates", "requests", "out"),
    [
        ([0.99, 0.99, 0.99, 0.99, 0.80], 100, (4,)),
        ([0.99, 0.99, 0.99, 0.99, 0.80], 99, ()),  # fewer than 100 requests
        ([0.99, 0.99, 0.99, 0.80], 100, ()),  # fewer than 5 endpoints
        ([0.9, 0.9, 0.9, 0.9, 0.9], 100, ()),  # all alike
        ([0.0, 0.0, 0.0, 0.0, 0.0], 100, ()),  # all down: nobody is worse than the others
        ([1.0, 1.0, 0.5, 0.5, 0.5], 100, ()),
    ],
)
def test_the_success_rate_finds_who_fails_more_than_the_others(
    rates: list[float], requests: int, out: tuple[int, ...]
) -> None:
    one = ejector(len(rates), **QUIET)
    results(one, rates, requests)
    assert one.sweep(10.9).ejected == ()  # the interval is not over
    assert one.sweep(11.0).ejected == out
    assert [one.why(number) for number in out] == ["success_rate"] * len(out)


def test_an_interval_is_judged_by_its_own_requests() -> None:
    one = ejector(5, **QUIET)
    results(one, [1, 1, 1, 1, 0.5])
    one.sweep(11.0)
    one.readmit(4)
    assert one.sweep(21.0).ejected == ()


def test_the_failure_percentage_is_a_bound_for_each_by_itself_when_asked_for() -> None:
    rates = [0.1, 0.15, 0.16, 1.0, 1.0]
    one = ejector(5, **QUIET, success_rate="off", max_ejection_percent="100%")
    results(one, rates)
    assert one.sweep(11.0).ejected == ()
    one = ejector(5, **QUIET, success_rate="off", max_ejection_percent="100%", failure_percentage={})
    results(one, rates)
    assert one.sweep(11.0).ejected == (0, 1)  # 85 % is enough
    assert (one.why(0), one.why(1)) == ("failure_percentage", "failure_percentage")


def test_the_worst_go_first_where_not_all_may() -> None:
    one = ejector(5, **QUIET, success_rate="off", failure_percentage={}, max_ejection_percent="20%")
    results(one, [0.1, 0.05, 0.0, 1.0, 1.0])
    assert one.sweep(11.0).ejected == (2,)
    assert one.out == 1


def test_who_comes_back_has_no_row_behind_it() -> None:
    one = ejector()
    fail(one, 0, 1.0)
    fail(one, 0, 2.0, times=4)  # requests that were under way
    ejected_for(one, 2.0)
    assert not one.result(0, ERROR, 60.0)


RATES = st.dictionaries(
    st.integers(0, 63),
    st.integers(1, 400).flatmap(lambda of: st.integers(0, of).map(lambda good: Fraction(good, of))),
    min_size=5,
    max_size=64,
)


@given(RATES)
def test_outliers_are_those_of_the_formula(rates: dict[int, Fraction]) -> None:
    mean, deviation = statistics.mean(rates.values()), statistics.pstdev(map(float, rates.values()))
    found = below_the_others(rates, SuccessRate())
    bound = float(mean) - 1.9 * deviation
    assert all(float(rates[each]) < bound + 1e-9 for each in found)
    assert all(float(rate) > bound - 1e-9 for number, rate in rates.items() if number not in found)
    assert [rates[each] for each in found] == sorted(rates[each] for each in found)


@given(st.integers(0, 300), st.integers(1, 300), st.integers(5, 64))
def test_endpoints_that_are_alike_are_never_outliers(good: int, more: int, count: int) -> None:
    assert below_the_others(dict.fromkeys(range(count), Fraction(good, good + more)), SuccessRate()) == []
