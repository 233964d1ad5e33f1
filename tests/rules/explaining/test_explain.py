"""What an explanation says of a request: the path, the unit, what each side is sent, fig's own answers, the copies."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from rules.asked import Asked, ask
from rules.buckets import bucket
from rules.document import Rules
from rules.effective import Effective, Position
from rules.explaining.explain import Explanation, explain, sent_json
from rules.explaining.outcome import sent
from rules.explaining.reasons import normalisations
from rules.explaining.text import render
from rules.stages import Side, Stage
from rules.table import compile_table
from tests.rules.conftest import MakeTable
from tests.rules.drawn_rules import drawn_match, drawn_request

CANARY = {"stage": "canary", "share": "30%"}


def explained(make_table: MakeTable, route: dict[str, Any], url: str = "/a/7", **asked: Any) -> Explanation:
    table = make_table([{"name": "r", "match": {"path": "/a/{id}"}, **route}])
    request = ask(asked.get("method", "GET"), url, asked.get("lines", ()), asked.get("client", "10.0.0.1"))
    return explain(table, request, asked.get("unit"))


@pytest.mark.parametrize(("given", "told"), [("/caf\xe9", "/caf\xe9"), ("/a\udcff|", r"/a\xff|")])
def test_the_path_is_told_as_it_was_written(make_table: MakeTable, given: str, told: str) -> None:
    assert render(explained(make_table, {}, given))[1].startswith(f"  path     was {told}: ")


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("/a/b", []),
        ("/%61/b", ["%61 decoded, because 'a' needs no escape"]),
        ("/%c3%a9", ["escapes written in upper case"]),
        ("/caf\xe9|", ["what may not stand in a path escaped"]),
        ("//a///b", ["'//' merged to '/'"]),
        ("/a/./b/%2E%2e/c", ["%2E decoded, because '.' needs no escape", "'.' and '..' resolved"]),
        ("/a/..", ["'.' and '..' resolved"]),
        ("/a/.hidden/..b", []),
    ],
)
def test_what_was_done_to_the_path_is_told(path: str, steps: list[str]) -> None:
    assert list(normalisations(ask("GET", path))) == steps


@pytest.mark.parametrize(
    ("unit", "lines", "why"),
    [
        (None, [], "the route has no 'unit'"),
        ({"cookie": "u"}, [], "the cookie 'u' is absent"),
        ({"cookie": "u"}, [("Cookie", "a=1"), ("Cookie", "u=1")], "several Cookie lines count as none"),
        ({"cookie": "u"}, [("Cookie", 'u="1"')], "the cookie 'u' is empty, or holds a blank, a quote or what is not"),
        ({"header": "x-u"}, [], "the header 'x-u' is absent"),
        ({"header": "x-u"}, [("X-U", "1"), ("x-u", "2")], "the header 'x-u' comes 2 times"),
        ({"header": "x-u"}, [("X-U", "")], "the header 'x-u' is empty or not printable ASCII"),
    ],
)
def test_why_a_request_has_no_unit_is_told(
    make_table: MakeTable, unit: dict[str, Any] | None, lines: list[tuple[str, str]], why: str
) -> None:
    found = explained(make_table, CANARY | ({"unit": unit} if unit else {}), lines=lines)
    assert found.because.startswith(f"it has no unit ({why}")
    assert (found.bucket, found.flips_at, found.choice.decision.side) == (None, None, "legacy")


def test_the_share_at_which_the_answer_flips_is_where_it_flips(make_table: MakeTable) -> None:
    found = explained(make_table, CANARY | {"unit": {"header": "x-u"}}, unit="jane")
    flips = bucket("r", "jane") + 1
    assert found.bucket == flips - 1
    for share, side in ((flips, "candidate"), (flips - 1, "legacy")):
        table = make_table(
            [{"name": "r", "match": {"path": "/a/{id}"}, "unit": {"header": "x-u"}, "stage": "canary"}],
            positions={"r": Position(Stage.CANARY, share)},
        )
        assert explain(table, ask("GET", "/a/7"), "jane").choice.decision.side == side


def test_a_unit_comes_beside_the_cookies_that_the_match_asks_for(make_table: MakeTable) -> None:
    match = {"path": "/a/{id}", "cookies": {"beta": "yes"}}
    route = CANARY | {"match": match, "unit": {"cookie": "u"}}
    found = explained(make_table, route, lines=[("Cookie", "u=other; beta=yes")], unit="jane")
    assert (found.route.name, found.choice.unit) == ("r", "jane")


def test_what_the_answering_side_is_sent_and_what_its_answer_becomes(make_table: MakeTable) -> None:
    route = {
        "stage": "live",
        "rewrite": {"path": "/v2/{id}?from=fig", "host": "service"},
        "request_headers": {"set": {"X-Id": "{id}"}, "remove": ["x-debug"]},
        "response_headers": {"add": {"X-Route": "{route} {side}"}},
        "timeout": "3s",
        "retries": {"attempts": 2},
        "max_body": "64KB",
    }
    lines = render(explained(make_table, route, "http://shop.example/a/7?x=1"))
    assert lines[3:] == [
        "  answers  candidate, service candidate: in stage live candidate always answers",
        "  sends    GET /v2/7?from=fig to candidate, host 127.0.0.1:9001",
        "           - x-debug  (of the request)",
        "           = X-Id: 7  (of the request)",
        "           + X-Route: r candidate  (of the answer)",
        "  limits   timeout 3s, at most 2 retries after connect, reset (budget 20%), body at most 64KB",
        "  copies   legacy gets a copy after the client has its answer, and the pair is compared",
    ]


def test_what_the_copy_is_sent_differs_from_what_the_answering_side_is(make_table: MakeTable) -> None:
    route = {"stage": "shadow", "rewrite": {"prefix": "/v2"}, "match": {"path": "/a/**"}}
    found = explained(make_table, route)
    assert found.copy is not None
    assert (found.answering[0].target, found.copy.target, found.copy.service) == ("/a/7", "/v2/7", "candidate")
    assert "  copy     GET /v2/7 to candidate, host localhost" in render(found)


def test_what_is_filled_in_is_said_of_each_side_by_itself(make_table: MakeTable) -> None:
    route = {"stage": "shadow", "request_headers": {"set": {"x-side": "{side} of {route}"}, "sides": "both"}}
    found = explained(make_table, route)
    assert found.copy is not None
    assert found.answering[0].request.appended == (("x-side", "legacy of r"),)
    assert found.copy.request.appended == (("x-side", "candidate of r"),)


def test_while_the_side_is_open_both_are_told(make_table: MakeTable) -> None:
    route = CANARY | {"unit": {"cookie": "u", "issue": True}, "rewrite": {"path": "/v2"}}
    lines = render(explained(make_table, route))
    assert "  sends    if legacy answers: GET /a/7 to legacy, host localhost" in lines
    assert "  sends    if candidate answers: GET /v2 to candidate, host localhost" in lines
    told = explained(make_table, route).as_json()
    assert (told["side"], told["service"], told["copy_to"], told["unit_issued"]) == (None, None, None, True)


def test_a_rewrite_that_makes_no_request_is_told(make_table: MakeTable) -> None:
    route = {"stage": "live", "rewrite": {"regex": {"match": "/a", "replace": "/.."}}}
    found = explained(make_table, route)
    assert "no single reading" in found.answering[0].refused
    assert any(line.startswith("  sends    nothing: the path that the rules make of it") for line in render(found))


@pytest.mark.parametrize(
    ("scheme", "port", "line"), [("http", 80, "h"), ("https", 443, "h"), ("https", 80, "h:80"), ("http", 443, "h:443")]
)
def test_a_request_without_a_host_line_is_sent_one(make_table: MakeTable, scheme: str, port: int, line: str) -> None:
    table = make_table([{"match": {"path": "/**"}}])
    asked = Asked("GET", "h", "/", scheme=scheme, port=port)
    assert sent(table, table.route(asked), Side.LEGACY, asked).host == line


def test_an_answer_of_fig_itself_is_told_whole(make_table: MakeTable) -> None:
    respond = {"status": 503, "body": "back\nsoon", "headers": {"Retry-After": "900", "X-Token": "hush"}}
    found = explained(make_table, {"respond": respond})
    assert render(found)[1:] == [
        "  taken by route r",
        "  captures id=7",
        "  answers  fig: the route says 'respond', so fig answers by itself and asks no service",
        "  status   503",
        "           Content-Type: text/plain; charset=utf-8",
        "           Retry-After: 900",
        "           X-Token: (not shown)",
        "  body     back",
        "  body     soon",
        "  copies   nobody gets a copy",
    ]
    assert "hush" not in str(found.as_json())


def test_a_redirect_leads_where_it_says(make_table: MakeTable) -> None:
    found = explained(make_table, {"redirect": {"path": "/b/{id}", "status": 308}}, "https://shop.example/a/7?q=1")
    assert found.own is not None and found.own.answer is not None
    assert dict(found.own.answer.headers)["Location"] == "https://shop.example/b/7?q=1"


@pytest.mark.parametrize(
    ("route", "method", "copies", "has_copy"),
    [
        ({"stage": "legacy"}, "GET", "nobody gets a copy", False),
        ({"stage": "shadow", "shadow": {"sample": "0%"}}, "GET", "nobody gets a copy: the sample is 0%", False),
        ({"stage": "shadow"}, "OPTIONS", "nobody gets a copy: OPTIONS is neither GET nor HEAD", False),
        ({"stage": "shadow", "shadow": {"sample": "5%"}}, "HEAD", "candidate gets a copy after the client has its "
         "answer (a sample of 5%), and the pair is compared", True),
        ({"stage": "live"}, "POST", "nobody gets a copy: it is a write, and the route has no 'writes'", False),
        ({"stage": "live", "writes": {"order_by": "path:id"}}, "POST", "the write is journaled first, and delivered to "
         "legacy after a good answer, in order with other writes of '7'", True),
    ],
)  # fmt: skip
def test_who_gets_a_copy_is_told(
    make_table: MakeTable, route: dict[str, Any], method: str, copies: str, has_copy: bool
) -> None:
    found = explained(make_table, route, method=method)
    assert (found.copies, found.copy is not None) == (copies, has_copy)


def test_a_route_that_has_only_legacy_says_so() -> None:
    services = {name: {"url": "http://127.0.0.1:9000"} for name in ("monolith", "search")}
    routes = [{"name": "r", "match": {"path": "/a"}, "legacy": "search"}]
    rules = Rules.model_validate({"version": 1, "services": services, "legacy": "monolith", "routes": routes})
    found = explain(compile_table(Effective(generation=1, rules=rules)), ask("GET", "/a"))
    assert found.choice.decision.service == "search"
    assert found.because == "the route has no candidate, so legacy always answers"


@pytest.mark.parametrize(
    ("balance", "how"), [("round_robin", "each in turn of"), ("least_requests", "the less busy of two drawn from")]
)
def test_of_several_urls_the_way_to_choose_is_told_and_each_gets_its_own_host_line(balance: str, how: str) -> None:
    shop = {"urls": ["https://b.example", "https://a.example:8443"], "balance": balance}
    routes = [
        {"name": "r", "match": {"path": "/a"}, "legacy": "shop", "rewrite": {"host": "service", "sides": "legacy"}}
    ]
    rules = Rules.model_validate({"version": 1, "services": {"shop": shop}, "legacy": "shop", "routes": routes})
    found = explain(compile_table(Effective(generation=1, rules=rules)), ask("GET", "/a"))
    lines = render(found)
    assert f"  endpoint {how} https://b.example, https://a.example:8443" in lines
    assert any(line.endswith("to shop, host a.example:8443 or b.example") for line in lines)
    assert sent_json(found.answering[0])["urls"] == ["https://b.example", "https://a.example:8443"]


@pytest.mark.parametrize(
    ("unit", "given"),
    [({"cookie": "u"}, "a b"), ({"cookie": "u"}, ""), ({"header": "x-u"}, "caf\xe9"), ({"address": True}, "jane")],
)
def test_what_can_be_no_unit_is_said(make_table: MakeTable, unit: dict[str, Any], given: str) -> None:
    with pytest.raises(ValueError, match=r"can be no unit|is no client address"):
        explained(make_table, CANARY | {"unit": unit}, unit=given)


@pytest.mark.parametrize("route", [{"stage": "legacy", "unit": {"header": "x-u"}}, {"stage": "live"}])
def test_a_unit_that_nobody_looks_at_is_told(make_table: MakeTable, route: dict[str, Any]) -> None:
    assert "  unit     jane, but nobody looks at units here" in render(explained(make_table, route, unit="jane"))


def test_whatever_is_asked_of_whatever_table_is_explained(make_table: MakeTable) -> None:
    chance = Random(11)
    stages = [stage.value for stage in Stage]
    for _ in range(60):
        routes = [{"match": drawn_match(chance), "stage": chance.choice(stages)} for _ in range(chance.randint(0, 30))]
        table = make_table([route | {"unit": {"cookie": "u", "issue": True}} for route in routes])
        for _ in range(5):
            request = drawn_request(chance)
            found = explain(table, request, tell="all")
            assert [miss.route for miss in found.misses.told] == [
                route.name for route in table.routes[: found.route.index]
            ]
            few = explain(table, request)
            assert len(few.misses.told) + few.misses.far + few.misses.near == found.route.index
            json.dumps(few.as_json())
            assert all(isinstance(line, str) for line in render(few))
