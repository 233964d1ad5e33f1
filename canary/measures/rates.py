"""The error rate: how many exchanges failed. Relative margins by ratios.py, absolute ones by differences.py."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from canary.measures.measure import (
    CANDIDATE,
    CLUSTERS,
    LEGACY,
    Batch,
    Floats,
    Reading,
    State,
    interval,
    nulls_around,
    occupied,
)
from canary.measures.tempering import Tempering
from canary.spec import Metric
from canary.stats import differences, dispersion, ratios


class ErrorRate:
    """Evidence about failures. Without a tolerated harm, rollback asks for the ratio also where the margin is absolute:
    that test needs no guess of the base rate."""

    reference_needed = 0

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._relative = metric.margin.relative
        self._nulls = nulls_around(metric.margin, metric.tolerated, limit=0.95)
        shape = (len(self._nulls), len(ratios.PHI) if self._relative else len(differences.WEIGHTS))
        self._up, self._down = np.zeros(shape), np.zeros(shape)
        self._equal = np.zeros((1, len(ratios.PHI)))
        """Against 'the candidate's rate is at most legacy's', as a ratio."""
        self._open = np.zeros((2, CLUSTERS))
        self._tempering = Tempering(dispersion.sensitivity_of_failures)

    def fix(self, reference: npt.NDArray[np.int64]) -> None:
        """Nothing to fix."""

    def add(self, batch: Batch) -> None:
        if batch.failed.any():
            self._open += batch.per_cluster(batch.failed)

    def close(self, counts: Floats) -> None:
        x, n = self._open.sum(axis=1), counts.sum(axis=1)
        x_c, x_l, n_c, n_l = float(x[CANDIDATE]), float(x[LEGACY]), float(n[CANDIDATE]), float(n[LEGACY])
        if self._relative:
            up, down = ratios.increments(np.full(len(self._nulls), x_c), x_l, n_c, n_l, 1 + self._nulls)
        else:
            margin = self.metric.margin.value
            up = differences.increments(x_c, x_l, n_c, n_l, self._nulls, margin, +1)
            down = differences.increments(x_c, x_l, n_c, n_l, self._nulls, margin, -1)
        self._up += up
        self._down += down
        self._equal += ratios.increments(np.array([x_c]), x_l, n_c, n_l, np.ones(1))[0]
        self._tempering.add(self._open, counts)
        self._open = np.zeros((2, CLUSTERS))

    def cut(self) -> None:
        """Every window is folded when it closes; nothing is pooled over two."""

    def discard(self) -> None:
        self._open = np.zeros((2, CLUSTERS))

    def read(self, alpha: float) -> Reading:
        if not self._tempering.windows:
            return Reading("%", waiting="no window is complete yet")
        metric, spread = self.metric, self._tempering.dispersion()
        weights = ratios.EQUAL if self._relative else differences.WEIGHTS
        up = ratios.log_mean(self._up, weights, spread)
        down = ratios.log_mean(self._down, weights, spread)
        low, high = interval(self._nulls, up, down, alpha)
        rollback = float(up[np.searchsorted(self._nulls, metric.tolerated.value)])
        if metric.tolerated.value == 0:
            rollback = float(ratios.log_mean(self._equal, ratios.EQUAL, spread)[0])
            if rollback >= -np.log(alpha):
                low = max(low or 0.0, 0.0)
        legacy, candidate = self._tempering.rates()
        n, x = self._tempering.exchanges.sum(axis=1), self._tempering.events.sum(axis=1)
        units = occupied(self._tempering.exchanges)
        ratio = candidate / legacy - 1 if legacy > 0 else None
        return Reading(
            unit="%",
            legacy=float(x[LEGACY] / n[LEGACY]) * 100,
            candidate=float(x[CANDIDATE] / n[CANDIDATE]) * 100,
            legacy_count=int(n[LEGACY]),
            candidate_count=int(n[CANDIDATE]),
            legacy_units=units[LEGACY],
            candidate_units=units[CANDIDATE],
            estimate=ratio if self._relative else candidate - legacy,
            low=low,
            high=high,
            log_promote=float(down[np.searchsorted(self._nulls, metric.margin.value)]),
            log_rollback=rollback,
        )

    def state(self) -> State:
        own: State = {"up": self._up, "down": self._down, "equal": self._equal, "open": self._open}
        return own | {f"tempering.{name}": value for name, value in self._tempering.state().items()}

    def restore(self, state: State) -> None:
        self._up[...] = state["up"]
        self._down[...] = state["down"]
        self._equal[...] = state["equal"]
        self._open[...] = state["open"]
        self._tempering.restore({name.removeprefix("tempering."): value for name, value in state.items()})
