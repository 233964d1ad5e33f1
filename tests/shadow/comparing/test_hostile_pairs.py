"""Pairs made to mislead the comparison (hostile_pairs.py): what differs is never called equal, nor the reverse."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from shadow.comparing.compare import compare
from shadow.pair import Answer
from shadow.spec import Comparison
from tests.shadow.comparing import hostile_pairs as pairs

HEADERS = Comparison.model_validate({"headers": ["set-cookie", "location"]})
JSON, XML, HTML = "application/json", "application/xml", "text/html; charset=utf-8"
MANY_BRACKETS = '["' + "[" * 300 + r'\"[\\",[[]],"' + "{" * 300 + '"]'
BRACKETS = '"' + "[" * 300 + '"'
OBJECT = '{"a":'
FORM = "application/x-www-form-urlencoded"


def of(kind: str, body: str | bytes, **headers: str) -> Answer:
    return Answer(200, (("Content-Type", kind), *headers.items()), body if isinstance(body, bytes) else body.encode())


def bodies(kind: str, table: Iterable[tuple[str, str]]) -> list[tuple[Answer, Answer]]:
    return [(of(kind, one), of(kind, other)) for one, other in table]


def cookies(table: Iterable[tuple[list[str], list[str]]]) -> list[tuple[Answer, Answer]]:
    return [
        (
            Answer(200, tuple(("Set-Cookie", each) for each in one)),
            Answer(200, tuple(("Set-Cookie", each) for each in other)),
        )
        for one, other in table
    ]


def locations(table: Iterable[tuple[str, str]]) -> list[tuple[Answer, Answer]]:
    return [(Answer(302, (("Location", one),)), Answer(302, (("Location", other),))) for one, other in table]


def nested(levels: int, opening: str = "[", closing: str = "]", leaf: str = "1") -> str:
    return opening * levels + leaf + closing * levels


EQUAL = [
    *bodies(JSON, pairs.JSON_EQUAL),
    *bodies(HTML, pairs.HTML_EQUAL),
    *bodies(XML, pairs.XML_EQUAL),
    *bodies(FORM, pairs.FORM_EQUAL),
    *cookies(pairs.COOKIE_EQUAL),
    *locations(pairs.LOCATION_EQUAL),
    *bodies(JSON, [(nested(200), f" {nested(200)}"), (f"[{'1' * 5000}]", f"[{'1' * 5000}.0]")]),
    *bodies(JSON, [("[1e5000]", f"[1{'0' * 5000}]"), (nested(200, OBJECT, "}"), f" {nested(200, OBJECT, '}')}")]),
    *bodies(JSON, [(MANY_BRACKETS, MANY_BRACKETS.replace(",", " , ")), (BRACKETS, f" {BRACKETS}")]),
    (of(XML, '<?xml version="1.0" encoding="latin1"?><a>\xe9</a>'.encode("latin-1")), of(XML, "<a>\xe9</a>")),
    (of(XML, "<a>\xe9</a>".encode("utf-16")), of(XML, "<a>\xe9</a>")),
    (of("text/json", '{"a":1,"b":2}'), of("text/json", '{"b":2,"a":1}')),
    (of("", '{"a":1,"b":2}'), of("", '{"b":2,"a":1}')),
]
DIFFERENT = [
    *bodies(JSON, pairs.JSON_DIFFERENT),
    *bodies(HTML, pairs.HTML_DIFFERENT),
    *bodies(XML, pairs.XML_DIFFERENT),
    *bodies(FORM, pairs.FORM_DIFFERENT),
    *cookies(pairs.COOKIE_DIFFERENT),
    *locations(pairs.LOCATION_DIFFERENT),
    *bodies(JSON, [(nested(levels), f" {nested(levels)}") for levels in (201, 10_000, 100_000)]),
    *bodies(JSON, [(nested(levels), nested(levels, leaf="true")) for levels in (1, 200, 201, 10_000)]),
    *bodies(JSON, [(f"[{'1' * 5000}]", f"[{'1' * 4999}2]"), ("[1e5000]", f"[1{'0' * 5001}]")]),
    *((of(JSON, "[1]".encode(charset)), of(JSON, "[1]")) for charset in ("utf-16", "utf-16-le", "utf-32")),
    (of(JSON, b'["\xff"]'), of(JSON, b'["\xfe"]')),
    (of(JSON, b'["\xff"]'), of(JSON, '["\ufffd"]')),
    (of(JSON, b'["\xed\xa0\x80"]'), of(JSON, '["\\ud800"]')),
    (of(JSON, b'["\xc0\x80"]'), of(JSON, '["\\u0000"]')),
    (of("text/plain; charset=utf-8", "\xe9"), of("text/plain; charset=iso-8859-1", b"\xe9")),
    (of("text/plain", "a\nb"), of("text/plain", "a\r\nb")),
    (of(JSON, "[1]", **{"Content-Encoding": "br"}), of(JSON, "[1]")),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_what_means_the_same_is_equal(one: Answer, other: Answer) -> None:
    assert compare(one, other, HEADERS).equal
    assert compare(other, one, HEADERS).equal


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_does_not_mean_the_same_is_different(one: Answer, other: Answer) -> None:
    assert not compare(one, other, HEADERS).equal
    assert not compare(other, one, HEADERS).equal
