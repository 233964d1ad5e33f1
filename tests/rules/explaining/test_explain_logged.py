"""A line of the access log explained: what the log holds is known, what it does not hold is said to be unknown."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from rules.asked import Asked
from rules.effective import Position
from rules.explaining.logged import Line, retell
from rules.partial import fit
from rules.stages import Stage
from rules.table import Table
from tests.rules.conftest import MakeTable
from tests.rules.drawn_rules import drawn_match, drawn_request

ROUTES: list[dict[str, Any]] = [
    {"name": "posts", "match": {"path": "/shop/**", "methods": ["POST"]}},
    {"name": "beta", "match": {"path": "/shop/**", "cookies": {"beta": "yes"}, "query": {"v": "2"}}, "stage": "live"},
    {"name": "shop", "match": {"path": "/shop/**"}, "stage": "canary", "share": "25%", "unit": {"cookie": "u"}},
]


def line(**more: Any) -> Line:
    return Line.model_validate(
        {
            "request_id": "abc",
            "method": "GET",
            "host": "shop.example",
            "path": "/shop/7",
            "client": "10.0.0.1",
            "route": "shop",
            "side": "legacy",
            "service": "legacy",
            "reason": "share",
            "generation": 1,
            "status": 200,
            "bucket": 200_000,
            "event": "exchange",
        }
        | more
    )


@pytest.fixture
def table(make_table: MakeTable) -> Table:
    return make_table(ROUTES)


def test_earlier_routes_failed_on_what_the_log_holds_or_on_what_it_does_not(table: Table) -> None:
    found = retell(table, line())
    assert [(miss.route, miss.predicate) for miss in found.misses] == [("posts", "method")]
    assert found.depends == (("beta", ("query v", "cookie beta")),)
    assert "    not beta   it failed on query v or cookie beta, which the log does not hold" in found.text()


@pytest.mark.parametrize(
    ("given", "position", "differs", "now"),
    [
        ({}, None, True, "so candidate answers: bucket 200000 of 1,000,000 is the candidate's from 20.0001% on"),
        ({"bucket": 300_000}, None, False, "shop stands in stage canary at 25%, so legacy answers"),
        ({"side": "candidate"}, None, False, "so candidate answers"),
        ({"side": "legacy", "fallback": "timeout"}, None, False, "so candidate answers"),
        ({"bucket": None}, None, None, "the log holds no bucket of this request's unit"),
        ({"bucket": None, "reason": "no unit"}, None, False, "without a unit legacy answers"),
        ({}, Position(Stage.LIVE, 0), True, "shop stands in stage live, so candidate answers"),
        ({}, Position(Stage.SHADOW, 0), False, "shop stands in stage shadow, so legacy answers"),
        ({"reason": "forced"}, None, None, "the request forced its side"),
        ({"route": "cart"}, None, True, "there is no route cart any more"),
        ({"path": "/cart"}, None, True, "shop does not take it any more, by its path"),
        ({"method": "POST"}, None, True, "before shop now posts takes every such request"),
    ],
)  # fmt: skip
def test_whether_the_table_decides_otherwise_now_is_told_where_the_log_holds_enough(
    table: Table, given: dict[str, Any], position: Position | None, differs: bool | None, now: str
) -> None:
    if position is not None:
        table = table.restand(2, {"shop": position})
    found = retell(table, line(**given))
    assert found.differs is differs
    assert now in found.now


def test_a_line_of_an_earlier_release_is_explained_as_far_as_it_goes(table: Table) -> None:
    bare = {key: value for key, value in line().model_dump().items() if key not in ("bucket", "sent_path", "retries")}
    assert retell(table, Line.model_validate(bare)).differs is None


def test_what_fig_answered_itself_and_what_no_route_took_are_explained(make_table: MakeTable) -> None:
    table = make_table([{"name": "gone", "match": {"path": "/gone"}, "respond": {"status": 410}}])
    own = retell(table, line(path="/gone", route="gone", side=None, service=None, reason="respond", status=410))
    assert own.differs is False
    assert "    answered by fig itself, with 410" in own.text()
    other = retell(table, line(path="/x", route="-", reason="no route", bucket=None))
    assert (other.differs, other.now) == (False, "no route takes such a request, so legacy answers")


@pytest.mark.parametrize(
    ("host", "match_host", "takes", "unknown"),
    [
        ("shop.example", "shop.example:8443", None, ("port",)),
        ("shop.example", "other.example:8443", False, ()),
        ("shop.example", ["shop.example", "shop.example:8443"], True, ()),
    ],
)
def test_no_log_holds_the_port(
    make_table: MakeTable, host: str, match_host: Any, takes: bool | None, unknown: tuple[str, ...]
) -> None:
    match = make_table([{"match": {"host": match_host}}]).routes[0].spec.match
    found = fit(match, Asked("GET", host, "/"))
    assert (found.takes, found.unknown) == (takes, unknown)


@pytest.mark.parametrize(
    ("match", "takes", "unknown"),
    [
        ({"not": {"headers": {"x-a": "1"}}}, None, ("header x-a",)),
        ({"not": {"headers": {"x-a": "1"}, "path": "/other"}}, True, ()),
        ({"not": {"path": "/a"}}, False, ()),
        ({"any": [{"path": "/a"}, {"query": {"q": "1"}}]}, True, ()),
        ({"any": [{"path": "/b"}, {"query": {"q": "1"}, "methods": ["GET"]}]}, None, ("query q",)),
        ({"any": [{"path": "/b"}, {"query": {"q": "1"}, "methods": ["PUT"]}]}, False, ()),
        ({"all": [{"cookies": {"c": "1"}}, {"client": "192.0.2.0/24"}]}, False, ()),
        ({"all": [{"cookies": {"c": "1"}}, {"client": "10.0.0.0/8"}]}, None, ("cookie c",)),
    ],
)
def test_any_all_and_not_are_known_as_far_as_what_is_in_them_is(
    make_table: MakeTable, match: dict[str, Any], takes: bool | None, unknown: tuple[str, ...]
) -> None:
    found = fit(make_table([{"match": match}]).routes[0].spec.match, Asked("GET", "h", "/a", client="10.0.0.1"))
    assert (found.takes, found.unknown) == (takes, unknown)


def test_what_is_known_of_a_logged_request_is_true_of_the_request_that_was_logged(make_table: MakeTable) -> None:
    chance = Random(7)
    known = 0
    for _ in range(150):
        table = make_table([{"match": drawn_match(chance)}])
        for _ in range(10):
            request = drawn_request(chance)
            logged = Asked(request.method, request.host, request.path, client=request.client)
            found = fit(table.routes[0].spec.match, logged)
            assert found.takes in (table.route(request).name == "r0", None)
            known += found.takes is not None
    assert known > 500
