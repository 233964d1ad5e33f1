"""Texts with places to fill."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.templates import parse_replacement, parse_template


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("/catalog/{id}", "/catalog/7"),
        ("{{{id}}}", "{7}"),
        ("/v2/{**}", "/v2/a/b"),
        ("/v2{**}", "/v2/a/b"),
        ("{missing}-", "-"),
        ("", ""),
    ],
)
def test_a_template_is_filled(text: str, filled: str) -> None:
    assert parse_template(text).fill({"id": "7", "**": "/a/b"}) == filled


@pytest.mark.parametrize("text", ["{", "}", "{a", "a}", "{1}", "{a b}", "{}"])
def test_a_brace_that_stands_alone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a brace stands alone"):
        parse_template(text)


def test_a_line_has_what_is_filled_in_escaped_and_what_is_written_kept() -> None:
    assert parse_template("a\t{v}").fill_line({"v": "x\r\né\udcff"}) == "a\tx%0D%0A%C3%A9%ED%B3%BF"


def test_a_query_keeps_a_value_within_its_parameter_but_a_whole_query_whole() -> None:
    values = {"v": "a&b=c+d;#é", "query": "a=1&b=2#\n"}
    assert parse_template("x={v}").fill_query(values) == "x=a%26b=c%2Bd;%23%C3%A9"
    assert parse_template("{query}&x").fill_query(values) == "a=1&b=2%23%0A&x"


def test_a_template_is_split_where_its_own_text_has_the_mark() -> None:
    before, after = parse_template("/{a}/b?c={d}&e={f}").split("?")
    assert after is not None
    values = {"a": "?", "d": "1", "f": "2"}
    assert (before.fill(values), after.fill(values)) == ("/?/b", "c=1&e=2")
    assert parse_template("/{a}").split("?")[1] is None


@pytest.mark.parametrize(
    ("text", "parts"), [(r"/\1/\2x", ("/", 1, "/", 2, "x")), (r"\\1", ("\\", "1")), ("", ()), (r"\0", (0,))]
)
def test_a_replacement_is_literals_and_groups(text: str, parts: tuple[str | int, ...]) -> None:
    assert parse_replacement(text) == parts


@given(st.text("ab{}*/\\1", max_size=12))
def test_parsing_refuses_in_words_or_returns_what_can_be_filled(text: str) -> None:
    try:
        template = parse_template(text)
    except ValueError:
        return
    assert isinstance(template.fill({}), str)
    assert template.fill_line({}) == template.fill({})
