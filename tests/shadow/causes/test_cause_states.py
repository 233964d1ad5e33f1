"""New, acknowledged, fixed, came back: what follows from counts, and what acknowledging does and does not do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shadow.causes.common import Common, Mapped
from shadow.causes.grouping import Cause, causes
from shadow.causes.states import FEWEST, Acknowledgement, Known, State, known_causes, needed
from shadow.causes.tally import Row
from shadow.pairs.kept import Window

WINDOW = Window("shop", 1, "digest", "the beginning", 0.0, 1_000, 0, 0, 0, 0, None)


def cause(pairs: int = 100, first: int = 1, last: int = 1_000, path: str = "/total", **rest: float) -> Cause:
    """Seen `pairs` times among pairs of one window, a second apart."""
    row = Row(path, "value_changed", ("scale:100", "changed"), pairs, pairs, float(first), float(last), first, last)
    for name, value in rest.items():
        setattr(row, name, value)
    (made,) = causes("shop", [row])
    return made


def known(window: Window = WINDOW, seen: Cause | None = None, note: Acknowledgement | None = None) -> Known:
    seen = seen or cause()
    (one,) = known_causes([window], {window.number: [seen]}, {note.cause: note} if note else {})
    return one


def note(at: float = 0.0, *paths: str) -> Acknowledgement:
    return Acknowledgement(cause().id, "ada", "the cents are meant", at, paths or ("/total",))


def test_a_cause_that_is_still_seen_is_new() -> None:
    assert (known().state, known().why) == (State.NEW, "")


def test_who_acknowledged_a_cause_and_why_is_said() -> None:
    one = known(note=note())
    assert (one.state, one.why) == (State.ACKNOWLEDGED, "ada: the cents are meant")


def test_a_cause_that_reaches_further_than_was_acknowledged_is_new_again() -> None:
    one = known(note=note(0.0, "/items/*/price"))
    assert (one.state, one.why) == (State.NEW, "acknowledged by ada, but since then also: /total")


def test_a_mapping_with_a_value_that_was_not_acknowledged_is_new_again() -> None:
    def seen(*values: tuple[str, str]) -> Cause:
        common = Common(members=9, constant=None)
        common.mapping = {a: Mapped(b, 3, a, b) for a, b in values}
        row = Row("/kind", "value_changed", ("changed",), 9, 9, 1.0, 9.0, 1, 990, common=common)
        (made,) = causes("shop", [row])
        return made

    before, after = seen(("OPEN", "o"), ("PAID", "p")), seen(("OPEN", "o"), ("PAID", "p"), ("VOID", "p"))
    assert before.id == after.id
    agreed = Acknowledgement(before.id, "ada", "short names", 0.0, before.extent)
    assert known(seen=before, note=agreed).state is State.ACKNOWLEDGED
    one = known(seen=after, note=agreed)
    assert (one.state, one.why) == (State.NEW, "acknowledged by ada, but since then also: VOID becomes p")


@pytest.mark.parametrize("acknowledged", [True, False])
def test_a_cause_is_fixed_after_as_many_pairs_without_it_as_would_be_improbable(acknowledged: bool) -> None:
    seen = cause(pairs=10, last=200)  # one pair of twenty
    enough = needed(10, 200)
    for pairs, state in ((200 + enough - 1, State.NEW), (200 + enough, State.FIXED)):
        one = known(replace(WINDOW, pairs=pairs), seen, note() if acknowledged and state is State.FIXED else None)
        assert one.state is state
    assert "none in the last" in one.why


def test_a_rare_cause_takes_longer_to_be_called_fixed_than_a_frequent_one() -> None:
    assert needed(1, 10_000) > needed(100, 10_000) > needed(9_000, 10_000) == FEWEST
    assert 10 * 0.99 ** needed(10, 1_000) < 0.01 <= 10 * 0.99 ** (needed(10, 1_000) - 1)


def test_a_cause_of_a_former_window_is_fixed_when_enough_pairs_of_the_next_do_not_have_it() -> None:
    for pairs, state in ((50, State.NEW), (1_000, State.FIXED)):
        later = replace(WINDOW, number=2, reason="another candidate", pairs=pairs)
        (one,) = known_causes([later, WINDOW], {1: [cause()], 2: []}, {})
        assert (one.state, one.window) == (state, WINDOW)
        assert "another candidate" in one.why


def test_a_cause_that_is_seen_again_after_it_was_fixed_came_back() -> None:
    quiet = replace(WINDOW, number=2, reason="another candidate", pairs=1_000)
    latest = replace(quiet, number=3)
    again = replace(cause(first=5), first=5_000.0)
    (one,) = known_causes([latest, quiet, WINDOW], {1: [cause()], 2: [], 3: [again]}, {})
    assert (one.state, one.first) == (State.CAME_BACK, 1.0)
    (noted,) = known_causes([latest, quiet, WINDOW], {1: [cause()], 3: [again]}, {one.cause.id: note(6_000.0)})
    assert noted.state is State.ACKNOWLEDGED
    (before,) = known_causes([latest, quiet, WINDOW], {1: [cause()], 3: [again]}, {one.cause.id: note(4_000.0)})
    assert before.state is State.CAME_BACK, "it was acknowledged before it had been fixed"


def test_a_long_silence_within_one_window_counts_as_fixed_too() -> None:
    assert known(seen=cause(pairs=500, quiet=300, back=700.0)).state is State.CAME_BACK
    assert known(seen=cause(pairs=500, quiet=30, back=700.0)).state is State.NEW


def test_causes_of_the_current_window_come_first() -> None:
    later = replace(WINDOW, number=2, pairs=20)
    other = cause(pairs=3, path="/weight")
    other = replace(other, id="other")
    found = known_causes([later, WINDOW], {1: [cause(pairs=900)], 2: [other]}, {})
    assert [each.cause.id for each in found] == ["other", cause().id]
