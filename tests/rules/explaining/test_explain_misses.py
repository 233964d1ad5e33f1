"""What explain tells of routes that did not take a request: few of many, and each in one readable sentence."""

from __future__ import annotations

from typing import Any

import pytest

from rules.asked import Asked
from rules.explaining.explain import explain
from rules.explaining.misses import FEW, miss_of, misses_of
from rules.explaining.text import render
from tests.rules.conftest import MakeTable

ASKED = Asked("GET", "shop.example", "/a/7", headers={"x-app": ("shop",)})


@pytest.mark.parametrize(
    ("match", "predicate", "why"),
    [
        ({"path": "/b"}, "path", "segment 1 is 'a', not 'b' as in /b"),
        ({"path": {"regex": "/b.*"}}, "path", "the path does not match the regex '/b.*' as a whole"),
        ({"path": ["/b", {"regex": "/c"}]}, "path", "the path matches none of '/b' or the regex '/c'"),
        ({"path": "/a/*", "any": [{"methods": ["POST"]}, {"headers": {"x-app": "web"}, "host": "shop.example"}]}, "any",
         "none of its alternatives holds: (1) the method is GET, not POST, (2) the header 'x-app' is not 'web'"),
        ({"path": "/a/*", "not": {"host": "shop.example", "headers": {"x-app": "shop"}}}, "not",
         "it is what 'not' leaves out, by its host and header x-app"),
        ({"path": "/a/*", "all": [{"methods": ["GET"]}, {"any": [{"not": {"path": "/a/**"}}]}]}, "any",
         "none of its alternatives holds: (1) it is what 'not' leaves out, by its path"),
        ({"path": "/a/*", "all": [{"query": {"q": {"range": {"from": 3}}}}]}, "query q", "the query 'q' is absent"),
    ],
)  # fmt: skip
def test_the_first_predicate_that_failed_is_told_in_one_sentence(
    make_table: MakeTable, match: dict[str, Any], predicate: str, why: str
) -> None:
    miss = miss_of(make_table([{"match": match}]).routes[0], ASKED)
    assert miss is not None
    assert (miss.predicate, miss.why) == (predicate, why)


def test_of_few_routes_every_miss_is_told_in_file_order(make_table: MakeTable) -> None:
    far, near = {"match": {"path": "/b"}}, {"match": {"path": "/a/*", "methods": ["POST"]}}
    table = make_table([far, near] * (FEW // 2) + [{"match": {"path": "/**"}}])
    found = explain(table, ASKED).misses
    assert [miss.route for miss in found.told] == [f"r{number}" for number in range(FEW)]
    assert (found.far, found.near) == (0, 0)


def test_of_many_routes_the_near_misses_are_told_and_the_others_counted(make_table: MakeTable) -> None:
    far, near = {"match": {"path": "/b"}}, {"match": {"path": "/a/*", "methods": ["POST"]}}
    table = make_table([*[far] * 50, near, *[far] * 50, near, {"match": {"path": "/**"}}])

    explanation = explain(table, ASKED)

    assert [miss.route for miss in explanation.misses.told] == ["r50", "r101"]
    assert "  and 100 earlier routes whose host or path does not fit (--all tells each)" in render(explanation)
    assert explanation.as_json()["misses_not_told"] == {"host_or_path": 100, "other": 0}
    assert len(explain(table, ASKED, tell="all").misses.told) == 102
    assert explain(table, ASKED, tell="nothing").misses.told == ()


def test_of_many_near_misses_only_the_first_are_told(make_table: MakeTable) -> None:
    near = {"match": {"path": "/a/*", "methods": ["POST"]}}
    found = explain(make_table([near] * (FEW + 7)), ASKED).misses
    assert ([miss.route for miss in found.told], found.near) == ([f"r{number}" for number in range(FEW)], 7)


def test_a_route_that_takes_the_request_is_no_miss(make_table: MakeTable) -> None:
    with pytest.raises(ValueError, match="route 'r0' takes the request"):
        misses_of(make_table([{"match": {"path": "/a/*"}}]).routes, ASKED)
