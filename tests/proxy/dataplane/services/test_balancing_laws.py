"""Choosing an endpoint: fair in turn, never the busier of two, and everybody when too few are well."""

from __future__ import annotations

from collections import Counter
from itertools import count, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.services.balancing import Balancer, LeastRequests, RoundRobin, usable
from rules.stages import MILLION

SUBSETS = st.sets(st.integers(0, 63), min_size=1).map(sorted).map(tuple)
CHANCES = st.integers(0, MILLION - 1)


def no_chance() -> int:
    raise AssertionError("each in turn needs no chance")


@given(SUBSETS, st.integers(0, MILLION), st.integers(1, 200))
def test_each_in_turn_is_fair_over_any_endpoints(subset: tuple[int, ...], start: int, times: int) -> None:
    one = RoundRobin(start)
    got = Counter(one.pick(subset, (), no_chance) for _ in range(times))
    assert set(got) <= set(subset)
    assert max(got.values()) - min(got[each] for each in subset) <= 1


@given(st.lists(st.tuples(SUBSETS, st.integers(1, 50)), min_size=1, max_size=5))
def test_each_in_turn_stays_fair_when_endpoints_come_and_go(changes: list[tuple[tuple[int, ...], int]]) -> None:
    one = RoundRobin()
    for subset, times in changes:
        got = Counter(one.pick(subset, (), no_chance) for _ in range(times))
        assert max(got.values()) - min(got[each] for each in subset) <= 1


@given(SUBSETS, st.lists(st.integers(0, 5), min_size=64, max_size=64), CHANCES)
def test_the_less_busy_of_the_two_that_chance_drew(subset: tuple[int, ...], busy: list[int], chance: int) -> None:
    drawn: list[tuple[int, int]] = []
    for one, other in product(subset, subset):  # which two, told by making one of them free and all others busy
        if one < other:
            load = [9] * 64
            load[one] = 0
            if LeastRequests().pick(subset, load, lambda: chance) == one:
                load[one], load[other] = 9, 0
                if LeastRequests().pick(subset, load, lambda: chance) == other:
                    drawn.append((one, other))
    picked = LeastRequests().pick(subset, busy, lambda: chance)
    if len(subset) == 1:
        assert picked == subset[0]
        return
    ((one, other),) = drawn  # two, and not one of them twice
    assert picked in (one, other)
    assert busy[picked] == min(busy[one], busy[other])


@pytest.mark.parametrize("size", [2, 3, 10, 64])
def test_chance_draws_every_pair_about_as_often(size: int) -> None:
    subset = tuple(range(size))
    got = Counter(LeastRequests().pick(subset, [0] * size, lambda chance=chance: chance) for chance in range(10_080))
    # Nobody is busy, so the first of the two: uniform.
    assert max(got.values()) - min(got.values()) <= 1
    last = [0] * (size - 1) + [1]
    got = Counter(LeastRequests().pick(subset, last, lambda chance=chance: chance) for chance in range(64 * 63 * 10))
    assert got[size - 1] == 0  # the busiest loses against every other


def test_it_spreads_requests_that_stay() -> None:
    """Each request stays: with two choices nobody gets far ahead (Mitzenmacher: log log n / log 2)."""
    busy, chances = [0] * 16, count(12345, 7919 * 104_729)
    for _ in range(1600):
        busy[LeastRequests().pick(range(16), busy, lambda: next(chances) % MILLION)] += 1
    assert max(busy) - min(busy) <= 8


@pytest.mark.parametrize("balancer", [RoundRobin(7), LeastRequests()])
def test_one_endpoint_is_always_the_one(balancer: Balancer) -> None:
    assert {balancer.pick((3,), [0, 0, 0, 9], lambda: 5) for _ in range(5)} == {3}


@given(st.lists(st.booleans(), min_size=1, max_size=64))
def test_the_well_are_asked_or_all_when_fewer_than_half_are_well(wells: list[bool]) -> None:
    well = [number for number, each in enumerate(wells) if each]
    asked = usable(wells)
    assert asked
    assert asked == (tuple(well) if 2 * len(well) >= len(wells) else tuple(range(len(wells))))


@pytest.mark.parametrize(
    ("wells", "asked"),
    [
        ([True], (0,)),
        ([False], (0,)),
        ([True, False], (0,)),
        ([False, False], (0, 1)),
        ([True, False, False], (0, 1, 2)),
        ([True, False, True, False], (0, 2)),
    ],
)
def test_half_of_them_are_enough(wells: list[bool], asked: tuple[int, ...]) -> None:
    assert usable(wells) == asked
