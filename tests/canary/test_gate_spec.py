"""Gates and rollout plans: what a rules file may say, and what it is told otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from canary.plan import RolloutPlan
from canary.spec import Gate

ERRORS = {"name": "errors", "kind": "error_rate", "margin": "0.5pp"}
PLAN = {"steps": ["1%", "5%", "25%", "50%", "95%"], "hold": "10m", "gate": "storefront"}


def test_the_gate_of_the_design_is_read_whole() -> None:
    gate = Gate.model_validate(
        {
            "metrics": [
                ERRORS | {"harm": "0pp", "critical": True},
                {"name": "p99", "kind": "latency", "quantile": 0.99, "margin": "20%"},
                {"name": "conversion", "kind": "rate", "event": "order_placed", "margin": "10%"},
                {"name": "revenue", "kind": "mean_per_unit", "event": "order_placed", "required": False},
            ]
        }
    )

    assert gate.alpha == 0.05
    assert [metric.required for metric in gate.metrics] == [True, True, True, False]
    assert gate.metrics[0].margin.value == 0.005
    assert gate.metrics[1].tolerated.value == 0
    assert gate.metrics[1].tolerated.relative


def test_the_plan_of_the_design_is_read_whole() -> None:
    plan = RolloutPlan.model_validate(PLAN)

    assert plan.shares == (10_000, 50_000, 250_000, 500_000, 950_000)
    assert (plan.hold, plan.holdback, plan.deadline) == (600, 50_000, None)


def test_a_step_may_want_a_person_and_hours_may_be_one_or_many() -> None:
    plan = RolloutPlan.model_validate(
        PLAN | {"steps": ["1%", {"share": "25%", "approval": True}], "only": "Mon-Fri 09-16 Europe/Berlin"}
    )

    assert plan.shares == (10_000, 250_000)
    assert [plan.wants_approval(share) for share in (10_000, 250_000, 1_000_000)] == [False, True, False]
    assert [str(each) for each in plan.only] == ["Mon-Fri 09-16 Europe/Berlin"]
    assert RolloutPlan.model_validate_json(plan.model_dump_json()) == plan
    assert '"steps":["1%",{"share":"25%","approval":true}]' in plan.model_dump_json()


def test_specs_survive_json() -> None:
    gate = Gate.model_validate({"metrics": [ERRORS], "alpha": "1%"})
    plan = RolloutPlan.model_validate(PLAN | {"deadline": "24h"})

    assert Gate.model_validate_json(gate.model_dump_json()) == gate
    assert RolloutPlan.model_validate_json(plan.model_dump_json()) == plan


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ({"name": "e", "kind": "error_rate"}, "needs 'margin'; write it like 0.5pp"),
        (ERRORS | {"margin": "20ms"}, "does not suit kind error_rate"),
        (ERRORS | {"harm": "0.5pp"}, "must be larger than harm"),
        (ERRORS | {"harm": "1%"}, "different measures"),
        (ERRORS | {"quantile": 0.5}, "belongs to kind latency"),
        (ERRORS | {"event": "order"}, "belongs to kinds rate, mean_per_unit, mean_per_event and throughput"),
        (ERRORS | {"margin": "100pp"}, "excludes nothing"),
        (ERRORS | {"kind": "latencies"}, "'throughput' or 'query'"),
        (ERRORS | {"treshold": 1}, "Extra inputs"),
        (ERRORS | {"name": "a b"}, "pattern"),
        (ERRORS | {"weight": 0}, "greater than 0"),
        ({"name": "p", "kind": "latency", "quantile": 1.0, "margin": "5%"}, "less than 1"),
        ({"name": "c", "kind": "rate", "margin": "10%"}, "needs 'event'"),
        ({"name": "c", "kind": "rate", "event": "order", "margin": "100%"}, "nothing can drop by"),
    ],
)
def test_a_metric_that_cannot_be_judged_is_refused(metric: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Gate.model_validate({"metrics": [metric]})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"metrics": []}, "at least 1"),
        ({"metrics": [ERRORS, ERRORS]}, "two metrics are named 'errors'"),
        ({"metrics": [ERRORS | {"required": False}]}, "no metric is required"),
        ({"alpha": "60%"}, "wrong verdicts"),
        ({"alpha": "0%"}, "wrong verdicts"),
        ({"window": "10ms"}, "a window lasts"),
        ({"window": "1m", "silence": "10s"}, "silence is shorter than window"),
    ],
)
def test_a_gate_that_cannot_be_asked_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Gate.model_validate({"metrics": [ERRORS]} | changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"steps": []}, "at least 1"),
        ({"steps": ["5%", "5%"]}, "5% follows 5%"),
        ({"steps": ["50%", "5%"]}, "steps must rise"),
        ({"steps": ["0%", "5%"]}, "gives the candidate nothing"),
        ({"steps": ["5%", "100%"]}, "less than its holdback of 5%; end with at most 95%"),
        ({"holdback": "0%"}, "no traffic to compare with"),
        ({"steps": ["5%", "95%"], "deadline": "15m"}, "make it longer than 1200s"),
        ({"gate": ""}, "at least 1 character"),
    ],
)
def test_a_plan_that_cannot_be_flown_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        RolloutPlan.model_validate(PLAN | changes)
