"""action.yml and deploy/ci: they name what there is, and the action's script does what its inputs say."""

from __future__ import annotations

import asyncio
import os
import random
import re
import shlex
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.core import TyperGroup
from typer.testing import CliRunner

from canary import report
from canary.verdict import Verdict
from proxy.cli import app
from proxy.cli.canary.alone import read_asked
from tests.fakes.admin_api import FakeAdmin
from tests.fakes.judgements import judgement, metric
from tests.fakes.real_prometheus import running_prometheus

ROOT = Path(__file__).parents[1]
CI = ROOT / "deploy" / "ci"
RULES = "gates:\n  storefront:\n    metrics:\n      - {name: errors, kind: error_rate, margin: 0.5pp}\n"


def action() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "action.yml").read_text()))


def steps() -> list[dict[str, Any]]:
    return list(action()["runs"]["steps"])


def options() -> set[str]:
    """Those of `fig canary gate`."""
    whole = typer.main.get_command(app)
    assert isinstance(whole, TyperGroup)
    canary = whole.commands["canary"]
    assert isinstance(canary, TyperGroup)
    return {name for parameter in canary.commands["gate"].params for name in parameter.opts}


def test_every_input_and_output_says_what_it_is_and_is_used() -> None:
    found = action()
    used = set(re.findall(r"\$\{\{ inputs\.([\w-]+) }}", (ROOT / "action.yml").read_text()))

    assert used == set(found["inputs"])
    assert all(one["description"] for one in (*found["inputs"].values(), *found["outputs"].values()))
    assert set(found["outputs"]) == {"verdict", "reason", "exit-code"}


def test_the_action_brings_the_drivers_of_databases_that_its_config_may_ask() -> None:
    [install] = [step["run"] for step in steps() if step.get("name") == "Install fig"]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert re.findall(r"\[(\w+)]", install) == ["databases"]
    assert extras["databases"]


def test_nothing_from_outside_is_part_of_a_script() -> None:
    assert not [step["name"] for step in steps() if "${{" in step.get("run", "")]


async def asked(folder: Path, verdict: Verdict, **inputs: str) -> tuple[int, str, str]:
    """(exit code, output, outputs of the step) of the action's script, where the gate says that."""
    [ask] = [step for step in steps() if step.get("id") == "gate"]
    program = folder / "fig" / "bin" / "fig"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m proxy.cli "$@"\n')
    program.chmod(0o755)
    (folder / "fig.yaml").write_text(RULES)
    document = report.to_dict(judgement(verdict, metric("errors", verdict)))
    async with FakeAdmin("shop", [document], token="reads") as control:
        given = {"admin": control.address, "token": "reads", "wait": "0s", **inputs}
        values = {name: given.get(name, spec["default"]) for name, spec in action()["inputs"].items()}
        environment = {
            name: re.sub(r"\$\{\{ inputs\.([\w-]+) }}", lambda found: values[found[1]], text)
            for name, text in ask["env"].items()
        }
        environment |= {"RUNNER_TEMP": str(folder), "GITHUB_WORKSPACE": str(folder), "PYTHONPATH": str(ROOT)}
        environment |= {name: str(folder / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        process = await asyncio.create_subprocess_exec(
            *("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", ask["run"]),
            cwd=folder,
            env={"PATH": os.environ["PATH"], **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
    written = folder / "GITHUB_OUTPUT"
    return process.returncode or 0, output.decode(), written.read_text() if written.exists() else ""


async def test_the_actions_script_fails_on_a_rollback_and_points_at_the_metric(tmp_path: Path) -> None:
    code, output, outputs = await asked(tmp_path, Verdict.ROLLBACK, route="shop", junit="gate.xml")

    assert code == 1, output
    assert "::error file=fig.yaml,line=4,col=16,title=fig%3A shop%3A errors%3A rollback::" in output
    assert "\nrollback\n" in outputs
    assert "shop: rollback" in (tmp_path / "GITHUB_STEP_SUMMARY").read_text()
    assert (tmp_path / "gate.xml").exists()


async def test_the_actions_script_passes_in_a_dry_run_and_takes_no_route_for_an_option(tmp_path: Path) -> None:
    code, output, _ = await asked(tmp_path, Verdict.FAULT, **{"route": "shop", "dry-run": "true"})
    (tmp_path / "odd").mkdir()
    odd, said, _ = await asked(tmp_path / "odd", Verdict.PROMOTE, route="--dry-run")

    assert (code, "would have been 4" in output) == (0, True), output
    assert odd == 2
    assert "no route '--dry-run'" in said


@pytest.mark.parametrize("file", ["gitlab-ci.yml", "Jenkinsfile"])
def test_the_commands_of_other_servers_have_options_that_there_are(file: str) -> None:
    lines = re.findall(r"fig canary gate[^'\n]*", (CI / file).read_text())

    assert lines
    for line in lines:
        assert {word for word in shlex.split(line) if word.startswith("--")} <= options()


def test_gitlab_shows_what_the_command_writes() -> None:
    job = yaml.safe_load((CI / "gitlab-ci.yml").read_text())[".fig-gate"]

    assert job["artifacts"]["when"] == "always"
    assert f"--junit {job['artifacts']['reports']['junit']}" in job["script"][0]
    assert f"--markdown {job['artifacts']['paths'][0]}" in job["script"][0]


def scraped(failing: float, seconds: float) -> list[str]:
    """What a Prometheus that scrapes every 15 s has of the last 70 minutes; legacy has had no failure yet."""
    chance, now = random.Random(7), int(time.time())
    lines: dict[str, list[str]] = {"http_requests": [], "http_seconds": []}
    for side, rate, mean in (("legacy", 0.0, 0.1), ("candidate", failing, seconds)):
        failed, fine, spent = 0, 0, 0.0
        for at in range(now - 4200, now, 15):
            asked = 150 + chance.randrange(40)
            failures = sum(chance.random() < rate for _ in range(asked))
            failed, fine = failed + failures, fine + asked - failures
            spent += asked * chance.gauss(mean, mean / 50)
            if failed:
                lines["http_requests"].append(f'http_requests_total{{side="{side}",code="500"}} {failed} {at}')
            lines["http_requests"].append(f'http_requests_total{{side="{side}",code="200"}} {fine} {at}')
            lines["http_seconds"].append(f'http_seconds_count{{side="{side}"}} {failed + fine} {at}')
            lines["http_seconds"].append(f'http_seconds_sum{{side="{side}"}} {spent:.4f} {at}')
    kinds = {"http_requests": "counter", "http_seconds": "summary"}
    return [
        line
        for name, found in lines.items()
        for line in (f"# TYPE {name} {kinds[name]}", *sorted(found, key=lambda each: each.split("}")[0]))
    ]


@pytest.mark.parametrize(
    ("failing", "seconds", "code", "says"),
    [
        (0.0, 0.1, 0, "products: promote"),
        (0.05, 0.1, 1, "products: rollback"),
        (0.0, 0.2, 1, "products: rollback"),
    ],
)
def test_the_gate_without_a_fig_decides_by_the_real_prometheus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: float, seconds: float, code: int, says: str
) -> None:
    with running_prometheus(scraped(failing, seconds), tmp_path) as url:
        monkeypatch.setenv("PROMETHEUS_URL", url)
        result = CliRunner().invoke(app, ["canary", "gate", "--config", str(CI / "gate.yaml")])

    assert result.exit_code == code, result.output
    assert result.stdout.startswith(says)


def test_the_gate_without_a_fig_can_be_asked() -> None:
    asked = read_asked(CI / "gate.yaml", {"PROMETHEUS_URL": "http://metrics.example"}, now=1_700_000_000.0)

    assert (asked.route, asked.gate_name, asked.since) == ("products", "storefront", 1_699_996_400.0)
    assert asked.sources["prometheus"].url == "http://metrics.example"
