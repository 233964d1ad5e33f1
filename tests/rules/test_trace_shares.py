"""`trace:` of a route and of defaults: which part of the exchanges is recorded as spans."""

from __future__ import annotations

from typing import Any

import pytest

from rules.document import Rules
from rules.effective import Effective
from rules.table import NO_ROUTE, Table, compile_table


def compiled(*routes: dict[str, Any], **more: Any) -> Table:
    services = {"legacy": {"url": "http://127.0.0.1:1"}}
    rules = Rules.model_validate({"version": 1, "services": services, "legacy": "legacy", "routes": routes, **more})
    return compile_table(Effective(generation=1, rules=rules))


def route(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "match": {"path": f"/{name}"}, "candidate": "legacy", **more}


def test_a_route_says_its_own_share_and_stands_plain_all_the_same() -> None:
    table = compiled(route("checkout", trace="100%"), route("cart"))

    assert table.by_name["checkout"].trace == 1_000_000
    assert table.by_name["checkout"].is_plain
    assert table.by_name["cart"].trace is None


def test_defaults_hold_where_a_route_says_nothing_and_not_for_requests_without_a_route() -> None:
    table = compiled(route("health", trace="0%"), route("cart"), defaults={"trace": "5%"})

    assert table.by_name["health"].trace == 0
    assert table.by_name["cart"].trace == 50_000
    assert table.by_name[NO_ROUTE].trace is None


@pytest.mark.parametrize("other", [{"redirect": {"path": "/new"}}, {"respond": {"status": 410}}, {"legacy": "legacy"}])
def test_routes_without_sides_can_be_traced_too(other: dict[str, Any]) -> None:
    one = {"name": "one", "match": {"path": "/one"}, **other, "trace": "100%"}

    assert compiled(one).by_name["one"].trace == 1_000_000
