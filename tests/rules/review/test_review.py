"""For each warning of a review: a file that provokes it, and one that nearly does."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.rulebook import load, load_reviewed
from rules.asked import ask
from rules.effective import Effective
from rules.problems import Problem, Severity
from rules.review.meanings import MEANINGS
from rules.table import compile_table

HEAD = """\
version: 1
services:
  legacy: {url: http://127.0.0.1:9000}
  a: {url: http://127.0.0.1:9001}
  b: {url: http://127.0.0.1:9002}
legacy: legacy
"""
Reviewed = Callable[..., list[Problem]]


@pytest.fixture
def reviewed(tmp_path: Path) -> Reviewed:
    """The warnings of the review for these matches (candidates a, b, a, ...), or for whole routes."""

    def run(*routes: str, head: str = "") -> list[Problem]:
        lines = [
            f"  - {{name: r{number}, {route}}}"
            if route.startswith("match:")
            else f"  - {{name: r{number}, match: {route}, candidate: {'ab'[number % 2]}}}"
            for number, route in enumerate(routes)
        ]
        (tmp_path / "fig.yaml").write_text(HEAD + head + "routes:\n" + "\n".join(lines) + "\n")
        rulebook, found = load_reviewed(tmp_path / "fig.yaml")
        assert found.is_whole
        return [*rulebook.warnings, *found.problems]

    return run


def codes(problems: list[Problem], *but: str) -> list[tuple[str, str | None]]:
    return [(problem.code, problem.route) for problem in problems if problem.code not in ("unused-service", *but)]


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        (("{path: /a/**}", "{path: /a/b}"), [("unreachable-route", "r1")]),
        (("{path: /a/b}", "{path: /a/**}"), []),
        (("{path: '/a/{x}', methods: [GET]}", "{path: /a/b, methods: [GET]}"), [("unreachable-route", "r1")]),
        (("{path: '/a/{x}', methods: [GET]}", "{path: /a/b, methods: [PUT]}"), []),
        (("{path: /a, host: '*.s.example'}", "{path: /a, host: www.s.example}"), [("unreachable-route", "r1")]),
        (("{path: /a, host: '*.s.example'}", "{path: /a, host: s.example}"), []),
        # Several earlier routes cover it together.
        (
            ("{path: /a/**, methods: [GET]}", "{path: /a/**, methods: [POST]}", "{path: /a/b, methods: [POST, GET]}"),
            [("unreachable-route", "r2")],
        ),
        (
            ("{path: /a/**, methods: [GET]}", "{path: /a/**, methods: [POST]}", "{path: /a/b, methods: [PUT, GET]}"),
            [],
        ),
        (
            ("{path: /a, headers: {x: {present: true}}}", "{path: /a, headers: {x: {absent: true}}}", "{path: /a}"),
            [("unreachable-route", "r2")],
        ),
        (("{any: [{path: /a}, {path: /b/**}]}", "{path: [/a, /b/c]}"), [("unreachable-route", "r1")]),
        (("{path: {regex: '/v[0-9]+/.*'}}", "{path: /v1/items}"), [("unreachable-route", "r1")]),
        (("{path: {regex: '/v[0-9]+/.*'}}", "{path: /v/items}"), []),
        (("{client: 10.0.0.0/8, path: /a}", "{client: 10.2.0.0/16, path: /a}"), [("unreachable-route", "r1")]),
    ],
)
def test_a_route_whose_requests_all_go_to_earlier_routes_is_told(
    reviewed: Reviewed, routes: tuple[str, ...], found: list[tuple[str, str]]
) -> None:
    assert codes(reviewed(*routes)) == found


def test_a_route_that_is_reached_by_what_no_witness_can_hold_is_not_told(reviewed: Reviewed) -> None:
    ascii_only = "{path: /a, headers: {x: {regex: '[\\x00-\\x7f]'}}}"
    assert codes(reviewed(ascii_only, "{path: /a, headers: {x: {regex: '(?s).'}}}")) == []


def test_what_takes_the_requests_of_an_unreachable_route_is_named_with_a_request_that_shows_it(
    reviewed: Reviewed,
) -> None:
    (problem,) = [
        each
        for each in reviewed(
            "{path: /a/**, methods: [GET]}", "{path: /a/**, methods: [POST]}", "{path: /a/b, methods: [GET, POST]}"
        )
        if each.code == "unreachable-route"
    ]
    assert problem.message == (
        "is never reached: earlier routes take each of its requests ('r0' and 'r1'); move it before, or remove it"
    )
    assert problem.witness == "fig rules explain GET http://example.test/a/b --client 192.0.2.1"
    assert (problem.place.line, problem.severity) == (10, Severity.WARNING)


def test_a_route_that_takes_everything_is_told_once_and_not_for_each_route_after_it(reviewed: Reviewed) -> None:
    found = reviewed("{path: /a}", "{path: /**}", "{path: /b}", "{path: /c}")
    assert codes(found) == [("catch-all-not-last", "r1")]
    assert found[0].message == "takes every request, so the 2 routes after it are never reached; move it to the end"
    assert codes(reviewed("{path: /a}", "{path: /**}")) == []
    assert codes(reviewed("{path: /**, methods: [GET]}", "{path: /b, methods: [PUT]}")) == []


@pytest.mark.parametrize(
    "match",
    [
        "{path: /a, headers: {x: {prefix: a, suffix: b, regex: '[0-9]*'}}}",
        "{path: /a, not: {path: /a}}",
        "{all: [{path: /a}, {path: /b}]}",
        "{path: /a, methods: [TRACE]}",
        "{path: /a, query: {q: {range: {from: 5}, not: {range: {from: 0}}}}}",
        "{path: {regex: 'api/.*'}}",
        "{path: /a, host: {regex: 'Shop[.]example'}}",
    ],
)
def test_a_match_that_no_request_fulfils_is_told(reviewed: Reviewed, match: str) -> None:
    assert codes(reviewed(match), "regex-literal", "refused-method") == [("takes-nothing", "r0")]


@pytest.mark.parametrize(
    "match",
    [
        "{path: /a, headers: {x: {prefix: a, suffix: a, regex: '[a-z]*'}}}",
        "{path: /a, not: {path: /b}}",
        "{path: /a, query: {q: {range: {from: 5}, not: {range: {from: 6}}}}}",
        "{path: {regex: '(?i)/API/v[0-9]'}}",
        "{path: /a, host: {regex: 'shop[0-9][.]example'}}",
    ],
)
def test_a_match_that_some_request_fulfils_is_not_told(reviewed: Reviewed, match: str) -> None:
    assert codes(reviewed(match)) == []


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        (("{path: '/a/{x}'}", "{path: '/{x}/b'}"), [("overlap", "r1")]),
        (("{path: '/a/{x}'}", "{path: '/{x}/b/c'}"), []),
        (("{path: /a/b}", "{path: '/{x}/b'}"), []),  # the specific before the general
        (("{path: /a/**, methods: [GET]}", "{path: /a/b}"), [("overlap", "r1")]),
        (("{path: /a/**, methods: [GET]}", "{path: /a/b, methods: [PUT]}"), []),
        (("{path: /a, headers: {x: '1'}}", "{path: /a, headers: {y: '1'}}"), [("overlap", "r1")]),
        (("{path: /a, headers: {x: '1'}}", "{path: /a, headers: {x: '2'}}"), []),
        (("{path: /a, host: s.example}", "{path: '/{x}', host: '*.example'}"), []),
        (("{path: '/{x}', host: s.example}", "{path: /a, host: '*.example'}"), [("overlap", "r1")]),
        (("{path: '/{x}', host: '*.a.example'}", "{path: /a, host: '*.example'}"), [("overlap", "r1")]),
        (("{path: '/{x}', host: '*.example'}", "{path: /a/**, host: '*.a.example'}"), [("overlap", "r1")]),
        (("{path: {regex: '/[ab]'}}", "{path: {regex: '/[bc]'}}"), [("overlap", "r1")]),
        # Exceptions for certain askers are meant to come first.
        (("{headers: {x-pilot: '1'}}", "{path: /a}"), []),
        (("{client: 10.0.0.0/8, cookies: {c: '1'}}", "{path: /a}"), []),
        (("{path: /b/**, headers: {x-pilot: '1'}}", "{path: /b/a}"), [("overlap", "r1")]),
    ],
)
def test_routes_of_which_order_decides_are_told(
    reviewed: Reviewed, routes: tuple[str, ...], found: list[tuple[str, str]]
) -> None:
    assert codes(reviewed(*routes)) == found


def test_an_overlap_shows_a_request_that_both_take(reviewed: Reviewed) -> None:
    (problem,) = [each for each in reviewed("{path: '/a/{x}'}", "{path: '/{x}/b'}") if each.code == "overlap"]
    assert problem.witness == "fig rules explain GET http://example.test/a/b --client 192.0.2.1"
    assert problem.message.startswith("takes requests that 'r0' before it takes too, with another outcome")


def test_many_overlaps_of_one_route_are_one_warning(reviewed: Reviewed) -> None:
    routes = [f"match: {{path: '/a{number}/{{x}}'}}, candidate: b" for number in range(5)]
    found = reviewed(*routes, "match: {path: '/{x}/b'}, candidate: a")
    (problem,) = [each for each in found if each.code == "overlap"]
    assert problem.route == "r5"
    assert problem.message.count("'r") == 3
    assert "and others before it take too" in problem.message


def test_routes_that_do_the_same_do_not_overlap(reviewed: Reviewed) -> None:
    same = ("match: {path: '/a/{x}'}, candidate: a", "match: {path: '/{x}/b'}, candidate: a")
    assert codes(reviewed(*same)) == []
    canary = [route + ", stage: canary, share: 5%, unit: {cookie: c}" for route in same]
    assert ("overlap", "r1") in codes(reviewed(*canary))  # each has buckets of its own
    assert ("overlap", "r1") not in codes(reviewed(*(route + ", group: g" for route in canary)))


@pytest.mark.parametrize(
    ("match", "plainer"),
    [
        ("{path: {regex: '/a/b'}}", "path: /a/b"),
        ("{path: {regex: '^/a/[^/]+/b$'}}", "path: /a/*/b"),
        ("{path: {regex: '/a/.*'}}", "path: /a/** (which also takes the path that ends before the slash)"),
        ("{path: {regex: '/a|/b'}}", "path: [/a, /b]"),
        ("{path: /a, host: {regex: 'shop[.]example'}}", "host: shop.example"),
        ("{path: /a, host: {regex: '.*\\.shop\\.example'}}", 'host: "*.shop.example"'),
        ("{path: /a, headers: {x: {regex: 'shop'}}}", 'exact: "shop"'),
        ("{path: /a, headers: {x: {regex: 'shop-.*'}}}", 'prefix: "shop-"'),
        ("{path: /a, query: {q: {regex: '.*-end'}}}", 'suffix: "-end"'),
        ("{path: /a, cookies: {c: {regex: '.*mid.*'}}}", 'contains: "mid"'),
        ("{path: /a, cookies: {c: {not: {regex: '.*'}}}}", "present: true"),
        ("{path: /a, any: [{path: {regex: '/b'}}, {not: {path: {regex: '/c'}}}]}", "path: /b"),
    ],
)
def test_a_regex_that_a_plain_form_would_serve_is_told_with_that_form(
    reviewed: Reviewed, match: str, plainer: str
) -> None:
    found = [each for each in reviewed(match) if each.code == "regex-literal"]
    shown, _, also = plainer.partition(" (")
    assert f"says no more than '{shown}'{' (' + also if also else ''}; write that" in found[0].message


@pytest.mark.parametrize(
    "match",
    [
        "{path: {regex: '/a/[^/]*'}}",
        "{path: {regex: '/a.b'}}",
        "{path: {regex: '(?i)/a'}}",
        "{path: {regex: '/a/.+'}}",
        "{path: {regex: '/a.*'}}",
        "{path: {regex: '/a/x[^/]+'}}",
        "{path: {regex: '/a|/b[0-9]'}}",
        "{path: {regex: '/a^/b|/c'}}",
        "{path: /a, host: {regex: 'shop.example'}}",
        "{path: /a, host: {regex: '[^.]+[.]shop[.]example'}}",
        "{path: /a, headers: {x: {regex: 'a.*b'}}}",
        "{path: /a, headers: {x: {regex: 'a+'}}}",
        "{path: /a, headers: {x: {regex: 'a|b'}}}",
        "{path: /a, headers: {x: {regex: '[^\\x{e9}]*'}}}",
    ],
)
def test_a_regex_that_says_more_is_not_told(reviewed: Reviewed, match: str) -> None:
    assert "regex-literal" not in dict(codes(reviewed(match)))


_TO_ITSELF = "redirect: {status: 307}, response_headers: {set: {Set-Cookie"


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        (("match: {path: /a/**}, redirect: {prefix: /a/b}",), [("endless-redirect", "r0")]),
        (("match: {path: /a/**}, redirect: {prefix: /b}",), []),
        (("match: {path: /**}, redirect: {scheme: https}",), [("endless-redirect", "r0")]),
        (("match: {path: /**, scheme: http}, redirect: {scheme: https}",), []),
        (("match: {host: 's.example:80'}, redirect: {scheme: https}",), []),
        (
            ("match: {path: /a}, redirect: {path: /b}", "match: {path: /b}, redirect: {path: /a}"),
            [("endless-redirect", "r0"), ("endless-redirect", "r1")],
        ),
        (("match: {path: /a}, redirect: {path: /b}", "match: {path: /b}, respond: {status: 200}"), []),
        (("match: {path: /a/**}, redirect: {host: elsewhere.example}",), []),
        (("match: {host: '*.s.example'}, redirect: {host: www.s.example}",), [("endless-redirect", "r0")]),
        (("match: {host: s.example}, redirect: {host: www.s.example}",), []),
        (("match: {path: /a}, redirect: {status: 307}",), [("endless-redirect", "r0")]),
        (("match: {path: /a, methods: [POST]}, redirect: {status: 307}",), [("endless-redirect", "r0")]),
        (("match: {path: /a, methods: [POST]}, redirect: {status: 303}",), []),
        (("match: {path: /a, methods: [POST]}, redirect: {status: 302}",), []),
        (("match: {path: /a, methods: [PUT]}, redirect: {status: 302}",), [("endless-redirect", "r0")]),
        ((f"match: {{path: /a, cookies: {{c: {{absent: true}}}}}}, {_TO_ITSELF}: 'c=1; Path=/'}}}}",), []),
        ((f"match: {{path: /a, cookies: {{c: '1'}}}}, {_TO_ITSELF}: c=2}}}}",), []),
        ((f"match: {{path: /a, cookies: {{c: '1'}}}}, {_TO_ITSELF}: c=1}}}}",), [("endless-redirect", "r0")]),
        ((f"match: {{path: /a, cookies: {{c: {{present: true}}}}}}, {_TO_ITSELF}: c=; max-age=0}}}}",), []),
    ],
)
def test_a_redirect_that_leads_in_a_circle_is_told(
    reviewed: Reviewed, routes: tuple[str, ...], found: list[tuple[str, str]]
) -> None:
    assert codes(reviewed(*routes)) == found


def test_a_circle_of_redirects_is_shown(reviewed: Reviewed) -> None:
    found = reviewed("match: {path: /a}, redirect: {path: /b}", "match: {path: /b}, redirect: {path: /a}")
    circle = "(http://example.test/a to http://example.test/b to http://example.test/a)"
    assert found[-2].message == f"sends clients round in a circle {circle}; lead out of the match"
    assert found[-2].witness == "fig rules explain GET http://example.test/a --client 192.0.2.1"


_FORCE = "force: {header: X-Side, cookie: side, token: correct-horse-battery}\n"
_GATE = "gates: {g: {metrics: [{name: errors, kind: error_rate, margin: 1pp}]}}\n"


@pytest.mark.parametrize(
    ("code", "route", "head"),
    [
        ("candidate-never-reached", "match: {path: /a}, candidate: a, stage: canary, unit: {cookie: c}", ""),
        (
            "candidate-never-reached",
            "match: {path: /a, methods: [GET]}, candidate: a, stage: shadow, shadow: {sample: 0%}",
            "",
        ),
        ("retired-legacy", "match: {path: /a}, candidate: a, stage: retired, legacy: b", ""),
        ("retired-legacy", "match: {path: /a}, candidate: a, stage: retired, fallback: legacy", ""),
        ("idle-writes", "match: {path: /a, methods: [GET, HEAD]}, candidate: a, writes: {}", ""),
        ("header-underscore", "match: {path: /a, headers: {x_app: '1'}}, candidate: a", ""),
        ("header-underscore", "match: {path: /a, any: [{not: {headers: {x_app: '1'}}}]}, candidate: a", ""),
        ("refused-method", "match: {path: /a, methods: [GET, TRACE]}, candidate: a", ""),
        ("matches-force", "match: {path: /a, headers: {x-side: '1'}}, candidate: a", _FORCE),
        ("matches-force", "match: {path: /a, all: [{cookies: {side: '1'}}]}, candidate: a", _FORCE),
        ("trusts-everyone", "match: {path: /a}, candidate: a", "trusted_proxies: [10.0.0.0/8, 0.0.0.0/0]\n"),
        ("trusts-everyone", "match: {path: /a}, candidate: a", "trusted_proxies: ['::/0']\n"),
        ("one-segment", "match: {path: [/a, /b/*]}, candidate: a", ""),
        ("one-segment", "match: {any: [{path: /b/*}]}, candidate: a", ""),
        ("same-sides", "match: {path: /a}, candidate: legacy", ""),
    ],
)
def test_a_slip_in_one_route_is_told(reviewed: Reviewed, code: str, route: str, head: str) -> None:
    assert code in dict(codes(reviewed(route, head=head)))


@pytest.mark.parametrize(
    "route",
    [
        "match: {path: /a, methods: [GET]}, candidate: a, stage: canary, unit: {cookie: c}, share: 1%",
        "match: {path: /a, methods: [GET]}, candidate: a, stage: canary, unit: {cookie: c}, "
        "rollout: {steps: [5%], gate: g}",
        "match: {path: /a, methods: [GET]}, candidate: a, stage: shadow",
        "match: {path: /a}, candidate: a, stage: shadow, shadow: {sample: 0%}, writes: {}",
        "match: {path: /a}, candidate: a, stage: retired",
        "match: {path: /a, methods: [GET]}, candidate: a, stage: live, legacy: b, fallback: legacy",
        "match: {path: /a, methods: [GET, POST]}, candidate: a, writes: {}",
        "match: {path: /a, headers: {x-app: '1'}, cookies: {x_side: '1'}}, candidate: a",
        "match: {path: /a, methods: [OPTIONS]}, candidate: a",
        "match: {path: /a}, legacy: b",
        "match: {path: [/a, '/b/{x}/**']}, candidate: a",
    ],
)
def test_what_is_nearly_a_slip_is_not_told(reviewed: Reviewed, route: str) -> None:
    assert not codes(
        reviewed(route, head=_FORCE + _GATE + "trusted_proxies: [10.0.0.0/8, '2001:db8::/32']\n"), "unused-gate"
    )


def test_every_warning_stands_where_its_cause_stands(reviewed: Reviewed) -> None:
    found = reviewed("match: {path: /a, headers: {x_app: '1'}}, candidate: a, stage: retired, legacy: b")
    columns = {each.code: (each.place.line, each.place.column) for each in found if each.route is not None}
    line = "  - {name: r0, match: {path: /a, headers: {x_app: '1'}}, candidate: a, stage: retired, legacy: b}"
    assert columns == {"header-underscore": (8, line.index("'1'") + 1), "retired-legacy": (8, line.index("b}") + 1)}


def test_what_a_variable_holds_is_in_no_witness(tmp_path: Path) -> None:
    routes = "  - {name: r0, match: {path: /a, headers: {x-app: '${KEY}'}}, candidate: a}\n" * 2
    (tmp_path / "fig.yaml").write_text(HEAD + "routes:\n" + routes.replace("r0", "r1", 1))
    _, found = load_reviewed(tmp_path / "fig.yaml", {"KEY": "hunter2hunter2"})
    assert "unreachable-route" in [each.code for each in found.problems]
    for problem in found.problems:
        assert "hunter2" not in f"{problem} {problem.witness}"


def test_a_value_that_may_be_a_secret_is_in_no_witness(reviewed: Reviewed) -> None:
    match = "{path: /a, headers: {x-api-key: abc123}, cookies: {session: abc123, theme: dark}, query: {token: abc123}}"
    (witness,) = [each.witness for each in reviewed(match, match) if each.code == "unreachable-route"]
    assert witness is not None
    assert "abc123" not in witness
    assert "theme=dark" in witness


def test_a_review_is_no_part_of_loading(tmp_path: Path) -> None:
    (tmp_path / "fig.yaml").write_text(
        HEAD + "routes:\n  - {name: x, match: {path: /a/**}, candidate: a}\n"
        "  - {name: y, match: {path: /a/b}, candidate: b}\n"
    )
    assert load(tmp_path / "fig.yaml").warnings == ()


def test_every_code_that_is_told_has_a_meaning() -> None:
    told = {"unused-service", "unused-gate", "unknown-comparison", "writes-not-journaled", "issued-cookie"}
    assert told <= set(MEANINGS)


_PIECES = st.sampled_from(["a", "b", "{x}", "**"])
_DRAWN = st.builds(
    lambda pieces, methods, header: (
        "{path: '/"
        + "/".join([piece for piece in pieces[:-1] if piece not in ("**",)][:1] + pieces[-1:])
        + "'"
        + (f", methods: [{methods}]" if methods else "")
        + (f", headers: {{x: '{header}'}}" if header else "")
        + "}"
    ),
    st.lists(_PIECES, min_size=1, max_size=2, unique=True),
    st.sampled_from(["", "GET", "POST", "GET, POST"]),
    st.sampled_from(["", "", "1"]),
)


@settings(max_examples=60)
@given(st.lists(_DRAWN, min_size=1, max_size=6))
def test_a_review_says_what_asking_many_requests_shows(
    tmp_path_factory: pytest.TempPathFactory, matches: list[str]
) -> None:
    lines = [f"  - {{name: r{n}, match: {match}, candidate: {'ab'[n % 2]}}}" for n, match in enumerate(matches)]
    file = tmp_path_factory.mktemp("drawn") / "fig.yaml"
    file.write_text(HEAD + "routes:\n" + "\n".join(lines) + "\n")
    rulebook, found = load_reviewed(file)
    table = compile_table(Effective(generation=1, rules=rulebook.rules))
    asked = [
        ask(method, path, [("x", value)] if value else [])
        for method in ("GET", "POST", "PUT")
        for path in (
            "/",
            "/a",
            "/b",
            "/c",
            "/a/a",
            "/a/b",
            "/b/a",
            "/b/c",
            "/c/a",
            "/c/d",
            "/c/d/e",
            "/a/b/c",
            "/b/d/e",
        )
        for value in ("", "1")
    ]
    reached = {table.route(request).name for request in asked}
    hidden = {each.route for each in found.problems if each.code == "unreachable-route"}
    for each in found.problems:
        if each.code == "catch-all-not-last":
            hidden |= {f"r{n}" for n in range(int((each.route or "r0")[1:]) + 1, len(matches))}
    assert hidden == {f"r{number}" for number in range(len(matches))} - reached
    for problem in found.problems:
        if problem.code == "overlap":
            words = shlex.split(problem.witness or "")
            lines_asked = [tuple(word.split(": ", 1)) for before, word in pairwise(words) if before == "-H"]
            winner = table.route(ask(words[3], words[4], lines_asked))  # type: ignore[arg-type]
            assert f"'{winner.name}'" in problem.message
            assert winner.name != problem.route
