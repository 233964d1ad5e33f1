"""After a route went live: is it worse than in its own canary? There is no legacy side to compare with any more.

Standard     what the candidate's exchanges in the canary showed: failures, a histogram of times, and how much the
             exchanges of a window have in common.
Hypothesis   per metric, in every window since: at most a part p of the exchanges has the event. `error_rate`: failed,
             p the upper 99.5 % Clopper-Pearson limit of the canary's rate, plus the margin. `latency` with a quantile
             q: slower than the canary's quantile (its upper limit) plus the margin, p = 1 - q.
Formula      a window with x of n adds x ln(r/p) + (n - x) ln((1 - r)/(1 - p)) for alternatives r of RATIOS times the
             odds of p, divided by D(n) = 1 + (n - 1) rho; E = sum over lengths v sum over spells j of
             exp(L_j) / (j (j + 1)), L_j being what a spell's windows add, as in canary.measures.onsets, since what
             begins late must not hide behind what was well before. rho >= 0 is the correlation of two exchanges of a
             window in the canary: in the watch, harm would be a part of it. One D for windows of all sizes would not
             do: a live route's have up to a hundred times the exchanges, and what they share weighs as much more.
Rule         worse when the average of the metrics' E reaches 1 / alpha: by Ville's inequality at most once in 1/alpha
             watches of a candidate that stays within its margins.
Limits       What lasts longer than a window is no part of rho. Load, hour and season do not cancel as they do between
             two sides: the margin must cover them. Means, events, sources and error rates of some kinds of failure
             alone are not watched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from canary import histogram, snapshot, words
from canary.snapshot import SnapshotError
from canary.spec import Gate, Metric, MetricKind
from canary.stats.ratios import RATIOS
from rules.quantities import margin_text

VERSION = 2
LEAST = 200
"""Exchanges of the candidate in its canary, before a watch can be held against them."""
WINDOW_REQUESTS = 20
LENGTHS = (15, 60, 240)
"""Windows of a spell."""
_WEIGHTS = (0.5, 0.25, 0.25)
_LIMIT = 0.995
_Z = 2.576
"""The normal quantile of _LIMIT."""
_ODDS = np.array(RATIOS)
Floats = npt.NDArray[np.float64]


class _Window:
    """Exchanges of the candidate since the last window was closed."""

    def __init__(self) -> None:
        self.began: float | None = None
        self.requests = self.failed = self.unanswered = 0
        self.times = np.zeros(histogram.SIZE, np.int64)

    def add(self, requests: int, failed: int, times: Mapping[int, int], now: float) -> None:
        if self.began is None:
            self.began = now
        self.requests += requests
        self.failed += failed
        self.unanswered += max(0, requests - sum(times.values()))
        self.times += histogram.dense(times)

    def is_full(self, length: float, now: float) -> bool:
        return self.began is not None and now - self.began >= length and self.requests >= WINDOW_REQUESTS

    def events(self, place: int | None) -> int:
        """How many failed (None), or were slower than the bucket at `place` or not answered at all."""
        return self.failed if place is None else int(self.times[place + 1 :].sum()) + self.unanswered


@dataclass(frozen=True, slots=True)
class Bound:
    """What a metric of the watch may be at most."""

    name: str
    place: int | None
    """The bucket of times beyond which an exchange is slow; None where failures are counted."""
    rate: float
    """The part of exchanges that may be so."""
    correlation: float
    """Of two exchanges of a window: whether they have the event."""
    meaning: str
    """In words: ``failed: 0.1 % in the canary, margin 0.5pp``."""

    def dispersion(self, requests: float) -> float:
        """The variance of the events of a window of so many exchanges, by that of as many independent ones."""
        return max(1.0, 1 + (requests - 1) * self.correlation)


def _watchable(gate: Gate) -> tuple[Metric, ...]:
    """What tallies tell: all failures together, and how many exchanges took how long."""
    return tuple(
        metric
        for metric in gate.metrics
        if (metric.kind is MetricKind.ERROR_RATE and not metric.failures)
        or (metric.kind is MetricKind.LATENCY and metric.quantile is not None)
    )


def unwatched(gate: Gate) -> str:
    """``nobody watches 'conversion', 'mean'``: what a gate compares and no watch can; ``""`` where that is nothing."""
    left = [f"'{metric.name}'" for metric in gate.metrics if metric not in _watchable(gate)]
    return f"nobody watches {', '.join(left)}" if left else ""


class Standard:
    """What the candidate has shown in its canary so far."""

    def __init__(self, gate: Gate) -> None:
        self.metrics = _watchable(gate)
        self.length = gate.window
        self.counts = np.zeros(4)
        """Exchanges, failed ones, unanswered ones, of closed windows, and the sum of the squares of their exchanges."""
        self.times = np.zeros(histogram.SIZE, np.int64)
        self.excess = np.zeros((max(len(self.metrics), 1), 3))
        """Per metric, summed over its windows of n: z^2 - 1 of the standard residual z, n - 1, and (z^2 - 1)^2."""
        self._open = _Window()

    def add(self, requests: int, failed: int, times: Mapping[int, int], now: float) -> None:
        """Exchanges of the candidate: how many, how many of them failed, and the times of those that were answered."""
        self._open.add(requests, failed, times, now)
        if not self._open.is_full(self.length, now):
            return
        window, self._open = self._open, _Window()
        if self.counts[0] >= LEAST:
            for number, metric in enumerate(self.metrics):
                rate, place = self._rate_of(metric), self._place_of(metric)
                if 0 < rate < 1:
                    residual = window.events(place) - rate * window.requests
                    beyond = residual**2 / (window.requests * rate * (1 - rate)) - 1
                    self.excess[number] += beyond, window.requests - 1, beyond**2
        self.counts += window.requests, window.failed, window.unanswered, window.requests**2
        self.times += window.times

    def _rate_of(self, metric: Metric) -> float:
        return 1 - metric.quantile if metric.quantile is not None else float(self.counts[1] / self.counts[0])

    def _place_of(self, metric: Metric) -> int | None:
        if metric.quantile is None:
            return None
        return self._bucket(metric.quantile)

    def _bucket(self, quantile: float) -> int:
        """Of that quantile; exchanges without an answer are slower than all."""
        seen = self.times.cumsum()
        return int(
            np.searchsorted(seen, quantile * (seen[-1] + self.counts[2]), side="left").clip(0, histogram.SIZE - 1)
        )

    def bounds(self) -> tuple[Bound, ...]:
        """What a watch is held against; empty where the canary has shown too little."""
        if self.counts[0] < LEAST:
            return ()
        return tuple(self._bound(number, metric) for number, metric in enumerate(self.metrics))

    def _correlation(self, number: int) -> float:
        """By moments, as E z^2 = D(n), and one standard error more: a canary has few windows."""
        beyond, pairs, squares = self.excess[number]
        return float(np.clip((beyond + np.sqrt(squares)) / pairs, 0.0, 1.0)) if pairs else 0.0

    def _bound(self, number: int, metric: Metric) -> Bound:
        correlation = self._correlation(number)
        spread = max(1.0, 1 + (float(self.counts[3] / self.counts[0]) - 1) * correlation)
        margin, n = metric.margin, float(self.counts[0]) / spread
        if metric.quantile is None:
            failed = float(self.counts[1]) / spread
            limit = float(betaincinv(failed + 1, max(n - failed, 1e-9), _LIMIT))
            rate = limit * (1 + margin.value) if margin.relative else limit + margin.value
            shown = f"failed: {100 * self._rate_of(metric):.2g} % in the canary"
            return Bound(metric.name, None, min(rate, 0.95), correlation, f"{shown}, margin {margin_text(margin)}")
        q = metric.quantile
        usual = histogram.seconds(self._bucket(q) + histogram.FIRST)
        upper = histogram.seconds(self._bucket(min(q + _Z * np.sqrt(q * (1 - q) / n), 1.0)) + histogram.FIRST)
        slow = upper * (1 + margin.value) if margin.relative else upper + margin.value
        shown = f"slower than {1000 * slow:.3g} ms: p{100 * q:g} was {1000 * usual:.3g} ms in the canary"
        place = histogram.index(slow) - histogram.FIRST
        return Bound(metric.name, place, 1 - q, correlation, f"{shown}, margin {margin_text(margin)}")

    def state(self) -> dict[str, Any]:
        """What a restart of control must not lose; the open window may be."""
        return {"counts": self.counts, "times": self.times, "excess": self.excess}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Raises SnapshotError."""
        _restore(self.state(), state)


class _Spells:
    """Of one length and one metric."""

    def __init__(self, bound: Bound, length: int) -> None:
        p = bound.rate
        r = _ODDS * p / (1 - p + _ODDS * p)
        self._hit, self._miss = np.log(r / p), np.log((1 - r) / (1 - p))
        self._bound = bound
        self._length = length
        self.logs = np.zeros(len(_ODDS))
        self.numbers = np.array([1.0, 0.0, -np.inf])
        """Which spell this is, its windows, and ln of the weighted sum of those that are over."""
        self.counts = np.zeros(2)

    def add(self, events: int, requests: int) -> None:
        if self.numbers[1] >= self._length:
            self.numbers[:] = self.numbers[0] + 1, 0, np.logaddexp(self.numbers[2], self.log_present())
            self.logs[:] = 0
            self.counts[:] = 0
        self.logs += (events * self._hit + (requests - events) * self._miss) / self._bound.dispersion(requests)
        self.counts += events, requests
        self.numbers[1] += 1

    def log_present(self) -> float:
        j = self.numbers[0]
        return float(np.logaddexp.reduce(self.logs) - np.log(len(self.logs)) - np.log(j * (j + 1)))

    def log_evidence(self) -> float:
        return float(np.logaddexp(self.numbers[2], self.log_present()))

    def state(self) -> dict[str, Any]:
        return {"logs": self.logs, "numbers": self.numbers, "counts": self.counts}


class Watch:
    """What the candidate does since the route went live, against the bounds of its canary."""

    def __init__(self, bounds: tuple[Bound, ...], alpha: float, length: float) -> None:
        self.bounds = bounds
        self.alpha = alpha
        self.length = length
        self.counts = np.zeros(2)
        """Exchanges of closed windows, and windows."""
        self._spells = [[_Spells(bound, each) for each in LENGTHS] for bound in bounds]
        self._open = _Window()

    @classmethod
    def of(cls, standard: Standard, alpha: float) -> Watch:
        return cls(standard.bounds(), alpha, standard.length)

    def add(self, requests: int, failed: int, times: Mapping[int, int], now: float) -> None:
        """As Standard.add."""
        self._open.add(requests, failed, times, now)
        if not self._open.is_full(self.length, now):
            return
        window, self._open = self._open, _Window()
        for bound, spells in zip(self.bounds, self._spells, strict=True):
            events = window.events(bound.place)
            for one in spells:
                one.add(events, window.requests)
        self.counts += window.requests, 1

    @property
    def seen(self) -> int:
        """Exchanges, also of the window that is not closed yet."""
        return int(self.counts[0]) + self._open.requests

    def evidence(self) -> list[float]:
        """ln E of each bound: that it is exceeded, from some window on."""
        return [
            float(
                np.logaddexp.reduce([np.log(w) + one.log_evidence() for w, one in zip(_WEIGHTS, spells, strict=True)])
            )
            for spells in self._spells
        ]

    def worse(self) -> str:
        """Why it is worse than in its canary; ``""`` while that is not proven."""
        logs = self.evidence()
        if not logs or float(np.logaddexp.reduce(logs)) - np.log(len(logs)) < -np.log(self.alpha):
            return ""
        worst = int(np.argmax(logs))
        bound = self.bounds[worst]
        events, requests = max(self._spells[worst], key=lambda one: one.log_present()).counts
        average = float(np.exp(min(float(np.logaddexp.reduce(logs) - np.log(len(logs))), 700.0)))
        return (
            f"'{bound.name}' is worse than in its own canary: {events:.0f} of {requests:.0f} exchanges "
            f"{bound.meaning}; at most {100 * bound.rate:.3g} % may: "
            f"evidence {words.evidence(average)} >= {words.evidence(1 / self.alpha)} (watch)"
        )

    def state(self) -> dict[str, Any]:
        spells = {
            f"{i}.{j}.{k}": v
            for i, row in enumerate(self._spells)
            for j, one in enumerate(row)
            for k, v in one.state().items()
        }
        return {"counts": self.counts, **spells}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Raises SnapshotError."""
        _restore(self.state(), state)


def encode(subject: str, began: float, standard: Standard, watch: Watch | None, since: float) -> bytes:
    """All that is known of one attempt, as bytes."""
    return snapshot.encode(
        {
            "version": VERSION,
            "attempt": [subject, began],
            "metrics": _names(standard),
            "standard": standard.state(),
            "watch": watch.state() if watch is not None else None,
            "since": since,
        }
    )


@dataclass(frozen=True, slots=True)
class Known:
    """What was kept of an attempt."""

    subject: str
    began: float
    standard: Standard
    watch: Watch | None
    since: float


def decode(data: bytes, gate: Gate) -> Known:
    """Raises SnapshotError: damaged, of another version, or of other metrics."""
    state = snapshot.decode(data)
    standard = Standard(gate)
    try:
        if (state["version"], state["metrics"]) != (VERSION, _names(standard)):
            raise SnapshotError("of another gate or version")
        standard.restore(state["standard"])
        watch = None
        if state["watch"] is not None:
            watch = Watch.of(standard, gate.alpha)
            watch.restore(state["watch"])
        subject, began = state["attempt"]
        return Known(str(subject), float(began), standard, watch, float(state["since"]))
    except (KeyError, ValueError, TypeError) as exc:
        raise SnapshotError(f"damaged: {exc!r}") from exc


def _names(standard: Standard) -> list[str]:
    return [metric.model_dump_json() for metric in standard.metrics]


def _restore(into: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    try:
        for name, array in into.items():
            array[...] = state[name]
    except (KeyError, ValueError, TypeError) as exc:
        raise SnapshotError(f"damaged: {exc!r}") from exc
