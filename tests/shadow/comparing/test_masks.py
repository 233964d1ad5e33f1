"""A mask excuses what its predicate says on both sides, nothing else, and counts it."""

from __future__ import annotations

from typing import Any

import pytest

from shadow.comparing.compare import compare
from shadow.comparing.differences import Excused, Outcome
from shadow.comparing.values import ABSENT
from shadow.spec import Comparison, Mask
from tests.fakes.pairs import answer, text


def judged(legacy: Any, candidate: Any, *masks: dict[str, Any]) -> Outcome:
    comparison = Comparison.model_validate({"masks": masks})
    return compare(answer({"a": legacy}), answer({"a": candidate}), comparison)


UUID, OTHER = "3fa85f64-5717-4562-b3fc-2c963f66afa6", "0b0d6a3e-8a0b-4c55-9d2f-5b9e3a7d1c44"
TIMESTAMP = {"path": "/a", "kind": "timestamp", "within": "2s"}
CENT = {"path": "/a", "kind": "number", "within": 0.01}
PERCENT = {"path": "/a", "kind": "number", "within": "1%"}
CODE = {"path": "/a", "kind": "matches", "pattern": "[a-z]{2}-[0-9]+"}
DIGITS = {"path": "/a", "kind": "matches", "pattern": "[0-9]+"}
ANY = {"path": "/a", "kind": "ignore"}
SOME_UUID = {"path": "/a", "kind": "uuid"}
RANDOM = {"path": "/a", "kind": "uuid", "version": 4}
CENTS = {"path": "/a", "kind": "number", "within": 1, "pattern": r"[0-9]+(\.[0-9]{1,2})?"}
ZULU = {"path": "/a", "kind": "timestamp", "within": "2h", "pattern": ".*Z"}
SET = {"path": "/a", "kind": "same_set"}


@pytest.mark.parametrize(
    ("mask", "legacy", "candidate", "excused"),
    [
        (TIMESTAMP, "2026-11-22T10:00:00Z", "2026-11-22T10:00:02Z", True),
        (TIMESTAMP, "2026-11-22T10:00:00Z", "2026-11-22T11:00:01+01:00", True),
        (TIMESTAMP, "2026-11-22T10:00:00Z", "2026-11-22T10:00:03Z", False),
        (TIMESTAMP, "2026-11-22T10:00:00Z", "2026-11-22T10:00:01", False),  # which zone is the second in?
        (TIMESTAMP, "2026-11-22T10:00:00Z", None, False),
        (TIMESTAMP, "2026-11-22T10:00:00Z", "soon", False),
        (TIMESTAMP, 1_795_000_000, 1_795_000_002, True),
        (TIMESTAMP, 1_795_000_000_000, 1_795_000_002_001, False),
        (TIMESTAMP, 1_795_000_000, 1_795_000_000_500, False),  # seconds and milliseconds
        (TIMESTAMP, "Sun, 22 Nov 2026 10:00:00 GMT", "Sun, 22 Nov 2026 10:00:01 GMT", True),
        (TIMESTAMP, 1, 2, False),
        (CENT, 10, 10.01, True),
        (CENT, "10.00", "10.01", True),
        (CENT, 10, 10.011, False),
        (CENT, 10, "10.01", False),
        (CENT, 1, True, False),
        (CENT, None, 0, False),
        (PERCENT, 100, 101, True),
        (PERCENT, 100, 102, False),
        (PERCENT, 0, 0.0001, False),
        (SOME_UUID, UUID, OTHER, True),
        (SOME_UUID, UUID, OTHER.upper(), True),
        (SOME_UUID, UUID, "order-9001", False),
        (SOME_UUID, UUID, None, False),
        (RANDOM, UUID, OTHER, True),
        (RANDOM, UUID, OTHER.upper(), False),
        (RANDOM, UUID, "00000000-0000-0000-0000-000000000000", False),
        (RANDOM, UUID, OTHER.replace("-4c55", "-1c55"), False),
        (RANDOM, UUID, OTHER.replace("-9d2f", "-cd2f"), False),
        (CENTS, 10.25, 10.75, True),
        (CENTS, 10.25, 10.755, False),
        (ZULU, "2026-11-22T10:00:00Z", "2026-11-22T10:00:01Z", True),
        (ZULU, "2026-11-22T10:00:00Z", "2026-11-22T11:00:01+01:00", False),
        (SET, ["a", "b"], ["b", "a", "a"], True),
        (SET, [{"n": 1, "m": 2}], [{"m": 2, "n": 1.0}, {"n": 1, "m": 2}], True),
        (SET, ["a", "b"], ["a"], False),
        (SET, ["a"], ["a", 1], False),
        (SET, ["a"], "a", False),
        (CODE, "ab-1", "xy-99", True),
        (CODE, "ab-1", "xy-99 ", False),
        (CODE, "ab-1", 7, False),
        (DIGITS, 17, 18, True),
        (DIGITS, "17", 18, False),  # another type is no other spelling
        (ANY, 1, {"x": [1]}, True),
    ],
)
def test_a_predicate_holds_on_both_sides_or_excuses_nothing(
    mask: dict[str, Any], legacy: Any, candidate: Any, excused: bool
) -> None:
    outcome = judged(legacy, candidate, mask)
    assert outcome.equal is excused
    assert outcome.excused == ((Excused(Mask.model_validate({"path": "/a", **mask}).name, 1),) if excused else ())


@pytest.mark.parametrize("huge", ["1e9999999", "-1e999999999999999999", "1" + "0" * 4000])
@pytest.mark.parametrize("mask", [CENT, PERCENT, TIMESTAMP, CENTS])
def test_a_number_of_any_size_is_held_against_a_tolerance(mask: dict[str, Any], huge: str) -> None:
    comparison = Comparison.model_validate({"masks": [mask]})
    for legacy, candidate in ((huge, "17"), ("17", huge)):
        assert not compare(answer(f'{{"a":{legacy}}}'), answer(f'{{"a":{candidate}}}'), comparison).equal


@pytest.mark.parametrize("mask", [TIMESTAMP, CENT, SOME_UUID, CODE])
def test_only_ignore_excuses_that_a_field_is_missing(mask: dict[str, Any]) -> None:
    for each, equal in ((mask, False), (ANY, True)):
        comparison = Comparison.model_validate({"masks": [each]})
        assert compare(answer({"a": UUID}), answer({}), comparison).equal is equal


@pytest.mark.parametrize(
    ("path", "covers"),
    [
        ("/items/*/at", True),
        ("/items/1/at", True),
        ("/items/0/at", False),
        ("/**/at", True),
        ("/items/**", True),
        ("/**", True),
        ("/items", True),  # ignore takes in what lies below
        ("/item", False),
        ("/*/at", False),
        ("/items/*/a", False),
    ],
)
def test_a_star_is_one_step_and_two_are_any_number(path: str, covers: bool) -> None:
    legacy, candidate = ({"items": [{"at": 1}, {"at": n}]} for n in (1, 2))
    comparison = Comparison.model_validate({"masks": [{"path": path, "kind": "ignore"}]})
    assert compare(answer(legacy), answer(candidate), comparison).equal is covers


def test_headers_status_lines_and_bodies_can_be_masked_too() -> None:
    comparison = Comparison.model_validate(
        {"masks": [{"path": "status", "kind": "ignore"}, {"path": "header:Location", "kind": "ignore"}]}
    )
    legacy, candidate = (answer({}, status, headers=(("Location", f"/{status}"),)) for status in (301, 302))
    assert compare(legacy, candidate, comparison).equal
    lines = Comparison.model_validate({"masks": [{"path": "line:*", "kind": "matches", "pattern": "made at .*"}]})
    assert compare(text("made at 1\nx"), text("made at 2\nx"), lines).equal
    assert not compare(text("made at 1\nx"), text("made at 2\ny"), lines).equal


def test_lists_that_are_no_same_set_still_differ_where_an_item_does() -> None:
    comparison = Comparison.model_validate({"masks": [{"path": "/a", "kind": "same_set"}]})
    outcome = compare(answer({"a": ["x", "y", "z"]}), answer({"a": ["z", "x", "w"]}), comparison)
    assert [(each.legacy, each.candidate) for each in outcome.differences] == [("y", ABSENT), (ABSENT, "w")]
    assert compare(answer({"a": ["x"]}), answer({"a": ["x"], "b": 1}), comparison).excused == ()


def test_a_mask_that_names_routes_holds_there_and_nowhere_else() -> None:
    everywhere = {"path": "/a", "kind": "uuid"}
    comparison = Comparison.model_validate({"masks": [everywhere, {**everywhere, "path": "/b", "routes": ["orders"]}]})
    assert comparison.for_route("orders") == comparison
    assert [mask.path for mask in comparison.for_route("items").masks] == ["/a"]


def test_each_mask_counts_what_it_excused() -> None:
    legacy, candidate = ([{"id": UUID if n else OTHER, "at": n} for _ in range(3)] for n in (0, 1))
    comparison = Comparison.model_validate(
        {"masks": [{"path": "/*/id", "kind": "uuid"}, {"path": "/*/at", "kind": "number", "within": 1}]}
    )
    outcome = compare(answer(legacy), answer(candidate), comparison)
    assert outcome.equal
    assert set(outcome.excused) == {Excused("/*/id uuid", 3), Excused("/*/at number within 1", 3)}


def test_what_is_excused_in_items_that_a_missing_one_has_shifted_counts_too() -> None:
    legacy, candidate = ([{"n": n, "at": f"2026-11-22T10:00:0{side}Z"} for n in range(5)] for side in (0, 1))
    comparison = Comparison.model_validate({"masks": [{"path": "/*/at", "kind": "timestamp", "within": "1s"}]})
    outcome = compare(answer(legacy), answer(candidate[:2] + candidate[3:]), comparison)
    assert [each.pointer for each in outcome.differences] == ["/2"]
    assert outcome.excused == (Excused("/*/at timestamp within 1s", 4),)


def test_two_masks_of_one_path_and_kind_have_a_count_each() -> None:
    masks = [
        {"path": "/*", "kind": "matches", "pattern": "[a-f]+"},
        {"path": "/*", "kind": "matches", "pattern": "[0-9]+"},
        {"path": "/*", "kind": "matches", "pattern": "x\n?" + "y" * 200},
        {"path": "/*", "kind": "matches", "pattern": "x\n?" + "y" * 201},
    ]
    comparison = Comparison.model_validate({"masks": masks})
    outcome = compare(answer(["a", "1", "b", "z"]), answer(["c", "2", "d", "z"]), comparison)
    assert outcome.excused == (Excused("/* matches pattern [a-f]+", 2), Excused("/* matches pattern [0-9]+", 1))
    names = [mask.name for mask in comparison.masks]
    assert len({*names}) == 4
    assert all("\n" not in name and len(name) < 130 for name in names), "names stand one a line in the chain"
