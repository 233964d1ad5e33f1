"""Sums over pairs of values, legacy's and the candidate's of one step each, and what they say of the difference.

As stats/means.py judges windows of exchanges: U = sum of s c - f l - a over steps, its variance over time from blocks
of every length, or from what varies within steps where that is known and larger.
"""

from __future__ import annotations

import numpy as np

from canary.measures.measure import CANDIDATE, LEGACY, Floats, State
from canary.query_spec import Reduction
from canary.spec import Metric
from canary.stats import means
from canary.stats.blocks import Blocks


class Pairs:
    """One stretch of steps."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._sign = -1.0 if metric.lower_is_worse else 1.0
        self.observed = np.zeros(2)
        """How many observations the steps stand for, per side."""
        self._total = np.zeros(2)
        self._within = np.zeros(2)
        """Per side: sum over steps of h^2 times the variance of the step's mean, as the source tells of it."""
        self._spread = np.zeros(2)
        """Per side: sum over steps of h^2 / n, from which a rate's own variance follows."""
        self._blocks = Blocks()

    @property
    def steps(self) -> int:
        return self._blocks.windows

    @property
    def sums(self) -> tuple[float, float, float]:
        """Of legacy, of the candidate, and of the weights h."""
        candidate, legacy, weight = (float(part) for part in self._blocks.total)
        return legacy, candidate, weight

    def push(self, n: Floats, total: Floats, squares: Floats) -> None:
        """One more step, (2,) each; both sides have a number."""
        weighed = self._metric.measure is not Reduction.VALUE
        h = float(n[0] * n[1] / n.sum()) if weighed else 1.0
        mean = total / n
        self.observed += n
        self._total += total
        if weighed:
            with np.errstate(invalid="ignore", divide="ignore"):
                own = np.maximum(squares / n - mean * mean, 0) / (n - 1)
            self._within += np.where((n > 1) & np.isfinite(own), h * h * own, 0)
            self._spread += h * h / n
        self._blocks.push(h * np.array([mean[CANDIDATE], mean[LEGACY], 1.0]))

    def estimate(self) -> float | None:
        """How much worse the candidate is, in the margin's measure; None where that cannot be said."""
        legacy, candidate, weight = self.sums
        if self._metric.margin.relative:
            return self._sign * (candidate / legacy - 1) if legacy > 0 else None
        return self._sign * (candidate - legacy) / weight

    def log_evidence(self, null: float, sign: int, design: float, noise: float = 0.0) -> float:
        """ln E that the candidate is worse by more than `null` (sign +1) or by less (-1).

        With s = 1 where higher is worse, else -1: U = s (c - l) - null l, or - null h, summed over steps. `noise`: the
        variance per squared weight that is known from elsewhere, and counts where it is the larger one.
        """
        legacy, candidate, weight = self.sums
        relative, s = self._metric.margin.relative, self._sign
        of_legacy, offset = (s + null, 0.0) if relative else (s, null)
        u = s * candidate - of_legacy * legacy - offset * weight
        variance, freedom = self.variance(null)
        known = noise * self._squared_weights
        if known > variance:
            variance, freedom = known, np.inf
        return means.log_evidence(sign * u, variance, freedom, legacy if relative else weight, design)

    def variance(self, null: float) -> tuple[float, float]:
        """Of U, and its degrees of freedom."""
        legacy, candidate, _ = self.sums
        relative, s = self._metric.margin.relative, self._sign
        part = s + null if relative else s
        # Residuals of the null, or of the estimate: what both sides have in common cancels in the former where it adds
        # the same to both, in the latter where it multiplies them, and would pass for slow noise in the other. Where
        # the null is true, both come to the same.
        variance, freedom = self._over_time(part)
        if relative and legacy > 0:
            estimated = s * candidate / legacy
            other = self._over_time(estimated)
            if other < (variance, freedom):
                (variance, freedom), part = other, estimated
        within = self._inside()
        inside = float(within[CANDIDATE] + part**2 * within[LEGACY])
        if inside > variance:
            variance, freedom = inside, max(means.LEAST_TIME_FREEDOM, float(self.observed.min()) - 1)
        return variance, freedom

    def noise(self, null: float) -> float:
        """The variance of U per squared weight, for `log_evidence` of other steps."""
        return self.variance(null)[0] / self._squared_weights if self.steps else 0.0

    @property
    def _squared_weights(self) -> float:
        return float(self._blocks.own[0][2, 2])

    def _over_time(self, part: float) -> tuple[float, float]:
        """Of the sum of s c - part l over steps, and its degrees of freedom."""
        legacy, candidate, weight = self.sums
        residual = (self._sign * candidate - part * legacy) / weight
        return self._blocks.variance(np.array([self._sign, -part, -residual]))

    def _inside(self) -> Floats:
        if self._metric.measure is not Reduction.RATE:
            return self._within
        # Agresti and Coull's (1998) two more of either kind: none of many is not the same as never.
        rate = (self._total + 2) / (self.observed + 4)
        return self._spread * rate * (1 - rate)

    def clear(self) -> None:
        """As if nothing had been pushed."""
        for array in self.state().values():
            array[...] = np.zeros((), array.dtype)

    def state(self) -> State:
        own: State = {"observed": self.observed, "total": self._total, "within": self._within, "spread": self._spread}
        return own | {f"blocks.{name}": value for name, value in self._blocks.state().items()}
