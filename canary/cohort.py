"""The units of one step: who came to which side, and who has had which event already. Bounded by a hash sample.

A unit is of the step from its first exchange there on, and what happens to it counts from then on: what it did before
has nothing to do with the side that it was given. Where more units come than are remembered, the sample is halved by
their hashes; those that leave no longer count, neither with their events nor as units that could have had some.

Where a metric compares units of one age, when each of them came and what it has done is remembered too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from canary.arrivals import Hashes, mix

CAPACITY = 32_768
"""Units that are remembered. 24 bytes each, and 16 more and 8 for each number that is kept."""
CLUSTERS = 256
_SHIFT = np.uint64(56)
_ONE = np.uint64(1)

Places = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


class Cohort:
    """See the module. At most 64 events, by number."""

    def __init__(self, events: int, kept: int = 0) -> None:
        """`kept`: how many numbers are remembered of each unit."""
        self.events = events
        self._numbers = kept
        self.entered = np.zeros(2, np.int64)
        """Units of either side that ever entered; of all steps."""
        self.arrived = np.zeros(2, np.int64)
        """Those that entered the present one."""
        self.clear()

    def clear(self) -> None:
        """Another step begins: nobody is in it."""
        self._known: Hashes = np.zeros(0, np.uint64)
        """Mixed hashes, sorted; the other two have what belongs to them."""
        self._places: Places = np.zeros(0, np.intp)
        """side * CLUSTERS + cluster."""
        self._had: npt.NDArray[np.uint64] = np.zeros(0, np.uint64)
        """The events that the unit has had, a bit for each."""
        self.begun: Floats = np.zeros(0)
        """Clock of each unit's first exchange; as the other two only where numbers are kept."""
        self.dated: Floats = np.zeros(0)
        """The time of the window in which it came, while that is open not a number: one row can be dated wrong."""
        self.kept: Floats = np.zeros((self._numbers, 0))
        """What metrics remember of each unit; (numbers, units)."""
        self._below = 2**64
        self.arrived[:] = 0
        self._count()

    def _count(self) -> None:
        self.units = np.bincount(self._places, minlength=2 * CLUSTERS).reshape(2, CLUSTERS).astype(np.float64)
        """How many each side and cluster has, (2, CLUSTERS)."""
        self.had = np.zeros((self.events, 2, CLUSTERS))
        """How many of them have had each event."""
        for event in range(self.events):
            has = (self._had >> np.uint64(event)) & _ONE
            self.had[event] = np.bincount(self._places, has, minlength=2 * CLUSTERS).reshape(2, CLUSTERS)

    def enter(self, unit: Hashes, candidate: npt.NDArray[np.bool_], clock: Floats) -> npt.NDArray[np.bool_]:
        """Exchanges: their units' hashes, sides and times. Gives which of them are of units that are remembered."""
        mixed = mix(unit)
        fresh = self._find(mixed) < 0
        if fresh.any():
            self._add(mixed, np.flatnonzero(fresh & self._is_sampled(mixed)), unit, candidate)
        if self._numbers:
            at = self._find(mixed)
            came = at >= 0
            came[came] = np.isnan(self.dated[at[came]])  # rows of one window come in any order
            np.minimum.at(self.begun, at[came], clock[came])
        return self._is_sampled(mixed)

    def _add(self, mixed: Hashes, fresh: Places, unit: Hashes, candidate: npt.NDArray[np.bool_]) -> None:
        """Those at `fresh`, which are not known yet."""
        mixed, first = np.unique(mixed[fresh], return_index=True)
        side = candidate[fresh[first]]
        places = (unit[fresh[first]] >> _SHIFT).astype(np.intp) + CLUSTERS * side
        at = np.searchsorted(self._known, mixed)
        self._known = np.insert(self._known, at, mixed)
        self._places = np.insert(self._places, at, places)
        self._had = np.insert(self._had, at, np.uint64(0))
        if self._numbers:
            self.begun = np.insert(self.begun, at, np.inf)
            self.dated = np.insert(self.dated, at, np.nan)
            self.kept = np.insert(self.kept, at, 0.0, axis=1)
        self.units += np.bincount(places, minlength=2 * CLUSTERS).reshape(2, CLUSTERS)
        self.entered += np.bincount(side, minlength=2)
        self.arrived += np.bincount(side, minlength=2)
        if len(self._known) > CAPACITY:
            while len(self._known) > CAPACITY:
                self._below //= 2
                stay = int(np.searchsorted(self._known, np.uint64(self._below)))
                self._known, self._places, self._had = self._known[:stay], self._places[:stay], self._had[:stay]
                self.begun, self.dated, self.kept = self.begun[:stay], self.dated[:stay], self.kept[:, :stay]
            self._count()

    def _find(self, mixed: Hashes) -> Places:
        at = np.searchsorted(self._known, mixed)
        inside = at < len(self._known)
        found = np.full(len(mixed), -1, np.intp)
        here = np.flatnonzero(inside)
        same = self._known[at[here]] == mixed[here]
        found[here[same]] = at[here[same]]
        return found

    def find(self, unit: Hashes) -> Places:
        """Where each of these units is; -1 for those that are not in it."""
        return self._find(mix(unit))

    def sampled(self, unit: Hashes) -> npt.NDArray[np.bool_]:
        """Whether each of these units would be remembered if it came."""
        return self._is_sampled(mix(unit))

    def _is_sampled(self, mixed: Hashes) -> npt.NDArray[np.bool_]:
        if self._below == 2**64:
            return np.ones(len(mixed), np.bool_)
        chosen: npt.NDArray[np.bool_] = mixed < np.uint64(self._below)
        return chosen

    def place(self, at: Places) -> Places:
        """side * CLUSTERS + cluster of the units that `find` found there."""
        return self._places[at]

    def mark(self, at: Places, event: int) -> Places:
        """The units there have had the event; gives the places of those that had it for the first time."""
        bit = _ONE << np.uint64(event)
        at = np.unique(at)
        at = at[(self._had[at] & bit) == 0]
        self._had[at] |= bit
        places = self._places[at]
        self.had[event] += np.bincount(places, minlength=2 * CLUSTERS).reshape(2, CLUSTERS)
        return places

    def date(self, at: float) -> None:
        """The window is over: `at` is the time of those that came in it."""
        self.dated[np.isnan(self.dated)] = at

    def state(self) -> dict[str, Any]:
        return {
            "known": self._known,
            "places": self._places,
            "had": self._had,
            "ages": [self.begun, self.dated, self.kept],
            "below": str(self._below),  # up to 2^64, one more than an integer of the snapshot holds
            "entered": self.entered,
            "arrived": self.arrived,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._known, self._places, self._had = state["known"], state["places"], state["had"]
        self.begun, self.dated, self.kept = state["ages"]
        self._below = int(state["below"])
        self.entered, self.arrived = state["entered"], state["arrived"]
        self._count()
