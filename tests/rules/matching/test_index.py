"""A decision costs what its request costs: however many routes there are, few of them look at it."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from rules.asked import Asked
from rules.match import Match
from rules.matching.captures import capture_reader
from rules.matching.index import Index
from rules.matching.places import MOST, places
from rules.matching.skeleton import skeleton

MANY = 1_000


@dataclass(frozen=True, slots=True)
class Watched(Asked):
    """A request that counts how often each part of it is looked at."""

    looks: Counter[str] = field(default_factory=Counter)

    def values(self, name: str) -> Sequence[str]:
        self.looks[name] += 1
        return self.headers.get(name, ())


def index_of(matches: Sequence[dict[str, Any]]) -> Index:
    index = Index()
    for number, match in enumerate(matches):
        index.add(number, Match.model_validate(match))
    return index


def entries_tried(monkeypatch: pytest.MonkeyPatch, index: Index, request: Asked) -> int:
    """How many routes' predicates one decision asks."""
    tried = Counter[str]()
    for kind in ("HostPredicate", "PathPredicate", "AnyPredicate", "AllPredicate", "NotPredicate", "ClientPredicate"):
        _count(monkeypatch, f"rules.matching.predicates.{kind}", tried)
    _count(monkeypatch, "rules.matching.conditions.ConditionPredicate", tried)
    index.find(request)
    return tried.total()


def _count(monkeypatch: pytest.MonkeyPatch, kind: str, tried: Counter[str]) -> None:
    module, _, name = kind.rpartition(".")
    plain: Callable[[Any, Any], bool] = getattr(importlib.import_module(module), name).holds

    def holds(self: Any, request: Any) -> bool:
        tried[name] += 1
        return plain(self, request)

    monkeypatch.setattr(f"{kind}.holds", holds)


@pytest.mark.parametrize(
    "match",
    [
        lambda n: {"path": f"/a/p{n}", "headers": {"x-a": {"prefix": "1"}}},
        lambda n: {"path": f"/a/p{n}/{{id}}/**", "client": "10.0.0.0/8"},
        lambda n: {"path": {"regex": f"/a/p{n}/[0-9]+"}},
        lambda n: {"path": {"regex": f"/[a-z]+/p{n}(/.*)?/x.*"}},
        lambda n: {"path": {"regex": f"/a/p{n}x.*"}},
        lambda n: {"path": {"regex": f"/b/p{n}-[0-9]+"}},
        lambda n: {"host": f"h{n}.example", "cookies": {"c": {"suffix": "1"}}},
        lambda n: {"host": f"*.h{n}.example:8443"},
        lambda n: {"any": [{"path": f"/a/p{n}"}, {"path": f"/b/p{n}/**"}]},
        lambda n: {"all": [{"path": f"/a/p{n}"}, {"host": f"h{n}.example"}]},
        lambda n: {"host": f"h{n}.example", "any": [{"path": "/a/**"}, {"not": {"path": "/b"}}]},
        lambda n: {"any": [{"host": f"h{n}.example", "path": "/x"}, {"host": "b.example", "path": f"/x{n}"}]},
        lambda n: {"path": [f"/a/p{n}", {"regex": f"/b/p{n}/.*"}]},
    ],
)
def test_routes_of_other_paths_and_hosts_are_not_asked(
    monkeypatch: pytest.MonkeyPatch, match: Callable[[int], dict[str, Any]]
) -> None:
    index = index_of([match(n) for n in range(MANY)])
    for path, host in (("/a/p700", "shop.example"), ("/b/p17/x", "a.h17.example"), ("/nothing", "h9.example")):
        request = Asked("GET", host, path, port=8443, client="10.0.0.1")
        assert entries_tried(monkeypatch, index, request) <= 12


def test_ten_thousand_tenants_of_one_path_are_one_look_at_the_header() -> None:
    index = index_of([{"path": "/**", "headers": {"x-tenant": f"t{n}"}} for n in range(10_000)])
    for tenant, expected in (("t9", 9), ("t9999", 9999), ("t10000", 10_000), ("", 10_000)):
        request = Watched("GET", "shop.example", "/cart", headers={"x-tenant": [tenant]})
        assert index.find(request) == expected
        assert request.looks.total() <= 5


def test_a_thousand_customers_in_one_route_are_one_look_at_the_header() -> None:
    customers = [{"headers": {"x-tenant": f"t{n}"}} for n in range(1_000)]
    table = [{"path": "/a", "any": [{"methods": ["PUT"], "path": "/a"}, *customers]}, {"path": "/{x}"}]
    for tenant, expected in (("t999", 0), ("t1000", 1)):
        request = Watched("GET", "shop.example", "/a", headers={"x-tenant": [tenant]})
        assert index_of(table).find(request) == expected
        assert request.looks.total() <= 1
        assert capture_reader(Match.model_validate({"any": customers}))(request) == {"**": "/a"}
        assert request.looks.total() <= 1
    assert index_of(table).find(Asked("PUT", "shop.example", "/a")) == 0


def test_values_that_only_together_differ_are_looked_up_together(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [(a, b) for a in range(50) for b in range(50)]
    matches = [{"path": "/**", "headers": {"x-a": f"{a}"}, "query": {"q": f"{b}"}} for a, b in pairs]
    index = index_of(matches)
    request = Asked("GET", "shop.example", "/", "q=49", headers={"x-a": ["48"]})
    assert index.find(request) == pairs.index((48, 49))
    assert entries_tried(monkeypatch, index, request) <= 12


def test_what_is_looked_up_keeps_file_order_among_what_is_tried() -> None:
    tenant = {"path": "/**", "headers": {"x-tenant": "t1"}}
    head = [{"path": "/**", "headers": {"x-tenant": f"a{n}"}} for n in range(10)]
    early = index_of([*head, {"path": "/**", "methods": ["POST"]}, tenant, {"path": "/**"}, tenant])
    request = Asked("GET", "shop.example", "/", headers={"x-tenant": ["t1"]})
    assert early.find(request) == 11
    assert early.find(Asked("POST", "shop.example", "/", headers={"x-tenant": ["t1"]})) == 10
    assert index_of([*head, {"path": "/**"}, tenant]).find(request) == 10


def test_what_is_looked_up_still_has_to_meet_everything_else() -> None:
    other = [{"path": "/**", "headers": {"x-tenant": f"a{n}"}} for n in range(10)]
    tenant = {"path": "/**", "headers": {"x-tenant": "t1"}}
    twofold = {"path": "/**", "headers": {"x-tenant": {"exact": "t1", "prefix": "x"}}}
    never = tenant | {"all": [{"headers": {"x-tenant": "t2"}}]}
    index = index_of([*other, tenant | {"methods": ["PUT"]}, twofold, never, tenant | {"client": "10.0.0.1"}, tenant])
    for method, client, expected in (("PUT", "10.0.0.2", 10), ("GET", "10.0.0.1", 13), ("GET", "10.0.0.2", 14)):
        request = Asked(method, "shop.example", "/", client=client, headers={"x-tenant": ["t1"]})
        assert index.find(request) == expected


def test_what_is_tried_before_a_look_up_is_found_although_another_place_has_a_later_route() -> None:
    tenants = [{"host": "h.example", "headers": {"x-tenant": f"t{n}"}} for n in range(6)]
    index = index_of([*tenants[:4], {"path": "/**"}, *tenants[4:]])
    for tenant, expected in (("t1", 1), ("t5", 4)):
        assert index.find(Asked("GET", "h.example", "/", headers={"x-tenant": [tenant]})) == expected


def test_a_match_of_very_many_hosts_and_paths_is_entered_by_its_hosts_alone() -> None:
    match = Match(host=tuple(f"h{n}.example" for n in range(60)), path=tuple(f"/p{n}" for n in range(60)))
    found = places(match)
    assert len(found.all) == 60 <= MOST
    assert (found.answer_host, found.answer_path) == (True, False)
    index = Index()
    index.add(0, match)
    assert index.find(Asked("GET", "h7.example", "/p59")) == 0
    assert index.find(Asked("GET", "h7.example", "/p60")) == 1
    assert index.find(Asked("GET", "h60.example", "/p7")) == 1


@pytest.mark.parametrize(
    ("regex", "pattern", "stem"),
    [
        ("/v[0-9]+/items/.*", "/*/items/**", ""),
        ("/a/b", "/a/b", ""),
        ("^/a/[^/]+/c$", "/a/*/c", ""),
        ("/a/(?P<id>[0-9]+)/x", "/a/*/x", ""),
        ("/(a|b)/c", "/*/c", ""),
        (r"/x\.y/\d{3}", "/x.y/*", ""),
        ("/a/[0-9]+/[a-z]+", "/a/*/*", ""),
        ("/a/b*/c", "/a/**", ""),
        ("/a/b/?", "/a/b/**", ""),
        ("/a/b(/.*)?", "/a/b/**", ""),
        ("/a/b(/.*)?x", "/a/**", "b"),
        ("/a/b(/c|/d)*/e", "/a/b/**", ""),
        ("/a/b(/c|d)*/e", "/a/**", "b"),
        ("/a/t7.*", "/a/**", "t7"),
        ("/a/t7-[0-9]+", "/a/**", "t7-"),
        ("/a/t7-[0-9]+/x", "/a/*/x", ""),
        ("/t7.*", "/**", "t7"),
        ("/a/[0-9]+/t7+", "/a/*/**", "t"),
        ("/a/[^x]/b", "/a/**", ""),
        ("/a/", "/a/", ""),
        ("/", "/", ""),
        ("/a|/b", "/**", ""),
        ("(?i)/a", "/**", ""),
        (r"/\Qa*\E", "/**", ""),
        (".*/a", "/**", ""),
        ("/a$b", "/**", ""),
    ],
)
def test_what_an_expression_surely_begins_with_is_where_it_is_filed(regex: str, pattern: str, stem: str) -> None:
    found = skeleton(regex)
    assert (found.pattern.text, found.stem) == (pattern, stem)
