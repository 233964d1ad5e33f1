"""Made-up traffic of a route, and what a candidate does worse. Seeded: chance is an argument.

Times are lognormal between the two quantiles that are given; a unit's requests are alike (its own factor), and units
come back. That is tamer than what shops have: time goes by without seasons, bursts or releases, so verdicts on real
traffic come later rather than sooner.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from canary.spec import Metric, MetricKind
from rules.failures import FAILURES
from rules.stages import MILLION

OF_UNIT = 0.3
"""Part of the variance of log times that is the unit's own."""
VALUES = 0.8
"""Spread of the logarithm of events' values."""
_STATUS, _TIMEOUT = FAILURES.index("status"), FAILURES.index("timeout")


@dataclass(frozen=True, slots=True)
class Load:
    """What legacy does today."""

    rate: float
    """Requests a second, of both sides together."""
    median: float = 0.05
    """Seconds."""
    p99: float = 0.3
    """Seconds."""
    errors: float = 0.002
    """Failing part of the requests."""
    per_unit: float = 5.0
    """Requests of a unit within a step, on average."""
    events: Mapping[str, float] = field(default_factory=dict)
    """Business event -> how many one request makes, 0 to 1."""
    values: Mapping[str, float] = field(default_factory=dict)
    """Business event -> mean of its values; 1 where it is not named."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the candidate does otherwise; the default is nothing."""

    name: str = "equal"
    slower: float = 1.0
    """Every time, as a multiple."""
    later: float = 0.0
    """Seconds on top of every time."""
    failing: float = 0.0
    """Part of its requests that fail on top of legacy's."""
    events: Mapping[str, float] = field(default_factory=dict)
    """Business event -> how often it happens, as a multiple."""
    values: Mapping[str, float] = field(default_factory=dict)
    """Business event -> its values, as a multiple."""


def can_be_worse(metric: Metric) -> bool:
    """Whether a candidate can be made up that is worse in this metric alone."""
    if metric.kind.is_of_units and not metric.margin.relative:
        return False  # how much that is of what legacy's units do is not known beforehand
    return metric.kind in (MetricKind.ERROR_RATE, MetricKind.LATENCY) or metric.event is not None


def worse(metric: Metric, times: float, load: Load) -> Candidate:
    """A candidate that is worse by so many margins of the metric, and equal otherwise.

    Raises ValueError for a kind that `can_be_worse` says no of.
    """
    by = metric.margin.value * times
    name = f"{metric.name} worse by {times:g} x margin"
    drop = max(0.0, 1 - by) if metric.lower_is_worse else 1 + by
    if metric.kind is MetricKind.ERROR_RATE:
        return Candidate(name, failing=load.errors * by if metric.margin.relative else by)
    if metric.kind is MetricKind.LATENCY:
        return Candidate(name, slower=1 + by) if metric.margin.relative else Candidate(name, later=by)
    if metric.event is None:
        raise ValueError(f"metric '{metric.name}': kind {metric.kind} is not made worse by itself")
    if metric.kind is MetricKind.MEAN_PER_EVENT:
        return Candidate(name, values={metric.event: drop})
    return Candidate(name, events={metric.event: drop})


@dataclass(frozen=True, slots=True)
class Batch:
    """Exchanges as canary.evidence takes them, and their events."""

    clock: npt.NDArray[np.float64]
    unit: npt.NDArray[np.uint64]
    seconds: npt.NDArray[np.float64]
    side: npt.NDArray[np.uint8]
    failure: npt.NDArray[np.uint8]
    events: tuple[tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]], ...]
    """Of each event the rows that made one, and its values."""


class Traffic:
    """A stream of exchanges. `events` are the names, in the order in which the gate numbers them."""

    def __init__(self, load: Load, candidate: Candidate, events: tuple[str, ...], seed: int) -> None:
        self._load = load
        self._candidate = candidate
        self._events = events
        self._rng = np.random.default_rng(seed)
        self._spread = max(1e-3, math.log(load.p99 / load.median) / float(ndtri(0.99)))
        self._units = self._rng.integers(0, 2**64, 1000, np.uint64)
        self._of_unit = self._rng.normal(0, self._spread * math.sqrt(OF_UNIT), 1000)

    def batch(self, begin: float, seconds: float, share: int) -> Batch:
        """The exchanges of `seconds` from `begin`, at the candidate's share in millionths."""
        rng, load, candidate = self._rng, self._load, self._candidate
        count = int(rng.poisson(load.rate * seconds))
        self._renew(count)
        who = rng.integers(0, len(self._units), count)
        unit = self._units[who]
        side = ((unit % np.uint64(MILLION)) < np.uint64(share)).astype(np.uint8)
        tried = side == 1
        logs = self._of_unit[who] + rng.normal(0, self._spread * math.sqrt(1 - OF_UNIT), count)
        times = load.median * np.exp(logs)
        times = np.where(tried, times * candidate.slower + candidate.later, times)
        failing = rng.random(count) < np.where(tried, min(1.0, load.errors + candidate.failing), load.errors)
        kinds = np.where(rng.random(count) < 0.3, _TIMEOUT, _STATUS)
        return Batch(
            begin + np.sort(rng.random(count)) * seconds,
            unit,
            times,
            side,
            np.where(failing, kinds, 0).astype(np.uint8),
            tuple(self._happening(name, tried, failing) for name in self._events),
        )

    def _renew(self, requests: int) -> None:
        """Units leave and others come, so that each makes `per_unit` requests on average; some hundred are about."""
        others = max(self._load.per_unit - 1, 1e-3)  # those that leave before their first request are none
        fresh = min(len(self._units), int(self._rng.poisson(min(requests / others, 1e6))))
        places = self._rng.integers(0, len(self._units), fresh)
        self._units[places] = self._rng.integers(0, 2**64, fresh, np.uint64)
        self._of_unit[places] = self._rng.normal(0, self._spread * math.sqrt(OF_UNIT), fresh)

    def _happening(
        self, name: str, tried: npt.NDArray[np.bool_], failing: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
        load, candidate, rng = self._load, self._candidate, self._rng
        often = load.events.get(name, 0.0) * np.where(tried, candidate.events.get(name, 1.0), 1.0)
        rows = np.flatnonzero((rng.random(len(tried)) < often) & ~failing)
        worth = load.values.get(name, 1.0) * np.where(tried[rows], candidate.values.get(name, 1.0), 1.0)
        return rows, worth * np.exp(rng.normal(-VALUES * VALUES / 2, VALUES, len(rows)))
