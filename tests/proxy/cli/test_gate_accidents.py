"""`fig canary gate` ends with 1 where harm is proven, and never for what goes wrong while it is asked or told."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from canary import report
from canary.gate import fault
from canary.verdict import Verdict
from proxy.cli import app
from tests.fakes.admin_api import FakeAdmin

ALONE = """\
since: 30m
sources: {table: {kind: csv, path: numbers.csv}}
gates: {storefront: {metrics: [{name: errors, kind: query, source: table, margin: 10%}]}}
"""


def said(verdict: Verdict, reason: str = "because") -> dict[str, object]:
    found = fault("shop", "storefront", reason, 0.05, 1_700_000_000.0)
    return report.to_dict(replace(found, verdict=verdict))


async def fig(*words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["canary", "gate", *words])


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gate.yaml").write_text(ALONE)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ("x\udcff", "--config", "gate.yaml"),
        ("b/../a", "--config", "gate.yaml"),
        ("--config", "gate.yaml", "--gate", "x\udcff"),
        ("--config", "gate\udcff.yaml"),
        ("x\udcff",),
    ],
)
def test_names_that_are_no_text_are_refused_also_in_reports(words: tuple[str, ...], alone: Path) -> None:
    files = ("--junit", "o.xml", "--markdown", "o.md", "--github")
    (alone / "fig").touch()
    environment = {"GITHUB_STEP_SUMMARY": "summary", "GITHUB_OUTPUT": "output"}
    result = CliRunner().invoke(app, ["canary", "gate", *words, *files], env=environment)

    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert ET.parse(alone / "o.xml").find(".//error") is not None
    assert all("not asked" in (alone / name).read_text() for name in ("o.md", "summary"))


async def test_a_judgement_that_is_no_text_is_told_and_written(tmp_path: Path) -> None:
    odd = said(Verdict.PROMOTE, "bad \ud800")
    async with FakeAdmin("shop", [odd]) as control:
        words = ("--junit", str(tmp_path / "o.xml"), "--markdown", str(tmp_path / "o.md"), "--github")
        result = await fig("shop", "--admin", control.address, *words)

    assert result.exit_code == 0, result.output
    assert r"bad \ud800" in (tmp_path / "o.md").read_text()


async def test_an_output_without_the_letters_of_a_reason_shows_them_otherwise() -> None:
    async with FakeAdmin("shop", [said(Verdict.PROMOTE, "5 \u20ac")]) as control:
        command = [sys.executable, "-m", "proxy.cli", "canary", "gate", "shop", "--admin", control.address]
        ended = await asyncio.to_thread(
            subprocess.run,
            command,
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "latin-1"},
            cwd=Path(__file__).parents[3],
        )

    assert ended.returncode == 0, ended.stderr
    assert rb"5 \u20ac" in ended.stdout


@pytest.mark.parametrize("where", ["tell", "write_reports", "append_files", "places_of", "write_refusal"])
@pytest.mark.parametrize(("fails", "code"), [(ZeroDivisionError, 2), (KeyboardInterrupt, 130), (BrokenPipeError, 2)])
async def test_what_fails_while_a_verdict_is_told_is_no_rollback(
    where: str, fails: type[BaseException], code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise fails

    monkeypatch.setattr(f"proxy.cli.canary.gate.{where}", fail)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fig.yaml").touch()
    async with FakeAdmin("shop", [403 if where == "write_refusal" else said(Verdict.PROMOTE)]) as control:
        result = await fig("shop", "--admin", control.address, "--github")

    assert result.exit_code == code, result.output


async def test_an_empty_route_is_none(alone: Path) -> None:
    """As a variable of a pipeline that is not set (deploy/ci/gitlab-ci.yml)."""
    async with FakeAdmin("shop", [said(Verdict.PROMOTE)]) as control:
        result = await fig("", "--admin", control.address, "--junit", "gate.xml")

    assert (result.exit_code, control.asked) == (2, 0)
    assert result.stderr == "fig: say which route's gate is asked, or --config FILE\n"
    assert ET.parse(alone / "gate.xml").getroot().get("name") == "the gate"


async def test_an_empty_route_is_none_of_a_rules_file_either(alone: Path) -> None:
    (alone / "fig.yaml").write_text("version: 1\nservices: {a: {url: 'http://127.0.0.1:9'}}\nlegacy: a\nroutes: []\n")

    of_rules, of_own = await fig("", "--config", "fig.yaml"), await fig("", "--config", "gate.yaml")

    assert of_rules.exit_code == 2
    assert "say which route's gate is asked: fig canary gate ROUTE --config" in of_rules.stderr
    assert of_own.exit_code == 4, of_own.output  # the numbers are not there


async def test_a_report_that_cannot_be_written_is_told_once_with_what_to_do(tmp_path: Path) -> None:
    absent = tmp_path / "missing" / "gate.xml"
    async with FakeAdmin("shop", [said(Verdict.PROMOTE)]) as control:
        result = await fig("shop", "--admin", control.address, "--junit", str(absent))

    assert result.exit_code == 2
    assert result.stderr == f"fig: {absent}: cannot be written: No such file or directory; make its folder first\n"


async def test_two_reports_in_one_file_are_refused(tmp_path: Path) -> None:
    async with FakeAdmin("shop", [said(Verdict.PROMOTE)]) as control:
        one = ("shop", "--admin", control.address, "--junit", str(tmp_path / "o"), "--markdown")
        same, apart = await fig(*one, f"{tmp_path}/./o"), await fig(*one, str(tmp_path / "p"))
        nowhere = await fig("shop", "--admin", control.address, "--junit", "/dev/null", "--markdown", "/dev/null")

    assert (same.exit_code, apart.exit_code, nowhere.exit_code) == (2, 0, 0)
    assert "both name" in same.stderr


def test_a_gate_that_is_not_there_is_told_with_those_that_are(alone: Path) -> None:
    result = CliRunner().invoke(app, ["canary", "gate", "--config", "gate.yaml", "--gate", "nope"])

    assert result.stderr == "fig: gate.yaml: no gate is named 'nope'; there are: storefront\n"
