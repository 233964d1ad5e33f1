from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from proxy.cli import app

DESIGN = Path(__file__).parents[2] / "rules" / "design.yaml"
run = CliRunner().invoke


def test_check_prints_a_summary_and_exits_0() -> None:
    result = run(app, ["rules", "check", str(DESIGN)])
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == f"{DESIGN}: fine: 3 services, 2 routes (1 canary, 1 shadow), 3 warnings"


def test_check_prints_every_problem_and_exits_2(tmp_path: Path) -> None:
    file = tmp_path / "fig.yaml"
    file.write_text("version: 2\nlegacy: legacy\nservices: {legacy: {url: x}}\n")
    result = run(app, ["rules", "check", str(file)])
    assert result.exit_code == 2
    assert [line.split(": ")[0] for line in result.stdout.splitlines()] == [f"{file}:1:10", f"{file}:3:26"]
    assert result.stderr == f"{file}: 2 problems\n"


def test_check_prints_json(tmp_path: Path) -> None:
    file = tmp_path / "fig.yaml"
    file.write_text("version: 2\nlegacy: legacy\nservices: {legacy: {url: http://127.0.0.1:1}}\n")
    result = run(app, ["rules", "check", "--json", str(file)])
    report = json.loads(result.stdout)
    assert result.exit_code == 2
    assert report["ok"] is False
    assert report["problems"] == [
        {
            "file": str(file),
            "line": 1,
            "column": 10,
            "severity": "error",
            "code": "wrong-value",
            "route": None,
            "message": "'version': must be 1, not 2",
            "witness": None,
        }
    ]


def test_the_schema_knows_the_blocks_of_all_three_parts() -> None:
    schema = json.loads(run(app, ["rules", "schema"]).stdout)
    assert set(schema["properties"]) == {
        "version", "services", "legacy", "routes", "comparisons", "gates", "events", "force",
        "defaults", "trusted_proxies", "sources", "probes", "pilot", "webhooks", "notify", "slo",
    }  # fmt: skip
    assert {"rollout", "shadow"} <= set(schema["$defs"]["_RouteBlock"]["properties"])
    assert "certificate" in schema["$defs"]["_ShadowBlock"]["properties"]
