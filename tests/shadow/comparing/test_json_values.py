"""JSON is read without losing a digit, told apart by type, and refused where parsers disagree about it."""

from __future__ import annotations

import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.comparing.values import ABSENT, MAX_DEPTH, UnreadableError, canonical, kind_of, parse, same, written

numbers = st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1", "1.0"),
        ("100", "1e2"),
        ("1.10", "1.1"),
        ("-0", "0"),
        ("-0.0", "0"),
        ('{"a": 1, "b": 2}', '{"b":2,"a":1}'),
        ('"\\u00e9"', '"é"'),
        (" [1 ,2]\n", "[1,2]"),
    ],
)
def test_texts_of_one_value_are_the_same(left: str, right: str) -> None:
    a, b = parse(left.encode()), parse(right.encode())
    assert same(a, b)
    assert canonical(a) == canonical(b)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("true", "1"),
        ("false", "0"),
        ("null", "0"),
        ('"1"', "1"),
        ("0.1", "0.10000000000000000001"),
        ("9007199254740993", "9007199254740992"),
        ("9007199254740993", "9007199254740992.0"),
        ("1e400", "1e500"),
        ("1e-400", "0"),
        ("[true]", "[1]"),
        ('{"a": null}', "{}"),
        ('"é"', '"e\\u0301"'),
        ('"\\ud800"', '"\\ud801"'),
    ],
)
def test_texts_of_two_values_are_not_the_same(left: str, right: str) -> None:
    a, b = parse(left.encode()), parse(right.encode())
    assert not same(a, b)
    assert canonical(a) != canonical(b)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"a":1,"a":2}', 'key "a" appears twice'),
        (b'{"a":NaN}', "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"a":1}x', "line 1, column 8"),
        (b'{"a":1}\n{"a":2}', "line 2, column 1"),
        (b'"\xff"', "not UTF-8 at byte 1"),
        (b"01", "not JSON"),
        (b"[1e99999999999999999999]", "exponent"),
        (b"\xef\xbb\xbf{}", "not JSON"),
    ],
)
def test_what_is_not_json_is_refused_with_its_reason(body: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        parse(body)


def test_whole_numbers_of_any_length_are_exact() -> None:
    long = b"7" * 50_000
    assert same(parse(long), parse(long + b".0"))
    assert not same(parse(long), parse(long[:-1] + b"8"))
    assert parse(b"[1, " + long + b"]") == [1, Decimal(long.decode())]


def test_numbers_around_the_longest_int_have_one_canonical_form() -> None:
    for digits in (4299, 4300, 4301):
        number = b"3" * digits
        assert canonical(parse(number)) == canonical(parse(number + b".0"))


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}")])
def test_nesting_is_bounded_wherever_the_stack_stands(opening: str, closing: str) -> None:
    def nested(levels: int) -> bytes:
        return (opening * levels + "1" + closing * levels).encode()

    assert parse(nested(MAX_DEPTH)) is not None
    for levels in (MAX_DEPTH + 1, sys.getrecursionlimit(), 100_000):
        with pytest.raises(UnreadableError, match="nested deeper"):
            parse(nested(levels))


def test_brackets_in_strings_are_not_nesting() -> None:
    assert parse(b'["' + b"[" * 1000 + b'\\""]') == ["[" * 1000 + '"']


@given(values)
def test_what_is_written_reads_back_as_the_same(value: object) -> None:
    assert same(parse(written(value).encode()), value)  # type: ignore[arg-type]
    assert same(parse(canonical(value).encode()), value)  # type: ignore[arg-type]


@given(values, values)
def test_two_values_are_the_same_exactly_when_their_canonical_texts_are(a: object, b: object) -> None:
    assert same(a, b) == (canonical(a) == canonical(b))  # type: ignore[arg-type]
    assert same(a, b) == same(b, a)  # type: ignore[arg-type]


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        parse(body)
    except UnreadableError as exc:
        assert str(exc)


def test_kinds_have_the_names_that_json_gives_them() -> None:
    kinds = [kind_of(value) for value in (True, 1, Decimal("1.5"), "x", None, [], {}, ABSENT)]
    assert kinds == ["boolean", "number", "number", "string", "null", "list", "object", "absent"]
