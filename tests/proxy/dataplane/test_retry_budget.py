"""How many retries a service must bear, and when the next attempt is due. Pure: time and chance are given."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.retries import LONGEST_DELAY, RESERVE, WINDOW, Budget, Retrying, delay
from rules.action import Retries
from rules.stages import MILLION

TENTH = MILLION // 10


def spent(budget: Budget, share: int, now: float, tries: int = 100_000) -> int:
    """How many retries are granted, asked until the first refusal."""
    count = 0
    while count < tries and budget.spend(share, now):
        count += 1
        budget.sent(1, now)  # a retry is a request too
    return count


def test_without_traffic_a_few_retries_a_second_are_allowed() -> None:
    assert spent(Budget(), TENTH, now=100.0) == RESERVE * WINDOW


def test_retries_are_a_part_of_the_requests() -> None:
    budget = Budget()
    budget.sent(10_000, 100.0)

    assert spent(budget, TENTH, 100.5) == 1000 + RESERVE * WINDOW


def test_requests_and_retries_of_long_ago_do_not_count() -> None:
    budget = Budget()
    budget.sent(10_000, 100.0)
    spent(budget, TENTH, 100.0)

    assert not budget.spend(TENTH, 100.0 + WINDOW - 1)
    assert spent(budget, TENTH, 100.0 + WINDOW) == RESERVE * WINDOW


def test_a_share_of_zero_leaves_the_reserve() -> None:
    budget = Budget()
    budget.sent(10_000, 1.0)

    assert spent(budget, 0, 1.0) == RESERVE * WINDOW


steps = st.lists(st.tuples(st.floats(0, 3), st.integers(0, 200), st.integers(0, 300)), max_size=40)


@given(steps, st.integers(0, MILLION))
def test_in_no_window_do_retries_exceed_the_budget(steps: list[tuple[float, int, int]], share: int) -> None:
    budget, now = Budget(), 1000.0
    requests: list[tuple[int, int]] = []
    retries: list[int] = []
    for wait, sent, wanted in steps:
        now += wait
        budget.sent(sent, now)
        requests.append((int(now), sent))
        granted = spent(budget, share, now, wanted)
        retries += [int(now)] * granted

    for end in set(retries):  # a later window may have lost the requests that a retry was allowed for
        first = end - WINDOW + 1
        asked = sum(count for second, count in requests if first <= second <= end)
        assert sum(first <= second <= end for second in retries) <= asked * share / MILLION + RESERVE * WINDOW


@given(st.integers(1, 100), st.integers(0, MILLION - 1))
def test_pauses_grow_up_to_a_bound_and_chance_takes_off_at_most_half(number: int, chance: int) -> None:
    assert delay(number, MILLION - 1) <= delay(number, chance) <= delay(number, 0) <= LONGEST_DELAY
    assert delay(number, 0) <= delay(number + 1, 0)
    assert delay(number, chance) >= delay(number, 0) / 2


def test_only_what_the_route_names_is_repeated_and_only_so_often() -> None:
    retrying = Retrying(Retries(attempts=2, on=("reset", "503")))
    budget = Budget()

    assert retrying.again("timeout", budget, 0.0, 10.0, lambda: 0) is None
    assert retrying.again("503", budget, 0.0, 10.0, lambda: 0) == delay(1, 0)
    assert retrying.again("reset", budget, 0.0, 10.0, lambda: 0) == delay(2, 0)
    assert retrying.again("reset", budget, 0.0, 10.0, lambda: 0) is None
    assert (retrying.made, retrying.failed) == (2, 2)
    assert retrying.results(answered=False) == [("failed", 2)]


def test_no_attempt_begins_when_the_time_for_all_of_them_is_over() -> None:
    retrying = Retrying(Retries())

    assert retrying.again("reset", Budget(), 10.0, 10.01, lambda: 0) is None
    assert (retrying.made, retrying.results(answered=False)) == (0, [])


def test_what_the_budget_refuses_is_told_apart() -> None:
    retrying, budget = Retrying(Retries.model_validate({"budget": "0%"})), Budget()
    spent(budget, 0, 0.0)

    assert retrying.again("reset", budget, 0.0, 10.0, lambda: 0) is None
    assert retrying.results(answered=False) == [("over_budget", 1)]


def test_a_retry_that_helped_is_counted_as_such() -> None:
    retrying = Retrying(Retries(attempts=3))
    for _ in range(2):
        retrying.again("connect", Budget(), 0.0, 10.0, lambda: 0)

    assert retrying.results(answered=True) == [("answered", 1), ("failed", 1)]
