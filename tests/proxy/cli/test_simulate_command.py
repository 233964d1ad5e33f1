"""`fig canary simulate`: a table for people, JSON for programs, and what it wants to know of the traffic."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from proxy.cli import app

RULES = """
version: 1
services: {legacy: {url: "http://127.0.0.1:9000"}, shop: {url: "http://127.0.0.1:9001"}}
legacy: legacy
routes:
  - name: products
    match: {path: /p/**}
    candidate: shop
    stage: shadow
    unit: {cookie: u, issue: true}
    rollout: {steps: [50%], hold: 5s, gate: g, deadline: 2m}
gates:
  g: {metrics: [{name: errors, kind: error_rate, margin: 5pp}]}
"""


def fig(folder: Path, *arguments: str) -> Result:
    rules = folder / "fig.yaml"
    if not rules.exists():
        rules.write_text(RULES)
    return CliRunner().invoke(app, ["canary", "simulate", *arguments, "-c", str(rules), "--runs", "1"])


def test_it_says_what_becomes_of_each_candidate(tmp_path: Path) -> None:
    result = fig(tmp_path, "products", "--rate", "100/s")

    assert result.exit_code == 0, result.output
    table = result.stdout.splitlines()
    assert table[0].split()[:3] == ["candidate", "goes", "live"]
    assert table[1].startswith("equal") and "100%" in table[1]
    assert "1 attempt of each" in result.stdout
    assert "an equal candidate goes live in 100% of attempts" in result.stdout


def test_json_has_every_attempt_and_too_little_traffic_is_exit_code_3(tmp_path: Path) -> None:
    result = fig(tmp_path, "products", "--rate", "0.1", "--json")

    assert result.exit_code == 3
    found = json.loads(result.stdout)
    assert found["found"][0]["ends"][0]["outcome"] == "undecided"
    assert "an equal candidate never goes live" in found["said"][0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cart"], "route 'cart' has no rollout"),
        (["products", "--rate", "many"], "--rate many"),
        (["products", "--p50", "2s"], "--p50 2s --p99 300ms"),
        (["products", "--within", "0s"], "--within 0s: an attempt needs time"),
        (["products", "--errors", "100%"], "--errors 100%: candidates are tried of which 20% more fail"),
        (["products", "--errors", "80.1%"], "at most 80% of legacy's"),
        (["products", "--event", "order=2%"], "names no such event"),
        (["products", "--event", "order"], "write it like"),
    ],
)
def test_what_cannot_be_simulated_is_a_sentence(tmp_path: Path, arguments: list[str], said: str) -> None:
    result = fig(tmp_path, *arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_an_attempt_ends_undecided_after_so_many_requests(tmp_path: Path) -> None:
    result = fig(tmp_path, "products", "--rate", "100", "--requests", "200", "--json")

    ends = [each["ends"][0] for each in json.loads(result.stdout)["found"]]
    assert result.exit_code == 3
    assert ends[0]["outcome"] == "undecided"
    assert all(end["legacy"] + end["candidate"] < 500 for end in ends)


def test_an_event_of_the_gate_must_be_told(tmp_path: Path) -> None:
    business = RULES.replace("margin: 5pp}]", "margin: 5pp}, {name: c, kind: rate, event: sale, margin: 10%}]")
    (tmp_path / "fig.yaml").write_text(f"{business}events: {{sale: {{match: {{path: /p/buy}}}}}}\n")
    result = fig(tmp_path, "products")
    assert result.exit_code == 2
    assert "how often does 'sale' happen? say --event sale=2%" in result.output


def test_an_event_that_never_happens_decides_nothing(tmp_path: Path) -> None:
    business = RULES.replace("margin: 5pp}]", "margin: 5pp}, {name: c, kind: rate, event: sale, margin: 10%}]")
    (tmp_path / "fig.yaml").write_text(f"{business}events: {{sale: {{match: {{path: /p/buy}}}}}}\n")
    result = fig(tmp_path, "products", "--event", "sale=0%")
    assert result.exit_code == 2
    assert "--event sale=0%: nothing can be judged by an event that never happens" in result.output
