"""`fig canary gate --config`: judged by files alone, with no fig running."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from proxy.cli import app
from tests.fakes import probed

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


def test_what_nobody_thought_of_is_a_fault_and_leaves_json_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log's lines would stand before it, with a traceback that shows what variables hold."""

    class Broken:
        async def ask(self, *_: object) -> None:
            raise ZeroDivisionError("hidden-word")

        async def close(self) -> None:
            """Nothing."""

    monkeypatch.setattr("canary.sources.collecting.opened", lambda spec: Broken())

    result = gate("--config", write(tmp_path), "--json")

    assert result.exit_code == json.loads(result.stdout)["exit_code"] == 4
    assert "asking failed: ZeroDivisionError" in result.stdout
    assert "hidden-word" not in result.output


def test_a_range_that_counts_what_it_sees_several_times_is_warned_of(tmp_path: Path) -> None:
    sources = {"prom": {"kind": "prometheus", "url": "http://127.0.0.1:9"}}
    query = 'rate(failed_total{app="$side"}[5m])'
    metric = {"name": "failed", "kind": "query", "source": "prom", "query": query, "margin": "10%"}

    result = gate("--config", write(tmp_path, sources=sources, gates={"storefront": {"metrics": [metric]}}))

    assert result.exit_code == 4
    assert "metric 'failed' looks back 300s at every step of 30s" in result.stderr


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


@pytest.mark.parametrize("changes", [{}, {"since": None, "until": None, "route": None}])
def test_a_file_of_its_own_with_a_version_is_told_what_it_was_taken_for(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    config = write(tmp_path, version=1)
    asked = yaml.safe_load(config.read_text()) | changes
    config.write_text(
        yaml.safe_dump({key: value for key, value in asked.items() if value is not None}, sort_keys=False)
    )
    line = config.read_text().split("\n").index("version: 1") + 1

    result = gate("--config", config)

    assert result.exit_code == 2
    assert result.stderr == (
        f"fig: {config}:{line}:1: 'version' is a key of rules files, so this was taken for one, with services and "
        "routes; leave it out of a file that holds a gate alone\n"
    )


def test_a_file_of_its_own_with_services_is_told_so_beside_what_is_wrong_with_them(tmp_path: Path) -> None:
    result = gate("--config", write(tmp_path, services={"shop": {"url": "http://127.0.0.1:9001", "colour": "red"}}))

    assert result.exit_code == 2
    assert "'services' is a key of rules files, so this was taken for one" in result.stderr
    assert "unknown key 'colour'" in result.stderr


def test_what_is_wrong_with_a_rules_file_is_told_without_more(tmp_path: Path) -> None:
    rules = tmp_path / "fig.yaml"
    rules.write_text("version: 1\nservices: {shop: {url: 'http://127.0.0.1:9001'}}\nlegacy: shpo\nroutes: []\n")

    result = gate("products", "--config", rules)

    assert result.exit_code == 2
    assert "shpo" in result.stderr
    assert "taken for" not in result.stderr


def test_a_page_without_a_verdict_names_the_file_that_was_to_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    markdown, junit = tmp_path / "gate.md", tmp_path / "gate.xml"
    monkeypatch.chdir(write(tmp_path, since="yesterday").parent)
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.setenv(name, str(tmp_path / name))

    result = gate("--config", "gate.yaml", "--markdown", markdown, "--junit", junit, "--github")

    assert result.exit_code == 2
    for page in (markdown, tmp_path / "GITHUB_STEP_SUMMARY"):
        assert page.read_text().startswith("### ⚠️ gate.yaml: not asked\n")
    assert "gate of gate.yaml" in junit.read_text()
    assert "gate.yaml was not asked" in result.stderr


def test_a_page_without_anything_to_ask_says_so(tmp_path: Path) -> None:
    result = gate("--markdown", tmp_path / "gate.md")

    assert result.exit_code == 2
    assert (tmp_path / "gate.md").read_text().startswith("### ⚠️ the gate: not asked\n")


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


def test_no_page_shows_the_token_that_a_source_repeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = {"name": "depth", "kind": "query", "source": "prom", "query": 'x{app="$side"}', "margin": "10%"}
    pages = {name: tmp_path / name for name in ("gate.md", "gate.xml", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.setenv(name, str(pages[name]))
    monkeypatch.setenv("PROM_TOKEN", "liveTok4242")

    def echo(got: probed.Got) -> Any:
        return probed.says(401, json.dumps({"error": f"bad token {got.headers['authorization']}"}).encode())(got)

    with probed.Probed(echo).up() as service:
        prom = {"kind": "prometheus", "url": service.url, "headers": {"authorization": "Bearer ${PROM_TOKEN}"}}
        config = write(tmp_path, sources={"prom": prom}, gates={"storefront": {"metrics": [metric]}})
        files = ("--junit", pages["gate.xml"], "--markdown", pages["gate.md"], "--github")
        shown = [gate("--config", config, *words) for words in (files, ("--json",))]

    assert [each.exit_code for each in shown] == [4, 4]
    told = [each.output for each in shown] + [page.read_text() for page in pages.values()]
    assert sum("bad token (not shown)" in each for each in told) >= 5
    assert not any("liveTok4242" in each for each in told)
