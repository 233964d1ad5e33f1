"""The conformance cases of the Gateway API against what `fig rules import` makes of their HTTPRoutes.

The cases are those of tests/cases/test_routes.py; there an adapter orders the rules, here the importer does. Left out
is what depends on listeners and on the cluster: which routes hang on which listener, absent services, grants.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rules.document import Rules
from rules.effective import Effective
from rules.imports.httproute import import_httproutes
from rules.table import NO_ROUTE, compile_table
from tests.cases.routes.world import asked

Plain = dict[str, Any]
FOLDER = Path(os.environ.get("FIG_CASES", Path(__file__).parents[2].parent / "shared" / "cases"))
FILE = FOLDER / "routes.json"
SUITES = json.loads(FILE.read_text())["suites"] if FILE.exists() else []
OF_THE_CLUSTER = ("listener", "hostname-intersection", "reference-grant", "invalid-")


def _suites() -> Iterator[Plain]:
    for suite in SUITES:
        if suite["dialect"] == "gateway-api" and not any(part in suite["id"] for part in OF_THE_CLUSTER):
            yield suite


@pytest.mark.skipif(not SUITES, reason="routes.json is not there; FIG_CASES names its folder")
def test_imported_routes_send_requests_where_the_gateway_sends_them(tmp_path: Path) -> None:
    wrong, judged = [], 0
    for suite in _suites():
        file = tmp_path / "routes.yaml"
        file.write_text(yaml.safe_dump_all([each for each in suite["manifests"] if each["kind"] == "HTTPRoute"]))
        rules = Rules.model_validate(import_httproutes(file).content())
        table = compile_table(Effective(generation=1, rules=rules))
        for case in suite["cases"]:
            request, expect = case["request"], case["expect"]
            head = asked(request["method"], request["host"] or "gateway.test", request["path"], request["headers"])
            if not case.get("verified") or head is None or expect.get("status") == 504:
                continue
            judged += 1
            route = table.route(head)
            if route.own is not None:
                got = {route.own.answer(head, "http", route.captures(head) | {"path": head.path}).status}
                fits = expect.get("status") in got
            else:
                got = {rules.services[name].url for name in (route.legacy, route.candidate)}
                wanted = expect.get("backend")
                if route.name == NO_ROUTE:
                    fits = expect.get("status") == 404
                else:
                    fits = not wanted or any(f"//{wanted}." in url for url in got)
            if not fits:
                wrong.append(f"{suite['id']} {request} -> {expect}: {got}")
    assert wrong == []
    assert judged >= 80
