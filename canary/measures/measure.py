"""What every kind of metric does: take exchanges in, fold a closed window, say what the evidence is.

A measure keeps sums only: per side and cluster of units, per null hypothesis and alternative. Nothing in it grows with
traffic, and everything in it is an array, so that a snapshot is those arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from canary import histogram
from canary.spec import Metric
from rules.quantities import Margin

Floats = npt.NDArray[np.float64]
State = dict[str, npt.NDArray[np.generic]]

CLUSTERS = 256
"""Units are hashed into this many clusters a side: 64 cost 10 to 20 % more requests, 1,000 gain nothing."""
LEGACY, CANDIDATE = 0, 1
"""Rows of every array of two sides."""


@dataclass(frozen=True)
class Batch:
    """Exchanges of one window, as columns of equal length; what several measures ask of them is found once."""

    place: npt.NDArray[np.intp]
    """side * CLUSTERS + cluster."""
    candidate: npt.NDArray[np.bool_]
    seconds: Floats
    failed: npt.NDArray[np.bool_]
    failure: npt.NDArray[np.integer[Any]]
    """How: a place in rules.failures.FAILURES."""

    @cached_property
    def any_failed(self) -> bool:
        return bool(self.failed.any())

    @cached_property
    def times(self) -> Floats:
        """Seconds, where a failed exchange is slower than anything."""
        return np.where(self.failed, np.inf, self.seconds) if self.any_failed else self.seconds

    @cached_property
    def candidate_times(self) -> Floats:
        return self.times[self.candidate]

    @cached_property
    def histograms(self) -> npt.NDArray[np.int64]:
        """Of the answered exchanges' times, (2 sides, histogram.SIZE)."""
        seconds, side = self.seconds, self.candidate
        if self.any_failed:
            answered = ~self.failed
            seconds, side = seconds[answered], side[answered]
        places = histogram.offsets(seconds) + side * histogram.SIZE
        return np.bincount(places, minlength=2 * histogram.SIZE).reshape(2, histogram.SIZE)

    def per_cluster(self, chosen: npt.NDArray[np.bool_]) -> Floats:
        """How many of the chosen exchanges each side and cluster has, (2, CLUSTERS)."""
        return np.bincount(self.place[chosen], minlength=2 * CLUSTERS).reshape(2, CLUSTERS).astype(np.float64)

    def sums(self, values: Floats) -> Floats:
        """The sum of `values` (one per exchange) per side and cluster, (2, CLUSTERS)."""
        found = np.bincount(self.place, values, minlength=2 * CLUSTERS)
        return found.reshape(2, CLUSTERS).astype(np.float64, copy=False)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a measure says now. Estimate and interval are in the margin's own measure, + is worse."""

    unit: str
    """What `legacy` and `candidate` are in: ``%``, ``ms``."""
    legacy: float | None = None
    candidate: float | None = None
    legacy_count: int = 0
    candidate_count: int = 0
    legacy_units: int = 0
    """Clusters of units with exchanges; at most CLUSTERS."""
    candidate_units: int = 0
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    log_promote: float | None = None
    """ln of the e-value against 'worse by at least the margin'; None while there is no evidence at all."""
    log_rollback: float | None = None
    """ln of the e-value against 'worse by at most the harm'."""
    waiting: str = ""
    """What is missing before there is evidence."""
    lately: str = ""
    """What was seen since the harm began, where that says more than the whole attempt."""
    counted: str = "requests"
    """What the counts are of."""


class Measure(Protocol):
    """The evidence of one metric. Windows are opened and closed by canary.evidence, the same for all measures."""

    @property
    def metric(self) -> Metric: ...

    @property
    def reference_needed(self) -> int:
        """Legacy requests from before the counted ones that it needs to fix its thresholds; 0 for none."""

    def fix(self, reference: npt.NDArray[np.int64]) -> None:
        """Fix the thresholds, once, from a histogram (canary.histogram.SIZE counts) of legacy alone."""

    def add(self, batch: Batch) -> None:
        """Exchanges of the open window."""

    def close(self, counts: Floats) -> None:
        """The open window is complete: `counts` (2, CLUSTERS) exchanges, some on either side."""

    def cut(self) -> None:
        """Nothing after this may be pooled with what came before: the share changed."""

    def discard(self) -> None:
        """Forget the open window."""

    def read(self, alpha: float) -> Reading:
        """The evidence so far; each end of the interval holds at level `alpha` by itself."""

    def state(self) -> State: ...

    def restore(self, state: State) -> None: ...


# fmt: off
_RELATIVE = (.01, .02, .03, .05, .07, .1, .15, .2, .25, .3, .4, .5, .6, .8, 1, 1.5, 2, 3, 5, 8, 12, 20, 50)
_MULTIPLES = (.1, .2, .3, .4, .5, .6, .8, 1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100)
# fmt: on


def nulls_around(margin: Margin, harm: Margin, limit: float = np.inf) -> Floats:
    """The differences that are tested, ascending, for the interval's ends: a grid around 0 with `harm` and `margin` in
    it.

    Relative ones are multiples of legacy less 1 (mirrored: 1/(1+x) - 1), absolute ones multiples of the margin, below
    `limit` in size.
    """
    if margin.relative:
        steps = np.array(_RELATIVE)
        grid = np.concatenate((1 / (1 + steps) - 1, [0.0], steps))
    else:
        steps = margin.value * np.array(_MULTIPLES)
        steps = steps[steps < limit]
        grid = np.concatenate((-steps, [0.0], steps))
    grid = grid[(np.abs(grid - margin.value) > 1e-9) & (np.abs(grid - harm.value) > 1e-9)]
    return np.sort(np.concatenate((grid, [harm.value, margin.value])))


def interval(nulls: Floats, up: Floats, down: Floats, alpha: float) -> tuple[float | None, float | None]:
    """The ends of an always-valid interval by inversion: the outermost nulls that are refuted at `alpha`.

    `up` and `down` (R,): ln e-values against 'at most' and 'at least' each null, ascending. Each end holds by itself at
    level alpha, rounded outwards to the grid. None: open on that side.
    """
    due = -np.log(alpha)
    below, above = np.flatnonzero(up >= due), np.flatnonzero(down >= due)
    low = float(nulls[below[-1]]) if below.size else None
    high = float(nulls[above[0]]) if above.size else None
    return low, high


def occupied(counts: Floats) -> tuple[int, int]:
    """How many clusters of either side have exchanges."""
    held = np.count_nonzero(counts, axis=1)
    return int(held[LEGACY]), int(held[CANDIDATE])
