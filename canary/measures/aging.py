"""Absolute differences of what units do: units of one age are compared, by what they did until `within`.

Units have an event sooner or later, so that a difference in percentage points, or in money per unit, grows while one
watches: what is excluded today may come true tomorrow. Within a time that the rules file says it has a size. A unit
counts once, when that time is over since its first exchange in this step; units that came in the same window are one
window, as exchanges are elsewhere.

Who counts   How old a unit is, windows tell (canary.window_time), not single rows. It counts only if its whole time was
             seen: no window lost rows or events, the event did not stay away where many were to be expected, and the
             clock ran on. Where that is not so, every unit that has not counted yet never does, on both sides alike:
             what it did is not known, or not when. So it is where the
             windows' time steps ahead or back by more than `slack`, which also says how much longer than `within` is
             waited: a step that is too small to be noticed makes no unit count too young.
"""

from __future__ import annotations

import numpy as np

from canary.cohort import Places
from canary.happenings import LOST_MOST, Happenings
from canary.measures.measure import Floats, State
from canary.measures.of_units import OfUnits
from canary.spec import Metric, MetricKind


class OfOneAge(OfUnits):
    """What metrics on units of one age have in common. Cohort.kept is what each unit has done so far, and not a number
    once it has counted, or never will."""

    def __init__(self, metric: Metric, happenings: Happenings, silence: float, window: float) -> None:
        super().__init__(metric, happenings, silence)
        assert metric.within is not None
        self._within: float = metric.within
        self._slack = metric.slack(window)
        """Seconds."""
        self._slot = happenings.age(self, metric.event)
        self._now = np.full(1, np.nan)
        """Windows' time; not a number before the step's first."""
        self._left_out = np.zeros(1, np.int64)
        """Units whose time was not seen as a whole, or not over when their step was."""
        self._told = np.zeros(2, np.int64)
        """What units did in time: all, and what was told after they had counted."""

    def problem(self, now: float) -> str:
        told, late = self._told.tolist()
        if late > LOST_MOST * told:
            what = "requests" if self.metric.event is None else f"events '{self.metric.event}'"
            lag = f"came over {self._slack:g} s late, after their units had counted"
            return f"is made of {told:,} {what}, of which {late:,} {lag}"
        return super().problem(now)

    def step_over(self) -> None:
        self.discard()
        self._now[0] = np.nan

    def aged(self, at: Places, ages: Floats, values: Floats) -> None:
        in_time = ages <= self._within
        at, values = at[in_time], values[in_time]
        late = self._cohort.dated[at] <= self._now[0] - self._within - self._slack
        self._told += len(at), int(late.sum())
        self._did(at, values)

    def _did(self, at: Places, values: Floats) -> None:
        """What units there did in time. What has counted stays 'not a number'."""
        raise NotImplementedError

    def discard(self) -> None:
        kept = self._cohort.kept[self._slot]
        self._left_out += int((~np.isnan(kept)).sum())
        kept[:] = np.nan

    def _ripe(self) -> list[tuple[Places, Floats]]:
        """The window is complete: whose time is over now, as side * CLUSTERS + cluster, and what each has done; those
        of one window together. They never come again."""
        if not (self._runs_on() and self._seen()):
            self.discard()
            return []
        cohort, kept = self._cohort, self._cohort.kept[self._slot]
        old = ~np.isnan(kept) & (cohort.dated <= self._now[0] - self._within - self._slack)
        known = np.abs(cohort.begun - cohort.dated) <= self._slack  # else the row by which it came is dated wrong
        self._left_out += int((old & ~known).sum())
        at = np.flatnonzero(old & known)
        windows, of = np.unique(cohort.dated[at], return_inverse=True)
        done = kept[at]
        kept[old] = np.nan
        return [(cohort.place(at[of == window]), done[of == window]) for window in range(len(windows))]

    def _seen(self) -> bool:
        """Whether what units did up to the last window is known."""
        event, happenings = self.metric.event, self._happenings
        return event is None or not (happenings.lossy or happenings.vanished(event))

    def _runs_on(self) -> bool:
        """Whether the windows' time is near to where it was; says where it is."""
        first, last, now = self._happenings.window.first, self._happenings.window.last, float(self._now[0])
        if now - self._slack <= last and first <= now + self._slack:
            self._now[0] = max(now, first)
            return True
        self._now[0] = first
        return bool(np.isnan(now))

    def _waiting(self) -> str:
        """Why nobody has counted yet."""
        left = int(self._left_out[0])
        stayed_away = "" if self.metric.event is None else f" '{self.metric.event}' stayed away,"
        if self.metric.kind is MetricKind.MEAN_PER_UNIT:
            stayed_away += " its values could not be read,"
        lost = (
            f"; {left:,} were left out, as rows were lost, windows lasted over {self._slack:g} s, the clock was set,"
            f"{stayed_away} or the step was over before"
        )
        return f"units count {self._within + self._slack:g} s after their first request" + (lost if left else "")

    def _ages(self) -> State:
        return {"now": self._now, "left_out": self._left_out, "told": self._told}
