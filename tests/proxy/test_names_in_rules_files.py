"""What parts of a rules file name, and what is nowhere: told with what there is. And values that mean nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.rulebook import load
from rules.problems import RulesError

ERRORS = {"name": "errors", "kind": "error_rate", "margin": "1pp"}
RATE = {"name": "orders", "kind": "rate", "event": "nope", "margin": "10%"}
QUERY = {"name": "queue", "kind": "query", "source": "nope", "query": "up", "margin": "10%"}
EVENTS = {"order": {"match": {"path": "/orders"}}}
SOURCES = {"table": {"kind": "csv", "path": "/numbers.csv"}}


def problems(folder: Path, *metrics: dict[str, Any], asks: str = "g", only: object = None, **further: Any) -> str:
    rollout = {"steps": ["10%"], "gate": asks} | ({"only": only} if only is not None else {})
    match = {"path": "/cart", "methods": ["GET"]}
    route = {"name": "cart", "match": match, "candidate": "shop", "unit": {"cookie": "u"}, "rollout": rollout}
    services = {"monolith": {"url": "http://127.0.0.1:9000"}, "shop": {"url": "http://127.0.0.1:9001"}}
    rules = {"version": 1, "services": services, "legacy": "monolith", "routes": [route]}
    gates = {"g": {"metrics": list(metrics or [ERRORS]), **further.pop("gate", {})}}
    (folder / "fig.yaml").write_text(yaml.safe_dump({**rules, "gates": gates, **further}))
    with pytest.raises(RulesError) as caught:
        load(folder / "fig.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"asks": "nope"}, "'gate': no gate is named 'nope'; there are: g"),
        ({"metrics": [RATE]}, "'event': no event is named 'nope'; there is none"),
        ({"metrics": [RATE], "events": EVENTS}, "'event': no event is named 'nope'; there are: order"),
        ({"metrics": [QUERY]}, "'source': no source is named 'nope'; there is none"),
        ({"metrics": [QUERY], "sources": SOURCES}, "'source': no source is named 'nope'; there are: table"),
    ],
)
def test_what_names_nothing_is_told_with_what_there_is(tmp_path: Path, found: dict[str, Any], told: str) -> None:
    assert told in problems(tmp_path, *found.pop("metrics", []), **found)


def test_hours_of_a_rollout_that_are_none_are_refused(tmp_path: Path) -> None:
    told = problems(tmp_path, only=[])

    assert "route 'cart': 'only' names no hours" in told
    assert "Mon-Fri 09-16 Europe/Berlin" in told


def test_a_metric_of_the_method_kayenta_is_told_at_once_what_it_needs(tmp_path: Path) -> None:
    told = problems(tmp_path, {"name": "errors", "kind": "error_rate"}, gate={"method": "kayenta"})

    assert "in a gate with 'method: kayenta' it needs 'kayenta' instead, like kayenta: {direction: increase}" in told


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
def test_a_probe_asks_what_clients_can_ask(tmp_path: Path, method: str) -> None:
    told = problems(tmp_path, probes={"p": {"routes": ["cart"], "steps": [{"path": "/cart", "method": method}]}})

    assert f"'method': fig answers {method} with 405 before any route is asked" in told


@pytest.mark.parametrize("name", ["-", ".", ".."])
def test_what_a_path_would_take_for_a_step_is_no_name(tmp_path: Path, name: str) -> None:
    told = problems(tmp_path, probes={name: {"routes": ["cart"], "steps": [{"path": "/cart"}]}})

    assert f"'{name}' is not a name" in told
