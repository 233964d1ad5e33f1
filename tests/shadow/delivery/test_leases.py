"""Leases: one write of a key at a time, in order of asking, and not before the copies that it depends on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rules.stages import Side
from shadow.delivery.leases import Ask, Grant, Leases, Refusal

KEY = b"order-17"


def owes_nothing(key: bytes, side: Side) -> bool:
    return False


def ask(ticket: int, key: bytes = KEY, side: Side = Side.LEGACY, deadline: float = 2.0) -> Ask:
    return Ask(ticket, key, side, deadline)


def test_a_second_write_of_a_key_waits_for_the_first_to_end() -> None:
    leases = Leases(owes_nothing)

    assert leases.ask(ask(1)) == [Grant(1)]
    assert leases.ask(ask(2)) == []
    assert leases.release(KEY, 1) == [Grant(2)]


def test_writes_of_different_keys_do_not_wait_for_each_other() -> None:
    leases = Leases(owes_nothing)

    assert leases.ask(ask(1, b"a")) == [Grant(1)]
    assert leases.ask(ask(2, b"b")) == [Grant(2)]


def test_a_write_without_a_key_waits_for_nothing() -> None:
    leases = Leases(lambda key, side: True)

    assert leases.ask(ask(1, b"")) == [Grant(1)]
    assert leases.ask(ask(2, b"")) == [Grant(2)]


def test_after_a_rollback_a_write_waits_until_legacy_has_the_copies_of_its_key() -> None:
    owed = {(KEY, Side.LEGACY)}
    leases = Leases(lambda key, side: (key, side) in owed)

    assert leases.ask(ask(1, side=Side.LEGACY)) == []
    owed.clear()
    assert leases.settled(KEY) == [Grant(1)]


def test_copies_owed_to_the_other_side_delay_nobody() -> None:
    leases = Leases(lambda key, side: side is Side.CANDIDATE)

    assert leases.ask(ask(1, side=Side.LEGACY)) == [Grant(1)]


def test_a_write_that_waited_too_long_is_refused_with_what_it_waited_for() -> None:
    owed = {(b"b", Side.LEGACY)}
    leases = Leases(lambda key, side: (key, side) in owed)
    leases.ask(ask(1, b"a"))
    leases.ask(ask(2, b"a", deadline=2.0))
    leases.ask(ask(3, b"b", deadline=2.0))

    assert leases.expire(1.9) == []
    assert set(leases.expire(2.0)) == {Refusal(2, "in flight"), Refusal(3, "undelivered")}
    assert leases.waiting == 0


def test_when_the_head_of_a_line_expires_the_next_one_goes() -> None:
    owed = {(KEY, Side.CANDIDATE)}
    leases = Leases(lambda key, side: (key, side) in owed)
    leases.ask(ask(1, side=Side.CANDIDATE, deadline=1.0))
    leases.ask(ask(2, side=Side.LEGACY, deadline=9.0))

    assert leases.expire(1.0) == [Refusal(1, "undelivered"), Grant(2)]


def test_lines_are_bounded_per_key_and_overall() -> None:
    leases = Leases(owes_nothing, per_key=1, waiting=2)
    for ticket, key in enumerate((b"a", b"b", b"c")):
        leases.ask(ask(ticket, key))

    assert leases.ask(ask(10, b"a")) == []
    assert leases.ask(ask(11, b"a")) == [Refusal(11, "crowded")]
    assert leases.ask(ask(12, b"b")) == []
    assert leases.ask(ask(13, b"c")) == [Refusal(13, "crowded")]


def test_what_a_lost_worker_waited_for_is_forgotten() -> None:
    leases = Leases(owes_nothing)
    leases.ask(ask(1))
    leases.ask(ask(2))
    leases.ask(ask(3))

    assert leases.withdraw({2}) == []
    assert leases.release(KEY, 1) == [Grant(3)]


def test_leases_that_a_predecessor_granted_are_kept_until_each_is_given_back() -> None:
    leases = Leases(owes_nothing)
    leases.hold(KEY, 7)
    leases.hold(KEY, 8)

    assert leases.ask(ask(1)) == []
    assert leases.release(KEY, 7) == []
    assert leases.release(KEY, 8) == [Grant(1)]


STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "end", "settle", "owe", "tick", "lose"]), st.integers(0, 2), st.booleans()),
    max_size=60,
)


@given(STEPS)
def test_never_two_writes_of_a_key_at_once_and_always_in_order_of_asking(steps: list[tuple[str, int, bool]]) -> None:
    owed: set[tuple[bytes, Side]] = set()
    leases = Leases(lambda key, side: (key, side) in owed, per_key=4, waiting=8)
    flight: dict[bytes, int] = {}
    asked: dict[int, Ask] = {}
    last: dict[bytes, int] = {}
    now = 0.0

    for ticket, (what, which, flag) in enumerate(steps, start=1):
        key = b"key %d" % which
        side = Side.LEGACY if flag else Side.CANDIDATE
        answers: list[Grant | Refusal] = []
        if what == "ask":
            asked[ticket] = Ask(ticket, key, side, now + 2)
            answers = leases.ask(asked[ticket])
        elif what == "end" and key in flight:
            answers = leases.release(key, flight.pop(key))
        elif what == "owe":
            owed.add((key, side))
        elif what == "settle":
            owed.discard((key, side))
            answers = leases.settled(key)
        elif what == "tick":
            now += 1
            answers = leases.expire(now)
        elif what == "lose":
            answers = leases.withdraw({ticket for ticket in asked if ticket % 3 == which})
        for answer in answers:
            if isinstance(answer, Grant):
                granted = asked[answer.ticket]
                assert granted.key not in flight
                assert (granted.key, granted.side) not in owed
                assert granted.ticket > last.get(granted.key, 0)
                flight[granted.key] = last[granted.key] = granted.ticket
        assert leases.waiting <= 8

    owed.clear()
    leases.expire(now + 10)
    assert leases.waiting == 0
