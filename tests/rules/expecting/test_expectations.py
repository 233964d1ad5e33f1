"""Unit tests of rules: what their YAML means, what they find, and what is wrong with a file that cannot be used."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from rules.expecting.coverage import coverage_of
from rules.expecting.expectations import cases_of
from rules.expecting.judging import Judged, judge, misplaced
from rules.problems import RulesError
from rules.stages import Side
from rules.table import Table
from tests.rules.conftest import MakeTable

LIVE = ", at: {products: live}"
ROUTES: list[dict[str, Any]] = [
    {
        "name": "products",
        "match": {"path": "/api/products/{id}", "methods": ["GET"]},
        "stage": "canary",
        "share": "20%",
        "unit": {"cookie": "fig_unit", "issue": True},
        "rewrite": {"path": "/catalog/{id}", "host": "catalog.internal"},
        "request_headers": {"set": {"x-product": "{id}", "authorization": "Basic c2VjcmV0"}, "remove": ["x-debug"]},
        "response_headers": {"remove": ["server"], "add": {"x-kind": "product"}},
        "timeout": "5s",
    },
    {
        "name": "orders",
        "match": {"path": "/orders/**", "headers": {"x-app": {"prefix": "shop-"}}},
        "stage": "shadow",
        "writes": {},
    },
    {"name": "orders-late", "match": {"path": "/orders/**"}, "stage": "live"},
    {"name": "old", "match": {"path": "/old/**"}, "redirect": {"prefix": "/new", "status": 301}},
    {"name": "gone", "match": {"path": "/gone"}, "respond": {"status": 410, "body": "gone for good"}},
]


@pytest.fixture
def table(make_table: MakeTable) -> Table:
    return make_table(ROUTES)


def judged(table: Table, text: str) -> list[Judged]:
    return [judge(table, case) for case in cases_of(text, "fig.test.yaml").cases]


def failures(table: Table, request: str, expect: str, more: str = "") -> list[str]:
    """Of one test; each as it is printed."""
    text = f"tests: [{{name: t, request: {{{request}}}, expect: {{{expect}}}{more}}}]"
    return [str(failure) for each in judged(table, text) for failure in each.failures]


@pytest.mark.parametrize(
    ("request_", "expect", "more"),
    [
        ("url: /api/products/7", "route: products, issued: true", ""),
        ("url: /api/products/7, unit: eve", "side: candidate, reason: share", ", at: {products: 25%}"),
        ("url: /api/products/7, unit: hana", "side: legacy, service: legacy", ", at: {products: 25%}"),
        ("url: /api/products/7", "side: candidate, stage: live, copies: legacy", LIVE),
        ("url: '/api/products/7?a=b'", "path: /catalog/7, query: a=b, host: catalog.internal", LIVE),
        ("url: /api/products/7", "query: null, captures: {id: '7'}, timeout: 5s", LIVE),
        ("url: /api/products/7, headers: {x-debug: '1', x-keep: [a, b]}",
         "request_headers: {x-debug: null, x-keep: 'a,b', x-product: {regex: '[0-9]+'}, authorization: "
         "{present: true}}",
         LIVE),
        ("url: /api/products/7", "response_headers: {x-kind: product, server: null, x-other: kept}",
         ", at: {products: live}, answer: {headers: {server: php, x-other: kept}}"),
        ("url: /api/products/7", "response_headers: {set-cookie: {prefix: fig_unit=}, cache-control: private}",
         LIVE),
        ("url: /orders/1, method: POST, headers: {X-App: shop-web}", "route: orders, side: legacy, copies: "
         "candidate", ""),
        ("url: /orders/1, cookies: {a: '1', b: '2'}", "request_headers: {cookie: a=1; b=2}", ""),
        ("url: 'https://shop.example/old/a?b=c'", "status: 301, location: 'https://shop.example/new/a?b=c'", ""),
        ("url: /gone", "status: 410, body: {contains: for good}, response_headers: {location: null}", ""),
        ("url: /nowhere", "route: null, side: legacy, reason: no route, copies: nobody", ""),
        ("url: /a%2fb", "refused: 400", ""),
        ("url: /, method: TRACE", "refused: 405", ""),
    ],
)  # fmt: skip
def test_what_the_rules_do_is_what_a_test_may_expect(table: Table, request_: str, expect: str, more: str) -> None:
    assert failures(table, request_, expect, more) == []


@pytest.mark.parametrize(
    ("request_", "expect", "told"),
    [
        ("url: /api/products/7, method: POST", "route: products",
         "route: expected products, got no route (products does not take it by its method: the method is POST, "
         "not GET)"),
        ("url: /orders/1", "route: orders",
         "route: expected orders, got orders-late (orders does not take it by its header x-app: the header 'x-app' is "
         "absent)"),
        ("url: /orders/1, headers: {x-app: shop-}", "route: orders-late",
         "route: expected orders-late, got orders (orders stands before orders-late, and takes it too)"),
        ("url: /gone", "route: null", "route: expected no route, got gone (gone takes it)"),
        ("url: /gone", "route: product",
         "route: expected product, got gone (there is no route 'product'; did you mean 'products'?)"),
        ("url: /api/products/7", "side: candidate",
         "side: expected candidate, got either side (fig issues a unit, and 20% of units go to the candidate; "
         "say which "
         "with 'unit' in the request)"),
        ("url: /api/products/7, unit: hana", "side: candidate",
         "side: expected candidate, got legacy (bucket 311782 of 1,000,000 against a share of 20%: the "
         "candidate answers "
         "from a share of 31.1783% on)"),
        ("url: /gone", "side: legacy", "side: expected legacy, got fig (the route says 'respond', so fig answers by "
         "itself and asks no service)"),
        ("url: /gone", "path: /gone", "path: expected a request to a service, got none (the route says "
         "'respond', so fig "
         "answers by itself and asks no service)"),
        ("url: /gone", "status: 404", "status: expected 404, got 410"),
        ("url: /nowhere", "status: 200",
         "status: expected an answer of fig's own, got a service (a service answers, so the rules do not say)"),
        ("url: /nowhere", "path: {prefix: /api}", "path: expected {prefix: /api}, got '/nowhere'"),
        ("url: /orders/1, unit: u", "copies: candidate", "copies: expected candidate, got legacy (legacy gets a "
         "copy after "
         "the client has its answer, and the pair is compared)"),
        ("url: /old/1", "location: null", "location: expected absent, got 'http://localhost/new/1'"),
        ("url: /orders/1", "request_headers: {x-app: shop}", "request_headers.x-app: expected 'shop', got none"),
        ("url: /api/products/7, unit: eve", "captures: {id: '8'}", "captures.id: expected 8, got 7"),
        ("url: /a%2fb", "route: products",
         "route: expected a request that is taken, got a refusal with 400 (the path /a%2fb is refused, because "
         "'%2f' has "
         "no single reading)"),
        ("url: /gone", "refused: 400", "refused: expected 400, got route gone (fig takes this request)"),
        ("url: /, method: TRACE", "refused: 400", "refused: expected 400, got 405 (TRACE is not allowed here)"),
    ],
)  # fmt: skip
def test_a_failing_expectation_says_what_was_got_and_why(table: Table, request_: str, expect: str, told: str) -> None:
    assert failures(table, request_, expect) == [told]


def test_every_expectation_that_fails_is_told_each_at_its_place(table: Table) -> None:
    text = "tests:\n- name: t\n  request: {url: /gone}\n  expect:\n    status: 200\n    body: here\n    route: old\n"
    [found] = judged(table, text)
    assert [(failure.key, failure.place.line) for failure in found.failures] == [
        ("route", 7), ("status", 5), ("body", 6),
    ]  # fmt: skip


def test_a_secret_that_the_rules_send_is_judged_and_not_shown(table: Table) -> None:
    [told] = failures(table, "url: /api/products/7", "request_headers: {authorization: Basic other}", LIVE)
    assert told == "request_headers.authorization: expected (not shown), got something else"


def test_no_service_is_sent_what_ends_at_fig(make_table: MakeTable) -> None:
    force = {"header": "x-side", "cookie": "side", "token": "only-the-pilots-know"}
    table = make_table([{"name": "r", "match": {"path": "/**"}}], force=force)
    request = "url: /, headers: {te: trailers, x-side: legacy:no, cookie: 'a=1; side=legacy:no', x-a: b}"
    expect = "request_headers: {te: null, x-side: null, cookie: a=1, x-a: b}"
    assert failures(table, request, expect) == []


def test_what_can_be_no_unit_fails_its_test_where_the_request_stands(table: Table) -> None:
    text = "tests:\n- name: t\n  expect: {side: candidate}\n  request: {url: /api/products/7, unit: a;b}\n"
    [failure] = judged(table, text)[0].failures
    assert str(failure).startswith("request: expected a unit, got none ('a;b' can be no unit of route 'products'")
    assert failure.place.line == 4


def test_a_copy_is_expected_of_the_other_side_while_it_is_open_which_one_that_is(table: Table) -> None:
    assert failures(table, "url: /api/products/7", "copies: nobody") == [
        "copies: expected nobody, got the other side (the other side gets a copy after the client has its answer, "
        "and the pair is compared)"
    ]
    assert failures(table, "url: /api/products/7, method: OPTIONS", "copies: nobody") == []


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("{product: live}", "'at': no route is named 'product'; did you mean 'products'?"),
        ("{'-': live}", "'at': no route is named '-'"),
        ("{gone: live}", "'at': route 'gone' has no candidate, so it stands in no stage; remove it here"),
        ("{old: 5%}", "'at': route 'old' has no candidate, so it stands in no stage; remove it here"),
    ],
)
def test_a_route_without_a_candidate_stands_in_no_stage_of_a_test(table: Table, at: str, told: str) -> None:
    cases = cases_of(f"tests: [{{name: t, at: {at}, request: {{url: /}}, expect: {{side: legacy}}}}]", "fig.test.yaml")
    assert [problem.message for problem in misplaced(table, cases)] == [told]


def test_a_row_of_a_table_is_a_test_with_what_all_rows_share(table: Table) -> None:
    text = """
at: {products: 25%}
tests:
  - name: shoppers
    request: {headers: {x-app: shop-web}, url: /api/products/7}
    expect: {issued: false}
    table:
      - [unit, at.products, headers.x-b, side,      route,    captures.id]
      - [eve,  null,        null,        candidate, products, "7"]
      - [hana, null,        x,           legacy,    products, "8"]
      - [hana, 50%,         null,        candidate, null,     null]
"""
    first, second, third = judged(table, text)
    assert [each.case.name for each in (first, second, third)] == [f"shoppers, row {number}" for number in (1, 2, 3)]
    assert first.ok
    assert [str(failure) for failure in second.failures] == ["captures.id: expected 8, got 7"]
    assert [(failure.key, failure.place.line) for failure in second.failures] == [("captures.id", 10)]
    assert [failure.key for failure in third.failures] == ["route"]
    assert second.case.request.headers == {"x-app": ("shop-web",), "x-b": ("x",)}


def problems(text: str) -> list[str]:
    with pytest.raises(RulesError) as caught:
        cases_of(text, "fig.test.yaml")
    return [str(problem).removeprefix("fig.test.yaml:") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tests: []", "1:8: 'tests': must be a list with a test (- name: ...)"),
        ("- a", "1:1: a test file is a mapping with the key 'tests'"),
        ("rule: x\ntests: [{name: t, request: {url: /}, expect: {side: legacy}}]",
         "1:1: unknown key 'rule'; did you mean 'rules'?"),
        ("tests: [7]", "1:9: a test is a mapping (- name: ...)"),
        ("tests: [{name: t, request: {url: /}, expect: {}}]",
         "1:46: 'expect': expects nothing; give route, side, service, path, status or another key"),
        ("tests: [{name: t, request: {url: /}, expect: {sid: legacy}}]", "1:47: unknown key 'sid'; did you mean "
         "'side'?"),
        ("tests: [{name: t, request: {url: /}, expect: {side: new}}]", "1:53: 'side': must be 'legacy' or 'candidate', "
         "not 'new'"),
        ("tests: [{name: t, request: {method: GET}, expect: {side: legacy}}]", "1:28: the key 'url' is missing in "
         "'request'"),
        ("tests: [{name: t, at: {a: canary5}, request: {url: /}, expect: {side: legacy}}]",
         "1:27: 'a': 'canary5' is neither a stage (legacy, shadow, canary, live, retired) nor a share; write it "
         "like live "
         "or 25%"),
        ("tests: [{name: t, at: {a: {stage: live, share: 5%}}, request: {url: /}, expect: {side: legacy}}]",
         "1:27: 'a': a share counts in stage canary only, not in live"),
        ("tests: [{name: t, request: {url: /}, expect: {refused: 400, side: legacy}}]",
         "1:46: 'expect': no route sees a refused request, so nothing else can be expected of it"),
        ("tests: [{name: t, request: {url: /, cookies: {a: b}, headers: {Cookie: c=d}}, expect: {side: legacy}}]",
         "1:28: 'request': 'cookies' and the header 'cookie' say the same; remove one"),
        ("tests: [{name: t, table: [[url, sied], [/, legacy]]}]",
         "1:33: 'sied' is no key of 'request' or 'expect', and no at.ROUTE; did you mean 'side'?"),
        ("tests: [{name: t, table: [[url, side], [/]]}]", "1:40: row 1 of 'table' needs a cell for each of the 2 keys "
         "above"),
        ("tests: [{name: t, table: [[url, side], [/, old]]}]", "1:44: 'side': must be 'legacy' or 'candidate', "
         "not 'old'"),
        ("tests: [{name: t, table: [[url, headers.x-a, side, headers.X-A], [/, a, legacy, b]]}]",
         "1:52: column 4 is 'headers.X-A' again (column 2); remove one of them"),
        ("tests: [{name: t, table: [[url, url, side], [/, /b, legacy]]}]",
         "1:33: column 2 is 'url' again (column 1); remove one of them"),
        ("tests: [{name: t, table: [[url, at, side], [/, live, legacy]]}]",
         "1:33: 'at' is no key of 'request' or 'expect', and no at.ROUTE; name a route after 'at.'"),
        ("tests: [{name: t, table: [[url, 7], [/, live]]}]",
         "1:33: '7' is no key of 'request' or 'expect', and no at.ROUTE"),
        ("tests: [{name: t, request: {url: /, client: me}, expect: {side: legacy}}]",
         "1:45: 'client': 'me' is no client address; write it like 10.0.0.1 or 2001:db8::1"),
        ("tests: [{name: t, request: {url: /, cookies: {a: b;c}}, expect: {side: legacy}}]",
         "1:46: 'cookies': the value of 'a' holds ';', where a cookie ends; write it as a cookie of its own"),
        ("tests: [{name: t, request: {url: /}, expect: {status: 99}}]",
         "1:55: 'status': must be greater than or equal to 200, not 99"),
        ("tests: [{name: t, table: [[url, side]]}]", "1:26: 'table': needs a row of keys, and a row for each request"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_told_where_and_why(text: str, problem: str) -> None:
    assert problems(text) == [problem]


def test_all_problems_of_a_file_are_told_at_once() -> None:
    text = (
        "tests:\n- {name: a, request: {url: /}, expect: {sid: x}}\n- {name: b, request: {url: 7}, expect: {side: x}}\n"
    )
    assert [problem.partition(": ")[0] for problem in problems(text)] == ["2:41", "3:28", "3:47"]


def test_coverage_names_routes_that_no_test_reached_and_sides_that_none_saw(table: Table) -> None:
    text = """
tests:
  - {name: a, at: {products: live}, request: {url: /api/products/7}, expect: {route: products}}
  - {name: b, request: {url: /api/products/7, unit: hana}, expect: {route: products}}
  - {name: c, request: {url: /orders/7}, expect: {route: null}}
  - {name: d, request: {url: /gone}, expect: {status: 410}}
  - {name: e, request: {url: /a%2fb}, expect: {refused: 400}}
"""
    coverage = coverage_of(table, judged(table, text))
    assert (coverage.routes, coverage.reached) == (5, 600_000)
    assert coverage.unreached == ("orders", "old")
    assert coverage.one_sided == (("orders-late", Side.LEGACY),)


def test_whatever_is_written_is_read_or_refused_and_never_a_crash(table: Table) -> None:
    chance = Random(3)
    text = Path(__file__).parents[3].joinpath("examples/pinnacle/fig.test.yaml").read_text()
    words = [
        "null",
        "[",
        "]",
        "{",
        "}",
        ":",
        "-",
        "\n",
        "  ",
        "7",
        "1e9",
        "'",
        '"',
        "*",
        "&a",
        "at",
        "expect",
        "\x7f",
        "~",
    ]
    read = 0
    for _ in range(300):
        mutated = text
        for _ in range(chance.randint(1, 3)):
            start = chance.randrange(len(mutated))
            mutated = mutated[:start] + chance.choice([*words, ""]) + mutated[start + chance.randint(0, 6) :]
        try:
            cases = cases_of(mutated, "fig.test.yaml").cases
        except RulesError as exc:
            assert all(problem.place.line >= 1 and problem.message for problem in exc.problems)
            continue
        read += 1
        assert all(str(failure) for case in cases for failure in judge(table, case).failures)
    assert 50 < read < 290
