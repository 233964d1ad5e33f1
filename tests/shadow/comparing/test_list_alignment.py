"""Lists are aligned so that the fewest items were changed, went or came; on a spent budget nothing is called equal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from random import Random
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.comparing.alignment import align, gaps
from shadow.comparing.compare import compare
from shadow.comparing.differences import DifferenceKind as Kind
from shadow.comparing.differences import Excused, Outcome
from shadow.comparing.findings import MOST_DIFFERENCES, Findings
from shadow.comparing.masks import Masks
from shadow.comparing.values import Json, parse
from shadow.comparing.walk import BUDGET, Budget, Walk
from shadow.spec import Comparison
from tests.fakes.pairs import answer, text

letters = st.text("abcd", max_size=12)


def judged(legacy: Any, candidate: Any, *masks: dict[str, Any]) -> Outcome:
    return compare(answer(legacy), answer(candidate), Comparison.model_validate({"masks": masks}))


def places(outcome: Outcome) -> list[tuple[Kind, str]]:
    return [(each.kind, each.pointer) for each in outcome.differences]


def fewest_edits(a: str, b: str) -> int:
    """Wagner and Fischer 1974, as it stands in the textbooks."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]


@given(letters, letters)
def test_no_alignment_has_fewer_edits_and_exchanging_the_sides_gives_the_same_one(a: str, b: str) -> None:
    anchors = align(a, b, Budget().spend)
    assert all(a[i] == b[j] for i, j in anchors)
    assert sum(max(len(went), len(came)) for went, came in gaps(anchors, len(a), len(b))) == fewest_edits(a, b)
    assert [(i, j) for j, i in align(b, a, Budget().spend)] == anchors


@given(letters, letters)
def test_whether_items_agree_can_be_asked_instead_of_told(a: str, b: str) -> None:
    numbered = list(enumerate(a)), list(enumerate(b, 100))  # no two of them are `==`
    assert align(*numbered, Budget().spend, lambda i, j: a[i] == b[j]) == align(a, b, Budget().spend)


def test_one_item_that_went_and_one_that_came_are_two_differences_also_in_lists_of_one_length() -> None:
    assert places(judged(list("abdefg"), list("abcdef"))) == [(Kind.ITEM_ADDED, "/2"), (Kind.ITEM_MISSING, "/5")]


def test_where_by_position_is_as_good_it_is_by_position() -> None:
    assert places(judged(["a", "b"], ["b", "a"])) == [(Kind.VALUE_CHANGED, "/0"), (Kind.VALUE_CHANGED, "/1")]
    assert places(judged(list("abc"), list("cba"))) == [(Kind.VALUE_CHANGED, "/0"), (Kind.VALUE_CHANGED, "/2")]


def test_what_is_left_over_between_equal_items_stands_at_the_end_of_the_gap() -> None:
    assert places(judged(["a", 1, 2, 3, "z"], ["a", 9, "z"])) == [
        (Kind.VALUE_CHANGED, "/1"),
        (Kind.ITEM_MISSING, "/2"),
        (Kind.ITEM_MISSING, "/3"),
    ]


def test_a_change_within_an_item_that_moved_up_is_found_inside_it() -> None:
    legacy = [{"name": name, "price": 1} for name in "abcdef"]
    candidate = [dict(item) for item in legacy if item["name"] != "b"]
    candidate[3]["price"] = 2
    assert places(judged(legacy, candidate)) == [(Kind.ITEM_MISSING, "/1"), (Kind.VALUE_CHANGED, "/4/price")]


def test_between_equal_items_those_of_one_id_go_together() -> None:
    legacy = [{"id": number, "price": 100} for number in range(6)]
    candidate = [{"id": number, "price": 1} for number in (0, 1, 3, 4, 5)]
    assert places(judged(legacy, candidate)) == [
        (Kind.ITEM_MISSING, "/2"),
        *((Kind.VALUE_CHANGED, f"/{index}/price") for index in (0, 1, 3, 4, 5)),
    ]


def test_items_that_agree_under_masks_are_aligned_as_equal_ones_are_and_what_was_excused_is_counted() -> None:
    legacy = [{"name": name, "at": "2026-11-22T10:00:00Z"} for name in "abcdef"]
    candidate = [{"name": name, "at": "2026-11-22T10:00:01Z"} for name in "acdefg"]
    mask = {"path": "/*/at", "kind": "timestamp", "within": "2s"}
    outcome = judged(legacy, candidate, mask)
    assert places(outcome) == [(Kind.ITEM_MISSING, "/1"), (Kind.ITEM_ADDED, "/5")]
    assert outcome.excused == (Excused("/*/at timestamp within 2s", 5),)


def test_true_is_not_1_wherever_it_stands_in_a_list() -> None:
    for size in range(1, 4):
        for place in range(size):
            legacy, candidate = ([1] * size, [1] * size)
            candidate[place] = True
            assert places(judged(legacy, candidate)) == [(Kind.TYPE_CHANGED, f"/{place}")]
            assert not judged([legacy, 0, 0], [candidate, 0]).equal


def test_lines_of_texts_are_aligned_like_items() -> None:
    lines = [f"line {number}" for number in range(20)]
    moved = [*lines[:3], *lines[4:], "last"]
    differences = compare(text("\n".join(lines)), text("\n".join(moved)), Comparison()).differences
    assert [(each.kind, each.pointer) for each in differences] == [
        (Kind.ITEM_MISSING, "line:4"),
        (Kind.ITEM_ADDED, "line:20"),
    ]


def _alike(count: int) -> list[Json]:
    return [
        {"n": number, "name": "an item like all the others", "price": 1, "tags": ["a", "b"]} for number in range(count)
    ]


def _nested(levels: int, leaf: int) -> list[Json]:
    value: list[Json] = [leaf]
    for _ in range(levels):
        value = [value, *range(40), leaf]
    return value


HOSTILE: dict[str, Callable[[], tuple[Json, Json]]] = {
    "reversed": lambda: (_alike(2_000), _alike(2_000)[::-1]),
    "reversed, one less": lambda: (_alike(2_000), _alike(1_999)[::-1]),
    "few values": lambda: tuple([Random(seed).randrange(2) for _ in range(20_000 - seed)] for seed in (0, 1)),  # type: ignore[return-value]
    "two halves exchanged": lambda: ([0] * 5_000 + [1] * 5_000 + [2], [1] * 5_000 + [0] * 5_000),
    "nested": lambda: (_nested(150, 1), _nested(150, 2)),
    "nested, one less": lambda: (_nested(150, 1), _nested(150, 2)[:-1]),
    "every item changed, one less": lambda: (
        [[number, 1] for number in range(5_000)],
        [[number, 2] for number in range(4_999)],
    ),
}
MASKS = {
    "no masks": (),
    "a mask": ({"path": "/**/price", "kind": "number", "within": "1"},),
    "any order": ({"path": "/**", "kind": "any_order"},),
}


@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_lists_cost_no_more_than_the_budget_and_are_never_equal(name: str, masks: str) -> None:
    legacy, candidate = HOSTILE[name]()
    compiled = Masks(Comparison.model_validate({"masks": MASKS[masks]}).masks)
    findings, budget = Findings(compiled), Budget(BUDGET // 10)  # what is spent tenfold takes longer and shows no more
    Walk(findings, budget, trial=False).compare(legacy, candidate)
    assert findings.count or masks == "any order"
    assert budget.spent <= BUDGET // 10 + 1


def _lines(work: Callable[[], None]) -> int:
    """Lines of Python that `work` runs: what it costs, counted instead of timed."""
    count = 0

    def trace(_: FrameType, event: str, __: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def _in_the_middle(levels: int, leaf: int) -> list[Json]:
    value: list[Json] = [leaf]
    for _ in range(levels):
        value = [[1] * 100, value, [2] * 100]
    return value


SLOW: dict[str, Callable[[], tuple[Json, Json]]] = {
    "what differs is deep in the middle": lambda: (_in_the_middle(60, 1), _in_the_middle(60, 2)),
    "long lists, nearly alike, one less": lambda: tuple(
        [[1] * 400 + [sign * n] for n in range(1, 60 + sign)] for sign in (1, -1)
    ),  # type: ignore[return-value]
    "wide objects, nearly alike, one less": lambda: tuple(  # type: ignore[return-value]
        [{**{f"k{field}": 1 for field in range(400)}, "x": sign * n} for n in range(1, 60 + sign)] for sign in (1, -1)
    ),
}


@pytest.mark.parametrize("masks", ["a mask", "any order"])
@pytest.mark.parametrize("name", SLOW)
def test_what_a_trial_looks_at_is_charged_so_that_the_budget_bounds_the_work(name: str, masks: str) -> None:
    legacy, candidate = SLOW[name]()
    compiled = Masks(Comparison.model_validate({"masks": MASKS[masks]}).masks)
    budget = Budget(20_000)
    lines = _lines(lambda: Walk(Findings(compiled), budget, trial=False).compare(legacy, candidate))
    assert lines < 40 * 20_000


def test_a_spent_budget_is_by_position_in_lists_of_one_length_and_else_not_located() -> None:
    legacy, candidate = HOSTILE["reversed"]()
    outcome = judged(legacy, candidate)
    assert len(outcome.differences) == MOST_DIFFERENCES + 1
    assert places(outcome)[0] == (Kind.VALUE_CHANGED, "/0/n")
    legacy, candidate = HOSTILE["reversed, one less"]()
    assert places(judged({"items": legacy}, {"items": candidate})) == [(Kind.NOT_LOCATED, "/items")]


def test_a_list_of_any_order_stays_equal_in_whatever_order() -> None:
    legacy = _alike(3_000)
    candidate = legacy[:]
    Random(3).shuffle(candidate)
    assert judged(legacy, candidate, {"path": "", "kind": "any_order"}).equal
    assert parse(answer(legacy).body) == legacy
