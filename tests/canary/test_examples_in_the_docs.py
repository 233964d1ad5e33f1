"""Examples of docs/canary.md do what the page says of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from canary.gate import judge
from canary.spec import Gate, MetricKind
from canary.verdict import Verdict
from proxy.rulebook import load
from rules.failures import FAILURES
from tests.canary.shoppers import Shoppers, begin, visited
from tests.canary.traffic import START

PAGE = (Path(__file__).parents[2] / "docs" / "canary.md").read_text(encoding="utf-8")


def example(below: str) -> str:
    """The first block of YAML below a heading."""
    found = re.search(rf"^#+ {re.escape(below)}\n.*?^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found, below
    return found[1]


def test_kinds_of_failure_that_are_told_apart_are_each_told_once() -> None:
    parts: dict[str, Any] = yaml.safe_load(example("Kinds of failure"))
    [gate] = [Gate.model_validate(one) for one in parts["gates"].values()]
    by_name = {metric.name: metric.failures or () for metric in gate.metrics}

    assert all(metric.kind is MetricKind.ERROR_RATE for metric in gate.metrics)
    assert by_name.pop("errors") == (), "every kind"
    assert set(by_name["refused"]) == {"overloaded", "breaker", "rewrite"}
    assert set(by_name["left"]) == {"left"}
    assert sorted(kind for kinds in by_name.values() for kind in kinds) == sorted(filter(None, FAILURES))


@pytest.mark.parametrize(("orders", "is_worse"), [((0.3, 0.3), False), ((0.3, 0.15), True)])
def test_a_cart_that_more_shoppers_leave_without_an_order_is_rolled_back(
    orders: tuple[float, float], is_worse: bool, tmp_path: Path
) -> None:
    (tmp_path / "fig.yaml").write_text(example("Abandoned carts"))
    gate = load(tmp_path / "fig.yaml").gates["cart"]
    assert gate.events[0] == "order_placed"

    judgement = judge(gate, visited(begin(gate), Shoppers(1, orders=orders, later=1.0), 60), START + 60)

    assert (judgement.verdict is Verdict.ROLLBACK) == is_worse, judgement.reason
    assert ("'completed' is worse" in judgement.reason) == is_worse
