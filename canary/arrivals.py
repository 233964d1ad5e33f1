"""Units seen for the first time, as evidence that the sides get the units that the share says. Bounded by a hash
sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from canary.stats import allocation, ratios
from rules.stages import MILLION

CAPACITY = 32_768
"""Units that are remembered. When there are more, the sample is halved: the units with the smaller half of the hashes
stay, and others no longer count. Which ones has nothing to do with their side."""

Hashes = npt.NDArray[np.uint64]


def mix(hashes: Hashes) -> Hashes:
    """Another hash of a unit's hash, independent of its bucket (which decides the side): splitmix64 (Steele et al.
    2014)."""
    z = hashes + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class Arrivals:
    """First-seen units of one rollout attempt, cumulative over its steps."""

    def __init__(self) -> None:
        self._known: Hashes = np.zeros(0, np.uint64)
        """Sorted."""
        self._below = 2**64
        """Only units whose mixed hash is smaller are in the sample."""
        self._logs = np.zeros(len(allocation.PHI))
        self.seen = 0
        self.candidate = 0
        self.expected = 0.0
        """How many of `seen` the shares would have given the candidate."""

    def add(self, unit: Hashes, candidate: npt.NDArray[np.bool_], share: int) -> None:
        """Exchanges' units and sides, at a share in millionths. A share of 0 or all proves nothing and is passed
        over."""
        mixed = mix(unit)
        if self._below < 2**64:
            chosen = mixed < np.uint64(self._below)
            mixed, candidate = mixed[chosen], candidate[chosen]
        found, first = np.unique(mixed, return_index=True)
        at = np.searchsorted(self._known, found)
        known = np.zeros(len(found), np.bool_)
        inside = at < len(self._known)
        known[inside] = self._known[at[inside]] == found[inside]
        fresh = ~known
        if not fresh.any():
            return
        self._known = np.insert(self._known, at[fresh], found[fresh])
        if 0 < share < MILLION:
            n, x, part = int(fresh.sum()), int(candidate[first[fresh]].sum()), share / MILLION
            self._logs += allocation.increments(x, n, part)
            self.seen += n
            self.candidate += x
            self.expected += n * part
        while len(self._known) > CAPACITY:
            self._below //= 2
            self._known = self._known[self._known < np.uint64(self._below)]

    @property
    def log_mismatch(self) -> float:
        """ln of the e-value against 'the sides get what the share says'."""
        return float(ratios.log_mean(self._logs, allocation.EQUAL))

    def state(self) -> dict[str, Any]:
        return {
            "known": self._known,
            "below": str(self._below),  # up to 2^64, one more than an integer of the snapshot holds
            "logs": self._logs,
            "seen": self.seen,
            "candidate": self.candidate,
            "expected": self.expected,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._known = state["known"]
        self._below = int(state["below"])
        self._logs[...] = state["logs"]
        self.seen, self.candidate, self.expected = state["seen"], state["candidate"], state["expected"]
