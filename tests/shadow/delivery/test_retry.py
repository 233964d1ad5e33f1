"""shadow.delivery.retry: what becomes of a copy after an attempt. One test a row of its table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.delivery.retry import Answered, Attempt, Lost, Policy, Unsendable, Unsent, judge
from shadow.journal.writes import State
from shadow.pair import Answer

POLICY = Policy(failures=3)


def answered(status: int) -> Answered:
    return Answered(Answer(status))


@pytest.mark.parametrize(
    ("attempt", "dedupe", "tried", "state"),
    [
        (Unsent("connect"), True, True, None),
        (Unsent("connect"), False, True, None),
        (Lost("timeout"), True, True, None),
        (Lost("timeout"), False, False, State.IN_DOUBT),
        (Lost("malformed"), True, False, None),
        (Lost("malformed"), False, False, State.IN_DOUBT),
        (answered(500), True, False, None),
        (answered(503), False, False, None),
        (answered(429), True, False, None),
        (answered(409), True, True, None),
        (answered(409), True, False, State.DELIVERED),
        (answered(409), False, True, State.DELIVERED),
        (answered(422), True, True, State.DELIVERED),
        (answered(201), True, True, State.DELIVERED),
        (answered(302), False, False, State.DELIVERED),
        (Unsendable("no method"), True, False, State.DEAD),
    ],
)
def test_what_an_attempt_makes_of_a_copy(attempt: Attempt, dedupe: bool, tried: bool, state: State | None) -> None:
    assert judge(attempt, 0, dedupe=dedupe, tried=tried, policy=POLICY).state is state


def test_a_service_that_keeps_failing_makes_the_copy_dead_with_its_last_answer() -> None:
    attempts = 0
    states = []
    for _ in range(3):
        step = judge(answered(500), attempts, dedupe=True, tried=attempts > 0, policy=POLICY)
        attempts = step.attempts
        states.append(step.state)

    assert states == [None, None, State.DEAD]
    assert step.answer == Answer(500)


def test_a_service_whose_answers_are_no_http_does_not_hold_its_keys_up_for_ever() -> None:
    attempts = 0
    states = []
    for _ in range(3):
        step = judge(Lost("malformed"), attempts, dedupe=True, tried=attempts > 0, policy=POLICY)
        attempts = step.attempts
        states.append(step.state)

    assert states == [None, None, State.IN_DOUBT]


def test_no_connection_never_counts_as_a_failed_answer() -> None:
    step = judge(Unsent("connect"), 2, dedupe=False, tried=True, policy=POLICY)

    assert (step.state, step.attempts) == (None, 2)


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_waits_are_within_the_jitter_and_the_cap(tries: int, chance: float) -> None:
    wait = Policy(base=0.1, cap=5.0).delay(tries, chance)

    assert 0 <= wait <= min(5.0, 0.1 * 2 ** min(tries, 60))
