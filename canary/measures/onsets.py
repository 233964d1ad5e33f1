"""Harm that begins late: evidence in spells of a few lengths, so that a long good past neither hides nor outweighs it.

Hypothesis   as the measure's own: in every window the candidate is worse by at most the harm.
Why          What is summed since the attempt began is slow to turn. A candidate that fails completely after ten good
             minutes looks first of all like a rate that varies in time, which tempers all evidence a hundredfold: in
             simulation 110 to 150 s went by until it was rolled back, while the share rose.
Formula      Spells follow one another; spell j = 1, 2, ... of a length has the weight 1 / (j (j + 1)), and its e-value
             E_j stays what it was when it ended. A stopped e-process is one, a weighted mean of e-processes is one, and
             the weights sum to 1: E = sum_lengths v sum_j E_j / (j (j + 1)). It costs ln(j (j + 1)): 9 after 100
             spells, where a total failure brings 15 a second at 50 requests a second a side.
Noise        A spell is tempered by its own D, and by that of all windows before the former spell: what an attempt has
             shown of its noise is not forgotten (bursts of one side: 33 % of equal candidates rolled back without it,
             23 with it, 17 by the sum alone; 60 simulated runs each).
Source       A mixture over the time of change, as in Shin, Ramdas and Rinaldo, E-detectors (arXiv 2203.03532), with
             weights that sum to 1, so that Ville's inequality holds over the whole attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from canary.measures.measure import CANDIDATE, LEGACY, Floats, State
from canary.measures.tempering import Tempering
from canary.stats import ratios
from canary.stats.blocks import LEAST_BLOCKS

LENGTHS = (LEAST_BLOCKS - 1, 60, 240)
"""Windows of a spell. The shortest ends before windows can tell noise from change (Blocks), and relies on the noise
that dispersion.unproven assumes; longer ones find smaller harm."""
WEIGHTS = (0.5, 0.25, 0.25)
SHARE = 0.05
"""Weight of all spells beside the sum since the attempt began: late harm is large, and 3 in a logarithm is a fifth of a
second of it, where a half would cost small harm from the beginning a tenth more requests."""


def log_weighted(parts: Iterable[tuple[float, float]]) -> float:
    """ln E over all lengths; of each, ln of what its ended spells sum to, and of what the present one adds."""
    found = [np.log(weight) + np.logaddexp(*part) for weight, part in zip(WEIGHTS, parts, strict=True)]
    return float(np.logaddexp.reduce(found))


def log_joined(overall: float, late: float) -> float:
    """ln of the mean of the e-value since the attempt began and of the one from some time on, given as ln."""
    return float(np.logaddexp(np.log(1 - SHARE) + overall, np.log(SHARE) + late))


class _Spells:
    """Of one length."""

    def __init__(self, length: int, alternatives: Floats, noise: Callable[[], Tempering]) -> None:
        """`alternatives`: their weights, which sum to 1. `noise` makes a Tempering without any window."""
        self.length = length
        self._alternatives = alternatives
        self._tempering = noise
        self.number = np.ones(1)
        self.ended = np.full(1, -np.inf)
        """ln of the weighted sum of the e-values of spells that are over."""
        self.noise = np.ones(2)
        """D of all windows up to the end of the spell before the last, and up to the last one's: noise that is known
        tempers the present spell, but the spell in which harm began must not pass for noise at once."""
        self._start()

    def _start(self) -> None:
        self.logs = np.zeros(len(self._alternatives))
        self.tempering = self._tempering()

    def add(self, logs: Floats, events: Floats, exchanges: Floats, overall: Tempering) -> None:
        self.logs += logs
        self.tempering.add(events, exchanges)
        if self.tempering.windows >= self.length:
            self.cut()
            self.noise[:] = self.noise[1], overall.dispersion()

    def cut(self) -> None:
        if self.tempering.windows:
            self.ended[:] = np.logaddexp(self.ended, self.log_present())
            self.number += 1
            self._start()

    def log_present(self) -> float:
        """ln of what the present spell adds to the sum."""
        if float(ratios.log_mean(self.logs, self._alternatives)) <= 0:
            return -np.inf  # tempered it would not be above 0 either (Jensen): nothing that is worth finding D for
        j = float(self.number[0])
        found = ratios.log_mean(self.logs, self._alternatives, max(self.tempering.dispersion(), self.noise[0]))
        return float(found) - float(np.log(j * (j + 1)))

    def state(self) -> State:
        own: State = {"logs": self.logs, "number": self.number, "ended": self.ended, "noise": self.noise}
        return own | {f"tempering.{name}": value for name, value in self.tempering.state().items()}


class Onsets:
    """Evidence of harm from a time on. Fed with each closed window, at the null of the harm alone."""

    def __init__(self, alternatives: Floats, sensitivity: Callable[[float], float], *, alike: bool = True) -> None:
        """`sensitivity`, `alike`: as of Tempering."""
        noise = partial(Tempering, sensitivity, alike=alike)
        self._spells = tuple(_Spells(length, alternatives, noise) for length in LENGTHS)

    def add(self, logs: Floats, events: Floats, exchanges: Floats, overall: Tempering) -> None:
        """What one closed window adds to the log likelihood ratios of the alternatives, (K,), and its counts (2,
        CLUSTERS); `overall` has all windows since the attempt began."""
        for spells in self._spells:
            spells.add(logs, events, exchanges, overall)

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

    def lately(self) -> str:
        """The counts of the spell that now says most, in words: ``candidate 40 of 41, legacy 0 of 40 in the last 3
        windows``."""
        spells = max(self._spells, key=lambda one: one.log_present())
        x, n = spells.tempering.events.sum(axis=1), spells.tempering.exchanges.sum(axis=1)
        return (
            f"candidate {x[CANDIDATE]:.0f} of {n[CANDIDATE]:.0f}, legacy {x[LEGACY]:.0f} of {n[LEGACY]:.0f} "
            f"in the last {spells.tempering.windows} windows"
        )

    def state(self) -> State:
        return {f"{i}.{name}": value for i, one in enumerate(self._spells) for name, value in one.state().items()}

    def forget(self) -> None:
        """The arrays were written from elsewhere."""
        for spells in self._spells:
            spells.tempering.forget()

    def restore(self, state: State) -> None:
        for name, array in self.state().items():
            array[...] = state[name]
        self.forget()
