"""A rollout's `watch` must have something to see, and margins to hold it to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.rulebook import load
from rules.problems import RulesError

ERRORS = {"name": "errors", "kind": "error_rate", "margin": "1pp"}
MEAN = {"name": "mean", "kind": "latency", "margin": "10%"}
TIMEOUTS = {"name": "timeouts", "kind": "error_rate", "failures": ["timeout"], "margin": "1pp"}


def write(folder: Path, gate: dict[str, Any], watch: str | None = "1h") -> Path:
    rollout = {"steps": ["10%"], "gate": "g"} | ({"watch": watch} if watch is not None else {})
    match = {"path": "/cart", "methods": ["GET"]}
    route = {"name": "cart", "match": match, "candidate": "shop", "unit": {"cookie": "u"}, "rollout": rollout}
    services = {"monolith": {"url": "http://127.0.0.1:9000"}, "shop": {"url": "http://127.0.0.1:9001"}}
    file = folder / "fig.yaml"
    rules = {"version": 1, "services": services, "legacy": "monolith", "routes": [route], "gates": {"g": gate}}
    file.write_text(yaml.safe_dump(rules))
    return file


@pytest.mark.parametrize(
    ("metrics", "warned"),
    [
        ([ERRORS, MEAN], []),
        ([MEAN | {"quantile": 0.99}], []),
        ([MEAN], ["blind-watch"]),
        ([MEAN, TIMEOUTS], ["blind-watch"]),
    ],
)
def test_a_watch_that_would_see_nothing_is_warned_of(
    tmp_path: Path, metrics: list[dict[str, Any]], warned: list[str]
) -> None:
    assert [problem.code for problem in load(write(tmp_path, {"metrics": metrics})).warnings] == warned
    assert load(write(tmp_path, {"metrics": metrics}, watch=None)).warnings == ()


def test_a_gate_without_margins_cannot_be_watched_by(tmp_path: Path) -> None:
    metric = {"name": "errors", "kind": "error_rate", "kayenta": {"direction": "increase"}}
    gate = {"method": "kayenta", "metrics": [metric]}

    with pytest.raises(RulesError, match="no margins to hold a live route to") as refused:
        load(write(tmp_path, gate))

    assert [problem.code for problem in refused.value.problems] == ["watch-without-margins"]
    assert load(write(tmp_path, gate, watch=None)).rollouts["cart"].watch is None
