"""What a comparison finds in two answers, and where it says that it lies."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from datetime import date

import pytest

from shadow.comparing.bodies import MOST_DECODED
from shadow.comparing.compare import compare, judge
from shadow.comparing.differences import DifferenceKind as Kind
from shadow.comparing.differences import Outcome
from shadow.comparing.findings import MOST_DIFFERENCES
from shadow.pair import Answer
from shadow.spec import Comparison
from tests.fakes.pairs import JSON_TYPE, answer, pair, text

PLAIN = Comparison()


def found(legacy: Answer, candidate: Answer, comparison: Comparison = PLAIN) -> list[tuple[Kind, str]]:
    return [(each.kind, each.pointer) for each in compare(legacy, candidate, comparison).differences]


def test_answers_equal_to_the_byte_are_equal() -> None:
    assert compare(answer({"a": 1}), answer({"a": 1}), PLAIN) == Outcome()


def test_a_difference_names_its_place_its_path_and_both_values() -> None:
    legacy = answer({"items": [{"price": 1}, {"price": 2.5}]})
    candidate = answer({"items": [{"price": 1}, {"price": 2.51}]})
    (difference,) = compare(legacy, candidate, PLAIN).differences
    assert (difference.pointer, difference.path) == ("/items/1/price", "/items/*/price")
    assert (str(difference.legacy), str(difference.candidate)) == ("2.5", "2.51")


def test_keys_that_vary_from_answer_to_answer_count_as_one_path() -> None:
    uuid = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
    legacy, candidate = ({"by_id": {"17": {uuid: {"a~/b": n}}}} for n in (1, 2))
    (difference,) = compare(answer(legacy), answer(candidate), PLAIN).differences
    assert difference.pointer == f"/by_id/17/{uuid}/a~0~1b"
    assert difference.path == "/by_id/*/*/a~0~1b"


def test_every_kind_of_difference_of_json_is_told_apart() -> None:
    legacy = answer({"value": 1, "type": "1", "null": None, "gone": 1, "list": [1, 2, 3], "longer": [1]})
    candidate = answer({"value": 2, "type": 1, "null": 0, "new": 1, "list": [1, 3], "longer": [1, 2]})
    assert found(legacy, candidate) == [
        (Kind.VALUE_CHANGED, "/value"),
        (Kind.TYPE_CHANGED, "/type"),
        (Kind.TYPE_CHANGED, "/null"),
        (Kind.MISSING, "/gone"),
        (Kind.ITEM_MISSING, "/list/1"),
        (Kind.ITEM_ADDED, "/longer/1"),
        (Kind.ADDED, "/new"),
    ]


def test_an_item_dropped_from_the_middle_is_one_difference() -> None:
    items = [{"id": number, "tags": ["a", "b"]} for number in range(50)]
    assert found(answer({"items": items}), answer({"items": items[:20] + items[21:]})) == [
        (Kind.ITEM_MISSING, "/items/20")
    ]


def test_answers_of_different_status_are_not_compared_any_further() -> None:
    assert found(answer({"a": 1}), answer("<h1>oops</h1>", 500, headers=())) == [(Kind.STATUS, "status")]


def test_a_side_that_did_not_answer_differs_from_any_answer() -> None:
    (difference,) = compare(answer({}), Answer(0, failure="timeout"), PLAIN).differences
    assert (difference.kind, difference.legacy, difference.candidate) == (Kind.NO_ANSWER, 200, "no answer: timeout")
    assert not compare(Answer(0, failure="timeout"), Answer(0, failure="timeout"), PLAIN).equal


def test_content_type_location_and_cache_control_are_compared_and_others_only_when_named() -> None:
    legacy = answer({}, headers=(*JSON_TYPE, ("Location", "/a"), ("Cache-Control", "private"), ("ETag", "1")))
    candidate = answer({}, headers=(("content-type", "text/plain"), ("location", "/b"), ("etag", "2")))
    assert [place for _, place in found(legacy, candidate)] == [
        "header:content-type",
        "header:location",
        "header:cache-control",
    ]
    assert found(legacy, candidate, Comparison.model_validate({"headers": ["ETag"]})) == [(Kind.HEADER, "header:etag")]


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("application/json", "Application/JSON; charset=UTF-8", True),
        ("application/problem+json", "application/problem+json;charset=utf-8", True),
        ("text/html; charset=utf-8", "text/html;charset=UTF-8", True),
        ("text/html; charset=utf-8", "text/html", False),
        ("application/json; version=1", "application/json; version=2", False),
        ('application/json; version="1"; charset=utf-8', "application/json;Version=1", True),
        ("text/plain; format=flowed; charset=utf-8", 'text/plain;charset="UTF-8";format=flowed', True),
        ("text/plain; ; x", "text/plain", False),
        ("text/html", "application/json", False),
    ],
)
def test_content_types_are_equal_when_they_mean_the_same(left: str, right: str, equal: bool) -> None:
    legacy, candidate = (answer("{}", headers=(("Content-Type", kind),)) for kind in (left, right))
    assert compare(legacy, candidate, PLAIN).equal is equal


@pytest.mark.parametrize("body", ['{"a":1,"a":2}', '{"a":NaN}', '{"a":1}x', "", '{"a":' * 5000])
def test_a_body_that_only_one_side_can_read_is_a_difference_with_the_reason(body: str) -> None:
    (difference,) = compare(answer({"a": 1}), answer(body), PLAIN).differences
    assert (difference.kind, difference.pointer) == (Kind.UNPARSABLE, "body")
    assert difference.legacy == "a readable JSON body"
    assert difference.candidate != difference.legacy


def test_bodies_that_neither_side_can_read_are_compared_as_text() -> None:
    assert found(answer('{"a":1}\n{"a":2}'), answer('{"a":1}\n{"a":3}')) == [(Kind.VALUE_CHANGED, "line:2")]


def test_texts_are_compared_by_line_and_a_dropped_line_is_one_difference() -> None:
    lines = [f"line {number}" for number in range(30)]
    assert found(text("\n".join(lines)), text("\n".join(lines[:9] + lines[10:]))) == [(Kind.ITEM_MISSING, "line:10")]
    assert found(text("a\nb"), text("a\r\nb")) == [(Kind.VALUE_CHANGED, "line:1")]


def test_bytes_are_compared_by_length_and_hash() -> None:
    png = (("Content-Type", "image/png"),)
    (difference,) = compare(answer(b"\x89PNG1", headers=png), answer(b"\x89PNG22", headers=png), PLAIN).differences
    assert difference.kind is Kind.BODY
    assert str(difference.legacy).startswith("5 bytes, sha256 ")
    assert str(difference.candidate).startswith("6 bytes, sha256 ")


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body, wbits=-15)),
        ("gzip", lambda body: gzip.compress(body[:3]) + gzip.compress(body[3:])),
    ],
)
def test_a_content_coding_makes_no_difference(coding: str, pack: object) -> None:
    body = b'{"a": [1, 2]}'
    packed = answer(pack(body), headers=(*JSON_TYPE, ("Content-Encoding", coding)))  # type: ignore[operator]
    assert compare(answer(body), packed, PLAIN).equal
    assert found(answer({"a": [1, 3]}), packed) == [(Kind.VALUE_CHANGED, "/a/1")]


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(bytes(MOST_DECODED + 1), mtime=0),
        b"\x1f\x8bnonsense",
        gzip.compress(b"{}", mtime=0)[:-9],
        gzip.compress(b"", mtime=0) * 500,
    ],
    ids=["bomb", "nonsense", "cut", "many members"],
)
def test_a_compressed_body_that_is_a_bomb_or_broken_is_compared_as_bytes(packed: bytes) -> None:
    hostile = answer(packed, headers=(*JSON_TYPE, ("Content-Encoding", "gzip")))
    assert found(answer({}), hostile) == [(Kind.BODY, "body")]


@pytest.mark.parametrize(("coding", "pack"), [("gzip", zlib.compress), ("deflate", gzip.compress)])
def test_a_body_in_another_coding_than_it_says_is_one_that_clients_cannot_read(
    coding: str, pack: Callable[[bytes], bytes]
) -> None:
    mislabelled = answer(pack(b"{}"), headers=(*JSON_TYPE, ("Content-Encoding", coding)))
    assert found(answer({}), mislabelled) == [(Kind.BODY, "body")]


def test_a_body_captured_in_part_is_never_equal() -> None:
    legacy, candidate = (answer({"a": 1}, truncated=True) for _ in range(2))
    assert found(legacy, candidate) == [(Kind.NOT_COMPARED, "body")]


def test_charsets_are_named_by_the_answer_and_taken_from_a_list() -> None:
    latin = text("", "text/plain; charset=iso-8859-1")
    legacy = Answer(200, latin.headers, "caf\xe9".encode("latin-1"))
    assert found(legacy, Answer(200, latin.headers, "caf\xe8".encode("latin-1"))) == [(Kind.VALUE_CHANGED, "line:1")]
    odd = (("Content-Type", "text/plain; charset=unicode_escape"),)
    assert found(Answer(200, odd, b"\\ud800"), Answer(200, odd, b"\\ud801")) == [(Kind.BODY, "body")]


def test_more_differences_than_are_kept_are_said_to_be_more() -> None:
    differences = compare(answer(list(range(1000))), answer(list(range(5000, 6000))), PLAIN).differences
    assert len(differences) == MOST_DIFFERENCES + 1
    assert differences[-1].kind is Kind.NOT_LOCATED
    assert differences[-1].legacy == "800 more differences"


def test_hostile_lists_are_different_and_do_not_run_away() -> None:
    legacy: object = 1
    candidate: object = 2
    for _ in range(150):  # each level has the differing item in a list whose length differs, so that it is tried twice
        legacy, candidate = [legacy, *range(40)], [candidate, *range(39)]
    assert not compare(answer(legacy), answer(candidate), PLAIN).equal


def test_a_pair_is_judged_by_the_masks_of_its_day() -> None:
    made = pair(answer({"a": 1}), answer({"a": 2}))  # on 14 November 2023
    mask = {"path": "/a", "kind": "ignore"}
    for expires, equal in ((date(2023, 11, 14), False), (date(2023, 11, 15), True)):
        comparison = Comparison.model_validate({"masks": [mask | {"expires": expires}]})
        assert judge(made, comparison).outcome.equal is equal
