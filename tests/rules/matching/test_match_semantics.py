"""What each key of a match means, at its edges. docs/decisions/0015 says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from rules.asked import Asked
from rules.match import Match
from rules.matching.predicates import whole
from rules.table import Table

MakeTable = Callable[..., Table]


def takes(match: dict[str, Any], **request: Any) -> bool:
    asked = {"method": "GET", "host": "shop.example", "path": "/"} | request
    return whole(Match.model_validate(match)).holds(Asked(**asked))


@pytest.mark.parametrize(
    ("wanted", "host", "port", "taken"),
    [
        ("shop.example", "shop.example", 80, True),
        ("shop.example", "shop.example", 8443, True),
        ("shop.example", "shop.example.", 80, True),
        ("shop.example", "shop.example..", 80, False),
        ("shop.example", "a.shop.example", 80, False),
        ("SHOP.example", "shop.example", 80, True),
        ("shop.example:8443", "shop.example", 8443, True),
        ("shop.example:8443", "shop.example.", 8443, True),
        ("shop.example:8443", "shop.example", 80, False),
        ("*.shop.example", "a.shop.example", 80, True),
        ("*.shop.example", "a.b.shop.example.", 80, True),
        ("*.shop.example", "shop.example", 80, False),
        ("*.shop.example", ".shop.example", 80, False),
        ("*.shop.example", "ashop.example", 80, False),
        ("*.shop.example:8443", "a.shop.example", 8443, True),
        ("*.shop.example:8443", "a.shop.example", 80, False),
        ("[::1]", "[::1]", 80, True),
        ("[::1]", "[0:0:0:0:0:0:0:1]", 80, True),
        ("[0:0::0:1]", "[::1]", 80, True),
        ("[::1]:8443", "[::1]", 8443, True),
        ("[::1]", "[::2]", 80, False),
        ("10.0.0.1", "10.0.0.1", 80, True),
        ({"regex": "shop\\..*"}, "shop.example", 80, True),
        ({"regex": "shop"}, "shop.example", 80, False),
        ({"regex": ".*example"}, "shop.example.", 80, True),
        ({"regex": ".*"}, "", 80, True),
        (["a.example", "shop.example"], "shop.example", 80, True),
        ("shop.example", "", 80, False),
    ],
)
def test_a_host_is_compared_in_one_form_and_its_port_where_one_is_asked(
    make_table: MakeTable, wanted: Any, host: str, port: int, taken: bool
) -> None:
    assert takes({"host": wanted}, host=host, port=port) is taken
    table = make_table([{"match": {"host": wanted}}])
    assert (table.route(Asked("GET", host, "/", port=port)).index == 0) is taken


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("shop.example.", "write it without"),
        ("shop.example.:8443", "write it without"),
        ("[1:2]", "not a host"),
        ("shop.example:0", "not a host"),
        ("shop.example:65536", "not a host"),
        ("*", "leave 'host' out"),
        ("*:8443", "leave 'host' out"),
        ("a.*.example", r"\{regex: 'a\[.\].\+\[.\]example'\}"),
        ("*-eu.example", r"\{regex: '.\+-eu\[.\]example'\}"),
        ("shop.*:81", "not a host"),
    ],
)
def test_a_host_that_can_never_match_is_refused(wanted: str, hint: str) -> None:
    with pytest.raises(ValidationError, match=hint):
        Match(host=wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("/**", True),
        ("/", False),
        ("/*", False),
        ("/{x}", False),
        ({"regex": ".*"}, False),
        ({"regex": "\\*"}, False),
        (["/a", "/**"], True),
    ],
)
def test_only_a_route_that_asks_no_path_takes_options_of_the_whole_server(
    make_table: MakeTable, path: Any, taken: bool
) -> None:
    table = make_table([{"match": {"path": path}}])
    request = Asked("OPTIONS", "shop.example", "*")
    assert takes({"path": path}, method="OPTIONS", path="*") is taken
    assert (table.route(request).index == 0) is taken
    if taken:
        assert table.routes[0].captures(request) == {"**": ""}


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("q=1", "1"),
        ("q=1&q=2", "1"),
        ("Q=2&q=1", "1"),
        ("q=a+b", "a b"),
        ("q=a%20b", "a b"),
        ("%71=1", "1"),
        ("q=caf%C3%A9", "café"),
        ("q=a=b", "a=b"),
        ("q=", ""),
        ("q", ""),
        ("a&&q=1", "1"),
        ("q;=1", None),
        ("xq=1", None),
        ("", None),
        ("=q", None),
    ],
)
def test_a_query_parameter_is_decoded_and_the_first_of_a_name_counts(query: str, value: str | None) -> None:
    condition = {"absent": True} if value is None else {"exact": value}
    assert takes({"query": {"q": condition}}, query=query)
    assert takes({"query": {"q": {"present": True}}}, query=query) is (value is not None)


def test_nothing_between_two_ampersands_is_no_parameter() -> None:
    assert not takes({"query": {"": {"present": True}}}, query="a=1&&b=2")
    assert takes({"query": {"": "x"}}, query="a=1&=x")


def test_a_plus_in_the_name_of_a_parameter_is_a_blank() -> None:
    assert takes({"query": {"a b": "1"}}, query="a+b=1")
    assert takes({"query": {"a+b": "1"}}, query="a%2Bb=1")
    assert not takes({"query": {"a+b": "1"}}, query="a+b=1")


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        (["c=1"], "1"),
        (["a=b; c=1; c=2"], "1"),
        (["a=b", "c=1"], "1"),
        (['c="1"'], '"1"'),
        (["c="], ""),
        (["c"], None),
        (["C=1"], None),
        ([], None),
    ],
)
def test_of_cookies_the_first_of_a_name_counts_and_quotes_belong_to_it(lines: list[str], value: str | None) -> None:
    condition = {"absent": True} if value is None else {"exact": value}
    assert takes({"cookies": {"c": condition}}, headers={"cookie": lines})


@pytest.mark.parametrize(
    ("condition", "value", "held"),
    [
        ({"present": True}, "", True),
        ({"present": True}, None, False),
        ({"absent": True}, None, True),
        ({"absent": True}, "", False),
        ({"present": False}, None, True),
        ({"not": {"present": True}}, None, True),
        ({"not": {"present": True}}, "x", False),
        ({"not": {"absent": True}}, None, False),
        ({"not": {"absent": True}}, "x", True),
        ({"not": "ab"}, None, True),
        ({"not": "ab"}, "ab", False),
        ({"not": {"not": "ab"}}, None, False),
        ({"prefix": "a", "not": "ab"}, None, False),
        ({"prefix": "a", "not": "ab"}, "ab", False),
        ({"prefix": "a", "not": "ab"}, "ac", True),
        ({"present": True, "not": "ab"}, None, False),
        ({"present": True, "not": {"absent": True}}, None, False),
        ({"range": {"from": 5}}, "5", True),
        ({"range": {"below": 5}}, "5", False),
        ({"range": {"from": -3, "below": 5}}, "-3", True),
        ({"range": {"from": 5}}, "007", True),
        ({"range": {"from": 5}}, "7.5", False),
        ({"range": {"from": 5}}, " 7", False),
        ({"range": {"from": 5}}, "7\n", False),
        ({"range": {"from": 5}}, "٧", False),
        ({"range": {"from": 5}}, "9" * 10_000, False),
        ({"not": {"range": {"from": 5}}}, "no number", True),
        ({"regex": "a|b"}, "ab", False),
        ({"regex": "(a|b)+c?"}, "ab" * 5_000, True),
        ({"contains": ""}, "", True),
        ({"exact": ""}, None, False),
    ],
)
def test_a_condition_holds_as_the_reference_says(condition: dict[str, Any], value: str | None, held: bool) -> None:
    headers = {} if value is None else {"x-a": [value]}
    assert takes({"headers": {"X-A": condition}}, headers=headers) is held


def test_several_lines_of_a_header_are_one_value() -> None:
    assert takes({"headers": {"x-a": "1,2"}}, headers={"x-a": ["1", "2"]})
    assert not takes({"headers": {"x-a": "1"}}, headers={"x-a": ["1", "2"]})


@pytest.mark.parametrize("value", ["\udce9", "\ud800", "\x00", "a\nb", "\xff" * 10_000, "\U0001f600"])
def test_an_expression_is_asked_about_any_text_without_raising(value: str) -> None:
    assert takes({"headers": {"x-a": {"not": {"regex": "no"}}}}, headers={"x-a": [value]})
    assert not takes({"host": {"regex": "no"}}, host=value)
    assert not takes({"path": {"regex": "no"}}, path="/" + value)


@pytest.mark.parametrize(
    ("networks", "client", "taken"),
    [
        ("10.0.0.0/8", "10.255.0.1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("::/0", "10.0.0.1", False),
        ("2001:db8::/32", "2001:db8:ffff::1", True),
        (["192.0.2.0/24", "2001:db8::/32", "10.0.0.0/8"], "10.0.0.1", True),
        ("0.0.0.0/0", "", False),
        ("0.0.0.0/0", "unix", False),
        ("fe80::/10", "fe80::1%eth0", True),
    ],
)
def test_a_client_lies_in_a_network_of_its_own_kind(networks: Any, client: str, taken: bool) -> None:
    assert takes({"client": networks}, client=client) is taken


def test_a_network_of_mapped_addresses_is_refused_because_no_client_is_seen_so() -> None:
    with pytest.raises(ValidationError, match=r"write 10\.0\.0\.0/8"):
        Match(client="::ffff:10.0.0.0/104")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("match", "path", "captures"),
    [
        ({"path": "/a/{x}/**"}, "/a/7/b/c", {"x": "7", "**": "/b/c"}),
        ({"path": "/a/**"}, "/a", {"**": ""}),
        ({"path": "/a/**"}, "/a/", {"**": "/"}),
        ({"path": ["/{x}/b", "/a/{y}"]}, "/a/b", {"x": "a"}),
        ({"path": [{"regex": "/(?P<r>a)/b"}, "/a/{y}"]}, "/a/b", {"r": "a"}),
        ({"path": {"regex": "/(?P<r>a)(?P<s>/b)?"}}, "/a", {"r": "a", "s": ""}),
        (
            {"path": "/{x}/**", "all": [{"path": "/a/{x}"}, {"path": "/a/{y}"}]},
            "/a/b",
            {"x": "a", "**": "/b", "y": "b"},
        ),
        ({"all": [{"path": "/{n}/**"}, {"path": "/a/{n}"}]}, "/a/b", {"n": "a", "**": "/b"}),
        ({"any": [{"path": "/a/{x}/**"}, {"path": "/{y}/**"}]}, "/a/b/c", {"x": "b", "**": "/c"}),
        ({"any": [{"path": "/z/**"}, {"path": "/{y}/**"}]}, "/a/b", {"y": "a", "**": "/b"}),
        ({"methods": ["GET"]}, "/a/b", {"**": "/a/b"}),
        ({"path": "/{x}", "all": [{"methods": ["GET"]}, {"path": "/**"}]}, "/a", {"x": "a"}),
        ({"any": [{"methods": ["GET"]}, {"path": "/a"}]}, "/a", {"**": "/a"}),
        ({"any": [{"methods": ["GET"]}, {"path": "/{x}"}]}, "/a", {"**": "/a"}),
        ({"path": "/**", "not": {"path": "/z/{n}"}}, "/a", {"**": "/a"}),
    ],
)
def test_captures_are_those_of_the_first_path_that_matches_the_own_path_before_all_and_any(
    make_table: MakeTable, match: dict[str, Any], path: str, captures: dict[str, str]
) -> None:
    request = Asked("GET", "shop.example", path)
    route = make_table([{"match": match}]).route(request)
    assert route.index == 0
    assert route.captures(request) == captures
    assert route.spec.match.captures <= captures.keys()
