"""One value a side of every complete window: what a judgement with a fixed horizon compares. The first ones only.

A judgement that holds for one look must not see more as time goes by: when `horizon` windows are there, what comes
later is not kept. Failed exchanges have no service time; they are slower than anything in a quantile, and as slow as
the slowest answer of either side in their window in a mean: a candidate that fails at once is not fast.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from canary import histogram
from canary.measures.measure import CANDIDATE, CLUSTERS, LEGACY, Batch, Floats, Reading, State, occupied
from canary.spec import Metric, MetricKind
from rules.failures import FAILURES


class WindowPoints:
    """The evidence of one metric as a series of windows. In seconds for latencies, 0 to 1 for error rates."""

    reference_needed = 0

    def __init__(self, metric: Metric, horizon: int) -> None:
        self.metric = metric
        self._counting = np.array([kind in metric.failures for kind in FAILURES]) if metric.failures else None
        """By kind of failure, whether it counts; None where every one does."""
        self._points = np.full((2, horizon), np.nan)
        self._length = np.zeros((), np.int64)
        self._exchanges = np.zeros((2, CLUSTERS))
        """Of the windows that are kept."""
        self._failed = np.zeros(2)
        """This and what follows: of the open window."""
        self._seconds = np.zeros(2)
        """Sum of the answered exchanges' times."""
        self._slowest = np.zeros(())
        self._times = np.zeros((2, histogram.SIZE if metric.quantile is not None else 0), np.int64)

    @property
    def horizon(self) -> int:
        return self._points.shape[1]

    @property
    def is_complete(self) -> bool:
        return int(self._length) >= self.horizon

    def values(self) -> tuple[Floats, Floats]:
        """Legacy's and the candidate's values of the windows so far, oldest first."""
        kept = self._points[:, : int(self._length)]
        return kept[LEGACY], kept[CANDIDATE]

    def fix(self, reference: npt.NDArray[np.int64]) -> None:
        """Nothing to fix."""

    def add(self, batch: Batch) -> None:
        if self.is_complete:
            return
        answered, side = ~batch.failed, batch.candidate.astype(np.intp)
        counted = batch.failed if self._counting is None else self._counting[batch.failure]
        self._failed += np.bincount(side, counted, minlength=2)
        self._seconds += np.bincount(side[answered], batch.seconds[answered], minlength=2)
        if answered.any():
            self._slowest[...] = max(float(self._slowest), float(batch.seconds[answered].max()))
        if self.metric.quantile is not None:
            self._times += batch.histograms

    def close(self, counts: Floats) -> None:
        if not self.is_complete:
            self._points[:, int(self._length)] = self._closed(counts.sum(axis=1))
            self._length += 1
            self._exchanges += counts
        self.discard()

    def _closed(self, n: Floats) -> Floats:
        if self.metric.kind is MetricKind.ERROR_RATE:
            return self._failed / n
        if self.metric.quantile is None:
            means: Floats = (self._seconds + self._failed * self._slowest) / n
            return means
        due = self.metric.quantile * n
        found = [self._quantile(side, float(due[side])) for side in (LEGACY, CANDIDATE)]
        return np.array(found)

    def _quantile(self, side: int, due: float) -> float:
        """The time below which `due` exchanges of the open window lie."""
        seen = self._times[side].cumsum()
        place = int(np.searchsorted(seen, max(due, 1), side="left"))
        return histogram.seconds(place + histogram.FIRST) if place < histogram.SIZE else histogram.MOST

    def cut(self) -> None:
        """Every window stands by itself already."""

    def discard(self) -> None:
        for array in (self._failed, self._seconds, self._slowest, self._times):
            array[...] = 0

    def read(self, alpha: float) -> Reading:
        """The windows' means of both sides and what they are of. It says nothing of the difference: that is for
        canary.kayenta.judging, once."""
        n = self._exchanges.sum(axis=1)
        units = occupied(self._exchanges)
        latency = self.metric.kind is MetricKind.LATENCY
        means = self._points[:, : int(self._length)].mean(axis=1) if int(self._length) else None
        return Reading(
            unit="ms" if latency else "%",
            legacy=None if means is None else float(means[LEGACY]) * (1000 if latency else 100),
            candidate=None if means is None else float(means[CANDIDATE]) * (1000 if latency else 100),
            legacy_count=int(n[LEGACY]),
            candidate_count=int(n[CANDIDATE]),
            legacy_units=units[LEGACY],
            candidate_units=units[CANDIDATE],
            waiting="" if self.is_complete else f"{int(self._length)} of {self.horizon} windows",
        )

    def state(self) -> State:
        return {
            "points": self._points,
            "length": self._length,
            "exchanges": self._exchanges,
            "failed": self._failed,
            "seconds": self._seconds,
            "slowest": self._slowest,
            "times": self._times,
        }

    def restore(self, state: State) -> None:
        for name, array in self.state().items():
            array[...] = state[name]
