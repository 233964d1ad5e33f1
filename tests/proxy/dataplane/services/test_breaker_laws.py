"""The breaker against a naive one that remembers everything, over drawn lives; then the rules one by one."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from proxy.dataplane.services.breaker import SLOTS, Breaker
from rules.service_care import CircuitBreaker

SPECS = st.builds(
    lambda row, rate, at_least, over, open_for, factor, probes: CircuitBreaker.model_validate(
        ({"consecutive": row} if row or rate is None else {"consecutive": "off"})
        | ({} if rate is None else {"rate": f"{rate}%", "at_least": at_least, "over": f"{over}s"})
        | {"open_for": f"{open_for}s", "max_open_for": f"{open_for * factor}s", "probes": probes}
        if row or rate is not None
        else {"probes": probes}
    ),
    row=st.one_of(st.none(), st.integers(1, 4)),
    rate=st.one_of(st.none(), st.sampled_from([1, 25, 50, 100])),
    at_least=st.integers(1, 6),
    over=st.sampled_from([1, 10]),
    open_for=st.sampled_from([1, 5]),
    factor=st.sampled_from([1, 3, 20]),
    probes=st.integers(1, 3),
)


@dataclass
class Naive:
    """Everything that happened, and the words of the rules reference applied to it."""

    spec: CircuitBreaker
    state: str = "closed"
    life: int = 0
    """How often the state changed."""
    results: list[tuple[float, bool]] = field(default_factory=list)
    """(when, failed) since it was closed last."""
    openings: int = 0
    until: float = 0.0
    probing: int = 0
    good: int = 0

    def change(self, state: str) -> None:
        self.state, self.life, self.probing, self.good = state, self.life + 1, 0, 0
        self.results = []

    def admits(self, now: float) -> bool:
        if self.state == "open" and now >= self.until:
            self.change("half_open")
        if self.state == "half_open":
            admitted = self.probing < self.spec.probes - self.good
            self.probing += admitted
            return admitted
        return self.state == "closed"

    def holds(self, now: float) -> bool:
        row = 0
        for _, failed in self.results:
            row = row + 1 if failed else 0
        if self.spec.in_a_row is not None and row >= self.spec.in_a_row:
            return True
        if self.spec.rate is None:
            return False
        part = self.spec.over / SLOTS
        seen = [failed for when, failed in self.results if int(when / part) > int(now / part) - SLOTS]
        return len(seen) >= self.spec.at_least and sum(seen) >= self.spec.rate * len(seen)

    def result(self, failed: bool, now: float) -> None:
        if self.state == "closed":
            self.results.append((now, failed))
            if failed and self.holds(now):
                self.open(now)
        elif failed:
            self.open(now)
        else:
            self.probing -= 1
            self.good += 1
            if self.good == self.spec.probes:
                self.change("closed")
                self.openings = 0

    def open(self, now: float) -> None:
        seconds = self.spec.open_for
        for _ in range(self.openings):
            seconds = min(seconds * 2, self.spec.longest)
        self.until = now + min(seconds, self.spec.longest)
        self.openings += 1
        self.change("open")


class Lives(RuleBasedStateMachine):
    """Requests that begin, and end in any order, or never."""

    running = Bundle("running")

    @initialize(spec=SPECS)
    def begin(self, spec: CircuitBreaker) -> None:
        self.now = 1000.0
        self.spec = spec
        self.breaker = Breaker(spec)
        self.naive = Naive(spec)
        self.refused = 0
        self.probes: set[int] = set()
        """Requests of the half-open time that runs now that are not over."""
        self.number = 0

    @rule(seconds=st.sampled_from([0.05, 0.3, 1.0, 2.5, 7.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=running)
    def ask(self) -> tuple[int, int, int]:
        """(ticket, the naive one's life, number)."""
        admitted = self.naive.admits(self.now)
        ticket = self.breaker.admit(self.now)
        assert bool(ticket) == admitted
        self.refused += not admitted
        self.number += 1
        if ticket and self.breaker.state == "half_open":
            self.probes.add(self.number)
        return ticket, self.naive.life if admitted else -1, self.number

    @rule(request=consumes(running), failed=st.booleans())
    def end(self, request: tuple[int, int, int], failed: bool) -> None:
        """Also of requests that were refused, and of such from another time: neither may change anything."""
        ticket, life, number = request
        if life == self.naive.life:
            self.naive.result(failed, self.now)
        (self.breaker.failed if failed else self.breaker.succeeded)(ticket, self.now)
        self.probes.discard(number)

    @rule(request=consumes(running))
    def leave(self, request: tuple[int, int, int]) -> None:
        ticket, life, number = request
        before = self.breaker.state
        if life == self.naive.life and self.naive.state == "half_open":
            self.naive.probing -= 1
        self.breaker.abandoned(ticket)
        self.probes.discard(number)
        assert self.breaker.state == before

    @invariant()
    def both_stand_alike(self) -> None:
        assert self.breaker.state == self.naive.state
        assert self.breaker.refused == self.refused
        if self.breaker.state != "half_open":
            self.probes.clear()

    @invariant()
    def never_more_probes_than_allowed(self) -> None:
        assert len(self.probes) <= self.spec.probes

    @invariant()
    def an_open_one_says_when_to_come_again(self) -> None:
        after = self.breaker.retry_after(self.now)
        assert after >= 1
        if self.breaker.state == "open":
            assert self.now + after >= self.naive.until > self.now + after - 1 or after == 1


Lives.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
test_every_life_is_the_naive_ones = Lives.TestCase


def breaker(**spec: object) -> Breaker:
    return Breaker(CircuitBreaker.model_validate(spec))


def opened(**spec: object) -> Breaker:
    """Opened at 100 by its rule of failures in a row."""
    found = breaker(consecutive=1, **spec)
    found.failed(found.admit(100.0), 100.0)
    assert found.state == "open"
    return found


def test_it_opens_at_the_fifth_failure_in_a_row() -> None:
    one = breaker()
    for count in range(4):
        one.failed(one.admit(0.0), 0.0)
        assert one.state == "closed", count
    one.failed(one.admit(0.0), 0.0)
    assert one.state == "open"
    assert not one.admit(4.9)
    assert one.admit(5.0)


def test_a_success_between_begins_the_row_anew() -> None:
    one = breaker()
    for _ in range(4):
        one.failed(one.admit(0.0), 0.0)
    one.succeeded(one.admit(0.0), 0.0)
    for _ in range(4):
        one.failed(one.admit(0.0), 0.0)
    assert one.state == "closed"


def test_the_rate_counts_the_last_seconds_only() -> None:
    one = breaker(rate="50%", over="10s", at_least=4)
    for _ in range(3):
        one.failed(one.admit(0.0), 0.0)
    one.succeeded(one.admit(11.0), 11.0)
    one.failed(one.admit(11.0), 11.0)
    assert one.state == "closed"  # two of five altogether, one of two in time
    one.failed(one.admit(12.0), 12.0)
    assert one.state == "closed"  # two of three: fewer than four
    one.succeeded(one.admit(12.0), 12.0)
    one.failed(one.admit(12.0), 12.0)
    assert one.state == "open"


@pytest.mark.parametrize(("later", "state"), [(9.99, "open"), (10.0, "closed")])
def test_a_failure_leaves_the_rate_with_the_part_that_it_fell_in(later: float, state: str) -> None:
    one = breaker(rate="100%", over="10s", at_least=2)
    one.failed(one.admit(0.5), 0.5)
    one.failed(one.admit(later), later)
    assert one.state == state


def test_each_opening_lasts_twice_as_long_up_to_the_longest() -> None:
    one = opened(open_for="5s", max_open_for="15s")
    now, lasted = 100.0, []
    for _ in range(4):
        closed_until = now
        while not (ticket := one.admit(closed_until)):
            closed_until += 0.5
        lasted.append(closed_until - now)
        now = closed_until
        one.failed(ticket, now)
    assert lasted == [5.0, 10.0, 15.0, 15.0]


def test_once_closed_the_next_opening_is_short_again() -> None:
    one = opened()
    one.failed(one.admit(105.0), 105.0)
    one.succeeded(one.admit(115.0), 115.0)
    assert one.state == "closed"
    one.failed(one.admit(116.0), 116.0)
    assert one.retry_after(116.0) == 5


def test_a_probe_whose_client_left_gives_its_place_to_another() -> None:
    one = opened()
    first = one.admit(105.0)
    assert first
    assert not one.admit(105.0)
    one.abandoned(first)
    assert one.state == "half_open"
    assert one.admit(106.0)


def test_answers_to_requests_from_before_it_opened_are_no_probes() -> None:
    one = breaker(consecutive=1)
    slow, other = one.admit(0.0), one.admit(0.0)
    one.failed(other, 0.0)
    probe = one.admit(5.0)
    one.succeeded(slow, 5.0)
    assert one.state == "half_open"
    one.failed(slow, 5.0)
    assert one.state == "half_open"
    one.succeeded(probe, 5.0)
    assert one.state == "closed"


def test_what_was_not_admitted_counts_nowhere() -> None:
    one = opened()
    for _ in range(100):
        assert one.admit(101.0) == 0
        one.failed(0, 101.0)
    assert (one.refused, one.opened, one.retry_after(101.0)) == (100, 1, 4)


@pytest.mark.parametrize(("now", "seconds"), [(100.0, 5), (100.1, 5), (104.0, 1), (104.99, 1), (200.0, 1)])
def test_retry_after_is_whole_seconds_and_at_least_one(now: float, seconds: int) -> None:
    assert opened().retry_after(now) == seconds
