"""Whatever is made of a value by a transform, the transform is among those that fit; what fits, gives the value."""

from __future__ import annotations

import html
import json
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Decimal
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shadow.causes.transforms import PREFERENCE, fitting, name_of, parameters_of, rank, value_transforms
from shadow.comparing.differences import Difference, DifferenceKind
from shadow.comparing.values import ABSENT, Json, parse, same

NUMBERS = st.decimals(-(10**9), 10**9, places=6, allow_nan=False)
ROUNDINGS = {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN, "down": ROUND_DOWN, "up": ROUND_UP}
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)).map(lambda each: each.replace(microsecond=0))
OFFSETS = st.integers(-48, 56).map(lambda quarters: timedelta(minutes=15 * quarters))
WORDS = st.text(st.characters(codec="utf-8"), max_size=60)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), NUMBERS, WORDS)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3))


@pytest.mark.parametrize(
    ("legacy", "candidate", "transform"),
    [
        (Decimal("12.50"), 1250, "scale:100"),
        (1250, Decimal("12.5"), "scale:1/100"),
        (90, 5400, "scale:60"),
        (Decimal("4.67"), Decimal("4.7"), "round:1:half_up"),
        (Decimal("4.67"), Decimal("4.6"), "round:1:down"),
        (Decimal("4.65"), Decimal("4.6"), "round:1:half_even"),
        (Decimal("4.61"), Decimal("4.7"), "round:1:up"),
        (1234, 1200, "round:-2:half_up"),
        (Decimal("4.7"), Decimal("4.67"), "unrounded:1:half_up"),
        (Decimal("3.3"), Decimal("3.2"), "last_digit:down:1"),
        (Decimal("12.40"), Decimal("12.41"), "last_digit:up:2"),
        (Decimal("0.3"), Decimal("0.30000000000000004"), "float_noise"),
        (7, -7, "sign"),
        (7, 8, "plus:+1"),
        (7, 6, "plus:-1"),
        (7, "7", "number_as_text"),
        ("7.50", Decimal("7.5"), "number_from_text"),
        (Decimal("1250.5"), "1,250.50", "number_as_formatted_text"),
        (Decimal("1250.5"), "1.250,50 €", "number_as_formatted_text"),
        ("12.50", 1250, "scale:100:and_type"),
        ("12.50", "12.5", "number_form"),
        ("01234", 1234, "number_from_text_with_zeros"),
        ("01234", "1234", "zeros_dropped"),
        (1234, "001234", "number_as_text_with_zeros"),
        ("12.50", "1250", "scale:100"),
        (True, "true", "boolean_as_text:true/false"),
        (False, "N", "boolean_as_text:y/n"),
        (True, 1, "boolean_as_number"),
        (0, False, "boolean_from_number"),
        ("yes", True, "boolean_from_text:yes/no"),
        (None, "", "empty_text_for_null"),
        ([], None, "null_for_empty_list"),
        (None, 0, "zero_for_null"),
        (None, "null", "null_as_text"),
        (5, None, "null_for_value"),
        (None, 5, "value_for_null"),
        ([], {}, "empty:empty_list>empty_object"),
        ({"a": [1]}, '{"a":[1.0]}', "json_as_text"),
        ("a", ["a"], "wrapped"),
        (["a"], "a", "unwrapped"),
        (3, {"value": 3}, "wrapped_in_object:value"),
        ("2024-01-31T10:00:00Z", "2024-01-31T12:00:00+02:00", "zone"),
        ("2024-01-31T10:00:00Z", "2024-01-31T10:00:00+02:00", "zone_relabelled"),
        ("2024-01-31T10:00:00+02:00", "2024-01-31T10:00:00", "zone_dropped"),
        ("2024-01-31T10:00:00+02:00", "2024-01-31T08:00:00", "zone_dropped_in_utc"),
        ("2024-01-31T10:00:00", "2024-01-31T10:00:00Z", "zone_added"),
        ("2024-01-31T10:00:00", "2024-01-31T08:00:00", "clock:-120"),
        ("2024-01-31", "2024-02-01", "day:+1"),
        ("2024-01-31", "31.01.2024", "date_form:YYYY-MM-DD>DD.MM.YYYY"),
        ("2024-01-31 10:00:00", "2024-01-31T10:00:00", "date_form:YYYY-MM-DD hh:mm:ss>YYYY-MM-DDThh:mm:ss"),
        (
            "2024-01-31T10:00:00Z",
            "2024-01-31T10:00:00+00:00",
            "date_form:YYYY-MM-DDThh:mm:ssZ>YYYY-MM-DDThh:mm:ss+hh:mm",
        ),
        ("2024-01-31T10:00:00.123Z", "2024-01-31T10:00:00Z", "fraction_dropped"),
        ("2024-01-31T10:00:00Z", "2024-01-31", "time_dropped"),
        ("2024-01-31", "2024-01-31T00:00:00Z", "midnight"),
        (
            "Wed, 31 Jan 2024 10:00:00 GMT",
            "2024-01-31T10:00:00Z",
            "date_form:Day, DD Mon YYYY hh:mm:ss GMT>YYYY-MM-DDThh:mm:ssZ",
        ),
        ("2024-01-31T10:00:00Z", 1706695200, "epoch:s"),
        (1706695200000, "2024-01-31T10:00:00Z", "from_epoch:ms"),
        ("9999-12-31T23:59:59-05:00", 253402318799, "epoch:s"),
        ("0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00Z", "zone_relabelled"),
        (" a ", "a", "trimmed"),
        ("a", " a", "padded"),
        ("a  b", "a b", "collapsed"),
        ("a\r\nb", "a\nb", "line_ends"),
        ("OPEN", "open", "case:lower"),
        ("open order", "Open Order", "case:title"),
        ("Zoe\u0308", "Zoë", "unicode:NFC"),
        ("Zoë", "Zoe", "accents_dropped"),
        ("Zoë", "ZoÃ«", "encoding:utf-8>latin-1"),
        ("it’s", "itâ€™s", "encoding:utf-8>latin-1"),
        ("Zoë", "Zo?", "letters_lost"),
        ("Zoë", "Zo\ufffd", "letters_lost"),
        ("a & b", "a &amp; b", "escaped:html"),
        ("a &amp; b", "a & b", "unescaped:html"),
        ("a/b c", "a%2Fb%20c", "escaped:url"),
        ('say "a"', 'say \\"a\\"', "escaped:json"),
        ("<b>bold</b>", "bold", "tags_removed"),
        ("shirt", "c2hpcnQ=", "base64"),
        ("a long text", "a long", "truncated"),
        ("a long text", "a long…", "truncated_with_dots"),
        ("http://shop/a", "https://shop/a", "scheme:http>https"),
        ("http://shop/a?b", "http://legacy/a?b", "host"),
        ("http://shop/a", "/a", "made_relative"),
    ],
)
def test_what_became_of_a_value_is_among_what_fits(legacy: Json, candidate: Json, transform: str) -> None:
    assert transform in value_transforms(legacy, candidate)


@pytest.mark.parametrize(
    ("legacy", "candidate"),
    [
        (3, 17),
        ("red", "blue"),
        (Decimal("3.3"), Decimal("3.5")),
        ("2024-01-31", "2024-03-05"),
        ("2024-02-31", "2024-02-30"),
    ],
)
def test_what_has_nothing_to_do_with_each_other_is_not_explained(legacy: Json, candidate: Json) -> None:
    assert value_transforms(legacy, candidate) == ()


@given(NUMBERS, st.integers(0, 5), st.sampled_from(sorted(ROUNDINGS)))
def test_a_number_that_was_rounded_is_found_out(number: Decimal, places: int, way: str) -> None:
    rounded = number.quantize(Decimal(1).scaleb(-places), ROUNDINGS[way])
    assume(rounded != number)
    assert f"round:{places}:{way}" in value_transforms(number, rounded)


@given(NUMBERS, NUMBERS)
def test_a_rounding_that_fits_gives_the_candidates_number(number: Decimal, other: Decimal) -> None:
    assume(number != other)
    for transform in value_transforms(number, other):
        if name_of(transform) == "round":
            places, way = parameters_of(transform).split(":")
            assert number.quantize(Decimal(1).scaleb(-int(places)), ROUNDINGS[way]) == other


@given(NUMBERS, st.sampled_from([10, 100, 1000, 60, 3600, 1024]))
def test_a_number_that_was_scaled_is_found_out_both_ways(number: Decimal, factor: int) -> None:
    assume(number)
    assert f"scale:{factor}" in value_transforms(number, number * factor)
    assert f"scale:1/{factor}" in value_transforms(number * factor, number)


@given(MOMENTS, OFFSETS, OFFSETS)
def test_the_same_moment_in_another_zone_is_found_out(moment: datetime, one: timedelta, other: timedelta) -> None:
    assume(one != other)
    legacy = moment.replace(tzinfo=UTC).astimezone(timezone(one)).isoformat()
    candidate = moment.replace(tzinfo=UTC).astimezone(timezone(other)).isoformat()
    assert "zone" in value_transforms(legacy, candidate)


@given(MOMENTS, OFFSETS)
def test_the_same_clock_in_another_zone_is_another_moment(moment: datetime, offset: timedelta) -> None:
    assume(offset)
    legacy, candidate = f"{moment.isoformat()}Z", moment.replace(tzinfo=timezone(offset)).isoformat()
    assert value_transforms(legacy, candidate)[0] == "zone_relabelled"


TEXTS: dict[str, Callable[[str], str]] = {
    "trimmed": str.strip,
    "collapsed": lambda text: " ".join(text.split()),
    "case:lower": str.lower,
    "case:upper": str.upper,
    "unicode:NFC": lambda text: unicodedata.normalize("NFC", text),
    "encoding:utf-8>latin-1": lambda text: text.encode().decode("latin-1"),
    "escaped:html": html.escape,
    "escaped:url": lambda text: quote(text, safe=""),
    "escaped:json": lambda text: json.dumps(text)[1:-1],
}


PIECES = st.lists(
    st.sampled_from([" a", "b  ", " ", "Word", "lower", "é", "e\u0301", "&", "<", "%", "/", '"', "\\"]),
    min_size=2,
    max_size=8,
).map("".join)


@pytest.mark.parametrize("transform", TEXTS)
@given(text=PIECES)
def test_a_text_that_was_changed_is_found_out_by_this_or_something_simpler(transform: str, text: str) -> None:
    changed = TEXTS[transform](text)
    assume(changed != text and text.strip() and changed.strip())
    found = value_transforms(text, changed)
    assert found
    assert transform in found or rank(found[0]) < rank(transform)


@given(VALUES, VALUES)
def test_any_two_values_are_looked_at_without_an_error_and_preferred_ones_come_first(one: Any, other: Any) -> None:
    legacy, candidate = (
        parse(json.dumps(each, default=float).encode("utf-8", "surrogatepass")) for each in (one, other)
    )
    assume(not same(legacy, candidate))
    found = value_transforms(legacy, candidate)
    assert list(found) == sorted(found, key=rank)
    assert len(set(found)) == len(found)


@given(VALUES)
def test_a_value_in_a_list_of_one_is_wrapped_whatever_it_is(value: Any) -> None:
    assume(value != [value])
    assert "wrapped" in value_transforms(value, [value])
    assert "unwrapped" in value_transforms([value], value)


@pytest.mark.parametrize(
    ("kind", "legacy", "candidate", "transforms"),
    [
        (DifferenceKind.STATUS, 200, 503, ("status:200>503",)),
        (DifferenceKind.NO_ANSWER, 200, "no answer: timeout", ("no_answer:timeout",)),
        (DifferenceKind.NO_ANSWER, "no answer: reset", 200, ("no_answer_of_legacy:reset",)),
        (DifferenceKind.MISSING, 5, ABSENT, ("missing",)),
        (DifferenceKind.MISSING, None, ABSENT, ("absent_for_null", "missing")),
        (DifferenceKind.MISSING, "", ABSENT, ("absent_for_empty_text", "missing")),
        (DifferenceKind.ADDED, ABSENT, [], ("empty_list_for_absent", "added")),
        (DifferenceKind.ADDED, ABSENT, 0, ("added",)),
        (DifferenceKind.HEADER, "text/html", ABSENT, ("missing",)),
        (DifferenceKind.UNPARSABLE, "a readable JSON body", "the body is empty", ("not_readable",)),
        (DifferenceKind.BODY, "3 bytes", "4 bytes", ("bytes",)),
        (DifferenceKind.VALUE_CHANGED, 3, 17, ("changed",)),
    ],
)
def test_every_kind_of_difference_has_at_least_a_class(
    kind: DifferenceKind, legacy: Any, candidate: Any, transforms: tuple[str, ...]
) -> None:
    assert fitting(Difference(kind, "/a", "/a", legacy, candidate)) == transforms


def test_no_transform_is_named_twice_in_the_order_of_preference() -> None:
    names = [name for tier in PREFERENCE.values() for name in tier]
    assert len(set(names)) == len(names)
