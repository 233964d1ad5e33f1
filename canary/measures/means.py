"""The mean latency: times of exchanges as a MeanSeries.

Times are cut at a cap fixed beforehand (legacy's 99.9 % quantile): the mean of a heavy tail cannot be judged, and what
lies above the cap is a quantile metric's business. A failed exchange counts as slow: as legacy's 95 % quantile at
least, so that failing fast is never rewarded (as the cap, a percent of failures would add half the variance). When
promotion asks whether the candidate is worse by the margin, its own cap and floor lie higher by the margin, so that
cutting cannot hide what is asked for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from canary import histogram
from canary.measures.late_means import LateMeans
from canary.measures.mean_series import LEAST_REQUESTS, MeanSeries, Question, farthest, unsaid
from canary.measures.measure import CANDIDATE, LEGACY, Batch, Floats, Reading, State, occupied
from canary.spec import Metric
from canary.stats import means

CAP_QUANTILE = 0.999
FLOOR_QUANTILE = 0.95
"""Of legacy: what a failed exchange takes at least."""
_REFERENCE = 200


class LatencyMean:
    """Evidence about the mean service time."""

    reference_needed = _REFERENCE

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._caps, self._floors = np.zeros(2), np.zeros(2)
        """Seconds: everybody's, and the candidate's where promotion is asked; 0 until fixed."""
        self._harm, self._margin = MeanSeries(), MeanSeries()
        harm = metric.tolerated.value
        self._question = Question(harm, metric.margin.relative, +1, metric.margin.value - harm)
        self._late = LateMeans(MeanSeries, self._question)

    def fix(self, reference: npt.NDArray[np.int64]) -> None:
        cap = histogram.quantile_of(reference, CAP_QUANTILE)
        floor = histogram.quantile_of(reference, FLOOR_QUANTILE)
        assert cap is not None
        assert floor is not None  # canary.evidence fixes only with `reference_needed` requests
        margin = self.metric.margin
        for both, time in ((self._caps, cap), (self._floors, floor)):
            both[:] = time, time * (1 + margin.value) if margin.relative else time + margin.value

    def add(self, batch: Batch) -> None:
        for series, of_candidate in ((self._harm, 0), (self._margin, 1)):
            caps, floors = self._caps[[0, of_candidate]], self._floors[[0, of_candidate]]
            times = batch.seconds
            if batch.any_failed:
                side = batch.candidate.astype(np.intp)
                times = np.where(batch.failed, np.maximum(times, floors[side]), times)
            series.open += batch.sums(np.minimum(times, np.where(batch.candidate, caps[1], caps[0])))

    def close(self, counts: Floats) -> None:
        self._late.add(self._harm.close(counts), self._harm)
        self._margin.close(counts)

    def cut(self) -> None:
        self._harm.cut()
        self._margin.cut()
        self._late.cut()

    def discard(self) -> None:
        self._harm.open[...] = 0
        self._margin.open[...] = 0

    def read(self, alpha: float) -> Reading:
        windows = self._harm.blocks.windows
        if not self._caps[0]:
            return Reading("ms", waiting=f"{_REFERENCE} requests of legacy must come first, as reference")
        if not windows:
            return Reading("ms", waiting=f"no window has {LEAST_REQUESTS} requests a side yet")
        relative, margin, harm = self.metric.margin.relative, self.metric.margin.value, self.metric.tolerated.value
        candidate, legacy, weight = (float(part) for part in self._harm.blocks.total)
        n = self._harm.exchanges.sum(axis=1)
        units = occupied(self._harm.exchanges)
        estimate = (candidate / legacy - 1 if legacy > 0 else None) if relative else (candidate - legacy) / weight
        rollback = self._harm.log_evidence(self._question)
        promote = self._margin.log_evidence(Question(margin, relative, -1, margin))
        silent, late = rollback <= means.SILENT, self._late.log_evidence()
        return Reading(
            unit="ms",
            legacy=legacy / weight * 1000,
            candidate=candidate / weight * 1000,
            legacy_count=int(n[LEGACY]),
            candidate_count=int(n[CANDIDATE]),
            legacy_units=units[LEGACY],
            candidate_units=units[CANDIDATE],
            estimate=estimate,
            low=None if silent else self._end(self._harm, +1, margin - harm, alpha),
            high=None if silent else self._end(self._margin, -1, margin, alpha),
            log_promote=None if silent else promote,
            log_rollback=None if silent and late == -np.inf else self._late.joined(rollback),
            waiting=unsaid(self._harm) if silent else "",
            lately=self._late.lately("ms", 1000) if late > rollback else "",
        )

    def _end(self, series: MeanSeries, sign: int, design: float, alpha: float) -> float | None:
        """Where the evidence against 'at most' (sign +1) or 'at least' (-1) reaches 1 / alpha."""
        relative = self.metric.margin.relative
        candidate, legacy, weight = (float(part) for part in series.blocks.total)
        middle = candidate / legacy - 1 if relative else (candidate - legacy) / weight

        def excess(null: float) -> float:
            return series.log_evidence(Question(null, relative, sign, design)) + float(np.log(alpha))

        return farthest(excess, middle, sign, design)

    def state(self) -> State:
        own: State = {"caps": self._caps, "floors": self._floors}
        own |= {f"late.{key}": value for key, value in self._late.state().items()}
        for name, series in (("harm", self._harm), ("margin", self._margin)):
            own |= {f"{name}.{key}": value for key, value in series.arrays().items()}
        return own

    def restore(self, state: State) -> None:
        for name, array in self.state().items():
            array[...] = state[name]
        self._harm.forget()
        self._margin.forget()
        self._late.forget()
