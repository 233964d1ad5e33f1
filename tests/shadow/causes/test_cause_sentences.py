"""Causes as a product owner reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

import pytest

from shadow.causes.common import Common, Mapped
from shadow.causes.grouping import At, Cause, causes
from shadow.causes.naming import claim, sentence
from shadow.causes.tally import LONGEST_SHOWN, Example, Row, Tally
from shadow.causes.transforms import PREFERENCE, fitting
from shadow.comparing.differences import Difference, DifferenceKind
from shadow.comparing.values import ABSENT, Absent, Json
from tests.fakes.causes import member

Values = tuple["Json | Absent", "Json | Absent"]


def told(path: str, values: Sequence[Values], pairs: int = 702) -> str:
    tally = Tally()
    for ordinal, (legacy, candidate) in enumerate(values, 1):
        tally.take(str(ordinal), ordinal, 0.0, [member(path, legacy, candidate)], lambda found: found, str)
    (cause,) = causes("shop", tally.changed())
    return sentence(cause, pairs)


def test_prices_in_cents() -> None:
    assert told("/items/*/price", [(Decimal("12.50"), 1250)]) == (
        "price is 100 times as large in the candidate: "
        "for example legacy says 12.50, the candidate says 1250 (in 1 of 702 answers, at /items/*/price)"
    )


def test_an_average_that_is_cut_off() -> None:
    values = [(Decimal("3.3"), Decimal("3.2")), (Decimal("4.7"), Decimal("4.6"))]
    assert told("/average", values) == (
        "average is smaller by 0.1 in the candidate, as if it were cut off after 1 decimal where legacy rounds: "
        "for example legacy says 3.3, the candidate says 3.2 (in 2 of 702 answers, at /average)"
    )


def test_a_renamed_enumeration_shows_its_mapping() -> None:
    values: list[Values] = [("OPEN", "o"), ("PAID", "p"), ("OPEN", "o"), ("PAID", "p")]
    assert told("/status", values) == (
        "status has other names for the same values in the candidate: "
        '"OPEN" becomes "o"; "PAID" becomes "p" (in 4 of 702 answers, at /status)'
    )


def test_times_of_two_answers_that_drift_apart() -> None:
    at = "2024-01-31T10:{:02d}:{:02d}.5Z"
    values: list[Values] = [(at.format(n, 7), at.format(n, 8 + n % 3)) for n in range(6)]
    assert "made is a time a little apart from legacy's" in told("/made", values)
    assert "the candidate's is 1 to 3 seconds later" in told("/made", values)


def test_a_value_that_always_becomes_the_same_other_is_no_other_name_for_it() -> None:
    assert told("/open", [(True, False)] * 4).startswith(
        "open becomes another value in the candidate, always in the same way: true becomes false"
    )


def test_a_constant_is_shown() -> None:
    values: list[Values] = [("red", "n/a"), ("green", "n/a"), ("blue", "n/a")]
    assert 'colour is always the same in the candidate: "n/a", whatever legacy says' in told("/colour", values)


def test_a_cut_text_says_after_how_many_characters() -> None:
    same = [("a rather long text", "a rather"), ("another long text", "another ")]
    assert "words is cut off in the candidate: after 8 characters" in told("/words", same)
    varied = [*same, ("yet another", "yet")]
    assert "after 3 to 8 characters" in told("/words", varied)


@pytest.mark.parametrize(
    ("path", "legacy", "candidate", "words"),
    [
        ("/sum", Decimal("4.67"), Decimal("4.6"), "sum is cut off after 1 decimal in the candidate"),
        ("/sum", Decimal("4.67"), Decimal("4.7"), "sum is rounded to 1 decimal in the candidate"),
        ("/sum", Decimal("4.67"), 4, "sum is cut off to a whole number in the candidate"),
        ("/sum", 1234, 1200, "sum is rounded to multiples of 100 in the candidate"),
        ("/sum", 1250, Decimal("12.5"), "sum is 100 times smaller in the candidate"),
        ("/n", 7, 8, "n is higher by 1 in the candidate"),
        (
            "/at",
            "2024-01-31T10:00:00",
            "2024-01-31T08:00:00",
            "at is 2 hours earlier in the candidate, as if a time zone was",
        ),
        ("/at", "2024-01-31", "2024-01-30", "at is one day earlier in the candidate"),
        ("/note", None, ABSENT, "note is missing in the candidate, where legacy says null"),
        ("/note", None, "", "note is an empty text in the candidate, where legacy says null"),
        ("/gone", 5, ABSENT, "gone is missing in the candidate: for example legacy says 5, the candidate has nothing"),
        ("/more", ABSENT, 5, "more is extra in the candidate, where legacy has no such field"),
        ("/n", 7, 99, "n has another value, and fig knows no rule that would make it of legacy's"),
        ("/flag", True, "yes", "flag is the text 'yes' or 'no' in the candidate, where legacy says true or false"),
        ("header:etag", "a", "A", "the header etag is in upper case in the candidate"),
        ("line:*", "a b", "a  b", "a line of the text differs only in its blanks"),
        ("", 1, 7, "the whole body has another value"),
        ("/list/*", "a", " a", "an item of list has extra blanks"),
        ("/html[*]/p[*]/text()[*]", "a", "b", "the text of <p> has another value"),
        ("/a[*]/b[*]/@price", "1", "2", "the attribute price of <b> is higher by 1"),
        ("header:set-cookie/SID/path", "/a", "/b", "path of the cookie SID has another value"),
        ("form:name/*", "a", "A", "the form's field name is in upper case"),
        ("/a~1b", "x", "y", '"a/b" has another value'),
        ("/", "x", "y", '"" has another value'),
    ],
)
def test_what_the_candidate_does_is_said_in_a_clause(path: str, legacy: Json, candidate: Json, words: str) -> None:
    assert told(path, [(legacy, candidate)]).startswith(words)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([("x", ABSENT)] * 3, "gone is missing in the candidate: for example"),
        ([(1, ABSENT), (2, ABSENT), (3, ABSENT)], "gone is missing in the candidate: for example"),
        ([(ABSENT, "x")] * 3, "gone is extra in the candidate, where legacy has no such field: for example"),
        ([(ABSENT, "x"), ("y", "x"), ("y", "x")], "gone is always the same in the candidate"),
    ],
)
def test_what_is_not_there_is_no_value_that_all_members_have(values: list[Values], words: str) -> None:
    assert told("/gone", values).startswith(words)


def test_a_mapping_of_what_is_not_there_says_so() -> None:
    values: list[Values] = [(ABSENT, "x"), ("y", "z"), (ABSENT, "x"), ("y", "z")]
    assert 'nothing becomes "x"' in told("/gone", values)


def test_whose_body_cannot_be_read_is_told_whatever_it_was_to_be() -> None:
    for kind in ("JSON body", "XML document", "HTML document"):
        broken, fine = "not well-formed", f"a readable {kind}"
        told_of = {
            side: fitting(Difference(DifferenceKind.UNPARSABLE, "body", "body", *values))
            for side, values in {"legacy": (broken, fine), "candidate": (fine, broken)}.items()
        }
        assert told_of == {"legacy": ("not_readable_of_legacy",), "candidate": ("not_readable",)}


@pytest.mark.parametrize(
    ("name", "path", "words"),
    [
        ("item_missing", "/items/*", "the list items lacks items in the candidate"),
        ("item_missing", "/*", "the list lacks items in the candidate"),
        ("item_added", "line:*", "the text has extra lines in the candidate"),
        ("item_missing", "/html[*]/p[*]", "an element <p> of <html> is missing in the candidate"),
        ("item_added", "/html[*]/p[*]/text()[*]", "a text of <p> is extra in the candidate"),
    ],
)
def test_parts_that_went_or_came_are_told_of_the_whole(name: str, path: str, words: str) -> None:
    assert claim(a_cause(name, path)) == words


PARAMETERS = {
    "scale": "1/100",
    "round": "2:half_up",
    "unrounded": "2:down",
    "last_digit": "up:2",
    "plus": "-1",
    "offset": "-0.5",
    "factor": "1.19",
    "boolean_as_text": "y/n",
    "boolean_from_text": "y/n",
    "epoch": "ms",
    "from_epoch": "s",
    "clock": "+90",
    "day": "-1",
    "date_form": "YYYY-MM-DD>DD.MM.YYYY",
    "encoding": "utf-8>latin-1",
    "escaped": "html",
    "unescaped": "url",
    "scheme": "http>https",
    "wrapped_in_object": "value",
    "taken_out_of_object": "value",
    "empty": "empty_text>false",
    "type": "number>string",
    "status": "200>404",
    "no_answer": "timeout",
    "no_answer_of_legacy": "reset",
    "renamed": "price>cost",
    "moved": "/a>/b/a",
    "swapped": "first>last",
    "starts_later": "2@/items",
    "starts_earlier": "1@/items",
    "cut_to": "20@/items",
}


@pytest.mark.parametrize("name", [name for names in PREFERENCE.values() for name in names])
def test_every_transform_has_a_sentence_in_plain_words(name: str) -> None:
    transform = f"{name}:{PARAMETERS[name]}" if name in PARAMETERS else name
    (cause,) = causes("shop", [Row("/price", "value_changed", (transform,), 1, 1)])
    words = claim(cause) if cause.transform == transform else ""
    if name in ("constant", "drift", "offset", "factor", "mapping"):
        return  # of several members; they have tests of their own
    assert re.search(r"candidate|legacy|differ|same|bod(?:y|ies)", words), words
    assert not re.search(r"[_{}]|differs \(", words), words


ODD = {
    "nothing": None,
    "an empty text": '""',
    "null": "null",
    "a list": "[]",
    "an object": '{"a":  1}',
    "a very long text": f'"{"x" * 5000}',
    "control characters": '"a\\u0000\\n  b"',
    "right to left": '"\u202eabc"',
}
"""JSON text, as examples and mappings keep it."""
ODD_NAMES = ["", "a  b", "a\n\tb", "\u202eabc", "x" * 400, "{what}", "ключ", "a>b", ">", " "]


def a_cause(transform: str, path: str = "/price", value: str | None = '"x"') -> Cause:
    """A cause of one place with that value on both sides of everything that it may show."""
    shown = (value or "")[:LONGEST_SHOWN]
    common = Common(
        mapping={str(n): Mapped(str(n), 1, shown, shown) for n in range(7)},
        constant="mark",
        constant_shown=shown,
        shortest=1,
        longest=2,
        earliest=-1.5,
        latest=2.0,
    )
    examples = (Example("pair", path, shown or None, shown or None),)
    at = (At(path, "value_changed", 1, 1, 1),)
    return Cause("id", "shop", transform, at, 1, 1, 0.0, 1.0, common, examples, ())


def assert_plain(words: str) -> None:
    """One bounded line in which nothing is left out: no blank twice, no empty quotes or slots, outside of values."""
    own = re.sub(r'"(?:[^"\\]|\\.)*"|"x+…', "V", words.replace('{"a":  1}', "V"))
    assert len(words) < 800, len(words)
    assert "  " not in own, words
    assert "\n" not in words
    assert not re.search(r"''| [,;:)]|\( |: $|[,;:] ?[,;:]| becomes (;|\()| says (,|\()", own), words
    assert not re.search(r"[{}]", own.replace("{what}", "")), words


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_no_sentence_has_a_hole_whatever_the_values_are(value: str | None) -> None:
    for name in [name for names in PREFERENCE.values() for name in names]:
        transform = f"{name}:{PARAMETERS[name]}" if name in PARAMETERS else name
        assert_plain(sentence(a_cause(transform, value=value), 702))


@pytest.mark.parametrize("key", ODD_NAMES)
def test_no_sentence_has_a_hole_whatever_fields_are_called(key: str) -> None:
    step = key.replace("~", "~0").replace("/", "~1")
    paths = [f"/{step}", f"/{step}/*", f"/a[*]/{step}[*]/text()[*]", f"/a[*]/@{step}", f"header:set-cookie/{step}/path"]
    for path in [*paths, f"form:{step}"]:
        for name in ("scale:100", "changed", "item_missing", "items_missing@" + path, "cut_to:5@" + path):
            assert_plain(sentence(a_cause(name, path), 702))
    for name in ("renamed", "swapped", "wrapped_in_object", "taken_out_of_object"):
        for transform in (f"{name}:{key}>{key}", f"{name}:{key}", f"{name}:{key}>{key}"[:300]):
            assert_plain(sentence(a_cause(transform), 702))
    assert_plain(sentence(a_cause(f"moved:/{step}>/b/{step}"), 702))
