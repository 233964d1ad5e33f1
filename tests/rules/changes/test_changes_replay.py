"""What a change would have done to logged requests: known, expected, or undecidable, and never guessed."""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.buckets import bucket
from rules.changes.destination import moved_part, outcome, shifts
from rules.changes.difference import Attribution, difference
from rules.changes.replay import Replay, Traffic
from rules.changes.traffic_log import Logged
from tests.rules.changes.drawn_editions import drawn_document, edited, edition
from tests.rules.drawn_rules import drawn_request

SERVICES = {name: {"url": f"http://{name}:80"} for name in ("legacy", "one", "two")}
COOKIE, ADDRESS = {"cookie": "u"}, {"address": True}


def route(name: str, path: str = "/orders/**", **more: Any) -> dict[str, Any]:
    return {"name": name, "match": {"path": path}, "candidate": "one", "stage": "live"} | more


def replayed(
    before: list[dict[str, Any]], after: list[dict[str, Any]], logged: list[Logged], host: str = ""
) -> Traffic:
    head = {"version": 1, "legacy": "legacy", "services": SERVICES}
    found = difference(edition(head | {"routes": before}), edition(head | {"routes": after}))
    replay = Replay(found.before.table, found.after.table, Attribution(found), host)
    for each in logged:
        replay.take(each)
    return replay.traffic


def get(path: str, client: str = "203.0.113.9", query: str | None = "", host: str = "") -> Logged:
    return Logged("GET", host, None, path, query, client)


def test_requests_and_clients_of_a_route_that_leaves_are_counted() -> None:
    logged = [get("/orders/1"), get("/orders/1"), get("/orders/2", "203.0.113.10"), get("/other", "203.0.113.11")]
    traffic = replayed([route("orders")], [], logged)
    assert (traffic.requests, traffic.clients.count()) == (4, 3)
    assert (traffic.all.requests, traffic.all.clients, traffic.all.is_expected) == (3, 2, False)
    assert traffic.all.paths(9) == [("/orders/1", 2), ("/orders/2", 1)]


def test_paths_are_normalised_as_fig_does_and_what_it_refuses_is_told_apart() -> None:
    traffic = replayed([route("orders")], [], [get("//orders/./%31"), get("/a%2fb"), get("*")])
    assert traffic.all.paths(9) == [("/orders/1", 1)]
    assert (traffic.refused, traffic.all.requests) == (2, 1)


def test_a_cookie_unit_is_not_known_so_requests_count_with_their_part() -> None:
    first = route("orders", stage="canary", share="5%", unit=COOKIE)
    traffic = replayed([first], [first | {"share": "10%"}], [get(f"/orders/{n}") for n in range(100)])
    assert traffic.all.requests == 5
    assert traffic.all.clients == Fraction(1, 20)
    assert (traffic.all.touched, traffic.all.is_expected) == (100, True)


def test_an_address_unit_is_known_so_requests_move_or_stay() -> None:
    first = route("orders", stage="canary", share="20%", unit=ADDRESS)
    clients = [f"203.0.113.{n}" for n in range(200)]
    traffic = replayed([first], [first | {"share": "50%"}], [get("/orders/1", client) for client in clients])
    moved = sum(200_000 <= bucket("orders", client) < 500_000 for client in clients)
    assert 30 < moved < 90
    assert (traffic.all.requests, traffic.all.clients, traffic.all.is_expected) == (moved, moved, False)


def test_a_clients_name_in_place_of_its_address_is_no_unit_to_hash() -> None:
    first = route("orders", stage="canary", share="20%", unit=ADDRESS)
    traffic = replayed([first], [first | {"share": "50%"}], [get("/orders/1", "client.example")])
    assert traffic.all.requests == Fraction(3, 10)


def test_whether_a_request_had_the_unit_that_fig_begins_to_issue_is_not_known() -> None:
    first = route("orders", stage="canary", share="20%", unit=COOKIE)
    traffic = replayed([first], [first | {"unit": COOKIE | {"issue": True}}], [get("/orders/1")])
    assert (traffic.undecidable, traffic.all.touched) == (1, 0)


BETA = route("beta", candidate="two") | {"match": {"path": "/orders/**", "headers": {"x-beta": "1"}}}


def test_a_request_whose_way_depends_on_a_header_is_undecidable() -> None:
    traffic = replayed([route("orders")], [BETA, route("orders")], [get("/orders/1"), get("/other")])
    assert (traffic.undecidable, traffic.all.touched) == (1, 0)
    assert traffic.open_by_change == {0: 1}


def test_a_header_that_changes_nothing_leaves_a_request_decidable() -> None:
    logged = [get("/orders/1")]
    assert replayed([BETA, route("orders")], [BETA, route("orders"), route("carts", "/carts")], logged).undecidable == 0
    same_way = BETA | {"candidate": "one"}
    assert replayed([route("orders")], [same_way, route("orders")], logged).undecidable == 0


def test_a_request_that_moves_with_or_without_the_header_has_moved() -> None:
    both = [BETA, route("orders", candidate="two")]
    traffic = replayed([route("orders")], both, [get("/orders/1")])
    assert (traffic.undecidable, traffic.all.requests) == (0, 1)


def test_what_the_log_does_not_tell_of_the_host_is_told_for_it() -> None:
    shop = [route("orders") | {"match": {"path": "/orders/**", "host": "shop.example"}}]
    assert replayed(shop, [], [get("/orders/1")]).undecidable == 1
    assert replayed(shop, [], [get("/orders/1")], "shop.example").all.requests == 1
    assert replayed(shop, [], [get("/orders/1", host="shop.example")]).all.requests == 1
    assert replayed(shop, [], [get("/orders/1", host="other.example")]).all.requests == 0


def test_a_port_that_the_log_does_not_tell_is_open() -> None:
    shop = [route("orders") | {"match": {"path": "/orders/**", "host": "shop.example:8443"}}]
    assert replayed(shop, [], [get("/orders/1", host="shop.example")]).undecidable == 1
    assert replayed(shop, [], [get("/orders/1", host="other.example")]).undecidable == 0


def test_a_query_is_known_where_the_log_has_it() -> None:
    beta = [route("orders") | {"match": {"path": "/orders", "query": {"beta": "1"}}}]
    assert replayed(beta, [], [get("/orders", query="beta=1")]).all.requests == 1
    assert replayed(beta, [], [get("/orders", query="beta=2")]).all.requests == 0
    assert replayed(beta, [], [get("/orders", query=None)]).undecidable == 1


def test_a_request_counts_with_every_change_on_whose_account_it_goes_and_once_in_all() -> None:
    traffic = replayed([route("a")], [route("b", candidate="two")], [get("/orders/1")])
    assert {number: going.requests for number, going in traffic.by_change.items()} == {0: 1, 1: 1}
    assert traffic.all.requests == 1


@settings(max_examples=60)
@given(st.integers(0, 10**9).map(Random))
def test_what_is_not_called_undecidable_is_so_whatever_the_headers_were(chance: Random) -> None:
    before = drawn_document(chance)
    found = difference(edition(before), edition(edited(chance, before)))
    for _ in range(30):
        request = drawn_request(chance)
        if request.path == "*":
            continue
        replay = Replay(found.before.table, found.after.table, Attribution(found))
        replay.take(Logged(request.method, request.host, request.port, request.path, request.query, request.client))
        moved = shifts(outcome(found.before.table, request), outcome(found.after.table, request))
        if not replay.traffic.undecidable and not _has_address_units(found.before.rules, found.after.rules):
            assert replay.traffic.all.requests == moved_part(moved)


def _has_address_units(*all_rules: Any) -> bool:
    return any(route.unit is not None and route.unit.address for rules in all_rules for route in rules.routes)


@pytest.mark.parametrize("known", [True, False])
def test_many_open_conditions_are_undecidable_and_not_tried_for_ever(known: bool) -> None:
    pilots = [BETA | {"name": f"p{n}", "match": {"path": "/**", "headers": {f"x-{n}": "1"}}} for n in range(40)]
    after = [*pilots, route("orders", candidate="two" if known else "one")]
    traffic = replayed([route("orders")], after, [get("/orders/1")])
    assert traffic.undecidable == (0 if known else 1)


@pytest.mark.parametrize(
    "more",
    [
        {"scheme": "http"},
        {"scheme": "https"},
        {"headers": {"x-a": "1"}},
        {"cookies": {"a": "1"}},
        {"all": [{"scheme": "https"}]},
        {"not": {"scheme": "https"}},
    ],
)
def test_what_no_log_holds_makes_a_request_undecidable(more: dict[str, Any]) -> None:
    asking = {"match": {"path": "/orders/**"} | more}
    traffic = replayed([], [route("orders") | asking], [get("/orders/1")])
    assert (traffic.undecidable, traffic.all.requests) == (1, 0)
