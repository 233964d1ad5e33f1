"""What is so bad that nobody waits for evidence: most of the candidate's exchanges failed within seconds.

No test of a hypothesis: a floor, and what keeps it from being crossed by accident. The failures came from several
units (one broken client is no proof) and at several moments (nor is one hiccup); legacy, asked in the same seconds,
does clearly better (what breaks both is not the candidate's fault); and at the rate at which legacy has failed so far
chance gives as many less than once in a hundred million looks. Bounded: a ring of bins for each side, whatever the
traffic. Times are arguments.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import bdtrc

from canary.plan import Instant

BINS = 10
"""Into how many moments `within` is divided."""
MOMENTS = 3
"""In how many of them something failed, at least."""
UNITS = 3
"""Of how many units, as far as 256 clusters can tell, at least."""
UNSEEN = 5
"""Times as many requests as asked for, where it cannot be told which unit failed."""
CLEARLY = 2.0
"""Times legacy's part."""
CHANCE = 1e-8
_PRIOR = (0.5, 10.0)
"""Failures and exchanges of legacy that are assumed before it has shown any: 5 %."""
_LEGACY, _CANDIDATE = 0, 1


class Glimpse:
    """The last seconds of one route. One writer; `fatal` reads."""

    def __init__(self, instant: Instant) -> None:
        self.instant = instant
        self._width = instant.within / BINS
        size = BINS + 2  # the oldest and the newest one are not whole
        self._numbers = np.full(size, -1, np.int64)
        """Which bin of the clock each place holds."""
        self._requests = np.zeros((2, size), np.int64)
        self._failed = np.zeros((2, size), np.int64)
        self._units = np.zeros((size, 256), bool)
        """Clusters of units whose exchange with the candidate failed."""
        self._knows_units = True
        self._before = np.zeros(2)
        """Failures and exchanges of legacy so far."""

    def add(
        self,
        clock: npt.NDArray[np.float64],
        unit: npt.NDArray[np.uint64],
        candidate: npt.NDArray[np.bool_],
        failed: npt.NDArray[np.bool_],
        now: float,
    ) -> None:
        """Exchanges, as columns of equal length. Those that are not of the last seconds count for nothing here: a
        clock that is wrong must neither blind nor trip it."""
        recent = (clock > now - self.instant.within - 2 * self._width) & (clock <= now + self._width)
        if not recent.any():
            return
        numbers = np.floor(clock[recent] / self._width).astype(np.int64)
        unit, candidate, failed = unit[recent], candidate[recent], failed[recent]
        places = self._places(numbers)
        for side, chosen in ((_LEGACY, ~candidate), (_CANDIDATE, candidate)):
            np.add.at(self._requests[side], places[chosen], 1)
            np.add.at(self._failed[side], places[chosen & failed], 1)
        bad = candidate & failed
        self._units[places[bad], (unit[bad] >> np.uint64(56)).astype(np.intp)] = True
        self._before += ((~candidate & failed).sum(), (~candidate).sum())

    def add_counts(self, requests: int, failed: int, now: float) -> None:
        """Exchanges of the candidate by their number alone: nobody can tell of which units."""
        [place] = self._places(np.array([int(now // self._width)]))
        self._requests[_CANDIDATE, place] += requests
        self._failed[_CANDIDATE, place] += failed
        self._knows_units = False

    def _places(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Where the bins lie in the ring, emptied of what is older."""
        places = numbers % len(self._numbers)
        for number in np.unique(numbers):
            place = number % len(self._numbers)
            if self._numbers[place] != number:
                self._numbers[place] = number
                self._requests[:, place] = self._failed[:, place] = 0
                self._units[place] = False
        return places

    def fatal(self, now: float) -> str:
        """Why the candidate must go at once; ``""`` while it need not."""
        asked = self.instant
        newest = int(now // self._width)
        here = (self._numbers > newest - BINS) & (self._numbers <= newest + 1)
        n_l, n_c = self._requests[:, here].sum(axis=1)
        x_l, x_c = self._failed[:, here].sum(axis=1)
        if n_c < asked.requests * (1 if self._knows_units else UNSEEN) or x_c < asked.error_rate * n_c:
            return ""
        if n_l and x_c / n_c < CLEARLY * x_l / n_l:
            return ""
        if np.count_nonzero(self._failed[_CANDIDATE, here]) < MOMENTS:
            return ""
        if self._knows_units and np.count_nonzero(self._units[here].any(axis=0)) < UNITS:
            return ""
        usual = (self._before + _PRIOR)[0] / (self._before + _PRIOR)[1]
        if bdtrc(x_c - 1, n_c, usual) > CHANCE:
            return ""
        legacy = f"legacy {x_l} of {n_l}" if n_l else "legacy was not asked"
        return (
            f"at once: the candidate is far worse, {x_c} of its {n_c} exchanges failed within {asked.within:g} s "
            f"({legacy}; instant: {asked.error_rate:.0%} of at least {asked.requests})"
        )
