"""Laws of `difference`: what it says of a request is so, and what it does not say is not."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.asked import Asked
from rules.buckets import bucket
from rules.changes.destination import Outcome, outcome, shifts
from rules.changes.difference import Attribution, Change, difference
from rules.changes.pairs import Elsewhere
from rules.rewriting import RewriteError
from rules.table import Table
from tests.rules.changes.drawn_editions import drawn_document, edited, edition
from tests.rules.drawn_rules import drawn_request

CHANCES = st.integers(0, 10**9).map(Random)
SERVICES = {name: {"url": f"http://{name}:80"} for name in ("legacy", "one", "two")}


def changes(before: list[dict[str, Any]], after: list[dict[str, Any]], **more: Any) -> tuple[Change, ...]:
    """Between two lists of routes; `more` is what else the second file says."""
    first = {"version": 1, "legacy": "legacy", "services": SERVICES}
    return difference(edition(first | {"routes": before}), edition(first | {"routes": after} | more)).changes


def route(name: str, path: str = "/orders/**", **more: Any) -> dict[str, Any]:
    return {"name": name, "match": {"path": path}, "candidate": "one"} | more


def canary(name: str, share: str, **more: Any) -> dict[str, Any]:
    return route(name, stage="canary", share=share, **({"unit": {"cookie": "u"}} | more))


def asked_of(table: Table, request: Asked, unit: str) -> tuple[str, ...]:
    """What becomes of the request, by the table's own decision; `unit` is issued where it has none."""
    decision = table.decide(request, lambda: unit).decision
    if decision.route.own is not None:
        block = decision.route.spec.redirect or decision.route.spec.respond
        return ("fig", str(block))
    change = decision.route.changes[decision.side]
    path, host = request.path, ""
    if change is not None:
        try:
            path, _, host = change.request(request, decision.route.captures(request))
        except RewriteError:
            path = "refused"
    return (table.services[decision.service].endpoints[0].url, path, host)


@settings(max_examples=120)
@given(CHANCES)
def test_every_witness_is_taken_by_the_routes_named_and_its_units_go_where_their_buckets_say(chance: Random) -> None:
    before = drawn_document(chance)
    found = difference(edition(before), edition(edited(chance, before)))
    first, second = found.before.table, found.after.table
    for each in (each for change in found.changes for each in change.elsewhere):
        assert first.route(each.witness) is each.before.route
        assert second.route(each.witness) is each.after.route
        assert each.shifts
        assert 0 < each.part <= 1
        for number in range(25):
            unit = f"10.0.0.{number}"  # so that it may also be an address
            request = each.witness.with_unit(each.before.route, unit).with_unit(each.after.route, unit)
            if first.route(request) is each.before.route and second.route(request) is each.after.route:
                assert asked_of(first, request, unit)[0] == _predicted(each.before, unit)
                assert asked_of(second, request, unit)[0] == _predicted(each.after, unit)


def _predicted(found: Outcome, unit: str) -> str:
    """Whom the unit's bucket leads to."""
    destination = found.destination(bucket(found.route.spec.salt, unit))
    return destination.url if destination.side is not None else "fig"


@settings(max_examples=120)
@given(CHANCES)
def test_a_request_that_goes_elsewhere_never_belongs_to_a_change_that_is_said_to_move_nothing(chance: Random) -> None:
    before = drawn_document(chance)
    found = difference(edition(before), edition(edited(chance, before)))
    owners = Attribution(found)
    for _ in range(40):
        request = drawn_request(chance)
        one, other = outcome(found.before.table, request), outcome(found.after.table, request)
        if shifts(one, other):
            effects = {found.changes[number].effect for number in owners(one, other)}
            assert effects & {"moves", "may move"}
        first, second = (asked_of(table, request, "10.0.0.1") for table in (found.before.table, found.after.table))
        if first != second:  # by the decision itself, also for a request that has no unit
            assert found.effect != "stays"


def units_between(table: Table, name: str, low: int, high: int) -> str:
    """A unit whose bucket on the route is in [low, high)."""
    salt = table.by_name[name].spec.salt
    return next(unit for unit in map(str, range(100_000)) if low <= bucket(salt, unit) < high)


def test_a_larger_share_moves_the_units_in_between_and_no_others() -> None:
    (change,) = changes([canary("orders", "5%")], [canary("orders", "10%")])
    (each,) = change.elsewhere
    (shift,) = each.shifts
    assert shift.buckets == (50_000, 100_000)
    assert (shift.before.service, shift.after.service) == ("legacy", "one")
    assert each.part == Fraction(1, 20)
    tables = [canary("orders", share) for share in ("5%", "10%")]
    first, second = (
        edition({"version": 1, "legacy": "legacy", "services": SERVICES, "routes": [t]}).table for t in tables
    )
    for low, high, moves in ((0, 50_000, False), (50_000, 100_000, True), (100_000, 10**6, False)):
        unit = units_between(first, "orders", low, high)
        request = each.witness.with_unit(each.before.route, unit)
        assert (asked_of(first, request, unit) != asked_of(second, request, unit)) is moves


def test_a_smaller_share_moves_them_back() -> None:
    (change,) = changes([canary("orders", "10%")], [canary("orders", "5%")])
    (shift,) = change.elsewhere[0].shifts
    assert (shift.before.service, shift.after.service) == ("one", "legacy")


@pytest.mark.parametrize(("before", "after"), [("shadow", "live"), ("live", "legacy"), ("legacy", "retired")])
def test_another_stage_moves_all_units(before: str, after: str) -> None:
    (change,) = changes([route("orders", stage=before)], [route("orders", stage=after)])
    assert change.part == 1


def test_from_legacy_to_shadow_no_request_goes_elsewhere_but_copies_begin() -> None:
    (change,) = changes([route("orders")], [route("orders", stage="shadow")])
    assert change.effect == "stays"
    assert "now 'one' gets copies" in change.notes


def test_a_rename_draws_every_bucket_anew_and_says_how_to_keep_them() -> None:
    (change,) = changes([canary("orders", "20%")], [canary("bestellungen", "20%")])
    assert change.kinds == ("renamed",)
    assert [shift.part for shift in change.elsewhere[0].shifts] == [Fraction(4, 25), Fraction(4, 25)]
    assert change.notes[0].startswith("THE SALT CHANGES WITH THE NAME")
    assert "'group: orders'" in change.notes[0]


def test_a_rename_with_the_salt_kept_by_a_group_moves_nobody() -> None:
    (change,) = changes([canary("orders", "20%")], [canary("bestellungen", "20%", group="orders")])
    assert change.effect == "stays"


def test_the_parts_of_units_drawn_anew_are_what_a_count_of_units_comes_to() -> None:
    (change,) = changes([canary("orders", "30%")], [canary("orders", "60%", group="other")])
    units = [str(number) for number in range(20_000)]
    moved = sum((bucket("orders", unit) < 300_000) != (bucket("other", unit) < 600_000) for unit in units)
    assert abs(moved / len(units) - float(change.part)) < 0.015
    assert change.part == Fraction(3, 10) * Fraction(4, 10) + Fraction(7, 10) * Fraction(6, 10)


def test_another_cookie_counts_units_anew() -> None:
    (change,) = changes([canary("orders", "50%")], [canary("orders", "50%", unit={"cookie": "v"})])
    assert change.part == Fraction(1, 2)
    assert "units are counted anew: they are read from cookie v, no longer from cookie u" in change.notes


def test_a_unit_that_fig_begins_to_issue_moves_requests_that_have_none() -> None:
    issued = {"cookie": "u", "issue": True}
    (change,) = changes([canary("orders", "20%")], [canary("orders", "20%", unit=issued)])
    (each,) = change.elsewhere
    assert each.words == "/orders/** without a unit"
    assert (each.part, each.shifts[0].after.service) == (Fraction(1, 5), "one")
    assert "fig issues the cookie u to requests without a unit" in change.notes


def test_an_order_that_no_request_notices_is_said_to_move_nothing() -> None:
    a, b = route("a", "/a", stage="live"), route("b", "/b", stage="live", candidate="two")
    (change,) = changes([a, b], [b, a])
    assert (change.kinds, change.effect) == (("moved",), "stays")


def test_an_order_that_decides_has_a_witness_in_what_both_take() -> None:
    a = route("a", "/orders/**", stage="live")
    b = route("b", "/orders/{id}", stage="live", candidate="two")
    (change,) = changes([a, b], [b, a])
    (each,) = change.elsewhere
    assert (each.before.route.name, each.after.route.name) == ("a", "b")
    assert each.words == "/orders/{id}"


def test_what_an_added_route_takes_is_told_by_whom_it_was_taken_before() -> None:
    before = [route("orders", "/orders/**", stage="live"), route("carts", "/carts/**", stage="live")]
    beta = {
        "match": {"path": "/{area}/**", "headers": {"x-beta": {"present": True}}},
        "candidate": "two",
        "stage": "live",
    }
    (change,) = changes(before, [{"name": "beta"} | beta, *before])
    assert {(each.before.route.name, each.after.route.name) for each in change.elsewhere} == {
        ("orders", "beta"),
        ("carts", "beta"),
        ("-", "beta"),
    }


def test_an_added_route_that_earlier_ones_leave_nothing_moves_nothing() -> None:
    before = [route("orders", "/orders/**", stage="live")]
    (change,) = changes(before, [*before, route("late", "/orders/{id}", stage="live", candidate="two")])
    assert (change.kinds, change.effect) == (("added",), "stays")


def test_a_service_at_another_address_moves_the_requests_of_its_routes() -> None:
    services = SERVICES | {"one": {"url": "http://one:81"}}
    routes = [route("orders", stage="live"), route("carts", "/carts")]
    (change,) = changes(routes, routes, services=services)
    assert (change.subject, change.name, change.kinds) == ("services", "one", ("changed",))
    assert [each.before.route.name for each in change.elsewhere] == ["orders"]


def test_a_service_under_another_name_at_the_same_address_moves_nothing() -> None:
    services = SERVICES | {"uno": {"url": "http://one:80"}}
    before, after = [route("orders", stage="live")], [route("orders", stage="live", candidate="uno")]
    assert {change.effect for change in changes(before, after, services=services)} == {"stays"}


@pytest.mark.parametrize(
    ("service", "moved"),
    [
        ({"urls": ["http://one"]}, False),
        ({"urls": ["http://one", "http://uno"]}, True),
        ({"url": "https://one:80"}, True),
        ({"url": "http://one:80", "breaker": {}, "max_requests": 5}, False),
    ],
)
def test_a_service_with_other_endpoints_moves_the_requests_of_its_routes(service: dict[str, Any], moved: bool) -> None:
    routes = [route("orders", stage="live")]
    (change,) = changes(routes, routes, services=SERVICES | {"one": service})
    assert [each.before.route.name for each in change.elsewhere] == (["orders"] if moved else [])


def test_the_order_of_urls_moves_nothing() -> None:
    routes = [route("orders", stage="live", rewrite={"host": "service"})]
    first, second = (
        {"version": 1, "legacy": "legacy", "services": SERVICES | {"one": {"urls": urls}}, "routes": routes}
        for urls in (["http://a", "http://b:2"], ["http://b:2", "http://a"])
    )
    found = difference(edition(first), edition(second))
    assert [change.elsewhere for change in found.changes] == [()]


def test_another_legacy_moves_what_no_route_takes() -> None:
    (change,) = changes([], [], legacy="two")
    assert change.elsewhere[0].words == "what no route takes"


def test_a_rewrite_for_the_candidate_moves_nobody_while_legacy_answers() -> None:
    rewrite = {"path": "/v2{**}"}
    (change,) = changes([route("orders")], [route("orders", rewrite=rewrite)])
    assert change.effect == "stays"
    (change,) = changes([route("orders", stage="live")], [route("orders", stage="live", rewrite=rewrite)])
    (shift,) = change.elsewhere[0].shifts
    assert (shift.before.target, shift.after.target) == ("/orders/x", "/v2/x")


def test_other_proxies_are_believed_so_addresses_may_be_others() -> None:
    units = [canary("orders", "5%", unit={"address": True})]
    (change,) = changes(units, units, trusted_proxies=["10.0.0.0/8"])
    assert change.effect == "may move"
    plain = [route("orders")]
    (change,) = changes(plain, plain, trusted_proxies=["10.0.0.0/8"])
    assert change.effect == "stays"


def test_a_witness_is_one_request_of_the_class_that_is_named() -> None:
    match = {"path": "/orders/**", "methods": ["POST"], "headers": {"x-tenant": {"prefix": "acme-"}}}
    (change,) = changes([], [route("acme", stage="live") | {"match": match}])
    each: Elsewhere = change.elsewhere[0]
    assert each.words == "POST /orders/** with header x-tenant beginning with 'acme-'"
    assert each.witness.method == "POST"
    assert each.witness.values("x-tenant")[0].startswith("acme-")
    assert replace(each.witness, headers={}) != each.witness


def test_a_route_that_gets_no_request_any_longer_is_named() -> None:
    item = route("item", "/orders/{id}", stage="live")
    every = route("all", "/orders/**", stage="live", candidate="two")
    (change,) = changes([item, every], [every, item])
    assert change.starved == ("item",)
    assert "'item' gets no request: earlier routes take them all" in change.notes
    (change,) = changes([every], [every, item])
    assert change.starved == ("item",)


def test_a_route_that_keeps_some_request_is_not_said_to_starve() -> None:
    item = route("item", "/orders/{id}", stage="live")
    every = route("all", "/orders/**", stage="live", candidate="two")
    (change,) = changes([every], [item, every])
    assert change.starved == ()
    (change,) = changes([], [item])
    assert change.starved == ()
