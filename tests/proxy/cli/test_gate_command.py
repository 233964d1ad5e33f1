"""`fig canary gate` against a control over real HTTP: exit codes, files, waiting, and what it cannot ask."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
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


@pytest.mark.parametrize(("token", "code"), [("hidden-word\n", 0), (" hidden-word\r\n", 0), ("hidden-\0word", 2)])
async def test_a_token_from_a_file_is_taken_without_its_line_end_and_no_message_shows_one(
    token: str, code: int
) -> None:
    async with FakeAdmin("shop", [document(Verdict.PROMOTE)], token="hidden-word") as control:
        result = await fig("shop", "--admin", control.address, "--token", token)

    assert result.exit_code == code
    assert "word" not in result.output


@pytest.mark.parametrize("address", ["http://u:hidden-word@127.0.0.1:9", "http://u:hidden-word@127.0.0.1:9\n"])
async def test_an_address_is_told_without_its_password(address: str) -> None:
    result = await fig("shop", "--admin", address)

    assert result.exit_code == 2
    assert "http://127.0.0.1:9" in result.stderr
    assert "hidden-word" not in result.output


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


async def test_a_gate_that_was_not_asked_is_told_to_the_next_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.setenv(name, str(tmp_path / name))
    async with FakeAdmin("shop", [403]) as control:
        result = await fig("shop", "--admin", control.address, "--github")

    outputs = (tmp_path / "GITHUB_OUTPUT").read_text()
    assert result.exit_code == 2
    assert "shop: not asked" in (tmp_path / "GITHUB_STEP_SUMMARY").read_text()
    assert re.findall(r"(?m)^(verdict|reason|exit-code)<<fig-\w+\n(.*)$", outputs) == [
        ("verdict", ""),
        ("reason", "failed with 403"),
        ("exit-code", "2"),
    ]


async def test_reports_are_begun_before_the_gate_is_waited_for(tmp_path: Path) -> None:
    """A pipeline that is killed meanwhile leaves a report, and not that of a run before."""
    junit, markdown = tmp_path / "gate.xml", tmp_path / "gate.md"
    async with FakeAdmin("shop", [document(Verdict.PROMOTE), document(Verdict.KEEP_WATCHING)]) as control:
        words = ("shop", "--admin", control.address, "--junit", str(junit), "--markdown", str(markdown))
        await fig(*words)
        process = await waiting(*words, "--wait", "30m")
        process.kill()
        await process.communicate()

    error = ET.parse(junit).find(".//error")
    assert error is not None and "still being asked" in str(error.get("message"))
    assert "shop: not asked" in markdown.read_text(encoding="utf-8")


async def test_a_report_that_cannot_be_written_is_told_before_anything_is_waited_for(tmp_path: Path) -> None:
    async with FakeAdmin("shop", [document(Verdict.PROMOTE)]) as control:
        absent = str(tmp_path / "missing" / "gate.xml")
        result = await fig("shop", "--admin", control.address, "--wait", "30m", "--junit", absent)

    assert (result.exit_code, control.asked) == (2, 0)
    assert "gate.xml" in result.stderr


async def waiting(*words: str) -> asyncio.subprocess.Process:
    """A process of the command that has said that it waits."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy.cli", "canary", "gate", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert process.stderr is not None
    assert b"keep_watching" in await asyncio.wait_for(process.stderr.readline(), 50)
    return process


@pytest.mark.parametrize(
    ("verdict", "redirected", "code"),
    [
        (Verdict.PROMOTE, ">/dev/full", 2),
        (Verdict.PROMOTE, "--json >/dev/full", 2),
        (Verdict.FAULT, "--wait 1s 2>/dev/full", 4),
        (Verdict.KEEP_WATCHING, "--wait 1s 2>/dev/full", 3),
        (Verdict.PROMOTE, "2>&- >&-", 0),
    ],
)
async def test_an_output_that_takes_nothing_is_no_rollback(verdict: Verdict, redirected: str, code: int) -> None:
    async with FakeAdmin("shop", [document(verdict)]) as control:
        command = f"exec {sys.executable} -m proxy.cli canary gate shop --admin {control.address} {redirected}"
        process = await asyncio.create_subprocess_shell(command, cwd=Path(__file__).parents[3])
        assert await asyncio.wait_for(process.wait(), 50) == code


async def test_a_fault_of_fig_is_no_rollback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> Judgement:
        raise RuntimeError("nobody thought of it")

    monkeypatch.setattr("proxy.cli.canary.gate.report.from_dict", fails)
    async with FakeAdmin("shop", [document(Verdict.PROMOTE)]) as control:
        result = await fig("shop", "--admin", control.address, "--dry-run", "--junit", str(tmp_path / "gate.xml"))

    assert result.exit_code == 2
    assert "fig itself failed: RuntimeError" in (tmp_path / "gate.xml").read_text()
    assert "nobody thought of it" in result.stderr


async def test_an_interrupt_is_no_verdict(tmp_path: Path) -> None:
    junit = tmp_path / "gate.xml"
    async with FakeAdmin("shop", [document(Verdict.KEEP_WATCHING)]) as control:
        process = await waiting("shop", "--admin", control.address, "--wait", "30m", "--junit", str(junit))
        process.send_signal(signal.SIGINT)
        stdout, stderr = await asyncio.wait_for(process.communicate(), 50)

    assert (process.returncode, stdout) == (130, b"")
    assert b"interrupted before there was a verdict" in stderr
    assert "interrupted before there was a verdict" in junit.read_text()


async def test_what_a_reason_holds_is_no_command_of_a_runner() -> None:
    """GitHub's finds ``##[`` anywhere in what is printed, and ``::`` behind blanks at the beginning of a line."""
    hostile = "answered 500: ##[set-output name=verdict]promote ##vso[task.complete]"
    said = [report.to_dict(replace(judgement(Verdict.FAULT), reason=hostile))]
    async with FakeAdmin("shop", said) as control:
        text = await fig("shop", "--admin", control.address, "--wait", "1s")
        structured = await fig("shop", "--admin", control.address, "--json")

    for printed in (text.stdout, text.stderr, structured.stdout):
        assert "##" not in printed
        assert "set-output" in printed
    assert json.loads(structured.stdout)["reason"] == hostile


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
