"""First-match cases of the Gateway API and of Envoy, as far as the grammar can say them today.

Data: routes.json in the folder that FIG_CASES names. A suite's `first_match_rules` become routes of fig's own model,
and every request must be taken by a rule that does what the case expects. A case that asks for more is left out
(LaterError): queries, prefixes that end inside a segment, paths without regard to case, ranges, fractions of requests.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rules.asked import Asked
from rules.document import Rules
from rules.effective import Effective
from rules.path import normalise
from rules.table import Table, compile_table

FOLDER = Path(os.environ.get("FIG_CASES", Path(__file__).parents[2].parent / "shared" / "cases"))
FILE = FOLDER / "routes.json"
SUITES = json.loads(FILE.read_text())["suites"] if FILE.exists() else []


class LaterError(Exception):
    """The grammar cannot say this yet."""


class Case(NamedTuple):
    suite: str
    number: int
    rules: list[dict[str, Any]]
    case: dict[str, Any]


def _cases() -> Iterator[Case]:
    for suite in SUITES:
        rules = suite.get("first_match_rules")
        if suite["dialect"] not in ("gateway-api", "envoy") or not rules:
            continue
        for number, case in enumerate(suite["cases"]):
            if case.get("verified"):
                chosen = rules[case["gateway"]] if isinstance(rules, dict) else rules
                yield Case(suite["id"], number, chosen, case)


def _match(wanted: dict[str, Any]) -> dict[str, Any]:
    """fig's match for one rule's. Raises LaterError."""
    for key in wanted:
        if key not in ("host", "path", "method", "headers", "query") and wanted[key]:
            raise LaterError(key)
    match: dict[str, Any] = {"path": _path(wanted.get("path"))}
    if wanted.get("query"):
        raise LaterError("query")
    host = wanted.get("host", "*")
    if host != "*":
        if host.endswith("*"):
            raise LaterError("host prefix")
        match["host"] = host
    if wanted.get("method"):
        match["methods"] = [wanted["method"]]
    headers = {}
    for header in wanted.get("headers") or []:
        headers[header["name"]] = _header(header)
    return match | ({"headers": headers} if headers else {})


def _path(path: dict[str, Any] | None) -> str:
    if path is None:
        return "/**"
    if path.get("case_sensitive") is False:
        raise LaterError("path case")
    kind, value = path["type"], path["value"]
    if kind == "exact":
        return str(value)
    if kind == "segment_prefix" or (kind == "prefix" and value == "/"):
        return str(value).rstrip("/") + "/**"
    raise LaterError(f"path {kind}")


def _header(header: dict[str, Any]) -> dict[str, Any]:
    if header["name"].startswith(":"):
        raise LaterError("pseudo header")
    if header.get("ci") or header.get("treat_missing_as_empty"):
        raise LaterError("header case")
    kind, value = header["type"], header.get("value")
    if kind == "present":
        return {"present": bool(value) is not bool(header.get("invert"))}
    if header.get("invert"):
        raise LaterError("header invert")
    if kind == "regex_full":
        return {"regex": value}
    if kind in ("exact", "prefix", "suffix", "contains"):
        return {kind: value}
    raise LaterError(f"header {kind}")


def _table(rules: list[dict[str, Any]]) -> Table:
    routes = [{"name": f"r{n}", "match": _match(rule["match"]), "candidate": "c"} for n, rule in enumerate(rules)]
    services = {"l": {"url": "http://127.0.0.1:1"}, "c": {"url": "http://127.0.0.1:2"}}
    content = json.dumps({"version": 1, "services": services, "legacy": "l", "routes": routes})
    return compile_table(Effective(generation=1, rules=Rules.model_validate_json(content, strict=True)))


def _fits(action: dict[str, Any] | None, expect: dict[str, Any]) -> bool:
    """Whether a rule's action, None where no rule took the request, is what the case expects."""
    kind = action["type"] if action is not None else "none"
    backends = [backend["name"] for backend in (action or {}).get("backends", ())]
    status = expect.get("status")
    if any(isinstance(name, dict) for name in backends):
        raise LaterError("service by header")
    if status == 421:
        raise LaterError("tls")
    if expect.get("backend"):
        return expect["backend"] in backends
    if expect.get("redirect"):  # Envoy's tool shows the URL of a fixed answer as a redirect too
        return kind in ("redirect", "respond")
    if status not in (None, 404):
        return action is not None
    return kind != "forward" or not backends or expect == {"redirect": ""}


def _judge(one: Case) -> bool:
    """Raises LaterError."""
    port = one.case.get("listener_port")
    rules = [rule for rule in one.rules if port is None or rule.get("listener", {}).get("port", port) == port]
    request = one.case["request"]
    path = normalise(request["path"].partition("?")[0])
    if path is None:
        raise LaterError("fragment")  # in a request's target it has no single reading; fig answers 400
    headers = {
        name.lower(): value if isinstance(value, list) else [value] for name, value in request["headers"].items()
    }
    host = request["host"].lower()
    asked = Asked(request["method"], host.partition(":")[0], path, headers=headers)
    route = _table(rules).route(asked)
    return _fits(rules[route.index]["action"] if route.index < len(rules) else None, one.case["expect"])


@pytest.mark.skipif(not SUITES, reason="routes.json is not there; FIG_CASES names its folder")
def test_what_the_grammar_can_say_is_matched_as_gateway_api_and_envoy_match_it() -> None:
    wrong, judged = [], 0
    for one in _cases():
        try:
            fits = _judge(one)
        except LaterError:
            continue
        judged += 1
        if not fits:
            wrong.append(f"{one.suite}[{one.number}] {one.case['request']} -> {one.case['expect']}")
    assert wrong == []
    assert judged > 0
