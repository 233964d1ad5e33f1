"""Seeded traffic of two sides for the canary's benchmarks: six workloads, whole batches of columns at a time.

A unit's side is decided by its hash and the share, as fig decides it. What the candidate does worse is an `Effect`.
Times are seconds; `unit` hashes are uniform, and their upper bits (the cluster) say nothing about their lower ones (the
side).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from rules.failures import FAILURES
from rules.stages import MILLION

Floats = npt.NDArray[np.float64]

SPREAD = float(np.sqrt(np.log(1.25)))
"""Of a lognormal's logarithm: coefficient of variation 0.5."""
TYPICAL = 0.1
PARETO = 2.1
RHO = 0.7
PERIOD = 40_000
"""Exchanges in a day of `drift`."""
PER_UNIT = 10
"""Mean exchanges of a unit of `clustered`; how many one has is Pareto distributed (2.5)."""
ICC = 0.3
"""Part of the variance of log times that is the unit's own, in `clustered`."""
ERRORS = 0.01
TIMEOUTS = 0.3
"""Part of the failures that are timeouts; the others are answers of 500 and more."""
BUYING, ORDER = 0.05, 40.0
"""Part of the units that order, and their median order; its logarithm has a spread of 1."""
_TIMEOUT, _STATUS = FAILURES.index("timeout"), FAILURES.index("status")


@dataclass(frozen=True, slots=True)
class Effect:
    """What the candidate does otherwise. The default is nothing: A/A."""

    name: str = "none"
    slower: float = 1.0
    """Every time, as a multiple."""
    tail: float = 0.0
    """Part of the exchanges that take five times as long."""
    errors: tuple[float, float] = (ERRORS, ERRORS)
    """Failing part of legacy's and the candidate's exchanges, on average."""
    orders: float = 1.0
    """How often units order, as a multiple."""
    spending: float = 1.0
    """What they spend, as a multiple."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Columns of equal length, as canary.evidence takes them, in order of time; `revenue` is 0 without an order."""

    clock: Floats
    unit: npt.NDArray[np.uint64]
    seconds: Floats
    side: npt.NDArray[np.uint8]
    failure: npt.NDArray[np.uint8]
    revenue: Floats


class Traffic:
    """One run's exchanges. `workload` is a name of WORKLOADS; `total` about how many will be asked for."""

    def __init__(self, workload: str, seed: int, share: int, effect: Effect, total: int) -> None:
        self._rng = np.random.default_rng([seed, sum(workload.encode()), share])
        self._times = WORKLOADS[workload]
        self._share = share
        self.effect = effect
        self.seen = 0
        self.level = np.zeros(2)
        """Where the autocorrelated noise of either side stands."""
        self._units: npt.NDArray[np.uint64] | None = None
        if workload == "clustered":
            self._populate(max(2000, total // PER_UNIT))

    def _populate(self, units: int) -> None:
        rng = self._rng
        self._units = rng.integers(0, 2**64, units, dtype=np.uint64)
        self._of_unit = rng.normal(0, SPREAD * np.sqrt(ICC), units)
        self._chance = (rng.pareto(2.5, units) + 1).cumsum()
        self._chance /= self._chance[-1]
        # A tenth of the units has ten times the errors of the others, so that failures come in clusters.
        self._prone = np.where(rng.random(units) < 0.1, 10.0, 1.0) / 1.9

    def batch(self, exchanges: int, begin: float, length: float = 1.0) -> Batch:
        """The next `exchanges`, of a batch that lasts from `begin` for `length` seconds."""
        rng, effect = self._rng, self.effect
        chosen = None
        if self._units is None:
            unit = rng.integers(0, 2**64, exchanges, dtype=np.uint64)
        else:
            chosen = np.minimum(np.searchsorted(self._chance, rng.random(exchanges)), len(self._units) - 1)
            unit = self._units[chosen]
        side = (unit % np.uint64(MILLION) < np.uint64(self._share)).astype(np.uint8)
        common = self._common(exchanges)
        seconds = self._times(self, rng, side, chosen) * common
        seconds *= np.where(side == 1, effect.slower, 1.0)
        if effect.tail:
            seconds[(side == 1) & (rng.random(exchanges) < effect.tail)] *= 5
        rate = np.array(effect.errors)[side] * common
        if chosen is not None:
            rate = rate * self._prone[chosen]
        failed = rng.random(exchanges) < rate
        kind = np.where(rng.random(exchanges) < TIMEOUTS, _TIMEOUT, _STATUS)
        orders = np.flatnonzero(rng.random(exchanges) < BUYING * np.where(side == 1, effect.orders, 1.0))
        revenue = np.zeros(exchanges)
        revenue[orders] = ORDER * np.exp(rng.normal(0, 1, len(orders))) * np.where(side[orders], effect.spending, 1.0)
        self.seen += exchanges
        clock = begin + length * (np.arange(exchanges) + 0.5) / exchanges
        return Batch(clock, unit, seconds, side, np.where(failed, kind, 0).astype(np.uint8), revenue)

    def _common(self, exchanges: int) -> Floats | float:
        """What both sides have in common now: 1, or the daily drift."""
        if self._times is not _drifting:
            return 1.0
        return np.asarray(1 + 0.5 * np.sin(2 * np.pi * (self.seen + np.arange(exchanges)) / PERIOD))

    def of_unit(self, chosen: npt.NDArray[np.intp]) -> Floats:
        """The units' own part of their log times."""
        return np.asarray(self._of_unit[chosen])


Times = Callable[[Traffic, np.random.Generator, npt.NDArray[np.uint8], Any], Floats]


def _lognormal(_: Traffic, rng: np.random.Generator, side: npt.NDArray[np.uint8], __: Any) -> Floats:
    return np.asarray(TYPICAL * np.exp(rng.normal(0, SPREAD, len(side))))


def _drifting(traffic: Traffic, rng: np.random.Generator, side: npt.NDArray[np.uint8], chosen: Any) -> Floats:
    return _lognormal(traffic, rng, side, chosen)


def _pareto(_: Traffic, rng: np.random.Generator, side: npt.NDArray[np.uint8], __: Any) -> Floats:
    return np.asarray(TYPICAL / 2 * (rng.pareto(PARETO, len(side)) + 1))


def _autocorrelated(traffic: Traffic, rng: np.random.Generator, side: npt.NDArray[np.uint8], __: Any) -> Floats:
    """Log times of a side follow each other with a correlation of RHO."""
    logs = np.zeros(len(side))
    for one in (0, 1):
        mine = np.flatnonzero(side == one)
        if not len(mine):
            continue
        pushes = rng.normal(0, SPREAD * np.sqrt(1 - RHO**2), len(mine))
        logs[mine], last = lfilter([1.0], [1.0, -RHO], pushes, zi=[RHO * traffic.level[one]])
        traffic.level[one] = last[0] / RHO
    return np.asarray(TYPICAL * np.exp(logs))


def _slow_noise(traffic: Traffic, rng: np.random.Generator, side: npt.NDArray[np.uint8], chosen: Any) -> Floats:
    """Every batch has a level of its own on either side: 10 % up and down, with a correlation of RHO from batch to
    batch. Not one of the six: what is known to be hardest."""
    traffic.level = RHO * traffic.level + rng.normal(0, 0.1 * np.sqrt(1 - RHO**2), 2)
    return np.asarray(_lognormal(traffic, rng, side, chosen) * np.exp(traffic.level)[side])


def _clustered(traffic: Traffic, rng: np.random.Generator, side: npt.NDArray[np.uint8], chosen: Any) -> Floats:
    own = rng.normal(0, SPREAD * np.sqrt(1 - ICC), len(side))
    return np.asarray(TYPICAL * np.exp(traffic.of_unit(chosen) + own))


WORKLOADS: dict[str, Times] = {
    "lognormal": _lognormal,
    "pareto": _pareto,
    "ar1": _autocorrelated,
    "drift": _drifting,
    "clustered": _clustered,
    "revenue": _lognormal,
    "slow": _slow_noise,
}
"""`revenue` is `lognormal` for the times; every run has zero-inflated revenue."""
REQUIRED = ("lognormal", "pareto", "ar1", "drift", "clustered", "revenue")

EQUAL = Effect()
_FEW = (0.001, 0.001)
"""Failures where a figure is about times: a failed exchange counts as slow, so a percent of them hides a tail."""
AT_MARGIN = Effect("at margin", slower=1.05, errors=(ERRORS, ERRORS + 0.005), orders=0.9, spending=1.0)
"""Every metric exactly at its margin (see canary_gate_run.METRICS), so that each may be excluded wrongly."""
EFFECTS: dict[str, Effect] = {
    "errors 0 -> 2 %": Effect("errors 0 -> 2 %", errors=(0.0, 0.02)),
    "errors 1 -> 1.5 %": Effect("errors 1 -> 1.5 %", errors=(0.01, 0.015)),
    "mean +5 %": Effect("mean +5 %", slower=1.05, errors=_FEW),
    "tail 2 % x5": Effect("tail 2 % x5", tail=0.02, errors=_FEW),
    "median +10 %": Effect("median +10 %", slower=1.1, errors=_FEW),
    "A/A promote": Effect("A/A promote", errors=_FEW),
}
