"""Who has a say in a gate with `method: kayenta`: its required metrics, each of them, and nobody else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from canary.evidence import Evidence
from canary.gate import judge
from canary.kayenta.importing import import_config, render
from canary.kayenta.terms import KayentaGate
from canary.measures.points import WindowPoints
from canary.spec import Gate
from canary.verdict import Judgement, Verdict
from tests.canary.traffic import START, Traffic, begin, fed

POINTS = 20
LENGTH = POINTS + 2


def metric(name: str, group: str, **keys: Any) -> dict[str, Any]:
    kind = {"kind": "error_rate"} if name == "errors" else {"kind": "latency", "quantile": 0.9}
    return {"name": name, **kind, "kayenta": {"direction": "increase", "groups": [group]}, **keys}


ERRORS, TIMES = metric("errors", "errors"), metric("times", "times")
WATCHED = TIMES | {"required": False}
SILENT = {
    "name": "queue",
    "kind": "query",
    "source": "prom",
    "query": 'depth{app="$side"}',
    "step": "15s",
    "kayenta": {"direction": "increase", "groups": ["queue"]},
}
"""A source that is never asked here."""


def gate(*metrics: dict[str, Any], **terms: Any) -> Gate:
    return Gate.model_validate(
        {"method": "kayenta", "metrics": metrics, "window": "1s", "kayenta": {"points": POINTS} | terms}
    )


def evidence(of: Gate, **traffic: Any) -> Evidence:
    return fed(begin(of, share=500_000), Traffic(3, rate=200, share=500_000, **traffic), LENGTH)


def judged(of: Gate, **traffic: Any) -> Judgement:
    return judge(of, evidence(of, **traffic), START + LENGTH)


def holed(of: Gate, place: int, value: float = np.nan, **traffic: Any) -> Judgement:
    """Judged where the metric at `place` lacks more than half of the candidate's values."""
    kept = evidence(of, **traffic)
    measure = kept.measures[place]
    assert isinstance(measure, WindowPoints)
    measure.values()[1][: POINTS // 2 + 1] = value
    return judge(of, kept, START + LENGTH)


def refused(legacy: int, candidate: int) -> dict[str, Any]:
    return {"failing": (legacy / 100, candidate / 100)}


@pytest.mark.parametrize("weights", [{"errors": 60, "times": 40}, {"errors": 60}])
def test_what_a_group_that_is_watched_only_weighs_falls_to_the_others(weights: dict[str, float]) -> None:
    found = judged(gate(ERRORS, WATCHED, groups=weights))

    assert (found.verdict, found.score) == (Verdict.PROMOTE, 100.0)


def test_weights_are_kept_in_their_proportions() -> None:
    terms = KayentaGate(groups={"errors": 30, "times": 10, "watched": 60})

    assert terms.weights({"errors", "times"}) == {"errors": 75, "times": 25}
    assert terms.weights({"errors", "times", "watched"}) == terms.groups
    assert terms.weights({"errors", "others", "more"}) == {"errors": 30, "others": 35, "more": 35}
    assert KayentaGate(groups={"errors": 0}).weights({"errors"}) == {"errors": 0}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_watched_metric_that_cannot_be_judged_hides_no_harm_and_stops_no_promotion(value: float) -> None:
    of = gate(ERRORS, WATCHED)

    worse, equal = holed(of, 1, value, **refused(1, 20)), holed(of, 1, value)

    assert (worse.verdict, worse.score) == (Verdict.ROLLBACK, 0.0)
    assert (equal.verdict, equal.score) == (Verdict.PROMOTE, 100.0)
    assert equal.metrics[1].verdict is Verdict.FAULT


def test_a_watched_metric_whose_windows_are_not_complete_is_not_waited_for() -> None:
    of = gate(ERRORS, SILENT | {"required": False})

    assert judged(of).verdict is Verdict.PROMOTE
    assert judged(of, **refused(1, 20)).verdict is Verdict.ROLLBACK


def test_harm_that_a_metric_without_data_could_not_outweigh_rolls_back() -> None:
    found = holed(gate(ERRORS, TIMES, groups={"errors": 30, "times": 70}), 1, **refused(1, 20))

    assert (found.verdict, found.score) == (Verdict.ROLLBACK, 70.0)
    assert "score at most 70 of 100 after 20 points; 'errors' is High" in found.reason
    assert "below 75 even with a pass of 'times' (has 9 of 20 values of the candidate)" in found.reason


def test_harm_that_a_metric_without_data_could_outweigh_is_a_fault() -> None:
    found = holed(gate(ERRORS, TIMES, groups={"errors": 20, "times": 80}), 1, **refused(1, 20))

    assert (found.verdict, found.score) == (Verdict.FAULT, None)
    assert found.reason == "metric 'times' has 9 of 20 values of the candidate"


@pytest.mark.parametrize(
    ("weights", "group"),
    [
        ({"errors": 100}, "times"),
        ({"errors": 100, "times": 0}, "times"),
        ({"errors": 0}, "errors"),
        ({"errors": 0, "times": 100}, "errors"),
    ],
)
def test_a_required_metric_without_a_say_is_refused(weights: dict[str, float], group: str) -> None:
    with pytest.raises(ValidationError, match=f"group '{group}' weighs 0, so .*'{group}' would have no say"):
        gate(ERRORS, TIMES, groups=weights)


def test_the_rest_of_the_weights_must_not_be_with_watched_metrics() -> None:
    with pytest.raises(ValidationError, match="'errors' would have no say"):
        gate(ERRORS, WATCHED, groups={"errors": 0, "times": 100})


def test_what_weighs_nothing_may_be_critical_watched_only_or_in_another_group() -> None:
    both = {"direction": "increase", "groups": ["errors", "times"]}

    gate(ERRORS, TIMES | {"critical": True}, groups={"errors": 100})
    gate(ERRORS, WATCHED, groups={"errors": 100})
    gate(ERRORS, TIMES | {"kayenta": both}, groups={"errors": 100})


def test_an_imported_configuration_says_which_metric_has_no_say() -> None:
    query = {"type": "prometheus", "metricName": "p99", "labelBindings": ['app="${scope}"']}
    metrics = [{"name": name, "query": query, "groups": [name]} for name in ("errors", "times")]

    draft = import_config({"metrics": metrics, "classifier": {"groupWeights": {"errors": 100}}})

    (said,) = draft.not_carried
    assert "group 'times' weighs 0" in str(said)
    assert "'times' would have no say" in render(draft)
