"""Ids that the sides assign differently: rewritten exactly where they stand, and back again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.identities import Identity
from rules.match import Match
from rules.stages import Side
from shadow.comparing.values import ABSENT, Absent, Json
from shadow.delivery.identities import (
    Learnt,
    UnfitPathError,
    UnknownIdError,
    as_legacy_says,
    learn,
    rewrite_body,
    rewrite_target,
)
from shadow.delivery.read_back import said_by
from shadow.journal.writes import Original
from shadow.pair import Answer

MATCH = Match.model_validate({"path": ["/orders/{order}", "/orders/{order}/items/{item}", "/files/{order}/**"]})


def ids(**more: Any) -> dict[str, Identity]:
    return {"order": Identity.model_validate({"made": "response:/id", **more})}


def lookup(name: str, side: Side, text: str) -> Json | Absent:
    """Legacy's N is the candidate's 9000 + N, up to 99."""
    if not text.isdigit():
        return ABSENT
    number = int(text)
    if side is Side.LEGACY:
        return 9000 + number if number < 100 else ABSENT
    return number - 9000 if 9000 <= number < 9100 else ABSENT


def target(asked: str, copy: str = "", **more: Any) -> str:
    original = Original("r", "", asked, "h", [], b"", "", "")
    said = said_by("PUT", original, MATCH)
    return rewrite_target(ids(**more), MATCH, said, copy or asked, asked, Side.LEGACY, lookup)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("/orders/17", "/orders/9017"),
        ("/orders/17/items/17", "/orders/9017/items/17"),
        ("/files/17/17/a", "/files/9017/17/a"),
        ("/orders/17?order=17&x=17", "/orders/9017?order=9017&x=17"),
        ("/other/17", "/other/17"),
    ],
)
def test_an_id_is_rewritten_where_it_is_named_and_nowhere_else(asked: str, expected: str) -> None:
    assert target(asked, used=["path:order", "query:order"]) == expected


def test_a_path_that_the_route_changes_is_rewritten_by_the_one_segment_that_is_the_id() -> None:
    assert target("/orders/17", "/v2/carts/17/o", used=["path:order"]) == "/v2/carts/9017/o"
    with pytest.raises(UnfitPathError):
        target("/orders/17", "/v2/17/17", used=["path:order"])


def test_an_id_that_was_not_learnt_is_no_other_id_unless_the_rules_say_so() -> None:
    with pytest.raises(UnknownIdError, match="what the candidate calls its 'order' is not known") as told:
        target("/orders/500", used=["path:order"])
    assert "500" not in str(told.value)
    assert target("/orders/500", used=["path:order"], unknown="same") == "/orders/500"


def body(value: Any, *used: str) -> Any:
    return json.loads(rewrite_body(ids(used=list(used)), json.dumps(value).encode(), Side.LEGACY, lookup))


def test_ids_of_bodies_keep_their_form() -> None:
    assert body({"order": 17, "note": 17}, "request:/order") == {"order": 9017, "note": 17}
    assert body({"order": "17"}, "request:/order") == {"order": "9017"}
    assert body({"lines": [{"o": 1}, {"o": 2}, {}]}, "request:/lines/*/o") == {"lines": [{"o": 9001}, {"o": 9002}, {}]}
    assert body({"order": None}, "request:/order") == {"order": None}


def test_a_body_that_names_no_id_goes_out_byte_by_byte() -> None:
    raw = b'{ "a" : 1.10 }'

    assert rewrite_body(ids(used=["request:/order"]), raw, Side.LEGACY, lookup) is raw
    assert rewrite_body(ids(used=["request:/order"]), b"no json", Side.LEGACY, lookup) == b"no json"


def answer(value: Any) -> Answer:
    return Answer(200, (("Content-Type", "application/json"),), json.dumps(value).encode())


def test_ids_are_learnt_where_both_answers_have_one() -> None:
    assert learn(ids(), answer({"id": 17}), answer({"id": "x-9"})) == [Learnt("order", 17, "x-9")]
    others: list[Any] = [{}, {"id": None}, {"id": True}, {"id": []}, {"id": ""}]
    for other in others:
        assert learn(ids(), answer({"id": 17}), answer(other)) == []


def test_the_candidates_answer_is_compared_with_legacys_ids() -> None:
    changed = as_legacy_says(ids(shown=["response:/all/*"]), answer({"id": 9017, "all": [9001, 5]}), lookup)

    assert json.loads(changed.body) == {"id": 17, "all": [1, 5]}
    same = answer({"id": 3})
    assert as_legacy_says(ids(), same, lookup) is same


orders = st.integers(0, 99)


@given(orders, st.lists(orders), st.sampled_from(["number", "text"]))
def test_what_is_rewritten_and_shown_again_is_what_it_was(order: int, others: list[int], form: str) -> None:
    """A candidate that echoes what it got, under its own ids, is equal to legacy."""
    write = {"id": order if form == "number" else str(order), "others": others, "price": 17}
    rules = ids(used=["request:/id", "request:/others/*"], shown=["response:/others/*"])

    sent = json.loads(rewrite_body(rules, json.dumps(write).encode(), Side.LEGACY, lookup))

    assert int(sent["id"]) == 9000 + order
    assert sent["others"] == [9000 + each for each in others]
    assert sent["price"] == 17
    assert json.loads(as_legacy_says(rules, answer(sent), lookup).body) == write
