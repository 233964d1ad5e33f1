"""Lists that a mask lets come in any order: by identity, as multisets, and never equal for want of time."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shadow.comparing.compare import compare
from shadow.comparing.differences import DifferenceKind as Kind
from shadow.comparing.differences import Excused, Outcome
from shadow.spec import Comparison
from tests.fakes.pairs import answer


def judged(legacy: Any, candidate: Any, *more: dict[str, Any], by: str | None = None) -> Outcome:
    masks = [{"path": "/items", "kind": "any_order", "by": by}, *more]
    return compare(answer({"items": legacy}), answer({"items": candidate}), Comparison.model_validate({"masks": masks}))


def places(outcome: Outcome) -> list[tuple[Kind, str]]:
    return [(each.kind, each.pointer) for each in outcome.differences]


def products(count: int) -> list[dict[str, Any]]:
    return [{"id": number, "price": number * 1.5, "tags": ["a", number]} for number in range(count)]


@given(st.lists(st.integers(0, 3) | st.booleans() | st.lists(st.integers(0, 1), max_size=2), max_size=8), st.randoms())
def test_a_shuffled_list_is_equal_and_its_order_is_counted_as_excused(items: list[Any], chance: random.Random) -> None:
    shuffled = items[:]
    chance.shuffle(shuffled)
    outcome = judged(items, shuffled)
    assert outcome.equal
    assert all(excused == Excused("/items any_order", 1) for excused in outcome.excused)


def test_how_often_an_item_comes_still_counts() -> None:
    assert places(judged(["a", "a", "b", "b"], ["b", "b", "a", "c"])) == [
        (Kind.ITEM_MISSING, "/items/1"),
        (Kind.ITEM_ADDED, "/items/3"),
    ]
    assert not judged([1, 2, 2], [1, 1, 2]).equal
    assert not judged([True], [1]).equal


def test_a_changed_field_is_found_in_an_item_that_moved() -> None:
    legacy = products(20)
    candidate = [dict(item) for item in reversed(legacy)]
    candidate[3]["price"] = 99
    for by in ("id", None):
        assert places(judged(legacy, candidate, by=by)) == [(Kind.VALUE_CHANGED, "/items/16/price")]


def test_items_without_an_identity_of_their_own_are_matched_as_a_multiset() -> None:
    legacy = [{"id": 1, "n": 1}, {"id": 1, "n": 2}, {"n": 3}]
    assert judged(legacy, legacy[::-1], by="id").equal


def test_an_identity_on_one_side_only_is_missing_or_added() -> None:
    assert places(judged(products(3), [*products(2), {"id": 9}], by="id")) == [
        (Kind.ITEM_MISSING, "/items/2"),
        (Kind.ITEM_ADDED, "/items/2"),
    ]


def test_items_are_matched_under_the_masks_that_hold_inside_them() -> None:
    legacy = [{"id": number, "at": f"2026-11-22T10:00:0{number}Z"} for number in range(5)]
    candidate = [{"id": number, "at": f"2026-11-22T10:00:0{number + 1}Z"} for number in (3, 1, 4, 0, 2)]
    mask = {"path": "/items/*/at", "kind": "timestamp", "within": "1s"}
    outcome = judged(legacy, candidate, mask)
    assert outcome.equal
    assert set(outcome.excused) == {Excused("/items any_order", 1), Excused("/items/*/at timestamp within 1s", 5)}


def test_tolerance_does_not_depend_on_which_item_is_matched_first() -> None:
    mask = {"path": "/items/*", "kind": "number", "within": 1}
    assert judged([2, 3], [2.5, 1], mask).equal  # 2 must leave 2.5 to 3, though it would do
    assert not judged([2, 3], [1, 1], mask).equal


def test_lists_in_lists_may_each_come_in_any_order() -> None:
    nested = {"path": "/items/*/set", "kind": "any_order"}
    legacy = [{"id": 1, "set": [1, 2, 3]}, {"id": 2, "set": [4, 5, 6]}]
    candidate = [{"id": 2, "set": [6, 5, 4]}, {"id": 1, "set": [3, 2, 1]}]
    assert judged(legacy, candidate, nested).equal
    candidate[1]["set"] = [3, 2, 7]
    assert not judged(legacy, candidate, nested).equal


def test_a_spent_budget_is_different_and_says_that_it_is_not_located() -> None:
    legacy = [{"n": number, "at": "a"} for number in range(3000)]
    candidate = [{"n": number, "at": "b"} for number in range(3000)]
    random.Random(7).shuffle(candidate)
    outcome = judged(legacy, candidate, {"path": "/items/*/at", "kind": "matches", "pattern": "[ab]"})
    assert places(outcome) == [(Kind.NOT_LOCATED, "/items")]


def test_long_lists_without_masks_inside_them_are_matched_in_full() -> None:
    legacy = products(3000)
    candidate = [dict(item) for item in reversed(legacy)]
    candidate[5]["price"] = -1
    assert places(judged(legacy, candidate)) == [(Kind.VALUE_CHANGED, "/items/2994/price")]
