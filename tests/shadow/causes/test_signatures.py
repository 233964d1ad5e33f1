"""What a pair's differences have in them together: fields that moved, lists that changed as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.causes.grouping import causes
from shadow.causes.lists import list_transform
from shadow.causes.naming import claim
from shadow.causes.signature import is_paged, members
from shadow.causes.tally import Tally
from shadow.comparing.compare import judge
from shadow.pair import Pair
from shadow.spec import Comparison
from tests.fakes.pairs import answer, pair, text


def signed(legacy: Any, candidate: Any, **rest: Any) -> dict[str, str]:
    """Pointer -> the transform that is preferred there."""
    made = pair(answer(legacy), answer(candidate), **rest)
    return preferred(made)


def preferred(made: Pair) -> dict[str, str]:
    found = members(made, judge(made, Comparison()).outcome.differences)
    return {each.difference.pointer: each.transforms[0] for each in found}


def test_a_field_under_another_name_is_one_that_was_renamed() -> None:
    assert signed({"price": 5, "a": 1}, {"cost": 5, "a": 1}) == {
        "/price": "renamed:price>cost",
        "/cost": "renamed:price>cost",
    }


def test_in_every_item_of_a_list_it_is_the_same_renaming() -> None:
    legacy, candidate = ([{name: number, "x": 1} for number in range(3)] for name in ("price", "cost"))
    assert set(signed(legacy, candidate).values()) == {"renamed:price>cost"}


def test_two_fields_of_the_same_value_say_nothing_of_which_became_which() -> None:
    assert set(signed({"a": 5, "b": 5}, {"c": 5, "d": 5}).values()) == {"missing", "added"}


def test_a_field_that_went_elsewhere_has_moved_unless_its_value_is_a_common_one() -> None:
    legacy, candidate = {"city": "Turin", "address": {}}, {"address": {"city": "Turin"}}
    assert set(signed(legacy, candidate).values()) == {"moved:/city>/address/city"}
    assert set(signed({"n": 0, "a": {}}, {"a": {"m": 0}}).values()) == {"missing", "added"}


def test_an_answer_inside_another_object_has_moved_as_a_whole() -> None:
    found = signed({"id": 7, "name": "shirt"}, {"data": {"id": 7, "name": "shirt"}})
    assert set(found.values()) == {"moved:>/data"}


def test_two_fields_with_each_others_value_are_swapped() -> None:
    legacy, candidate = {"first": "Ada", "last": "Lovelace"}, {"first": "Lovelace", "last": "Ada"}
    assert set(signed(legacy, candidate).values()) == {"swapped:first>last"}
    assert "swapped:first>last" in signed({"buyer": legacy}, {"buyer": candidate}).values()
    assert not any("swapped" in each for each in signed(["Ada", "Lovelace"], ["Lovelace", "Ada"]).values())


ITEMS: list[dict[str, Any]] = [{"sku": f"P-{number}", "price": number} for number in range(6)]


@pytest.mark.parametrize(
    ("candidate", "transform"),
    [
        (ITEMS[::-1], "reversed"),
        ([*ITEMS[3:], *ITEMS[:3]], "reordered"),
        (ITEMS[:-1], "last_missing"),
        (ITEMS[1:], "first_missing"),
        (ITEMS[:3], "cut_to:3"),
        (ITEMS[2:], "starts_later:2"),
        ([*ITEMS[:2], *ITEMS[3:]], "items_missing"),
        ([*ITEMS, {"sku": "P-9", "price": 9}], "items_added"),
        ([*ITEMS, ITEMS[0]], "twice"),
        ([*ITEMS[1:], {"sku": "P-9", "price": 9}], "starts_later:1"),
        ([{"sku": "P-9", "price": 9}, *ITEMS[:-1]], "starts_earlier:1"),
    ],
)
def test_what_happened_to_a_list_explains_all_that_differs_below_it(candidate: Any, transform: str) -> None:
    found = signed({"page": {"items": ITEMS}}, {"page": {"items": candidate}})
    assert set(found.values()) == {f"{transform}@/page/items"}


@pytest.mark.parametrize("place", ["", "/page/items"])
def test_what_happened_to_a_list_is_the_cause_and_not_that_an_item_is_missing(place: str) -> None:
    legacy, candidate = (({"page": {"items": each}} if place else each) for each in (ITEMS, ITEMS[:-1]))
    made = pair(answer(legacy), answer(candidate))
    tally = Tally()
    signed_members = members(made, judge(made, Comparison()).outcome.differences)
    tally.take("a", 1, 0.0, signed_members, lambda found: found, str)
    (cause,) = causes("shop", tally.changed())
    assert cause.transform == f"last_missing@{place}"
    assert claim(cause) == f"the list{' items' if place else ''} lacks its last item in the candidate"


def test_a_page_without_a_common_item_is_another_page_where_pages_were_asked_for() -> None:
    other = [{"sku": f"Q-{number}", "price": -number - 1} for number in range(6)]
    assert set(signed(ITEMS, other, target="/items?page=2").values()) == {"other_page@"}
    assert "other_page@" not in signed(ITEMS, other, target="/items?colour=red").values()


def test_items_that_changed_one_by_one_are_no_change_of_the_list() -> None:
    candidate = [{**item, "price": item["price"] * 100} for item in ITEMS]
    assert set(signed(ITEMS, candidate).values()) == {"scale:100"}


def test_bodies_that_are_no_json_have_no_lists() -> None:
    assert preferred(pair(text("a\n1"), text("a\n2"))) == {"line:2": "plus:+1"}


@given(st.lists(st.integers(0, 5), max_size=8), st.lists(st.integers(0, 5), max_size=8), st.booleans())
def test_what_is_said_of_a_list_is_true(legacy: list[Any], candidate: list[Any], paged: bool) -> None:
    name, _, amount = list_transform(legacy, candidate, paged).partition(":")
    by = int(amount or 1)
    true: dict[str, Callable[[], bool]] = {
        "": lambda: True,
        "list_empty": lambda: not candidate,
        "reversed": lambda: candidate == legacy[::-1],
        "reordered": lambda: sorted(candidate) == sorted(legacy) and candidate != legacy,
        "last_missing": lambda: candidate == legacy[:-1],
        "first_missing": lambda: candidate == legacy[1:],
        "cut_to": lambda: candidate == legacy[:by],
        "starts_later": lambda: legacy[by:] == candidate[: len(legacy) - by],
        "starts_earlier": lambda: candidate[by:] == legacy[: len(candidate) - by],
        "items_missing": lambda: len(candidate) < len(legacy) and set(candidate) <= set(legacy),
        "items_added": lambda: len(candidate) > len(legacy) and set(legacy) <= set(candidate),
        "twice": lambda: len(candidate) > len(legacy) and set(legacy) == set(candidate),
        "other_page": lambda: paged and not set(legacy) & set(candidate),
    }
    assert true[name]()


@pytest.mark.parametrize(
    ("target", "paged"),
    [("/items?page=2", True), ("/items?Offset=20", True), ("/items?sort=page", False), ("/items", False)],
)
def test_whether_pages_were_asked_for_is_read_from_the_query(target: str, paged: bool) -> None:
    assert is_paged(target) is paged
