"""`rate` with an absolute margin: which part of the units has the event until `within` after its first exchange.

Counts of units by canary.stats.differences, as the error rate's. Where more is better the sides change places: legacy's
rate is then the higher one, by the margin if the candidate is worse by that.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from canary.cohort import Places
from canary.happenings import Happenings
from canary.measures.aging import OfOneAge
from canary.measures.measure import CLUSTERS, Floats, Reading, State
from canary.measures.of_units import table
from canary.measures.rates import ErrorRate
from canary.spec import Metric

LEAST_UNITS = 5
"""A side, before a window of counts is complete."""


class AgedRate(OfOneAge):
    """Evidence about the part of units that have an event in time, in percentage points."""

    def __init__(self, metric: Metric, happenings: Happenings, silence: float, window: float) -> None:
        super().__init__(metric, happenings, silence, window)
        self._rate = ErrorRate(metric)
        self._turn = slice(None, None, -1 if metric.lower_is_worse else 1)
        self._units, self._having = np.zeros((2, CLUSTERS)), np.zeros((2, CLUSTERS))
        """Of a window that is not complete yet."""

    def _did(self, at: Places, values: Floats) -> None:
        kept = self._cohort.kept[self._slot]
        kept[at] = np.maximum(kept[at], 1.0)  # which leaves 'not a number' as it is

    def close(self, counts: Floats) -> None:
        """`counts` of exchanges are none of its business."""
        for places, has in self._ripe():
            self._units += table(places)
            self._having += table(places, has)
            if self._units.sum(axis=1).min() >= LEAST_UNITS:
                self._rate.count(self._having[self._turn], self._units[self._turn])
                self._forget()

    def _forget(self) -> None:
        self._units, self._having = np.zeros((2, CLUSTERS)), np.zeros((2, CLUSTERS))

    def cut(self) -> None:
        self._forget()
        self._rate.cut()

    def read(self, alpha: float) -> Reading:
        found = replace(self._rate.read(alpha), counted="units")
        if found.waiting:
            return replace(found, waiting=self._waiting())
        if not self.metric.lower_is_worse:
            return found
        return replace(
            found,
            legacy=found.candidate,
            candidate=found.legacy,
            legacy_count=found.candidate_count,
            candidate_count=found.legacy_count,
            legacy_units=found.candidate_units,
            candidate_units=found.legacy_units,
            lately="",  # its words name the sides
        )

    def state(self) -> State:
        own = self._ages() | {"units": self._units, "having": self._having}
        return own | {f"rate.{name}": value for name, value in self._rate.state().items()}

    def restore(self, state: State) -> None:
        for name, array in self.state().items():
            array[...] = state[name]
        self._rate.forget()
