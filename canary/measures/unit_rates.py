"""`rate`: which part of the units has an event.

Compared     Of the units that have not had the event yet, how many have it in a window: counts at the exposure that
             the window really had, as in ter Schure, Perez-Ortiz, Ly and Grunwald, The anytime-valid logrank test
             (arXiv 2011.06931), by canary.stats.ratios. A unit counts once, so it matters neither how long after its
             first exchange the event comes nor how often. Where most units convert, a ratio of rates in time is
             farther from 1 than one of final parts: promotion then asks for more than the margin, not less.
Direction    + is worse: where more is better (`lower_is_worse`) the sides change places, and a difference is
             1 - candidate / legacy.
"""

from __future__ import annotations

import numpy as np

from canary.cohort import Places
from canary.happenings import Happenings
from canary.measures.measure import (
    CANDIDATE,
    CLUSTERS,
    LEGACY,
    Floats,
    Reading,
    State,
    interval,
    nulls_around,
    occupied,
)
from canary.measures.of_units import OfUnits, shown, table, weighed
from canary.measures.onsets import Onsets
from canary.measures.tempering import Tempering
from canary.spec import Metric
from canary.stats import ratios


def _sensitivity(rate: float) -> float:
    """For canary.stats.dispersion.unproven: a side's own slow noise moves the odds of an event by 0.42 of themselves.
    The rate of failures is taken to move by as much; but that of events may be near 1, where it has little room."""
    return rate * (1 - rate)


class UnitRate(OfUnits):
    """Evidence about the part of units that have an event."""

    def __init__(self, metric: Metric, happenings: Happenings, silence: float) -> None:
        super().__init__(metric, happenings, silence)
        assert metric.event is not None
        self._event = happenings.events.index(metric.event)
        self._falls = metric.lower_is_worse
        nulls = nulls_around(metric.margin, metric.tolerated)
        self._nulls = nulls[nulls < 1] if self._falls else nulls
        self._times = 1 / (1 - self._nulls) if self._falls else 1 + self._nulls
        """How many times as often the event comes on the better (`_falls`) or on the candidate's side."""
        self._harm = int(np.searchsorted(self._nulls, metric.tolerated.value))
        self._margin = int(np.searchsorted(self._nulls, metric.margin.value))
        shape = (len(self._nulls), len(ratios.PHI))
        self._up, self._down = np.zeros(shape), np.zeros(shape)
        self._open = np.zeros((2, CLUSTERS))
        # A window's weight is that of all units that wait for the event, few of whom have it then.
        self._tempering = Tempering(_sensitivity, alike=False)
        self._onsets = Onsets(ratios.WEIGHTS, _sensitivity, alike=False)
        self._steps = np.zeros(3)
        """`weighed` parts of the units of the steps that are over, summed."""

    def step_over(self) -> None:
        self._steps += self._step()

    def _step(self) -> Floats:
        return weighed(self._cohort.had[self._event].sum(axis=1), self._cohort.units.sum(axis=1))

    def happened(self, places: Places, values: Floats, firsts: Places) -> None:
        if len(firsts):
            self._open += table(firsts)

    def close(self, counts: Floats) -> None:
        """`counts` of exchanges are none of its business."""
        events, self._open = self._open, np.zeros((2, CLUSTERS))
        waiting = np.maximum(self._cohort.units - self._cohort.had[self._event] + events, events)
        n, x = waiting.sum(axis=1), events.sum(axis=1)
        if not n.min():
            return
        one, other = (LEGACY, CANDIDATE) if self._falls else (CANDIDATE, LEGACY)
        up, down = ratios.increments(
            np.full(len(self._nulls), x[one]), float(x[other]), float(n[one]), float(n[other]), self._times
        )
        self._up += up
        self._down += down
        self._onsets.add(up[self._harm], events, waiting, self._tempering)
        self._tempering.add(events, waiting)

    def cut(self) -> None:
        self._onsets.cut()

    def discard(self) -> None:
        self._open = np.zeros((2, CLUSTERS))

    def read(self, alpha: float) -> Reading:
        units = self._cohort.entered
        if not self._tempering.windows:
            return Reading("%", waiting="no window with units of both sides is complete yet", counted="units")
        if not self._tempering.events.any():
            return Reading("%", waiting=f"no unit had the event '{self.metric.event}' yet", counted="units")
        spread = self._tempering.dispersion()
        up = ratios.log_mean(self._up, ratios.WEIGHTS, spread)
        down = ratios.log_mean(self._down, ratios.WEIGHTS, spread)
        low, high = interval(self._nulls, up, down, alpha)
        legacy, candidate = self._tempering.rates()
        ratio = candidate / legacy if legacy > 0 else None
        parts = shown(self._steps + self._step())
        held = occupied(self._tempering.exchanges)
        return Reading(
            unit="%",
            legacy=parts[LEGACY] * 100,
            candidate=parts[CANDIDATE] * 100,
            legacy_count=int(units[LEGACY]),
            candidate_count=int(units[CANDIDATE]),
            legacy_units=held[LEGACY],
            candidate_units=held[CANDIDATE],
            estimate=None if ratio is None else 1 - ratio if self._falls else ratio - 1,
            low=low,
            high=high,
            log_promote=float(down[self._margin]),
            log_rollback=self._onsets.joined(float(up[self._harm])),
            counted="units",
        )

    def state(self) -> State:
        own: State = {"up": self._up, "down": self._down, "open": self._open, "steps": self._steps}
        own |= {f"onsets.{name}": value for name, value in self._onsets.state().items()}
        return own | {f"tempering.{name}": value for name, value in self._tempering.state().items()}

    def restore(self, state: State) -> None:
        for name, array in self.state().items():
            array[...] = state[name]
        self._tempering.forget()
        self._onsets.forget()
