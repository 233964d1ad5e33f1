"""What an explanation leaves out: values of cookies and of what is named like a secret, asked for or sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rules.asked import ask
from rules.explaining.explain import Explanation, explain
from rules.explaining.text import told
from rules.hidden import NOT_SHOWN, header_may_be_secret, may_be_secret
from tests.rules.conftest import MakeTable

CANARY = {"stage": "canary", "share": "30%"}


def explained(make_table: MakeTable, route: dict[str, Any], *lines: tuple[str, str], unit: str | None = None) -> str:
    """Everything that text and JSON tell of a POST."""
    return json.dumps(told(explanation(make_table, route, *lines, unit=unit)))


def explanation(
    make_table: MakeTable, route: dict[str, Any], *lines: tuple[str, str], unit: str | None = None
) -> Explanation:
    table = make_table([{"match": {"path": "/a/{id}"}, **route}])
    return explain(table, ask("POST", "/a/7", lines), unit)


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "PHPSESSID", "JSESSIONID", "connect.sid", "csrf-token"])
def test_names_that_sound_like_secrets_hide_their_values(name: str) -> None:
    assert may_be_secret(name)


@pytest.mark.parametrize("name", ["x-app", "beta", "tenant", "side", "inside", "resid"])
def test_other_names_do_not(name: str) -> None:
    assert not may_be_secret(name)


@pytest.mark.parametrize("name", ["Cookie", "set-cookie", "x-api-key"])
def test_the_lines_of_cookies_are_hidden_whole(name: str) -> None:
    assert header_may_be_secret(name)


@pytest.mark.parametrize("kind", ["headers", "cookies", "query"])
@pytest.mark.parametrize("condition", ["exact", "prefix", "suffix", "contains", "regex"])
def test_what_a_route_asks_of_a_secret_is_not_told_when_it_does_not_hold(
    make_table: MakeTable, kind: str, condition: str
) -> None:
    match = {"path": "/a/{id}", kind: {"api-key": {condition: "hunter2"}}}
    table = make_table([{"match": match}])
    request = ask("GET", "/a/7?api-key=x", [("api-key", "x"), ("cookie", "api-key=x")])
    found = told(explain(table, request))
    assert "hunter2" not in json.dumps(found)
    assert NOT_SHOWN in found["misses"][0]["why"]


def test_the_unit_of_a_cookie_is_not_told_but_its_bucket_is(make_table: MakeTable) -> None:
    route = CANARY | {"unit": {"cookie": "shopper"}}
    found = explanation(make_table, route, ("cookie", "shopper=jane"))
    assert "jane" not in explained(make_table, route, ("cookie", "shopper=jane"))
    assert (found.shown_unit, found.bucket) == (NOT_SHOWN, explanation(make_table, route, unit="jane").bucket)


@pytest.mark.parametrize("unit", [{"cookie": "shopper"}, {"header": "x-session"}, {"header": "x-customer"}])
def test_a_unit_that_was_asked_for_by_name_is_told(make_table: MakeTable, unit: dict[str, Any]) -> None:
    assert explanation(make_table, CANARY | {"unit": unit}, unit="jane").shown_unit == "jane"


@pytest.mark.parametrize(("header", "shown"), [("x-session", NOT_SHOWN), ("x-customer", "jane")])
def test_the_unit_of_a_header_is_told_unless_its_name_sounds_like_a_secret(
    make_table: MakeTable, header: str, shown: str
) -> None:
    assert explanation(make_table, CANARY | {"unit": {"header": header}}, (header, "jane")).shown_unit == shown


@pytest.mark.parametrize(
    ("order_by", "told_as"),
    [
        ("cookie:shopper", "with other writes of the same cookie 'shopper'"),
        ("header:x-session", "with other writes of the same header 'x-session'"),
        ("header:x-customer", "with other writes of 'jane'"),
        ("path:id", "with other writes of '7'"),
    ],
)
def test_the_key_of_ordered_writes_is_told_where_it_is_no_secret(
    make_table: MakeTable, order_by: str, told_as: str
) -> None:
    lines = [("cookie", "shopper=jane"), ("x-session", "jane"), ("x-customer", "jane")]
    found = explained(make_table, {"stage": "live", "writes": {"order_by": order_by}}, *lines)
    assert told_as in found
    assert ("jane" in found) is ("'jane'" in told_as)
