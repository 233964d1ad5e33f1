"""Shapes of texts, lists in another order, and when legacy may be asked."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from shadow.noise.fitting import Unfit, fit
from shadow.noise.manners import AT_ONCE, LONGEST_PAUSE, Manners
from shadow.noise.orders import Order, Reordered, reordered
from shadow.noise.shapes import escape, shape_of


@pytest.mark.parametrize(
    ("texts", "pattern", "varying"),
    [
        (["xy12", "uv34"], "[a-z]{2}[0-9]{2}", 2),
        (["req-0017", "req-2941"], "req-[0-9]{4}", 4),
        (["3f9a", "00c1", "ffff"], "[0-9a-f]{4}", 4),
        (["A-1.5", "A-12.5"], r"A-[0-9]{1,2}\.5", 1),
        (["aGk_x", "Zz-9Q"], "[0-9A-Za-z_-]{5}", 5),
        (["3fa8-56", "0b0d-6a"], "[0-9a-f]{4}-[0-9a-f]{2}", 6),
        (["a", "a b"], None, None),
        (["é", "è"], None, None),
        ([], None, None),
    ],
)
def test_a_shape_is_the_tightest_that_all_texts_have(
    texts: list[str], pattern: str | None, varying: int | None
) -> None:
    found = shape_of(texts)
    assert (found.pattern if found else None, found.varying if found else None) == (pattern, varying)


@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=30), min_size=1, max_size=6))
def test_every_text_matches_its_shape(texts: list[str]) -> None:
    found = shape_of(texts)
    assert found is None or all(re2.fullmatch(found.pattern, text) for text in texts)


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20))
def test_an_escaped_text_matches_itself_and_nothing_longer(text: str) -> None:
    assert re2.fullmatch(escape(text), text)
    assert not re2.fullmatch(escape(text), text + "x")


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        ({"l": [1, 2]}, {"l": [2, 1]}, [Reordered("/l", Order.MULTISET, ())]),
        ({"l": [1, 2]}, {"l": [1, 3]}, []),
        ({"l": [1, 2, 2]}, {"l": [2, 1]}, [Reordered("/l", Order.SET, ())]),
        (
            {"l": [{"id": 1, "p": 5}, {"id": 2, "p": 6}]},
            {"l": [{"id": 2, "p": 7}, {"id": 1, "p": 5}]},
            [Reordered("/l", Order.BY, ("id",))],
        ),
        ({"l": [{"id": 1, "p": 5}, {"id": 2, "p": 6}]}, {"l": [{"id": 1, "p": 7}, {"id": 2, "p": 6}]}, []),
        ({"x": [{"l": [1, 2]}]}, {"x": [{"l": [2, 1]}]}, [Reordered("/x/*/l", Order.MULTISET, ())]),
        ([3, 1], [1, 3], [Reordered("", Order.MULTISET, ())]),
        ([], [], []),
    ],
)
def test_a_list_in_another_order_is_told_from_a_list_of_other_items(a: Any, b: Any, found: list[Reordered]) -> None:
    assert list(reordered(a, b)) == found


def test_lists_nested_as_deep_as_can_be_are_given_up_in_time() -> None:
    a: Any = ["x" * 100_000, 1]
    b: Any = [1, "x" * 100_000, 2]
    for _ in range(150):
        a, b = [a, 0], [b, 0]
    assert isinstance(reordered(a, b), tuple)


def test_a_pause_doubles_with_every_failure_and_ends_with_a_good_answer() -> None:
    manners = Manners()
    pauses = []
    now = 0.0
    for _ in range(9):
        manners.saw(503, 0.1, now)
        start = now
        while not manners.may_ask(now):
            now += 0.5
        pauses.append(now - start)
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    manners.saw(200, 0.1, now)
    manners.saw(0, 0.0, now)
    assert not manners.may_ask(now + 0.9)
    assert manners.may_ask(now + 1.0)


@pytest.mark.parametrize(
    ("status", "seconds", "may"),
    [(200, 0.1, True), (404, 0.1, True), (429, 0.1, False), (200, 1.5, False), (500, 0.1, False), (0, 0.0, False)],
)
def test_legacy_is_left_alone_when_it_fails_refuses_or_is_slow(status: int, seconds: float, may: bool) -> None:
    manners = Manners()
    manners.saw(status, seconds, 10.0)
    assert manners.may_ask(10.1) is may


def test_few_samples_are_under_way_at_once() -> None:
    manners = Manners(busy=AT_ONCE - 1)
    assert manners.may_ask(0.0)
    manners.busy += 1
    assert not manners.may_ask(0.0)


@pytest.mark.parametrize("exponent", ["9999999", "999999999999", "-999999999999"])
def test_no_tolerance_is_made_of_numbers_with_millions_of_digits(exponent: str) -> None:
    first = Decimal(f"1e{exponent}")
    found = fit("/load", [(first, Decimal(f"1.000{digit}e{exponent}")) for digit in "1234567891"])
    assert isinstance(found, Unfit)
    assert "too large, or too close to 0" in found.reason
