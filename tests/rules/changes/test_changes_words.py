"""Classes of requests in words, and which routes come near one another."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.changes.neighbours import Neighbours
from rules.changes.words import in_words
from rules.match import Match
from rules.matching.predicates import whole
from tests.rules.drawn_rules import drawn_match, drawn_request


def match(**content: Any) -> Match:
    return Match.model_validate(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"path": "/orders/**"}, "/orders/**"),
        ({"path": "/**"}, "every path"),
        ({"path": "/orders/{id}", "methods": ["GET", "HEAD"]}, "GET or HEAD /orders/{id}"),
        ({"host": "shop.example"}, "everything at shop.example"),
        ({"host": "shop.example", "path": "/a"}, "shop.example/a"),
        ({"host": ["a.example", "b.example"], "path": ["/a", "/b"]}, "/a or /b at a.example or b.example"),
        ({"path": {"regex": "/v[0-9]+/.*"}}, "~/v[0-9]+/.*"),
        ({"path": [f"/{n}" for n in range(9)]}, "/0, /1, /2 or 6 more"),
        ({"path": "/a", "headers": {"x-beta": "1"}}, "/a with header x-beta = '1'"),
        ({"path": "/a", "headers": {"x-beta": {"present": True}}}, "/a with header x-beta"),
        ({"path": "/a", "headers": {"x-beta": {"absent": True}}}, "/a with no header x-beta"),
        ({"path": "/a", "headers": {"x": {"not": "1"}}}, "/a with header x not = '1'"),
        ({"path": "/a", "query": {"p": {"range": {"from": 2, "below": 9}}}}, "/a with query p of at least 2, below 9"),
        ({"path": "/a", "headers": {"api-key": {"prefix": "x"}}}, "/a with header api-key beginning with (not shown)"),
        ({"path": "/a", "cookies": {"staff": "yes"}}, "/a with cookie staff = (not shown)"),
        ({"path": "/a", "client": "10.0.0.0/8"}, "/a from 10.0.0.0/8"),
        ({"path": "/a/**", "not": {"path": "/a/b"}}, "/a/** but not (/a/b)"),
        ({"any": [{"path": "/a"}, {"methods": ["PUT"]}]}, "every path and any of (/a or PUT every path)"),
    ],
)  # fmt: skip
def test_a_match_in_words(content: dict[str, Any], words: str) -> None:
    assert in_words(match(**content)) == words


def test_two_matches_that_ask_of_different_things_become_one() -> None:
    beta = match(headers={"x-beta": "1"})
    assert in_words(match(path="/a", methods=["GET"]), beta) == "GET /a with header x-beta = '1'"


def test_two_matches_that_ask_of_the_same_thing_stay_two() -> None:
    assert in_words(match(path="/{x}/b"), match(path="/a/{y}")) == "/{x}/b and also /a/{y}"
    assert in_words(match(headers={"x": {"prefix": "a"}}), match(headers={"x": {"suffix": "b"}})) == (
        "every path with header x beginning with 'a' and also every path with header x ending with 'b'"
    )


@settings(max_examples=150)
@given(st.integers(0, 10**9).map(Random))
def test_matches_that_take_one_request_are_neighbours(chance: Random) -> None:
    matches = [match(**drawn_match(chance)) for _ in range(6)]
    neighbours = Neighbours(matches)
    for _ in range(10):
        request = drawn_request(chance)
        taking = {number for number, each in enumerate(matches) if whole(each).holds(request)}
        for number in taking:
            assert taking <= set(neighbours.of(matches[number]))
        if request.path != "*":
            assert taking <= set(neighbours.of_path(request.path))
