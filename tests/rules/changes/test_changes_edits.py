from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.changes.edition import Edition
from rules.changes.edits import ABSENT, KeyChange, Moved, Renamed, apply, compare
from rules.changes.order import longest_increasing
from tests.rules.changes.drawn_editions import drawn_document, edited, edition

CHANCES = st.integers(0, 10**9).map(Random)


def document(*routes: dict[str, Any], **more: Any) -> dict[str, Any]:
    whole = [{"match": {"path": f"/{route['name']}"}, "candidate": "one"} | route for route in routes]
    services = {name: {"url": f"http://{name}:80"} for name in ("legacy", "one", "two")}
    return {"version": 1, "legacy": "legacy", "services": services, "routes": whole} | more


@settings(max_examples=200)
@given(CHANCES)
def test_what_compare_finds_turns_the_one_file_into_the_other(chance: Random) -> None:
    before = drawn_document(chance)
    a, b = edition(before), edition(edited(chance, before))
    assert apply(compare(a, b), a.document()) == b.document()


@settings(max_examples=100)
@given(CHANCES, CHANCES)
def test_also_when_the_files_have_nothing_to_do_with_each_other(one: Random, other: Random) -> None:
    a, b = edition(drawn_document(one)), edition(drawn_document(other))
    assert apply(compare(a, b), a.document()) == b.document()


@settings(max_examples=50)
@given(CHANCES)
def test_a_file_does_not_differ_from_itself(chance: Random) -> None:
    before = drawn_document(chance)
    assert not compare(edition(before), edition(before))


def test_applying_leaves_the_document_that_it_is_given_as_it_is() -> None:
    a, b = edition(document({"name": "a"})), edition(document({"name": "a", "stage": "live"}))
    given_document = a.document()
    apply(compare(a, b), given_document)
    assert given_document == a.document()


def test_a_default_that_is_written_out_is_no_difference() -> None:
    a = edition(document({"name": "a"}))
    b = edition(document({"name": "a", "stage": "legacy", "share": "0%"}, events={}))
    assert not compare(a, b)


def test_only_the_keys_that_differ_are_named() -> None:
    a = edition(document({"name": "a", "unit": {"cookie": "u"}, "stage": "canary", "share": "5%"}))
    b = edition(document({"name": "a", "unit": {"cookie": "v"}, "stage": "canary", "share": "5%", "timeout": "2s"}))
    (changed,) = compare(a, b).changed
    assert changed.keys == (KeyChange(("unit", "cookie"), "u", "v"), KeyChange(("timeout",), ABSENT, "2s"))


def test_blocks_of_shadow_and_canary_are_compared_too() -> None:
    rules = edition(document({"name": "a"})).rules
    a = Edition(rules, {"gates": {"g": {"alpha": "5%"}}}, {"a": {"certificate": {"pairs": 10}}})
    b = Edition(
        rules, {"gates": {"g": {"alpha": "1%"}}}, {"a": {"rollout": {"gate": "g"}, "certificate": {"pairs": 9}}}
    )
    edits = compare(a, b)
    assert edits.settings == (KeyChange(("gates", "g", "alpha"), "5%", "1%"),)
    assert {change.path for change in edits.changed[0].keys} == {("shadow", "certificate", "pairs"), ("rollout",)}
    assert apply(edits, a.document()) == b.document()


def test_the_same_match_and_sides_under_another_name_is_a_rename() -> None:
    a = edition(document({"name": "a", "match": {"path": "/x"}}))
    b = edition(document({"name": "b", "match": {"path": "/x"}, "stage": "shadow"}))
    edits = compare(a, b)
    assert edits.renamed == (Renamed("a", "b"),)
    assert not edits.removed and not edits.added
    assert [change.path for change in edits.changed[0].keys] == [("stage",)]


def test_another_candidate_under_another_name_is_another_route() -> None:
    a = edition(document({"name": "a", "match": {"path": "/x"}}))
    b = edition(document({"name": "b", "match": {"path": "/x"}, "candidate": "two"}))
    edits = compare(a, b)
    assert not edits.renamed
    assert (edits.removed[0].name, edits.added[0].name) == ("a", "b")


def test_two_routes_that_change_names_with_each_other_are_found_by_name() -> None:
    a = edition(document({"name": "a", "match": {"path": "/x"}}, {"name": "b", "match": {"path": "/y"}}))
    b = edition(document({"name": "b", "match": {"path": "/x"}}, {"name": "a", "match": {"path": "/y"}}))
    edits = compare(a, b)
    assert not edits.renamed
    assert apply(edits, a.document()) == b.document()


def test_a_route_that_is_put_last_is_the_only_one_that_moved() -> None:
    names = "abcdefgh"
    a = edition(document(*({"name": name} for name in names)))
    b = edition(document(*({"name": name} for name in "bcdefgha")))
    assert compare(a, b).moved == (Moved("a", 0, 7),)


@pytest.mark.parametrize(
    ("numbers", "length"),
    [([], 0), ([3], 1), ([3, 2, 1], 1), ([1, 2, 3], 3), ([2, 0, 1, 3], 3), ([5, 1, 6, 2, 7, 3], 3)],
)
def test_the_longest_increasing_part(numbers: list[int], length: int) -> None:
    assert len(longest_increasing(numbers)) == length


@given(st.permutations(range(7)))
def test_no_longer_increasing_part_exists(numbers: list[int]) -> None:
    found = [numbers[index] for index in longest_increasing(numbers)]
    assert found == sorted(found)
    longest = [1] * len(numbers)
    for at, number in enumerate(numbers):
        longest[at] = 1 + max((longest[n] for n in range(at) if numbers[n] < number), default=0)
    assert len(found) == max(longest)
