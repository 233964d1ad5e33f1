"""`fig rules check`: what it prints, what it writes for CI, and how it exits."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli import app
from proxy.cli.rules.annotations import annotation
from proxy.cli.rules.check import MOST_TOLD
from rules.problems import Place, Problem, Severity

run = CliRunner().invoke

FINE = """\
version: 1
services:
  legacy: {url: http://127.0.0.1:9000}
  shop: {url: http://127.0.0.1:9001}
legacy: legacy
routes:
  - {name: products, match: {path: /products/**}, candidate: shop}
"""
HIDDEN = FINE + "  - {name: sale, match: {path: /products/sale}, candidate: legacy}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "fig.yaml"


def test_a_warning_is_printed_with_its_code_and_a_command_that_shows_it(file: Path) -> None:
    file.write_text(HIDDEN)
    result = run(app, ["rules", "check", str(file)])
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"{file}:8:25: warning: route 'sale': is never reached: earlier routes take each of its requests "
        "('products'); move it before, or remove it [unreachable-route]",
        f"    fig rules explain GET http://example.test/products/sale --client 192.0.2.1 -c {file}",
        f"{file}:8:60: warning: route 'sale': 'legacy' is both legacy and candidate of this route [same-sides]",
        f"{file}: fine: 2 services, 2 routes (2 legacy), 2 warnings",
    ]


def test_the_command_of_a_witness_shows_what_it_claims(file: Path) -> None:
    file.write_text(HIDDEN)
    line = run(app, ["rules", "check", str(file)]).stdout.splitlines()[1]
    result = run(app, line.split()[1:])
    assert result.exit_code == 0
    assert "taken by route products" in result.stdout


def test_warnings_fail_only_where_they_are_to(file: Path) -> None:
    file.write_text(HIDDEN)
    assert run(app, ["rules", "check", str(file)]).exit_code == 0
    assert run(app, ["rules", "check", "--strict", str(file)]).exit_code == 1
    allowed = ["--allow", "unreachable-route", "--allow", "same-sides"]
    result = run(app, ["rules", "check", "--strict", str(file), *allowed])
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 1)
    assert run(app, ["rules", "check", "--strict", str(file), *allowed[:2]]).exit_code == 1
    file.write_text(FINE)
    assert run(app, ["rules", "check", "--strict", str(file)]).exit_code == 0


def test_an_error_exits_2_whatever_is_allowed(file: Path) -> None:
    file.write_text(FINE.replace("candidate: shop", "candidate: shp"))
    for options in ([], ["--strict"], ["--allow", "overlap"], ["--json"], ["--github"]):
        assert run(app, ["rules", "check", str(file), *options]).exit_code == 2


def test_json_tells_code_place_route_and_witness(file: Path) -> None:
    file.write_text(HIDDEN)
    report = json.loads(run(app, ["rules", "check", "--json", str(file)]).stdout)
    assert report["ok"] is True
    assert report["problems"][0] == {
        "file": str(file),
        "line": 8,
        "column": 25,
        "severity": "warning",
        "code": "unreachable-route",
        "route": "sale",
        "message": "is never reached: earlier routes take each of its requests ('products'); "
        "move it before, or remove it",
        "witness": f"fig rules explain GET http://example.test/products/sale --client 192.0.2.1 -c {file}",
    }
    strict = run(app, ["rules", "check", "--json", "--strict", str(file)])
    assert (json.loads(strict.stdout)["ok"], strict.exit_code) == (False, 1)


def test_junit_skips_a_warning_and_fails_it_with_strict(file: Path, tmp_path: Path) -> None:
    file.write_text(HIDDEN)
    report = tmp_path / "report.xml"
    outcomes = []
    for options in ([], ["--strict"]):
        run(app, ["rules", "check", str(file), "--junit", str(report), *options])
        cases = list(ET.parse(report).iter("testcase"))
        outcomes.append([[child.tag for child in case] for case in cases])
        assert [case.get("classname") for case in cases] == [str(file), "sale", "sale"]
        assert [case.get("line") for case in cases] == ["1", "8", "8"]
    assert outcomes == [[[], ["skipped"], ["skipped"]], [["failure"], ["failure"], ["failure"]]]


def test_junit_is_written_for_a_file_with_errors_too(file: Path, tmp_path: Path) -> None:
    file.write_text(FINE.replace("candidate: shop", "candidate: shp"))
    report = tmp_path / "report.xml"
    assert run(app, ["rules", "check", str(file), "--junit", str(report)]).exit_code == 2
    failures = [failure.get("message") or "" for failure in ET.parse(report).iter("failure")]
    assert failures[0] == f"1 problem in {file}"
    assert "no service is named 'shp'" in failures[1]


def test_a_report_that_cannot_be_written_is_said_so(file: Path, tmp_path: Path) -> None:
    file.write_text(FINE)
    result = run(app, ["rules", "check", str(file), "--junit", str(tmp_path / "none" / "report.xml")])
    assert result.exit_code == 2
    assert "cannot be written: No such file or directory" in result.stderr


def test_annotations_name_file_and_line(file: Path) -> None:
    file.write_text(HIDDEN)
    lines = run(app, ["rules", "check", "--github", str(file)]).stdout.splitlines()
    assert lines[0].startswith(
        f"::warning file={file},line=8,col=25,title=fig%3A unreachable-route::route 'sale': is never reached: "
    )
    assert "%0Afig rules explain GET http://example.test/products/sale" in lines[0]
    assert lines[-1].endswith("2 warnings")


def test_what_a_workflow_command_cannot_hold_is_escaped() -> None:
    problem = Problem(Place("a,b:c%.yaml", 1, 2), "50% of\r\nlines", "overlap", "x", Severity.ERROR)
    assert annotation(problem) == (
        "::error file=a%2Cb%3Ac%25.yaml,line=1,col=2,title=fig%3A overlap::route 'x': 50%25 of%0D%0Alines"
    )


def test_very_many_warnings_of_a_kind_are_not_all_printed(file: Path) -> None:
    routes = "".join(
        f"  - {{name: r{number}, match: {{path: /x{number}/*}}, candidate: shop}}\n" for number in range(MOST_TOLD + 7)
    )
    file.write_text(FINE + routes)
    result = run(app, ["rules", "check", str(file)])
    assert result.stdout.count("[one-segment]") == MOST_TOLD + 1
    assert "and 7 more warnings [one-segment]; --json and --junit tell them all" in result.stdout
    assert f"{MOST_TOLD + 7} warnings" in result.stdout.splitlines()[-1]
    report = json.loads(run(app, ["rules", "check", "--json", str(file)]).stdout)
    assert len(report["problems"]) == MOST_TOLD + 7


def test_the_usual_file_needs_no_name(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(HIDDEN)
    monkeypatch.chdir(file.parent)
    lines = run(app, ["rules", "check"]).stdout.splitlines()
    assert lines[1] == "    fig rules explain GET http://example.test/products/sale --client 192.0.2.1"
    assert lines[-1].startswith("fig.yaml: fine")


def test_the_meaning_of_a_code_is_told() -> None:
    result = run(app, ["rules", "check", "--explain", "overlap"])
    assert result.exit_code == 0
    assert result.stdout.startswith("overlap: Two routes take the same request")
    for arguments in (["--explain", "overlp"], ["fig.yaml", "--allow", "overlp"]):
        wrong = run(app, ["rules", "check", *arguments])
        assert wrong.exit_code == 2
        assert re.search("no warning has the code 'overlp'; the codes are absent-file, ", wrong.stderr)


@pytest.mark.parametrize(
    ("match", "order_by", "problem"),
    [
        ("{path: ['/a/{id}', '/b/{id}']}", "path:id", None),
        ("{path: ['/a/{id}', '/b/{nr}']}", "path:id", "not every path of the match names no '{id}'"),
        ("{path: {regex: '/a/(?P<id>[0-9]+)'}}", "path:id", None),
        ("{path: {regex: '/a/([0-9]+)'}}", "path:id", "names no '{id}'"),
        ("{any: [{path: '/a/{id}'}, {path: '/b/{id}'}]}", "path:id", None),
        ("{path: '/a/{ids}'}", "path:id", "the path /a/{ids} names no '{id}'; did you mean 'ids'?"),
        ("{methods: [POST]}", "path:id", "names no '{id}'"),
    ],
)
def test_writes_can_be_ordered_by_every_name_that_each_request_has(
    file: Path, match: str, order_by: str, problem: str | None
) -> None:
    writes = f"  - {{name: w, match: {match}, candidate: shop, writes: {{order_by: '{order_by}'}}}}\n"
    file.write_text(FINE.replace("/products/**", "/p/**") + writes)
    result = run(app, ["rules", "check", str(file)])
    assert result.exit_code == (0 if problem is None else 2)
    assert problem is None or problem in result.stdout
