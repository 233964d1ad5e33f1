"""`fig canary gate` against a control over real HTTP: exit codes, files, waiting, and what it cannot ask."""

from __future__ import annotations

import asyncio
import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from canary import report
from canary.gate import fault
from canary.verdict import Judgement, Verdict
from proxy.cli import app
from tests.fakes.admin_api import FakeAdmin


def judgement(verdict: Verdict) -> Judgement:
    return replace(fault("shop", "storefront", f"because of {verdict}", 0.05, 1_700_000_000.0), verdict=verdict)


def document(verdict: Verdict) -> dict[str, object]:
    return report.to_dict(judgement(verdict))


async def fig(*arguments: str) -> Result:
    """The command as a shell would run it, in a thread, so that the control of the test can answer."""
    return await asyncio.to_thread(CliRunner().invoke, app, ["canary", "gate", *arguments])


@pytest.mark.parametrize(
    ("verdict", "code"),
    [(Verdict.PROMOTE, 0), (Verdict.ROLLBACK, 1), (Verdict.KEEP_WATCHING, 3), (Verdict.FAULT, 4)],
)
async def test_the_exit_code_is_the_verdict(verdict: Verdict, code: int) -> None:
    async with FakeAdmin("shop", [document(verdict)]) as control:
        result = await fig("shop", "--admin", control.address)

    assert result.exit_code == code
    assert f"shop: {verdict.value}" in result.stdout
    assert f"because of {verdict}" in result.stdout


async def test_json_is_the_judgement_and_nothing_else() -> None:
    async with FakeAdmin("shop", [document(Verdict.ROLLBACK)]) as control:
        result = await fig("shop", "--admin", control.address, "--json")

    assert report.from_dict(json.loads(result.stdout)) == judgement(Verdict.ROLLBACK)


async def test_junit_and_markdown_are_written_beside(tmp_path: Path) -> None:
    junit, markdown = tmp_path / "gate.xml", tmp_path / "gate.md"
    async with FakeAdmin("shop", [document(Verdict.ROLLBACK)]) as control:
        await fig("shop", "--admin", control.address, "--junit", str(junit), "--markdown", str(markdown))

    assert ET.parse(junit).find(".//failure") is not None
    assert "shop: rollback" in markdown.read_text(encoding="utf-8")


async def test_waiting_ends_with_the_first_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.cli.canary.waiting.POLL", 0.01)
    said = [Verdict.FAULT, Verdict.KEEP_WATCHING, Verdict.PROMOTE, Verdict.ROLLBACK]
    async with FakeAdmin("shop", [document(verdict) for verdict in said]) as control:
        result = await fig("shop", "--admin", control.address, "--wait", "30s")

    assert result.exit_code == 0
    assert control.asked == 3
    assert "because of keep_watching" in result.stderr


async def test_waiting_in_vain_ends_with_what_the_gate_says_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.cli.canary.waiting.POLL", 0.01)
    async with FakeAdmin("shop", [document(Verdict.KEEP_WATCHING)]) as control:
        result = await fig("shop", "--admin", control.address, "--wait", "1s")

    assert result.exit_code == 3
    assert control.asked > 1


async def test_the_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeAdmin("shop", [document(Verdict.PROMOTE)], token="open") as control:
        refused = await fig("shop", "--admin", control.address)
        monkeypatch.setenv("FIG_ADMIN_TOKEN", "open")
        monkeypatch.setenv("FIG_ADMIN", control.address)
        allowed = await fig("shop")

    assert refused.exit_code == 2
    assert "FIG_ADMIN_TOKEN" in refused.stderr
    assert allowed.exit_code == 0


async def test_an_unknown_route_is_a_usage_error() -> None:
    async with FakeAdmin("shop", [document(Verdict.PROMOTE)]) as control:
        result = await fig("shpo", "--admin", control.address)

    assert result.exit_code == 2
    assert "no route 'shpo'" in result.stderr


async def test_a_control_that_is_down_is_told_with_what_to_do() -> None:
    async with FakeAdmin("shop", []) as control:
        address = control.address
    result = await fig("shop", "--admin", address)

    assert result.exit_code == 2
    assert address in result.stderr
    assert "fig serve" in result.stderr


@pytest.mark.parametrize("odd", [{"error": "?"}, [], '"promote"', "null", '{"verdict": "promote"}'])
async def test_an_answer_that_is_no_judgement_is_never_a_promotion(odd: object) -> None:
    async with FakeAdmin("shop", [odd]) as control:
        result = await fig("shop", "--admin", control.address)

    assert result.exit_code == 2
    assert "not a judgement" in result.stderr


@pytest.mark.parametrize("odd", [500, 502, 503, 401, 403, 404, 409, "", "{", "<html>"])
async def test_a_control_that_fails_is_never_a_verdict(odd: object) -> None:
    async with FakeAdmin("shop", [odd]) as control:
        result = await fig("shop", "--admin", control.address, "--inconclusive", "pass", "--dry-run")

    assert result.exit_code == 2
    assert result.stdout == ""


async def test_reports_of_a_run_before_are_not_left_for_a_gate_that_was_not_asked(tmp_path: Path) -> None:
    junit, markdown = tmp_path / "gate.xml", tmp_path / "gate.md"
    files = ("--junit", str(junit), "--markdown", str(markdown))
    async with FakeAdmin("shop", [document(Verdict.PROMOTE), 403]) as control:
        await fig("shop", "--admin", control.address, *files)
        before = ET.parse(junit).find(".//error"), markdown.read_text(encoding="utf-8")
        result = await fig("shop", "--admin", control.address, "--github", *files)

    assert before[0] is None and "shop: promote" in before[1]
    assert result.exit_code == 2
    error = ET.parse(junit).find(".//testcase[@name='asked']/error")
    assert error is not None and error.get("message") == "failed with 403"
    assert "shop: not asked" in markdown.read_text(encoding="utf-8")
    assert "::error title=fig%3A shop was not asked::failed with 403" in result.stderr


async def test_a_control_that_restarts_while_waiting_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.cli.canary.waiting.POLL", 0.01)
    said = [document(Verdict.KEEP_WATCHING), 503, 502, document(Verdict.PROMOTE)]
    async with FakeAdmin("shop", said) as control:
        result = await fig("shop", "--admin", control.address, "--wait", "30s")

    assert result.exit_code == 0
    assert "failed with 503; trying again" in result.stderr
    assert "control answers again" in result.stderr


@pytest.mark.parametrize(("words", "code"), [(("fail",), 1), (("pass",), 0), (("42",), 42), (("pass", "--dry-run"), 0)])
async def test_no_decision_means_what_the_pipeline_says(words: tuple[str, ...], code: int) -> None:
    async with FakeAdmin("shop", [document(Verdict.KEEP_WATCHING)]) as control:
        result = await fig("shop", "--admin", control.address, "--json", "--inconclusive", *words)

    found = json.loads(result.stdout)
    assert result.exit_code == found["exit_code"] == code
    assert (found["verdict"], found["verdict_exit_code"]) == ("keep_watching", 3)
    assert found["note"] != ""


async def test_annotations_of_a_json_run_are_beside_the_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    async with FakeAdmin("shop", [document(Verdict.ROLLBACK)]) as control:
        result = await fig("shop", "--admin", control.address, "--json", "--github")

    assert json.loads(result.stdout)["verdict"] == "rollback"
    assert result.stderr.startswith("::error title=fig%3A shop%3A rollback::because of rollback")
    assert "shop: rollback" in (tmp_path / "summary").read_text()


async def test_an_attempt_from_before_the_release_is_no_promotion() -> None:
    async with FakeAdmin("shop", [document(Verdict.PROMOTE)]) as control:
        result = await fig("shop", "--admin", control.address, "--since", "10m")

    assert result.exit_code == 4
    assert "of a former candidate" in result.stdout


async def test_a_duration_without_a_unit_is_refused() -> None:
    result = await fig("shop", "--wait", "10")

    assert result.exit_code == 2
    assert "write it like" in result.stderr


async def test_a_report_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    async with FakeAdmin("shop", [document(Verdict.PROMOTE)]) as control:
        result = await fig("shop", "--admin", control.address, "--junit", str(tmp_path / "missing" / "gate.xml"))

    assert result.exit_code == 2
    assert "gate.xml" in result.stderr
