"""shadow.delivery.backlog: copies of a key go one after the other, keys side by side, from a bounded window."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rules.stages import Side
from shadow.delivery.backlog import LEAST, STRETCH, WINDOW, WINDOWS, Lane, tried, window_of
from shadow.journal.writes import Copy


def copy(turn: int, key: bytes = b"") -> Copy:
    return Copy(turn, turn, "checkout", Side.CANDIDATE, key)


def test_copies_of_a_key_go_one_after_the_other() -> None:
    lane = Lane()
    first, second = copy(1, b"a"), copy(2, b"a")
    lane.offer(first)
    lane.offer(second)

    assert lane.take(0, 10) == [first]
    assert lane.take(0, 10) == []
    lane.done(first)
    assert lane.take(0, 10) == [second]


def test_copies_of_different_keys_and_of_none_go_side_by_side_within_the_room() -> None:
    lane = Lane()
    copies = [copy(1, b"a"), copy(2, b"b"), copy(3), copy(4)]
    for each in copies:
        lane.offer(each)

    assert lane.take(0, 3) == copies[:3]
    assert lane.take(0, 3) == copies[3:]


def test_a_copy_that_must_be_tried_again_holds_its_key_back_and_no_other() -> None:
    lane = Lane()
    first, second, other = copy(1, b"a"), copy(2, b"a"), copy(3, b"b")
    for each in (first, second, other):
        lane.offer(each)
    lane.take(0, 1)

    lane.again(tried(first, 1), at=5.0)

    assert lane.take(4.9, 10) == [other]
    assert lane.wake == 5.0
    assert lane.take(5.0, 10) == [tried(first, 1)]
    assert second not in lane.take(5.0, 10)


def test_what_the_journal_owes_at_start_is_read_in_pages() -> None:
    lane = Lane(owed=3, newest=3, window=2)

    assert lane.ask() == 0
    assert lane.ask() is None
    lane.page([copy(1), copy(2)])
    assert lane.ask() is None  # the window is full
    for each in lane.take(0, 10):
        lane.done(each)
    assert lane.ask() == 2


def test_a_page_that_could_not_be_read_is_asked_for_again() -> None:
    lane = Lane(owed=1, newest=1)
    lane.ask()
    lane.page(None)

    assert lane.ask() == 0


def test_what_is_no_longer_owed_is_not_asked_for_for_ever() -> None:
    lane = Lane(owed=1, newest=5)
    lane.ask()
    lane.offer(copy(6))
    lane.page([])

    assert lane.ask() == 5


def test_one_key_with_many_writes_does_not_hide_the_keys_behind_it() -> None:
    lane = Lane(owed=50, newest=50, window=8)
    written = [copy(turn, b"hot") for turn in range(1, 13)] + [copy(turn, bytes([turn])) for turn in range(13, 51)]

    while (after := lane.ask()) is not None:
        lane.page([each for each in written if each.turn > after][: lane.window])

    assert {each.key for each in lane.take(0, 50)} > {b"hot", bytes([13])}


def test_a_key_with_endless_writes_fills_no_more_than_a_stretched_window() -> None:
    lane = Lane(owed=1000, newest=1000, window=8)
    written = [copy(turn, b"hot") for turn in range(1, 1001)]
    pages = 0

    while (after := lane.ask()) is not None:
        lane.page([each for each in written if each.turn > after][: lane.window])
        pages += 1

    assert pages <= STRETCH


def test_many_lanes_share_what_one_may_hold() -> None:
    assert window_of(1) == WINDOW
    assert window_of(100) * 100 == WINDOWS
    assert window_of(100_000) == LEAST


@given(st.lists(st.tuples(st.sampled_from(["new", "page", "send", "retry"]), st.integers(0, 3)), max_size=80))
def test_every_copy_is_sent_once_in_order_of_its_key_however_small_the_window(steps: list[tuple[str, int]]) -> None:
    journal: list[Copy] = []
    sent: list[Copy] = []
    lane = Lane(window=2)
    asked: list[Copy] | None = None
    now = 0.0

    def read() -> list[Copy] | None:
        after = lane.ask()
        return None if after is None else [c for c in journal if c.turn > after and c not in sent][:2]

    for what, which in steps:
        now += 1
        if what == "new":
            journal.append(copy(len(journal) + 1, (b"", b"a", b"b", b"c")[which]))
            lane.offer(journal[-1])
        elif what == "page":
            # What is read at one moment may come in after others were offered.
            if asked is not None:
                lane.page(asked)
            asked = read()
        else:
            for each in lane.take(now, which):
                if what == "retry":
                    lane.again(each, now + which)
                else:
                    sent.append(each)
                    lane.done(each)
        assert lane._loaded <= 4
    if asked is not None:
        lane.page(asked)
    for _ in range(400):
        now += 10
        page = read()
        if page is not None:
            lane.page(page)
        for each in lane.take(now, 10):
            sent.append(each)
            lane.done(each)

    assert sorted(c.turn for c in sent) == [c.turn for c in journal]
    for key in (b"a", b"b", b"c"):
        turns = [c.turn for c in sent if c.key == key]
        assert turns == sorted(turns)
    assert lane.owed == 0
