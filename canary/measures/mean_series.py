"""Two means window by window, with what units and time make alike taken into account; see stats/means.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from canary.measures.measure import CANDIDATE, CLUSTERS, LEGACY, Floats, State
from canary.stats import dispersion, means
from canary.stats.blocks import Blocks

LEAST_REQUESTS = 10
"""A side, before a window of means is complete: fewer make its weights depend on its values."""


class Question(NamedTuple):
    """Whether the difference is beyond `null`: above it (`sign` +1) or below it (-1)."""

    null: float
    relative: bool
    sign: int
    design: float
    """About how far beyond, if it is."""


class Window(NamedTuple):
    """One complete window of a MeanSeries."""

    counts: Floats
    """Exchanges, (2, CLUSTERS)."""
    influence: Floats
    """What it adds to the influences, (2, CLUSTERS)."""
    values: Floats
    """h m_c, h m_l, h."""


class MeanSeries:
    """One comparison of means: windows of sums, their influences and blocks."""

    alike = True
    """See Blocks.variance."""

    def __init__(self) -> None:
        self.counts, self.sums = np.zeros((2, CLUSTERS)), np.zeros((2, CLUSTERS))
        """Of the window that is not complete yet."""
        self.open = np.zeros((2, CLUSTERS))
        self.influence = np.zeros((2, CLUSTERS))
        self.exchanges = np.zeros((2, CLUSTERS))
        self.blocks = Blocks()
        self._moments: tuple[Floats, Floats] | None = None

    def close(self, counts: Floats) -> Window | None:
        """Give the window, if it is complete."""
        self.counts += counts
        self.sums += self.open
        self.open[...] = 0
        if self.counts.sum(axis=1).min() < LEAST_REQUESTS:
            return None
        h, m, added = means.influences(self.counts, self.sums)
        window = Window(self.counts.copy(), added, h * np.array([m[CANDIDATE], m[LEGACY], 1.0]))
        self.take(window)
        self.cut()
        return window

    def take(self, window: Window) -> None:
        self.influence += window.influence
        self._moments = None
        self.exchanges += window.counts
        self.blocks.push(window.values)

    def cut(self) -> None:
        self.counts[...] = 0
        self.sums[...] = 0

    def moments(self) -> tuple[Floats, Floats]:
        """`means.moments` of the influences; found once a window, though the ends of the interval ask often."""
        if self._moments is None:
            self._moments = means.moments(self.influence)
        return self._moments

    def forget(self) -> None:
        """The arrays were written from elsewhere."""
        self._moments = None

    def log_evidence(self, question: Question, noise: float = 0.0) -> float:
        """ln E that the answer is yes. `noise`, at least 1: how many times more sums vary than units say, as far as
        that is known from before; then no windows are waited for, and what few cannot show is assumed."""
        candidate, legacy, weight = (float(part) for part in self.blocks.total)
        null, relative, sign, design = question
        factor, offset = (1 + null, 0.0) if relative else (1.0, null)
        u = candidate - factor * legacy - offset * weight
        by_unit, freedom = self.by_unit(factor)
        if freedom < means.LEAST_FREEDOM or (not noise and self.blocks.windows < means.BURN_IN):
            return means.SILENT
        by_time, time_freedom = self.over_time(factor, by_unit)
        if by_time > by_unit:
            by_unit, freedom = by_time, min(freedom, time_freedom)
        if noise:
            by_unit = max(by_unit, self.by_unit(factor)[0] * max(noise, self._unproven()))
        return means.log_evidence(sign * u, by_unit, freedom, legacy if relative else weight, design)

    def noise(self, question: Question) -> float:
        """How many times more the sum varies over time than units say, at least 1; 1 while windows are too few to
        tell."""
        factor = 1 + question.null if question.relative else 1.0
        by_unit, _ = self.by_unit(factor)
        if self.blocks.windows < means.BURN_IN or by_unit <= 0:
            return 1.0
        return max(1.0, self.over_time(factor, by_unit)[0] / by_unit)

    def by_unit(self, factor: float) -> tuple[float, float]:
        """The variance of candidate - factor * legacy that units show, and its freedom."""
        return means.unit_variance(self.moments(), factor, self.exchanges.sum(axis=1))

    def over_time(self, factor: float, by_unit: float) -> tuple[float, float]:
        """The variance of candidate - factor * legacy that windows show, if surely more than `by_unit`, and its
        freedom."""
        candidate, legacy, weight = (float(part) for part in self.blocks.total)
        line = np.array([1.0, -factor, -(candidate - factor * legacy) / weight])
        return self.blocks.variance(line, beyond=by_unit, alike=self.alike)

    def sensitivity(self) -> float:
        """As of `dispersion.unproven`: times that shift by 0.42 of their spread."""
        return 1.0

    def _unproven(self) -> float:
        weight = float(self.blocks.total[2])
        size = float(self.blocks.own[0, 2, 2]) / weight
        return dispersion.unproven(size, self.sensitivity(), weight / size)

    def arrays(self) -> State:
        own: State = {
            "counts": self.counts,
            "sums": self.sums,
            "open": self.open,
            "influence": self.influence,
            "exchanges": self.exchanges,
        }
        return own | {f"blocks.{name}": value for name, value in self.blocks.state().items()}


def unsaid(series: MeanSeries) -> str:
    """Why a series says nothing."""
    windows = series.blocks.windows
    if windows < means.BURN_IN:
        return f"{windows} of {means.BURN_IN} windows"
    _, freedom = series.by_unit(1.0)
    if freedom < means.LEAST_FREEDOM:
        return f"too few units, or a few that outweigh all others ({freedom:.0f} of {means.LEAST_FREEDOM:.0f} clusters)"
    return "the difference moved so much for so long that nothing tells how much is chance"


def farthest(excess: Callable[[float], float], middle: float, side: int, scale: float) -> float | None:
    """Where the evidence is just enough: the null at which `excess` is 0, below `middle` (`side` +1) or above it (-1),
    looked for in steps of `scale`; None where it is nowhere."""
    from scipy.optimize import brentq  # here, because it takes a quarter of a second of each start of control

    far = scale
    for _ in range(12):
        if excess(middle - side * far) > 0:
            return float(brentq(excess, middle - side * far, middle, xtol=scale * 1e-3))
        far *= 2
    return None
