"""`fig canary gate --config`: judged by files alone, with no fig running."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from proxy.cli import app

SINCE = 1_700_000_000
METRIC = {"name": "errors", "kind": "query", "source": "table", "measure": "rate", "margin": "0.5pp", "critical": True}

OWN = {"name": "own", "kind": "error_rate", "margin": "0.5pp"}
"""A metric that only a running fig has numbers of."""


def write(folder: Path, failing: float = 0.002, steps: int = 90, **changes: Any) -> Path:
    """A file that asks a table of `steps` half minutes, in which the candidate fails at that rate."""
    chance = random.Random(3)
    lines = ["time,side,n,sum"]
    for step in range(1, steps + 1):
        for side, rate in (("legacy", 0.002), ("candidate", failing)):
            failed = sum(chance.random() < rate for _ in range(200))
            lines.append(f"{SINCE + 30 * step - 15},{side},200,{failed}")
    (folder / "numbers.csv").write_text("\n".join(lines) + "\n")
    asked: dict[str, Any] = {
        "since": "2023-11-14T22:13:20Z",
        "until": "2023-11-14T22:58:20Z",
        "route": "products",
        "sources": {"table": {"kind": "csv", "path": str(folder / "numbers.csv"), "delay": "0s"}},
        "gates": {"storefront": {"metrics": [METRIC]}},
    }
    (folder / "gate.yaml").write_text(yaml.safe_dump(asked | changes))
    return folder / "gate.yaml"


def gate(*words: object) -> Result:
    return CliRunner().invoke(app, ["canary", "gate", *map(str, words)])


@pytest.mark.parametrize(("failing", "code", "verdict"), [(0.002, 0, "promote"), (0.1, 1, "rollback")])
def test_the_numbers_of_a_file_decide(failing: float, code: int, verdict: str, tmp_path: Path) -> None:
    result = gate("--config", write(tmp_path, failing))

    assert result.exit_code == code, result.output
    assert result.stdout.startswith(f"products: {verdict}\n")
    assert "of 17,800" in result.stdout or "of 18,000" in result.stdout


def test_what_only_a_running_fig_measures_may_be_watched(tmp_path: Path) -> None:
    gates = {"storefront": {"metrics": [METRIC, OWN | {"required": False}]}}

    assert gate("--config", write(tmp_path, gates=gates)).exit_code == 0


def test_too_few_numbers_decide_nothing(tmp_path: Path) -> None:
    result = gate("--config", write(tmp_path, steps=4, until="2023-11-14T22:15:20Z"))

    assert result.exit_code == 3
    assert "of 64 steps" in result.stdout


def test_a_source_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    config = write(tmp_path)
    (tmp_path / "numbers.csv").unlink()

    result = gate("--config", config)

    assert result.exit_code == 4
    assert "numbers.csv" in result.stdout


def test_a_rules_file_is_asked_for_a_route(tmp_path: Path) -> None:
    asked = yaml.safe_load(write(tmp_path).read_text())
    rules = {
        "version": 1,
        "services": {"monolith": {"url": "http://127.0.0.1:9000"}, "shop": {"url": "http://127.0.0.1:9001"}},
        "legacy": "monolith",
        "routes": [
            {
                "name": "products",
                "match": {"path": "/**"},
                "candidate": "shop",
                "unit": {"cookie": "unit"},
                "rollout": {"steps": ["25%"], "gate": "storefront"},
            }
        ],
        "sources": asked["sources"],
        "gates": asked["gates"],
    }
    (tmp_path / "fig.yaml").write_text(yaml.safe_dump(rules))
    between = ("--since", asked["since"], "--until", asked["until"])

    found = gate("products", "--config", tmp_path / "fig.yaml", *between)

    assert (found.exit_code, found.stdout.split("\n")[0]) == (0, "products: promote")
    for words, says in (
        ((), "which route"),
        (("produkts", *between), "did you mean 'products'"),
        (("products",), "--since 30m"),
        (("--gate", "storfront", *between), "did you mean 'storefront'"),
    ):
        refused = gate(*words, "--config", tmp_path / "fig.yaml")
        assert refused.exit_code == 2
        assert says in refused.stderr


def test_what_the_file_says_wrongly_is_told_with_its_place(tmp_path: Path) -> None:
    config = write(tmp_path, gates={"storefront": {"metrics": [METRIC | {"source": "tabel", "margn": "1pp"}]}})

    result = gate("--config", config)

    assert result.exit_code == 2
    assert "no source is named 'tabel'; did you mean 'table'?" in result.stderr
    assert f"{config}:" in result.stderr
    assert "unknown key 'margn'" in result.stderr


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"since": "yesterday"}, "write 30m (ago)"),
        ({"since": "2023-11-14T22:13:20"}, "time zone"),
        ({"until": "2023-11-14T22:13:20Z"}, "nothing lies between"),
        ({"gates": {name: {"metrics": [METRIC]} for name in "ab"}}, "--gate: a, b"),
        ({"sources": {}}, "sources"),
        ({"gates": {"storefront": {"metrics": [METRIC, OWN]}}}, "metric 'own' is of kind error_rate"),
    ],
)
def test_a_question_that_cannot_be_asked_says_what_to_do(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    result = gate("--config", write(tmp_path, **changes))

    assert result.exit_code == 2
    assert says in result.stderr


def test_since_when_may_be_left_to_whoever_asks(tmp_path: Path) -> None:
    config = write(tmp_path)
    asked = yaml.safe_load(config.read_text())
    since = asked.pop("since")
    config.write_text(yaml.safe_dump(asked))

    without, given = gate("--config", config), gate("--config", config, "--since", since)

    assert (without.exit_code, given.exit_code) == (2, 0)
    assert "--since 30m" in without.stderr


@pytest.mark.parametrize("words", [(), ("shop", "--until", "now"), ("shop", "--gate", "storefront")])
def test_what_belongs_to_config_is_not_taken_without_it(words: tuple[str, ...]) -> None:
    result = gate(*words)

    assert result.exit_code == 2
    assert "--config FILE" in result.stderr
