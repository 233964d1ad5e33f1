"""What metrics on the units of a step have in common: business events of units, and how often units ask."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from canary.cohort import Places
from canary.happenings import Happenings
from canary.measures.measure import CANDIDATE, CLUSTERS, LEGACY, Batch, Floats
from canary.spec import Metric


class OfUnits:
    """What metrics on the units of a step have in common."""

    reference_needed: ClassVar[int] = 0

    def __init__(self, metric: Metric, happenings: Happenings, silence: float) -> None:
        self.metric = metric
        self._happenings = happenings
        self._cohort = happenings.cohort
        self._silence = silence
        happenings.listen(self, metric.event)

    def fix(self, reference: npt.NDArray[np.int64]) -> None:
        """Nothing to fix from times."""

    def add(self, batch: Batch) -> None:
        """Exchanges come by `asked`, those of remembered units alone."""

    def happened(self, places: Places, values: Floats, firsts: Places) -> None:
        """Nothing of it."""

    def asked(self, places: Places) -> None:
        """Nothing of it."""

    def step_over(self) -> None:
        """Nothing of it."""

    def problem(self, now: float) -> str:
        """Why its data cannot carry a promotion; ``""`` where it can."""
        if self.metric.event is None:
            return ""
        valued = self.metric.kind.is_of_values
        return self._happenings.problem(self.metric.event, now, self._silence, valued=valued)


def table(places: Places, values: Floats | None = None) -> Floats:
    """Counts, or sums of values, per side and cluster, (2, CLUSTERS)."""
    return np.bincount(places, values, minlength=2 * CLUSTERS).reshape(2, CLUSTERS).astype(np.float64)


def weighed(sums: npt.NDArray[np.floating[Any]], units: npt.NDArray[Any]) -> Floats:
    """A step's weight h = n_c n_l / (n_c + n_l), and h times both sides' means: steps differ in how long their units
    have had for an event, so they are shown with one weight on both sides. For show only."""
    if not units.min():
        return np.zeros(3)
    h = units[LEGACY] * units[CANDIDATE] / units.sum()
    return np.array([h, *(h * sums / units)])


def shown(steps: Floats) -> Floats:
    """Both sides' means of a sum of `weighed`."""
    found: Floats = steps[1:] / max(float(steps[0]), float(np.finfo(np.float64).tiny))
    return found
