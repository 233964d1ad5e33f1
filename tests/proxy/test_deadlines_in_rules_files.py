"""`fig rules check` refuses a rollout whose units would count only when its deadline has passed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from canary.evidence import Evidence
from canary.happenings import PATIENCE
from canary.spec import LEAST_SLACK
from proxy.rulebook import load
from rules.problems import RulesError

CONVERSION = {"name": "conversion", "kind": "rate", "event": "order", "margin": "0.5pp", "within": "1h"}
ERRORS = {"name": "errors", "kind": "error_rate", "margin": "1pp"}


def write(folder: Path, deadline: str, metric: dict[str, Any], window: str = "5s") -> Path:
    rollout = {"steps": ["10%"], "gate": "g", "hold": "1s", "deadline": deadline}
    match = {"path": "/cart", "methods": ["GET"]}
    route = {"name": "cart", "match": match, "candidate": "shop", "unit": {"cookie": "u"}, "rollout": rollout}
    rules = {
        "version": 1,
        "services": {"monolith": {"url": "http://127.0.0.1:9000"}, "shop": {"url": "http://127.0.0.1:9001"}},
        "legacy": "monolith",
        "events": {"order": {"match": {"path": "/cart", "methods": ["GET"]}, "status": "2xx"}},
        "routes": [route],
        "gates": {"g": {"window": window, "silence": "2h", "metrics": [ERRORS, metric]}},
    }
    file = folder / "fig.yaml"
    file.write_text(yaml.safe_dump(rules, sort_keys=False))
    return file


def test_units_that_count_after_the_deadline_are_refused_where_promotion_waits_for_them(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match="its units count 3960 s after their first request") as refused:
        load(write(tmp_path, "65m", CONVERSION))

    (problem,) = refused.value.problems
    assert (problem.code, problem.route) == ("within-past-deadline", "cart")
    assert "within: 1h" in (tmp_path / "fig.yaml").read_text().splitlines()[problem.place.line - 1]


@pytest.mark.parametrize(("deadline", "more"), [("67m", {}), ("65m", {"required": False})])
def test_units_that_count_before_it_or_are_only_watched_are_not(
    tmp_path: Path, deadline: str, more: dict[str, Any]
) -> None:
    assert load(write(tmp_path, deadline, CONVERSION | more)).rollouts["cart"].deadline is not None


@pytest.mark.parametrize(
    ("within", "window", "last"),
    [("10s", "1s", 15), ("10m", "1m", 840), ("1h", "5s", 3960)],
    ids=["5 s", "4 windows", "a tenth"],
)
def test_the_check_waits_as_long_as_the_gate_does(tmp_path: Path, within: str, window: str, last: int) -> None:
    metric = CONVERSION | {"within": within}
    gate = load(write(tmp_path, f"{last + 1}s", metric, window)).gates["g"]
    measure = Evidence("cart", "g", gate, subject="", share=100_000, since=0.0).measures[1]

    assert f"units count {last} s after their first request" in measure.read(0.05).waiting
    with pytest.raises(RulesError, match=f"its units count {last} s after their first request"):
        load(write(tmp_path, f"{last}s", metric, window))


def test_what_is_waited_is_no_shorter_than_events_wait_for_their_unit() -> None:
    assert LEAST_SLACK >= PATIENCE
