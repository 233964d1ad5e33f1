"""`fig canary probe`: what it runs, and how it ends."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from proxy.cli import app
from tests.fakes.probed import both, probe, rules_of, says, write


def invoke(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["canary", "probe", "-c", str(path), *arguments])


def test_it_ends_with_what_the_sides_say(tmp_path: Path) -> None:
    with both() as (legacy, candidate):
        path = write(tmp_path, rules_of(legacy, candidate, {"buy": probe(), "look": probe({"path": "/cart/2"})}))
        assert invoke(path).exit_code == 0
        candidate.behave = says(500)
        assert invoke(path).exit_code == 1
        assert invoke(path, "--side", "legacy").exit_code == 0
        legacy.behave = says(500)
        assert invoke(path).exit_code == 4
        assert invoke(path, "--side", "legacy").exit_code == 4
        assert invoke(path, "--side", "candidate").exit_code == 1
        candidate.behave = lambda got: (500 if got.target == "/cart/2" else 200, {}, b"")
        legacy.behave = lambda got: (500 if got.target == "/cart/1" else 200, {}, b"")
        assert invoke(path).exit_code == 1  # one fault, one certain failure


def test_probes_are_chosen_by_name_and_by_route(tmp_path: Path) -> None:
    with both() as (legacy, candidate):
        pay = {"name": "pay", "match": {"path": "/pay"}, "candidate": "shop"}
        probes = {"buy": probe(), "settle": {**probe({"path": "/pay"}), "routes": ["pay"]}}
        path = write(tmp_path, rules_of(legacy, candidate, probes, [pay]))
        assert invoke(path, "settle", "--json").exit_code == 0
        told = json.loads(invoke(path, "--route", "pay", "--json").stdout)
        assert [each["probe"] for each in told["probes"]] == ["settle"]
        assert {got.target for got in candidate.got} == {"/pay"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["bye"], "no probe is named 'bye'; did you mean 'buy'?"),
        (["--route", "carts"], "no probe guards a route 'carts'; did you mean 'cart'?"),
    ],
)
def test_a_name_that_nobody_has_is_a_slip(tmp_path: Path, arguments: list[str], told: str) -> None:
    path = write(tmp_path, rules_of("http://legacy", "http://shop", {"buy": probe()}))
    found = invoke(path, *arguments)
    assert (found.exit_code, told in found.stderr) == (2, True)


def test_a_file_without_probes_or_with_faults_is_a_slip(tmp_path: Path) -> None:
    assert invoke(write(tmp_path, rules_of("http://legacy", "http://shop", {}))).exit_code == 2
    found = invoke(write(tmp_path, rules_of("http://legacy", "http://shop", {"buy": {}})))
    assert (found.exit_code, "the key 'steps' is missing" in found.stderr) == (2, True)


def test_the_reports_tell_the_same(tmp_path: Path) -> None:
    with both(says(), says(500)) as (legacy, candidate):
        path = write(tmp_path, rules_of(legacy, candidate, {"buy": probe()}))
        found = invoke(path, "--json", "--junit", str(tmp_path / "j.xml"), "--markdown", str(tmp_path / "m.md"))
    told = json.loads(found.stdout)
    assert (found.exit_code, told["exit_code"]) == (1, 1)
    [check] = told["probes"][0]["sides"]["candidate"]["steps"][0]["checks"]
    assert check == {"what": "status", "expected": "2xx", "got": "500", "ok": False}
    suite = ET.parse(tmp_path / "j.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    assert "| buy | cart | passed | failed | **candidate fails** |" in (tmp_path / "m.md").read_text()


def test_a_report_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with both() as (legacy, candidate):
        path = write(tmp_path, rules_of(legacy, candidate, {"buy": probe()}))
        assert invoke(path, "--junit", str(tmp_path / "nowhere" / "j.xml")).exit_code == 2


def test_reports_of_a_run_before_are_not_left_for_one_that_asks_nobody(tmp_path: Path) -> None:
    with both() as (legacy, candidate):
        path = write(tmp_path, rules_of(legacy, candidate, {"buy": probe()}))
        reports = ("--junit", str(tmp_path / "j.xml"), "--markdown", str(tmp_path / "m.md"))
        assert invoke(path, *reports).exit_code == 0
        before = (tmp_path / "j.xml").read_text(), (tmp_path / "m.md").read_text()
        found = invoke(path, "bye", *reports)
    assert "buy on candidate" in before[0]
    assert "passed" in before[1]
    assert found.exit_code == 2
    error = ET.parse(tmp_path / "j.xml").find(".//error")
    assert error is not None and "did you mean 'buy'?" in str(error.get("message"))
    assert "did you mean 'buy'?" in (tmp_path / "m.md").read_text()


def test_a_report_that_cannot_be_written_is_told_before_anybody_is_asked(tmp_path: Path) -> None:
    with both() as (legacy, candidate):
        path = write(tmp_path, rules_of(legacy, candidate, {"buy": probe()}))
        found = invoke(path, "--junit", str(tmp_path / "missing" / "j.xml"))
    assert (found.exit_code, candidate.got) == (2, [])
    assert "j.xml" in found.stderr


def test_what_a_service_says_is_no_command_of_a_runner(tmp_path: Path) -> None:
    step = {"path": "/cart/1", "expect": {"headers": {"x-note": "fine"}}}
    hostile = says(200, x_note="##[set-output name=verdict]promote ##vso[task.complete]")
    with both(says(200, x_note="fine"), hostile) as (legacy, candidate):
        path = write(tmp_path, rules_of(legacy, candidate, {"buy": probe(step)}))
        text, structured = invoke(path), invoke(path, "--json")
    for printed in (text.stdout, structured.stdout):
        assert "##" not in printed
        assert "set-output" in printed
    assert "##[set-output" in json.loads(structured.stdout)["probes"][0]["reason"]


def test_a_fault_of_fig_is_no_failure_of_the_candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("nobody thought of it")

    monkeypatch.setattr("proxy.cli.canary.probe.ground", fails)
    with both() as (legacy, candidate):
        found = invoke(write(tmp_path, rules_of(legacy, candidate, {"buy": probe()})))
    assert found.exit_code == 2
    assert "nobody thought of it" in found.stderr
