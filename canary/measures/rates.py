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
from canary.measures.onsets import Onsets
from canary.measures.tempering import Tempering
from canary.spec import Metric
from canary.stats import differences, dispersion, ratios
from rules.failures import FAILURES


class ErrorRate:
    """Evidence about failures. Without a tolerated harm, rollback asks for the ratio also where the margin is absolute:
    that test needs no guess of the base rate."""

    reference_needed = 0

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._counting: npt.NDArray[np.bool_] | None = None
        """By kind of failure, whether it counts; None where every one does."""
        if metric.failures:
            self._counting = np.zeros(256, np.bool_)
            self._counting[[FAILURES.index(kind) for kind in metric.failures]] = True
        self._relative = metric.margin.relative
        self._nulls = nulls_around(metric.margin, metric.tolerated, limit=0.95)
        self._harm = int(np.searchsorted(self._nulls, metric.tolerated.value))
        shape = (len(self._nulls), len(ratios.PHI) if self._relative else len(differences.WEIGHTS))
        self._up, self._down = np.zeros(shape), np.zeros(shape)
        self._equal = np.zeros(len(ratios.WITH_DESIGN))
        """Against 'the candidate's rate is at most legacy's', as a ratio; the last alternative is the margin's."""
        self._open = np.zeros((2, CLUSTERS))
        self._tempering = Tempering(dispersion.sensitivity_of_failures)
        if metric.tolerated.value == 0:
            alternatives = ratios.WITH_DESIGN
        else:
            alternatives = ratios.WEIGHTS if self._relative else differences.WEIGHTS
        self._onsets = Onsets(alternatives, dispersion.sensitivity_of_failures)

    def fix(self, reference: npt.NDArray[np.int64]) -> None:
        """Nothing to fix."""

    def add(self, batch: Batch) -> None:
        if batch.any_failed:
            counts = batch.failed if self._counting is None else self._counting[batch.failure]
            self._open += batch.per_cluster(counts)

    def close(self, counts: Floats) -> None:
        events, self._open = self._open, np.zeros((2, CLUSTERS))
        self.count(events, counts)

    def count(self, events: Floats, counts: Floats) -> None:
        """A window of `events` among `counts`, (2, CLUSTERS) each; some of `counts` on either side."""
        x, n = events.sum(axis=1), counts.sum(axis=1)
        x_c, x_l, n_c, n_l = float(x[CANDIDATE]), float(x[LEGACY]), float(n[CANDIDATE]), float(n[LEGACY])
        if self._relative:
            up, down = ratios.increments(np.full(len(self._nulls), x_c), x_l, n_c, n_l, 1 + self._nulls)
        else:
            margin = self.metric.margin.value
            up = differences.increments(x_c, x_l, n_c, n_l, self._nulls, margin, +1)
            down = differences.increments(x_c, x_l, n_c, n_l, self._nulls, margin, -1)
        self._up += up
        self._down += down
        equal = ratios.increments(np.array([x_c]), x_l, n_c, n_l, np.ones(1))[0][0]
        equal = np.append(equal, ratios.increment(x_c, x_l, n_c, n_l, self._times_at_margin()))
        self._equal += equal
        at_harm = equal if self.metric.tolerated.value == 0 else up[self._harm]
        self._onsets.add(at_harm, events, counts, self._tempering)
        self._tempering.add(events, counts)

    def _times_at_margin(self) -> float:
        """How many times legacy's rate the candidate's is where it is worse by the margin, as far as the closed windows
        tell: with half a failure more than legacy had (Krichevsky and Trofimov 1981), as it may have had none."""
        if self._relative:
            return 1 + self.metric.margin.value
        failures = float(self._tempering.events[LEGACY].sum()) + 0.5
        return 1 + self.metric.margin.value * (float(self._tempering.exchanges[LEGACY].sum()) + 1) / failures

    def cut(self) -> None:
        self._onsets.cut()

    def discard(self) -> None:
        self._open = np.zeros((2, CLUSTERS))

    def read(self, alpha: float) -> Reading:
        if not self._tempering.windows:
            return Reading("%", waiting="no window is complete yet")
        metric, spread = self.metric, self._tempering.dispersion()
        weights = ratios.WEIGHTS if self._relative else differences.WEIGHTS
        up = ratios.log_mean(self._up, weights, spread)
        down = ratios.log_mean(self._down, weights, spread)
        low, high = interval(self._nulls, up, down, alpha)
        rollback = float(up[self._harm])
        if metric.tolerated.value == 0:
            rollback = float(ratios.log_mean(self._equal, ratios.WITH_DESIGN, spread))
            if rollback >= -np.log(alpha):
                low = max(low or 0.0, 0.0)
        late = self._onsets.log_evidence()
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
            log_rollback=self._onsets.joined(rollback),
            lately=self._onsets.lately() if late > rollback else "",
        )

    def state(self) -> State:
        own: State = {"up": self._up, "down": self._down, "equal": self._equal, "open": self._open}
        own |= {f"onsets.{name}": value for name, value in self._onsets.state().items()}
        return own | {f"tempering.{name}": value for name, value in self._tempering.state().items()}

    def restore(self, state: State) -> None:
        for name, array in self.state().items():
            array[...] = state[name]
        self.forget()

    def forget(self) -> None:
        """The arrays were written from elsewhere."""
        self._tempering.forget()
        self._onsets.forget()
