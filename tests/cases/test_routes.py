"""Routing cases of four other projects: Gateway API, Envoy, Traefik and Skipper, through fig's own rules.

Data: routes.json in the folder that FIG_CASES names. An adapter per dialect (tests/cases/routes/) says a suite's
configuration as fig's routes, plain data through the real models, and judges everything that a case expects: service,
status, redirect, path and host as they are sent, headers both ways, copies. Where a configuration chooses a service by
chance, fig chooses by unit, so any of them is right.

What fig does otherwise is listed here, by dialect, with the reason; a reason that is not listed fails the test, and so
does a number of judged cases that shrinks.
"""

from __future__ import annotations

import copy
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cases.routes import envoy, gateway_api, skipper, traefik
from tests.cases.routes.world import OutOfScopeError

Plain = dict[str, Any]
FOLDER = Path(os.environ.get("FIG_CASES", Path(__file__).parents[2].parent / "shared" / "cases"))
FILE = FOLDER / "routes.json"
SUITES = json.loads(FILE.read_text())["suites"] if FILE.exists() else []
JUDGES: dict[str, Callable[[Plain, Plain], list[str]]] = {
    "gateway-api": gateway_api.judge,
    "envoy": envoy.judge,
    "traefik-v3": traefik.judge,
    "eskip": skipper.judge,
    "path-template (:seg, *rest)": skipper.judge,
}
OUT_OF_SCOPE = {
    "gateway-api": (
        "421 for a name that the TLS handshake did not ask for (TLS only)",
        "who may refer to a service of another namespace (Kubernetes only)",
        "more than one copy of a request: a route has two sides",
        "a mirror beside weighted services: a route has two sides",
        "a service that fails and recovers in time: the data plane's tests have such services",
        "the filter ",
        "changes for one of several weighted services: a route's changes name a side",
        "what is not routing: ",
        "ReplacePrefixMatch without PathPrefix, which the Gateway API forbids",
        "a path without a single reading, which fig refuses",
    ),
    "envoy": (
        "a service whose name the request brings along (xDS only)",
        "a runtime fraction of requests (xDS only): fig's share is of units, not of requests",
        "virtual clusters, which only name statistics (xDS only)",
        "a host made by replacing parts of the path (xDS only): fig's is made of captures",
        "a host from a header that was just written (xDS only)",
        "a host that the request brings along in a header (xDS only)",
        "a header from Envoy's own variable ",
        "a header by '",
        "match by '",
        "methods by a regex: fig's are a list",
        "a name without a port that is not taken with one: fig's takes every port (Match.host)",
        "the absence of :",
        "a path without a single reading, which fig refuses",
    ),
    "traefik-v3": (
        "a path that fig writes anew before it matches (rules/matching/path.py): braces, '//'",
        "a parameter that comes twice: the first one counts (Condition)",
        "a header of several lines, which are one value (Condition)",
        "a client whose address the case does not say",
        "the matcher ",
        "what Traefik's own syntax refuses",
        "a path without a single reading, which fig refuses",
    ),
    "eskip": ("a path that fig refuses or writes anew before it matches (rules/matching/path.py)", "the predicate "),
    "path-template (:seg, *rest)": (
        "a path that fig refuses or writes anew before it matches (rules/matching/path.py)",
    ),
}
JUDGED = {"gateway-api": 140, "envoy": 178, "traefik-v3": 136, "eskip": 461, "path-template (:seg, *rest)": 26}
"""So many of the published cases are judged, at least; of another share of them (FIG_CASES), more than half."""

pytestmark = pytest.mark.skipif(not SUITES, reason="routes.json is not there; FIG_CASES names its folder")


def _cases(dialect: str) -> Iterator[tuple[str, Plain, Plain]]:
    for suite in SUITES:
        if suite["dialect"] != dialect or ("first_match_rules" not in suite and dialect in ("gateway-api", "envoy")):
            continue
        for number, case in enumerate(suite["cases"]):
            if case.get("verified") or dialect not in ("gateway-api", "envoy", "traefik-v3"):
                yield f"{suite['id']}[{number}]", suite, case


@pytest.mark.parametrize("dialect", JUDGES)
def test_routes_of_other_projects_do_what_their_authors_expect(dialect: str) -> None:
    wrong: list[str] = []
    beyond: Counter[str] = Counter()
    total = 0
    for name, suite, case in _cases(dialect):
        total += 1
        try:
            faults = JUDGES[dialect](suite, case)
        except OutOfScopeError as exc:
            beyond[str(exc)] += 1
            continue
        except ValueError as exc:  # the model refuses what the adapter made of the configuration
            faults = [str(exc)]
        if faults:
            wrong.append(f"{name} {case['request']} -> {case['expect']}: {', '.join(faults)}")
    assert wrong == []
    assert [reason for reason in beyond if not reason.startswith(OUT_OF_SCOPE[dialect])] == []
    assert total > 0
    judged = total - sum(beyond.values())
    assert judged >= min(JUDGED[dialect], total // 2 + 1), f"{judged} of {total}"


@pytest.mark.parametrize(("dialect", "key", "other"), [("gateway-api", "backend", "x"), ("envoy", "backend", "x")])
def test_a_case_whose_expectation_is_turned_around_is_found_wrong(dialect: str, key: str, other: str) -> None:
    missed = []
    for name, suite, case in _cases(dialect):
        if not case["expect"].get(key):
            continue
        turned = copy.deepcopy(case)
        turned["expect"][key] = other
        try:
            if not JUDGES[dialect](suite, turned):
                missed.append(name)
        except OutOfScopeError:
            continue
    assert missed == []


def test_a_rewritten_path_a_redirect_and_a_header_are_judged_too() -> None:
    seen: Counter[str] = Counter()
    for dialect in ("gateway-api", "envoy"):
        for _, suite, case in _cases(dialect):
            for key in ("upstream_path", "upstream_host", "redirect", "upstream_request", "response_headers"):
                wanted = case["expect"].get(key)
                if not wanted:
                    continue
                turned = copy.deepcopy(case)
                turned["expect"][key] = _turned(wanted)
                try:
                    seen[key] += bool(JUDGES[dialect](suite, turned))
                except OutOfScopeError:
                    continue
    assert set(seen) == {"upstream_path", "upstream_host", "redirect", "upstream_request", "response_headers"}
    assert all(seen.values())


def _turned(wanted: Any) -> Any:
    if isinstance(wanted, dict):
        return {key: _turned(value) for key, value in wanted.items()}
    return [f"{each}x" for each in wanted] if isinstance(wanted, list) else f"{wanted}x"
