"""A probe that never comes to a route that it guards says nothing of it, and is no pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxy.probing.findings import Outcome, Result
from proxy.rulebook import load_reviewed
from rules.stages import Side
from tests.fakes.probed import NOBODY, Probed, both, probe, rules_of, says, write
from tests.proxy.probing.test_probes_on_services import run

PAY = {"name": "pay", "match": {"path": "/pay/**", "methods": ["POST"]}, "candidate": "shop"}
"""Beside the route cart."""


@pytest.mark.parametrize("path", ["/Cart/1", "/other"])
def test_a_dead_candidate_passes_no_probe_that_never_asks_it(tmp_path: Path, path: str) -> None:
    with Probed(says()).up() as legacy:
        found = run(tmp_path, rules_of(legacy, NOBODY, {"buy": probe({"path": path})}))
    assert (found.result, found.passes) == (Result.FAULT, False)
    assert [side.outcome for side in found.sides] == [Outcome.UNASKED, Outcome.UNASKED]
    assert found.reason.startswith(
        "probe 'buy' cannot be asked: step 1: no step comes to the route 'cart' that it guards; check paths, methods"
    )


def test_every_guarded_route_is_asked_or_nothing_is_passed(tmp_path: Path) -> None:
    asks: list[dict[str, Any]] = [{"path": "/cart/1"}, {"path": "/pay/1", "method": "POST"}]
    for steps, result in ((asks, Result.PASSED), (asks[:1], Result.FAULT)):
        with both() as (legacy, candidate):
            rules = rules_of(legacy, candidate, {"buy": probe(*steps, routes=["cart", "pay"])}, [PAY])
            found = run(tmp_path, rules)
        assert found.result is result
        assert all(side.left == 0 for side in found.sides)


def test_a_probe_of_the_candidate_alone_that_misses_it_is_a_fault_of_the_script(tmp_path: Path) -> None:
    with both() as (legacy, candidate):
        rules = rules_of(legacy, candidate, {"buy": probe({"path": "/other"})})
        found = run(tmp_path, rules, only=Side.CANDIDATE)
    assert found.result is Result.FAULT


@pytest.mark.parametrize(
    ("steps", "missed"),
    [
        ([{"path": "/cart/1"}, {"path": "/pay/{run}", "method": "POST"}], []),
        ([{"path": "/cart/1"}, {"path": "/pay/1"}], ["pay"]),
        ([{"path": "/Cart/1"}], ["cart", "pay"]),
        ([{"path": "/cart/1", "take": {"at": "response:/at"}}, {"path": "/{at}"}], []),
    ],
)
def test_rules_check_warns_of_it_where_the_file_alone_tells(
    tmp_path: Path, steps: list[dict[str, Any]], missed: list[str]
) -> None:
    rules = rules_of(NOBODY, NOBODY, {"buy": probe(*steps, routes=["cart", "pay"])}, [PAY])
    _, found = load_reviewed(write(tmp_path, rules))
    told = [problem for problem in found.problems if problem.code == "missed-route"]
    assert [problem.message.split("'")[3] for problem in told] == missed
    assert [problem.place.line > 1 for problem in told] == [True] * len(missed)
