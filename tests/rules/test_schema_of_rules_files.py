"""The JSON Schema against the files that people write: what fig loads validates, and slips do not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from proxy.cli import app
from proxy.rulebook import schema
from rules.reading.nodes import parse, plain
from tests.fakes.json_schema import faults

REPOSITORY = Path(__file__).parents[2]
SCHEMA = schema()
HEAD = "version: 1\nservices: {a: {url: 'http://a:1'}}\nlegacy: a\n"


def _texts() -> Iterator[Any]:
    """Every whole rules file of the repository: as a file, and as an example on a page."""
    for folder in ("examples", "deploy", "docs", "tests"):
        for file in sorted((REPOSITORY / folder).rglob("*.yaml")):
            if file.read_text().startswith("version: 1") or "\nversion: 1\n" in file.read_text():
                yield pytest.param(file.read_text(), id=str(file.relative_to(REPOSITORY)))
    for page in [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]:
        for number, text in enumerate(re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)):
            if re.search("^version: 1", text, re.MULTILINE):
                yield pytest.param(text, id=f"{page.name}-{number}")


def told(text: str) -> list[str]:
    root, problems = parse(text, "fig.yaml")
    assert root is not None
    assert not problems
    return list(faults(plain(root), SCHEMA, SCHEMA))


@pytest.mark.parametrize("text", [*_texts()])
def test_every_rules_file_of_the_repository_validates(text: str) -> None:
    assert told(text) == []


@pytest.mark.parametrize(
    "more",
    [
        "routes: [{name: r, match: {path: [/a, {regex: /b}], headers: {x-a: b}, not: {host: a.b}}, candidate: a}]",
        "routes: [{name: r, match: {query: {a: {range: {from: 1}}, b: {not: x}}}, redirect: {host: b}}]",
        "defaults: {retries: {on: [502, '503', reset], budget: 10%}, timeout: 2s, max_body: 1MB}",
        "events: {e: {match: {path: /x}, status: 201}}",
        "routes:\n  - name: r\n    match: {path: /x}\n    candidate: a\n    stage: ${STAGE}\n    share: ${SHARE:-5%}",
        "trusted_proxies: [10.0.0.0/8]",
    ],
)
def test_shorthands_and_variables_validate(more: str) -> None:
    assert told(HEAD + more + "\n") == []


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ("rotes: []", "/rotes"),
        ("routes: {}", "/routes"),
        ("routes: [{match: {path: /a}}]", "/routes/0/name"),
        ("routes: [{name: r, match: {path: 5}}]", "/routes/0/match/path"),
        ("routes: [{name: r, match: {headers: {x: {prefx: a}}}}]", "/routes/0/match/headers/x"),
        ("routes: [{name: r, match: {not_: {path: /a}}}]", "/routes/0/match/not_"),
        ("routes: [{name: r, match: {path: /a}, stage: canry}]", "/routes/0/stage"),
        ("routes: [{name: r, match: {path: /a}, share: 5}]", "/routes/0/share"),
        ("routes: [{name: r, match: {path: /a}, share: 5 percent}]", "/routes/0/share"),
        ("routes: [{name: r, match: {path: /a}, unit: {cookie: c, issue: 'yes'}}]", "/routes/0/unit/issue"),
        ("routes: [{name: r, match: {path: /a}, rollout: {steps: [1%], gte: g}}]", "/routes/0/rollout/gte"),
        ("routes: [{name: r, match: {path: /a}, redirect: {status: 200}}]", "/routes/0/redirect/status"),
        ("defaults: {retries: {attempts: 9}}", "/defaults/retries/attempts"),
        ("gates: {g: {metrics: [{name: c, kind: rat}]}}", "/gates/g/metrics/0/kind"),
        ("events: {e: }", "/events/e"),
    ],
)
def test_a_slip_does_not_validate(more: str, where: str) -> None:
    assert any(fault.startswith(where) for fault in told(HEAD + more + "\n"))


def test_every_key_says_what_it_is() -> None:
    blocks = [SCHEMA, *SCHEMA["$defs"].values()]
    silent = [
        f"{block.get('title')}.{key}"
        for block in blocks
        for key, entry in block.get("properties", {}).items()
        if not entry.get("description")
    ]
    assert silent == []


def test_defaults_are_shown_as_a_file_writes_them() -> None:
    assert SCHEMA["$defs"]["Retries"]["properties"]["budget"]["default"] == "20%"
    assert SCHEMA["$defs"]["Service"]["properties"]["timeout"]["default"] == "30s"
    assert SCHEMA["$defs"]["Writes"]["properties"]["max_body"]["default"] == "1MB"


def test_the_command_writes_the_file_that_an_editor_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "fig.schema.json"
    assert CliRunner().invoke(app, ["rules", "schema", "-o", str(file)]).exit_code == 0
    assert json.loads(file.read_text()) == SCHEMA

    part = json.loads(CliRunner().invoke(app, ["rules", "schema", "--part"]).stdout)
    assert list(faults({"routes": []}, part, part)) == []
    assert list(faults({"routes": []}, SCHEMA, SCHEMA)) != []

    result = CliRunner().invoke(app, ["rules", "schema", "-o", str(tmp_path / "none" / "x.json")])
    assert result.exit_code == 2
    assert result.stderr.endswith("cannot be written: No such file or directory; make its folder first\n")
