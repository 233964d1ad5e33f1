"""The short form of benchmarks/canary_error_rates.py: seeded runs of the real gate, a look after every batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from benchmarks.canary_error_rates import upper_limit
from benchmarks.canary_gate_run import Cell, run
from canary.measures.measure import CANDIDATE, LEGACY
from canary.measures.rates import ErrorRate
from canary.spec import Gate
from rules.stages import MILLION

ERRORS = Gate.model_validate(
    {"metrics": [{"name": "errors", "kind": "error_rate", "margin": "0.5pp"}], "silence": "10m"}
)
RUNS = 20
A_A = Cell("A/A", "lognormal", MILLION // 2, 3_000)


def rolled_back(cell: Cell, tried: Gate | None = None) -> int:
    return sum(run(cell, seed, tried)["rollback"] is not None for seed in range(RUNS))


def test_equal_sides_are_hardly_ever_rolled_back_however_often_one_looks() -> None:
    assert rolled_back(A_A, ERRORS) <= 2


def test_a_gate_that_asks_a_z_test_at_every_look_breaks_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def naive(self: ErrorRate) -> float:
        x, n = self._tempering.events.sum(axis=1), self._tempering.exchanges.sum(axis=1)
        rate = x / n
        error = np.sqrt((rate * (1 - rate) / n).sum())
        return float(-norm.logsf((rate[CANDIDATE] - rate[LEGACY]) / error)) if error > 0 else 0.0

    read = ErrorRate.read

    def broken(self: ErrorRate, alpha: float) -> Any:
        reading = read(self, alpha)
        if reading.log_rollback is not None:
            object.__setattr__(reading, "log_rollback", naive(self))
        return reading

    monkeypatch.setattr(ErrorRate, "read", broken)

    assert rolled_back(A_A, ERRORS) > 2


@pytest.mark.parametrize("question", ["mean +5 %", "errors 0 -> 2 %"])
def test_what_is_worse_is_rolled_back_by_the_whole_gate(question: str) -> None:
    assert run(Cell(question, "lognormal", MILLION // 2, 12_000), seed=0)["verdict"] == "rollback"


def test_the_limit_is_that_of_clopper_and_pearson() -> None:
    assert upper_limit(0, 90) == pytest.approx(1 - 0.01 ** (1 / 90))
    assert upper_limit(0, 90) < 0.05 < upper_limit(0, 89)
    assert upper_limit(3, 3) == 1.0
