"""The JSON Schema of test files against the test files of this repository, and against slips."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli import app
from rules.expecting.expectations import cases_of
from rules.problems import RulesError
from rules.reading.nodes import parse, plain
from tests.fakes.json_schema import faults

ROOT = Path(__file__).parents[3]
FILES = sorted(file for folder in ("examples", "docs") for file in (ROOT / folder).rglob("*.test.yaml"))
SCHEMA = json.loads(CliRunner().invoke(app, ["rules", "schema", "--tests"]).stdout)
EVERY_KEY = """
rules: fig.yaml
at: {cart: 25%}
tests:
  - name: long
    at: {shop: {stage: canary, share: 5%}}
    request: {url: /, method: PUT, headers: {a: b, c: [d, e]}, cookies: {f: g}, client: 10.0.0.1, unit: u}
    answer: {headers: {server: x}}
    expect:
      {route: null, stage: live, side: legacy, service: a, reason: no unit, path: /a, query: null, host: {suffix: .b},
       request_headers: {a: null, b: {present: true}}, response_headers: {c: null}, status: 200, location: null,
       body: {contains: x}, captures: {id: "7"}, copies: nobody, issued: true, timeout: 2s}
  - name: table
    request: {method: GET}
    table: [[url, route, status, issued], [/a, null, 200, true]]
  - {name: refused, request: {url: /a%2fb}, expect: {refused: 400}}
"""
SLIPS = [
    "tests: [{name: t, request: {url: /}, expect: {sid: legacy}}]",
    "tests: [{name: t, request: {url: /}, expect: {side: new}}]",
    "tests: [{name: t, request: {method: GET}, expect: {side: legacy}}]",
    "tests: [{request: {url: /}, expect: {side: legacy}}]",
    "tests: [{name: t, request: {url: /}, expect: {refused: 200}}]",
    "test: []",
    "tests: []",
]


def told(text: str) -> list[str]:
    root, problems = parse(text, "fig.test.yaml")
    assert root is not None
    assert not problems
    return list(faults(plain(root), SCHEMA, SCHEMA))


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_every_test_file_of_the_repository_validates(file: Path) -> None:
    assert told(file.read_text()) == []


def test_every_key_that_is_read_is_described() -> None:
    assert told(EVERY_KEY) == []
    assert len(cases_of(EVERY_KEY, "fig.test.yaml").cases) == 3


@pytest.mark.parametrize("text", SLIPS)
def test_a_slip_is_one_to_the_schema_and_to_fig(text: str) -> None:
    assert told(text) != []
    with pytest.raises(RulesError):
        cases_of(text, "fig.test.yaml")
