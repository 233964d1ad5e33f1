"""Balancer, ejector and panic as one worker runs them, through simulated time: what a service's failures cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from proxy.dataplane.services.balancing import Balancer, LeastRequests, RoundRobin, usable
from proxy.dataplane.services.ejection import ANSWERED, ERROR, Ejector
from rules.service_care import Ejection
from rules.stages import MILLION

Fails = Callable[[int, float], bool]
BALANCERS = [RoundRobin(), LeastRequests()]


def run(balancer: Balancer, count: int, fails: Fails, seconds: int = 600, rate: int = 20) -> list[Counter[int]]:
    """Requests to each endpoint, and failures of each, at `rate` requests a second."""
    ejector, chance = Ejector(Ejection(), count), Random(3)
    asked: Counter[int] = Counter()
    failed: Counter[int] = Counter()
    numbers = usable([True] * count)
    for step in range(seconds * rate):
        now = 1.0 + step / rate
        swept = ejector.sweep(now)
        endpoint = balancer.pick(numbers, [0] * count, lambda: chance.randrange(MILLION))
        asked[endpoint] += 1
        bad = fails(endpoint, now)
        failed[endpoint] += bad
        if ejector.result(endpoint, ERROR if bad else ANSWERED, now) or swept.returned or swept.ejected:
            numbers = usable([not ejector.is_out(each) for each in range(count)])
    return [asked, failed]


@pytest.mark.parametrize("balancer", BALANCERS)
@pytest.mark.parametrize("count", [2, 4, 10])
def test_one_endpoint_that_is_down_costs_five_requests_an_ejection(balancer: Balancer, count: int) -> None:
    asked, failed = run(balancer, count, lambda endpoint, _: endpoint == 1)
    # In ten minutes: after 30, 60, 90 ... seconds, and up to an interval more each time, it is tried again.
    assert failed[1] == asked[1] <= 5 * 6
    assert set(failed) - {1} <= set(range(count))
    assert sum(failed.values()) == failed[1]


@pytest.mark.parametrize("balancer", BALANCERS)
def test_an_endpoint_that_recovers_gets_its_part_again(balancer: Balancer) -> None:
    _, failed = run(balancer, 4, lambda endpoint, now: endpoint == 1 and now < 60.0)
    asked, _ = run(balancer, 4, lambda endpoint, now: endpoint == 1 and now < 60.0, seconds=3000)
    assert failed[1] <= 10
    assert asked[1] > 0.8 * asked[0]


@pytest.mark.parametrize("balancer", BALANCERS)
def test_when_everything_fails_everything_is_still_asked(balancer: Balancer) -> None:
    asked, _ = run(balancer, 3, lambda endpoint, now: True)
    assert min(asked.values()) > 0.05 * max(asked.values())
    assert len(asked) == 3


@pytest.mark.parametrize("balancer", BALANCERS)
def test_an_endpoint_that_fails_now_and_then_beside_good_ones_goes(balancer: Balancer) -> None:
    """A fifth of its requests, never five in a row: found by comparison with the others."""
    chance = Random(5)
    asked, _ = run(balancer, 6, lambda endpoint, _: endpoint == 2 and chance.random() < 0.2, rate=100)
    assert asked[2] < 0.5 * asked[0]
