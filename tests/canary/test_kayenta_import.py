"""`fig canary import`: a Kayenta configuration becomes gates and sources, and nothing of it is lost in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from canary.kayenta.importing import Draft, ImportFailed, import_config, render
from canary.source_spec import Source
from canary.spec import Gate
from proxy.cli.canary import app
from proxy.rulebook import load

ERRORS: dict[str, Any] = {
    "name": "http errors",
    "query": {
        "type": "prometheus",
        "serviceType": "prometheus",
        "customInlineTemplate": 'PromQL:sum(rate(errors_total{app="${scope}",path=~"/a$"}[1m]))',
    },
    "groups": ["errors"],
    "analysisConfigurations": {
        "canary": {
            "direction": "increase",
            "nanStrategy": "replace",
            "critical": True,
            "mustHaveData": True,
            "effectSize": {"allowedIncrease": 1.1, "criticalIncrease": 1.5},
            "outliers": {"strategy": "remove", "outlierFactor": 2},
        }
    },
    "scopeName": "default",
}
LATENCY: dict[str, Any] = {
    "name": "latency",
    "query": {"type": "prometheus", "metricName": "latency_p99", "labelBindings": ['app="${scope}"']},
    "groups": ["times"],
    "analysisConfigurations": {"canary": {"direction": "increase"}},
}
CONFIG: dict[str, Any] = {
    "name": "golden signals",
    "judge": {"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {}},
    "metrics": [ERRORS, LATENCY],
    "classifier": {"groupWeights": {"errors": 60, "times": 40}, "scoreThresholds": {"pass": 90, "marginal": 50}},
}


def gate_of(draft: Draft) -> Gate:
    """As a rules file would take it, from the text."""
    content = yaml.safe_load(render(draft))
    for source in content["sources"].values():
        Source.model_validate(source)
    (found,) = content["gates"].values()
    return Gate.model_validate(found)


def test_a_configuration_becomes_a_gate_that_loads() -> None:
    draft = import_config(CONFIG, legacy="shop", candidate="products")
    gate = gate_of(draft)
    errors, latency = gate.metrics

    assert not draft.not_carried
    assert gate.method == "kayenta"
    assert gate.kayenta is not None
    assert (gate.kayenta.passing, gate.kayenta.marginal, gate.kayenta.groups) == (90, 50, {"errors": 60, "times": 40})
    assert (errors.name, errors.critical, errors.source) == ("http-errors", True, "prometheus")
    assert errors.query == 'sum(rate(errors_total{app="$side",path=~"/a$"}[1m]))'
    assert latency.query == 'avg(latency_p99{app="$side"})'
    assert errors.sides.of(1) == "products"
    assert errors.kayenta is not None
    assert errors.kayenta.model_dump(mode="json") == {
        "direction": "increase",
        "nan": "replace",
        "groups": ["errors"],
        "effect": {
            "measure": "mean_ratio",
            "allowed_increase": 1.1,
            "allowed_decrease": None,
            "critical_increase": 1.5,
            "critical_decrease": None,
        },
        "outliers": "remove",
        "outlier_factor": 2.0,
    }


def test_a_draft_belongs_into_a_rules_file(tmp_path: Path) -> None:
    rules = {
        "version": 1,
        "services": {"monolith": {"url": "http://127.0.0.1:9000"}, "shop": {"url": "http://127.0.0.1:9001"}},
        "legacy": "monolith",
        "routes": [
            {
                "name": "shop",
                "match": {"path": "/**"},
                "candidate": "shop",
                "unit": {"cookie": "unit"},
                "rollout": {"steps": ["25%"], "gate": "golden-signals"},
            }
        ],
    }
    file = tmp_path / "fig.yaml"
    file.write_text(yaml.safe_dump(rules) + render(import_config(CONFIG, legacy="monolith", candidate="shop")))

    gate = load(file).gates["golden-signals"]

    assert [metric.name for metric in gate.metrics] == ["http-errors", "latency"]


def test_a_request_gives_sides_steps_thresholds_and_what_variables_stand_for() -> None:
    located = LATENCY | {"query": LATENCY["query"] | {"labelBindings": ['app="${scope}"', 'zone="${location}"']}}
    sides = {
        "controlScope": {"scope": "old", "location": "eu", "step": 30, "start": "2026-01-01T00:00:00Z"},
        "experimentScope": {"scope": "new", "location": "eu", "step": 30},
    }
    draft = import_config(
        {
            "canaryConfig": CONFIG | {"metrics": [located]},
            "executionRequest": {"scopes": {"default": sides}, "thresholds": {"pass": 80, "marginal": 50}},
        }
    )
    metric = gate_of(draft).metrics[0]

    assert metric.query == 'avg(latency_p99{app="$side", zone="eu"})'
    assert (metric.sides.legacy, metric.sides.candidate, metric.step) == ("old", "new", 30)
    told = render(draft)
    assert "controlScope.start" in told
    assert "classifier.scoreThresholds.pass: 90" in told
    assert "classifier.groupWeights.errors: 60; no metric is in it" in told


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        (LATENCY | {"query": {"type": "datadog", "metricName": "p99"}}, "not datadog"),
        (LATENCY | {"query": {"type": "prometheus", "metricName": "up"}}, "asks the same of both sides"),
        (
            LATENCY | {"query": LATENCY["query"] | {"labelBindings": ['a="${scope}"', 'b="${project}"']}},
            "--set project=VALUE",
        ),
        (LATENCY | {"query": {"type": "prometheus", "customFilterTemplate": "mine"}}, 'no template is called "mine"'),
        (LATENCY | {"analysisConfigurations": {"canary": {"direction": "up"}}}, "'increase', 'decrease' or 'either'"),
        ("latency", '"latency" is no metric'),
    ],
)
def test_a_metric_without_a_counterpart_stands_whole_in_a_comment(metric: Any, told: str) -> None:
    draft = import_config(CONFIG | {"metrics": [ERRORS, metric]})

    (line,) = [line for line in render(draft).splitlines() if line.startswith("# - metrics[1]")]
    assert told in line
    assert json.dumps(metric) in line
    assert len(gate_of(draft).metrics) == 1


def test_a_template_that_is_named_is_filled_in_and_another_is_told() -> None:
    named = LATENCY | {"query": {"type": "prometheus", "customFilterTemplate": "mine", "metricName": "depth"}}
    draft = import_config(
        CONFIG | {"metrics": [named], "templates": {"mine": 'app="${scope}",env=\\"prod"', "other": "PromQL:x"}}
    )

    assert gate_of(draft).metrics[0].query == 'avg(depth{app="$side",env=\\"prod"})'
    assert any(each.path == "templates.other" for each in draft.not_carried)


def test_weights_that_cannot_make_a_hundred_are_scaled_and_said() -> None:
    draft = import_config(CONFIG | {"classifier": {"groupWeights": {"errors": 30, "times": 30}}})
    gate = gate_of(draft)

    assert gate.kayenta is not None
    assert gate.kayenta.groups == {"errors": 50, "times": 50}
    assert any("sum to 60" in each.why for each in draft.not_carried)


def test_a_metric_in_no_group_or_muted_is_watched_only() -> None:
    muted = ERRORS | {"analysisConfigurations": {"canary": {"muted": True}}}
    gate = gate_of(import_config(CONFIG | {"metrics": [LATENCY, ERRORS | {"groups": ["errors"]}, muted]}))

    assert [metric.required for metric in gate.metrics] == [True, True, False]
    assert [metric.name for metric in gate.metrics] == ["latency", "http-errors", "http-errors-2"]


def test_without_any_metric_there_are_comments_only() -> None:
    draft = import_config(CONFIG | {"metrics": []})

    assert draft.content == {}
    assert yaml.safe_load(render(draft)) is None


@pytest.mark.parametrize("document", [[], {}, {"metrics": {}}, {"canaryConfig": {}}])
def test_what_is_no_configuration_is_refused(document: Any) -> None:
    with pytest.raises(ImportFailed, match="not a Kayenta configuration"):
        import_config(document)


KEYS = st.text("abcdefghij", min_size=4, max_size=8).map(lambda key: f"x_{key}")


@given(st.lists(KEYS, min_size=6, max_size=6, unique=True), st.integers() | st.text(min_size=1) | st.booleans())
def test_a_key_that_nobody_knows_is_never_lost(keys: list[str], value: Any) -> None:
    canary = {"canary": {"direction": "increase", keys[0]: value}, keys[1]: {"deep": value}}
    metric = LATENCY | {"analysisConfigurations": canary, "query": LATENCY["query"] | {keys[2]: value}, keys[3]: value}
    document = CONFIG | {"metrics": [metric], "classifier": {"groupWeights": {"times": 100}, keys[4]: value}}

    text = render(import_config(document | {keys[5]: value}))

    for key in keys:
        assert f"{key}: " in text or f"{key}.deep: " in text
    assert yaml.safe_load(text)["gates"]


def test_the_command_prints_a_draft_and_says_what_was_not_carried(tmp_path: Path) -> None:
    file = tmp_path / "kayenta.json"
    file.write_text(json.dumps(CONFIG | {"applications": ["shop"]}))

    found = CliRunner().invoke(app, ["import", str(file), "--legacy", "shop", "--candidate", "products"])

    assert found.exit_code == 1
    assert "# - applications: " in found.stdout
    assert 'not carried: applications: ["shop"] has no counterpart' in found.stderr
    assert yaml.safe_load(found.stdout)["gates"]["golden-signals"]["method"] == "kayenta"


def test_a_file_that_is_no_json_is_a_usage_error(tmp_path: Path) -> None:
    file = tmp_path / "kayenta.json"
    file.write_text("{")

    assert CliRunner().invoke(app, ["import", str(file)]).exit_code == 2


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("/dev/zero", "/dev/zero:1:1: cannot be read: it is no regular file"),
        ("long.json", "long.json:1:1: the file is larger than 4 MB"),
        ("missing.json", "missing.json:1:1: cannot be read: No such file or directory"),
        ("digits.json", "digits.json: "),
    ],
)
def test_what_is_no_configuration_is_refused_before_it_is_all_read(
    name: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "long.json").write_bytes(b" " * (4 * 1024 * 1024 + 1))
    (tmp_path / "digits.json").write_text("1" * 5000)

    result = CliRunner().invoke(app, ["import", name])

    assert result.exit_code == 2
    assert result.stderr.startswith(f"fig: {told}")
