"""Witnesses are requests that show what they claim, and a proof is never refuted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.asked import Asked
from rules.match import Match
from rules.matching.predicates import whole
from rules.witness import Demand, look, meet, samples, within, witness


def match_of(**asked: Any) -> Match:
    return Match.model_validate_json(json.dumps(asked), strict=True)


def takes(match: Match, request: Asked) -> bool:
    return whole(match).holds(request)


_PATHS = st.one_of(
    st.tuples(st.lists(st.sampled_from(["a", "b", "x", "*"]), max_size=3), st.sampled_from(["", "/", "/**"])).map(
        lambda pair: "".join("/" + part for part in pair[0]) + pair[1] or "/"
    ),
    st.sampled_from(["/a", "/a(/b)?", "/[ab]/x", "/a/.*", "/v[0-9]+/[^/]*", "/(?:a|b/x)", "/(?i)A"]).map(
        lambda text: {"regex": text}
    ),
)
_CONDITIONS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.sampled_from(["1", "12", "ab"]),
        st.sampled_from(
            [
                {"prefix": "1"}, {"suffix": "2"}, {"contains": "b"}, {"present": True}, {"absent": True},
                {"regex": "[a-c]+"}, {"regex": "1.?"}, {"range": {"from": 1, "below": 13}}, {"range": {"below": 2}},
                {"prefix": "a", "suffix": "b"}, {"range": {"from": 10}, "prefix": "1"},
            ]
        ),
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"not": inner}), st.fixed_dictionaries({"prefix": st.just("1"), "not": inner})
    ),
    max_leaves=2,
)  # fmt: skip
_HOSTS = st.sampled_from(
    ["s.example", "*.s.example", "*.example", "a.s.example", "s.example:8080", {"regex": r"[a-z]\.s\.example"}]
)
_KEYS: dict[str, st.SearchStrategy[Any]] = {
    "host": st.one_of(_HOSTS, st.lists(_HOSTS, min_size=1, max_size=2)),
    "path": st.one_of(_PATHS, st.lists(_PATHS, min_size=1, max_size=2)),
    "methods": st.lists(st.sampled_from(["GET", "POST", "PURGE"]), min_size=1, max_size=2),
    "headers": st.dictionaries(st.sampled_from(["x-a", "x-b"]), _CONDITIONS, min_size=1, max_size=2),
    "query": st.dictionaries(st.sampled_from(["q", "a b"]), _CONDITIONS, min_size=1, max_size=1),
    "cookies": st.dictionaries(st.sampled_from(["c", "d"]), _CONDITIONS, min_size=1, max_size=2),
    "client": st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/24", "2001:db8::/32", "0.0.0.0/0"]),
}


def _some(inner: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[Any]:
    keys = dict(_KEYS)
    if inner is not None:
        keys |= {"any": st.lists(inner, min_size=1, max_size=2), "all": st.lists(inner, min_size=1, max_size=2)}
        keys |= {"not": inner}
    chosen = st.lists(st.sampled_from(sorted(keys)), min_size=1, max_size=3, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: keys[name] for name in names}))


MATCHES = st.one_of(_some(), _some(_some())).map(lambda asked: match_of(**asked))
_VALUES = st.lists(st.sampled_from(["1", "12", "2", "ab", "abc", "b", ""]), max_size=1)
REQUESTS = st.builds(
    lambda method, host, port, path, client, a, b, query, cookies: Asked(
        method,
        host,
        "/" + "/".join(path),
        query,
        client,
        port,
        headers={"x-a": a, "x-b": b, "cookie": cookies},
    ),
    st.sampled_from(["GET", "POST", "PURGE", "PUT"]),
    st.sampled_from(["s.example", "a.s.example", "b.a.s.example", "other"]),
    st.sampled_from([80, 8080]),
    st.lists(st.sampled_from(["a", "b", "x", "v1", "A"]), max_size=3),
    st.sampled_from(["10.1.2.3", "10.2.0.1", "192.0.2.1", "2001:db8::7", "8.8.8.8"]),
    _VALUES,
    _VALUES,
    st.sampled_from(["", "q=1", "q=ab&q=1", "a+b=12", "q=", "a%20b=2"]),
    st.sampled_from([[], ["c=1"], ["c=12; d=ab"], ["d=2"]]),
)


@settings(max_examples=200)
@given(MATCHES)
def test_every_sample_is_taken_and_they_differ(match: Match) -> None:
    found = list(samples(match))
    assert all(takes(match, request) for request in found)
    assert all(request not in found[:number] for number, request in enumerate(found))
    assert found == list(samples(match))


MANY = st.lists(REQUESTS, min_size=10, max_size=20)


@settings(max_examples=100)
@given(MATCHES, MANY)
def test_a_match_that_takes_a_request_has_samples(match: Match, requests: list[Asked]) -> None:
    if any(takes(match, request) for request in requests):
        assert next(samples(match), None) is not None


@settings(max_examples=200)
@given(MATCHES, MATCHES)
def test_where_two_matches_meet_both_take_the_witness_whichever_comes_first(one: Match, other: Match) -> None:
    found, again = meet(one, other), meet(other, one)
    assert (found is None) == (again is None)
    for request in (found, again):
        assert request is None or (takes(one, request) and takes(other, request))


@settings(max_examples=150)
@given(MATCHES, MATCHES, MANY)
def test_two_matches_of_one_request_are_found_to_meet(one: Match, other: Match, requests: list[Asked]) -> None:
    if any(takes(one, request) and takes(other, request) for request in requests):
        assert meet(one, other) is not None


@settings(max_examples=200)
@given(MATCHES, MATCHES, MANY)
def test_no_request_refutes_that_one_match_lies_within_another(
    inner: Match, outer: Match, requests: list[Asked]
) -> None:
    if within(inner, outer):
        assert witness([inner], [outer]) is None
        for request in (*requests, *samples(inner)):
            assert takes(outer, request) or not takes(inner, request)


@settings(max_examples=150)
@given(MATCHES, MATCHES, MANY)
def test_a_witness_against_a_match_is_found_where_there_is_one(one: Match, other: Match, requests: list[Asked]) -> None:
    if any(takes(one, request) and not takes(other, request) for request in requests):
        found = witness([one], [other])
        assert found is not None
        assert takes(one, found)
        assert not takes(other, found)


@settings(max_examples=200)
@given(st.lists(MATCHES, max_size=3), st.lists(MATCHES, max_size=6))
def test_a_witness_is_taken_by_all_that_are_wanted_and_by_none_of_the_others(
    wanted: list[Match], unwanted: list[Match]
) -> None:
    found = witness(wanted, unwanted)
    if found is not None:
        assert all(takes(match, found) for match in wanted)
        assert not any(takes(match, found) for match in unwanted)


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ({"path": "/a/b"}, {"path": "/a/**"}),
        ({"path": "/a/*"}, {"path": ["/b", "/a/**"]}),
        ({"path": {"regex": "/api/v[0-9]+/.*"}}, {"path": "/api/**"}),
        ({"path": {"regex": "/(?P<kind>a|b)"}}, {"path": {"regex": "/[a-c]"}}),
        ({"path": "/a", "methods": ["GET"]}, {"methods": ["GET", "HEAD"]}),
        ({"host": "a.s.example"}, {"host": "*.s.example"}),
        ({"host": "s.example:8080"}, {"host": "s.example"}),
        ({"host": {"regex": r"[a-z]+\.s\.example"}}, {"host": "*.s.example"}),
        ({"client": "10.1.0.0/16"}, {"client": ["10.0.0.0/9", "192.168.0.0/16"]}),
        ({"headers": {"x": "ab"}}, {"headers": {"x": {"not": "ac"}}}),
        ({"headers": {"x": {"prefix": "shop-a"}}}, {"headers": {"X": {"prefix": "shop-"}}}),
        ({"headers": {"x": {"range": {"from": 3, "below": 9}}}}, {"headers": {"x": {"range": {"from": 3}}}}),
        ({"query": {"q": {"regex": "a[bc]+"}}}, {"query": {"q": {"prefix": "a"}}}),
        ({"cookies": {"c": {"exact": "1"}}}, {"cookies": {"c": {"present": True}}}),
        ({"cookies": {"c": {"absent": True}}}, {"cookies": {"c": {"not": "1"}}}),
        ({"any": [{"path": "/a"}, {"path": "/b"}]}, {"path": "/*"}),
        ({"path": "/a"}, {"any": [{"methods": ["GET"]}, {"not": {"methods": ["GET"]}}]}),
        ({"not": {"path": "/**"}}, {"path": "/a"}),
        ({"path": "/a", "not": {"methods": ["GET"]}}, {"not": {"path": "/a", "methods": ["GET"]}}),
        ({"all": [{"path": "/a/**"}, {"path": "/*/b"}]}, {"path": "/a/b"}),
    ],
)
def test_what_lies_within_is_proven(inner: dict[str, Any], outer: dict[str, Any]) -> None:
    assert within(match_of(**inner), match_of(**outer))
    assert not within(match_of(**outer), match_of(**inner)) or inner == outer or "any" in outer or "all" in inner


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ({"path": "/a/**"}, {"path": "/a/*"}),
        ({"path": "/**"}, {"path": ["/", "/*", "/*/**"]}),  # OPTIONS * has no path
        ({"path": "/a/**"}, {"path": ["/a", "/a/", "/a/*", "/a/*/", "/a/*/*"]}),  # deeper paths are left
        ({"client": "10.0.0.0/29"}, {"client": ["10.0.0.0/30", "10.0.0.6/31"]}),  # 10.0.0.4 is left
        ({"headers": {"x": {"regex": "[a\u00e0]"}}}, {"headers": {"x": {"regex": "[a\u00e9]"}}}),
        ({"host": "s.example"}, {"host": "*.s.example"}),
        ({"host": "s.example"}, {"host": "s.example:80"}),
        ({"client": "10.0.0.0/8"}, {"client": ["10.0.0.0/9"]}),
        ({"headers": {"x": {"not": "1"}}}, {"headers": {"x": {"present": True}}}),
        ({"headers": {"x": {"regex": "(?i)k"}}}, {"headers": {"x": {"regex": "[kK]"}}}),  # the Kelvin sign
        ({"headers": {"x": {"regex": r"\bx"}}}, {"headers": {"x": "x"}}),  # true, but \b is not read
    ],
)
def test_what_is_not_within_or_not_known_to_be_is_not_claimed(inner: dict[str, Any], outer: dict[str, Any]) -> None:
    assert not within(match_of(**inner), match_of(**outer))


def test_what_is_not_asked_is_plain() -> None:
    first = next(samples(match_of(path="/api/products/**")))
    assert (first.method, first.host, first.path, first.client) == (
        "GET",
        "example.test",
        "/api/products/x",
        "192.0.2.1",
    )
    assert (first.query, first.port, dict(first.headers)) == ("", 80, {"host": ["example.test"]})


def test_several_matches_together_can_cover_what_none_covers_alone() -> None:
    route = match_of(path="/a/**", methods=["GET", "POST"])
    reads, writes = match_of(path="/a/**", methods=["GET"]), match_of(path="/**", methods=["POST"])
    assert look([Demand(route)], [Demand(reads), Demand(writes)]).impossible
    left = look([Demand(route)], [Demand(reads)]).request
    assert left is not None
    assert left.method == "POST"


def test_no_witness_is_a_request_that_fig_refuses() -> None:
    assert meet(match_of(methods=["CONNECT"]), match_of(path="/**")) is None
    assert meet(match_of(path="/a", headers={"transfer-encoding": "gzip"}), match_of(path="/a")) is None


def test_a_search_that_would_take_too_long_is_given_up_and_proves_nothing() -> None:
    one = match_of(headers={"x": {"regex": "(a|b)*a(a|b){12}"}})
    other = match_of(headers={"x": {"regex": "(a|b)*b(a|b){12}"}})
    assert meet(one, other) is None
    assert not within(one, match_of(headers={"x": {"regex": "(a|b)*a(b|a){12}"}}))
