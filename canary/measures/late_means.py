"""Harm of a mean that begins late: evidence in spells, as onsets.py has them of counts.

Hypothesis   as the measure's own: in every window the candidate's mean is worse by at most the harm.
Why          A long good past outweighs what is bad now, and a mean that jumps looks like slow noise, in which nothing
             can be seen: a candidate that was 50 % slower after two good minutes was not rolled back in half an hour.
Formula      Spells and their weights as of onsets.py. A spell has its own sum and variance of units; these vary over
             time as many times more as all windows before the former spell have shown, as its own windows show, or as
             dispersion.unproven assumes while they are few, whichever is most.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from canary.measures.mean_series import MeanSeries, Question, Window
from canary.measures.measure import State
from canary.measures.onsets import LENGTHS, log_joined, log_weighted
from canary.stats.blocks import Blocks


class _Spells:
    """Of one length."""

    def __init__(self, length: int, kind: Callable[[], MeanSeries], question: Question) -> None:
        self.length = length
        self._question = question
        self.series = kind()
        """The present one."""
        self.number = np.ones(1)
        self.ended = np.full(1, -np.inf)
        """ln of the weighted sum of the e-values of spells that are over."""
        self.noise = np.ones(2)
        """MeanSeries.noise of all windows up to the end of the spell before the last, and up to the last one's."""

    def add(self, window: Window, overall: MeanSeries) -> None:
        self.series.take(window)
        if self.series.blocks.windows >= self.length:
            self.cut()
            self.noise[:] = self.noise[1], overall.noise(self._question)

    def cut(self) -> None:
        if self.series.blocks.windows:
            self.ended[:] = np.logaddexp(self.ended, self.log_present())
            self.number += 1
            for array in self.series.arrays().values():
                array[...] = 0
            self.series.forget()

    def log_present(self) -> float:
        """ln of what the present spell adds to the sum."""
        if not self.series.blocks.windows:
            return -np.inf
        found = self.series.log_evidence(self._question, float(self.noise[0]))
        j = float(self.number[0])
        return found - float(np.log(j * (j + 1))) if found > 0 else -np.inf

    def state(self) -> State:
        own: State = {"number": self.number, "ended": self.ended, "noise": self.noise}
        return own | {f"series.{name}": value for name, value in self.series.arrays().items()}


class LateMeans:
    """Evidence of harm from a time on. Fed with each window of a MeanSeries, for the harm's question alone."""

    def __init__(self, kind: Callable[[], MeanSeries], question: Question) -> None:
        self._spells = tuple(_Spells(length, kind, question) for length in LENGTHS)

    def add(self, window: Window | None, overall: MeanSeries) -> None:
        """A window that `overall` has closed, if it was complete."""
        if window is not None:
            for spells in self._spells:
                spells.add(window, overall)

    def cut(self) -> None:
        """What follows is not like what was: every spell ends."""
        for spells in self._spells:
            spells.cut()

    def log_evidence(self) -> float:
        """ln E that the candidate is worse by more than the harm, from some time on."""
        return log_weighted((spells.ended[0], spells.log_present()) for spells in self._spells)

    def joined(self, overall: float) -> float:
        """ln of the mean of the e-value since the attempt began, `overall` as its ln, and the one from some time on."""
        return log_joined(overall, self.log_evidence())

    def lately(self, unit: str, scale: float = 1.0) -> str:
        """Both sides' means in the spell that now says most, in words: ``legacy 98 ms, candidate 151 ms in the last 7
        windows``."""
        blocks = self._telling()
        if not blocks.windows:
            return ""
        candidate, legacy, weight = (float(part) for part in blocks.total)
        return (
            f"legacy {legacy / weight * scale:.3g}, candidate {candidate / weight * scale:.3g} {unit} "
            f"in the last {blocks.windows} windows"
        )

    def of_legacy(self) -> str:
        """The same where a mean is of one window of all units of the step, which is nothing that people know:
        ``candidate at 54 % of legacy in the last 43 windows``."""
        blocks = self._telling()
        candidate, legacy, _ = (float(part) for part in blocks.total)
        if not blocks.windows or legacy <= 0:
            return ""
        return f"candidate at {100 * candidate / legacy:.3g} % of legacy in the last {blocks.windows} windows"

    def _telling(self) -> Blocks:
        """Of the spell that now says most."""
        return max(self._spells, key=lambda one: one.log_present()).series.blocks

    def state(self) -> State:
        return {f"{i}.{name}": value for i, one in enumerate(self._spells) for name, value in one.state().items()}

    def forget(self) -> None:
        """The arrays were written from elsewhere."""
        for spells in self._spells:
            spells.series.forget()
