"""What an exported test calls different is what fig calls different."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.comparing.compare import compare
from shadow.exporting.pytest_file import ExportError, _mask
from shadow.exporting.standalone import differences, text_differences
from shadow.spec import Comparison
from tests.fakes.pairs import answer, text

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([1.0, 0.5, "1", "", "a", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"])
    | st.sampled_from(["c9bf9e57-1685-4c89-bafb-ff5af830be8a", "0b1b2a0e-6a5c-4b7a-9c59-0a4f4e3d2c1b"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc/"), inner, max_size=3),
    max_leaves=12,
)
MASKS = [
    {"path": "/a", "kind": "ignore"},
    {"path": "/**/b", "kind": "timestamp", "within": "2s"},
    {"path": "/*", "kind": "uuid"},
    {"path": "/**/c", "kind": "number", "within": "1"},
    {"path": "/*/*", "kind": "number", "within": "50%"},
    {"path": "/b", "kind": "matches", "pattern": "[a-z0-9-]+"},
    {"path": "/c/*", "kind": "uuid", "version": 4},
]


def found(a: Any, b: Any, comparison: Comparison) -> list[str]:
    expected, actual = (json.loads(json.dumps(value), parse_float=Decimal) for value in (a, b))
    return list(differences(expected, actual, [dict(_mask(mask)) for mask in comparison.masks]))


@given(VALUES, VALUES)
def test_without_masks_it_finds_a_difference_wherever_fig_does(a: Any, b: Any) -> None:
    assert bool(found(a, b, Comparison())) is bool(compare(answer(a), answer(b), Comparison()).differences)


@given(VALUES, VALUES, st.lists(st.sampled_from(MASKS), max_size=3))
def test_what_masks_excuse_there_they_excuse_here(a: Any, b: Any, masks: list[dict[str, str]]) -> None:
    comparison = Comparison.model_validate({"masks": masks})
    judged = compare(answer({"a": a, "b": a, "c": [a]}), answer({"a": b, "b": b, "c": [b]}), comparison).differences
    assert bool(found({"a": a, "b": a, "c": [a]}, {"a": b, "b": b, "c": [b]}, comparison)) is bool(judged)


@pytest.mark.parametrize(
    ("kind", "legacy", "candidate", "differs"),
    [
        ("any_order", [1, 2, 2], [2, 1, 2], False),
        ("any_order", [1, 2, 2], [1, 1, 2], True),
        ("any_order", [None, 1], [1, None], False),
        ("any_order", [True], [1], True),
        ("same_set", [1, 2, 2], [2, 1], False),
        ("same_set", [1, 2], [1, 1], True),
        ("same_set", [1], [1, 3], True),
    ],
)
def test_lists_whose_order_does_not_matter(kind: str, legacy: Any, candidate: Any, differs: bool) -> None:
    comparison = Comparison.model_validate({"masks": [{"path": "/l", "kind": kind}]})
    assert bool(compare(answer({"l": legacy}), answer({"l": candidate}), comparison).differences) is differs
    assert bool(found({"l": legacy}, {"l": candidate}, comparison)) is differs


def test_items_are_found_by_the_field_that_names_them_and_their_differences_stay() -> None:
    comparison = Comparison.model_validate({"masks": [{"path": "/l", "kind": "any_order", "by": "id"}]})
    legacy = {"l": [{"id": 1, "n": 1}, {"id": 2, "n": 2}]}
    candidate = {"l": [{"id": 2, "n": 2}, {"id": 1, "n": 7}]}
    assert found(legacy, candidate, comparison) == ["/l/0/n: expected 1, got 7"]


def test_a_secret_of_legacys_may_be_any_text_and_nothing_but_text() -> None:
    assert not found({"t": "Bearer fig:0123456789abcdef!"}, {"t": "Bearer other!"}, Comparison())
    assert found({"t": "Bearer fig:0123456789abcdef!"}, {"t": "Basic other!"}, Comparison())
    assert found({"t": "fig:0123456789abcdef"}, {"t": 5}, Comparison())


def test_texts_are_compared_by_line() -> None:
    masks = Comparison.model_validate({"masks": [{"path": "line:2", "kind": "ignore"}]})
    plain = [dict(_mask(mask)) for mask in masks.masks]
    assert not list(text_differences("a\nb", "a\nc", plain))
    assert list(text_differences("a\nb", "x\nc", plain)) == ["line:1: expected 'a', got 'x'"]
    assert list(text_differences("a", "a\nb", plain)) == ["body: expected 1 lines, got 2"]
    assert not compare(text("a\nb"), text("a\nc"), masks).differences


def test_a_pattern_that_only_re2_reads_is_refused_with_its_mask() -> None:
    mask = Comparison.model_validate({"masks": [{"path": "/a", "kind": "matches", "pattern": "\\pN+"}]}).masks[0]
    with pytest.raises(ExportError, match=r"'/a matches pattern .*' has a pattern that RE2 reads and Python does not"):
        _mask(mask)
