"""The mean latency, window by window, with what units and time make alike taken into account; see stats/means.py.

Times are cut at a cap fixed beforehand (legacy's 99.9 % quantile): the mean of a heavy tail cannot be judged, and what
lies above the cap is a quantile metric's business. A failed exchange counts as slow: as legacy's 95 % quantile at
least, so that failing fast is never rewarded (as the cap, a percent of failures would add half the variance). When
promotion asks whether the candidate is worse by the margin, its own cap and floor lie higher by the margin, so that
cutting cannot hide what is asked for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from canary import histogram
from canary.measures.measure import CANDIDATE, CLUSTERS, LEGACY, Batch, Floats, Reading, State, occupied
from canary.spec import Metric
from canary.stats import means
from canary.stats.blocks import Blocks

CAP_QUANTILE = 0.999
FLOOR_QUANTILE = 0.95
"""Of legacy: what a failed exchange takes at least."""
LEAST_REQUESTS = 10
"""A side, before a window of means is complete: fewer make its weights depend on its values."""
_REFERENCE = 200


class MeanSeries:
    """One comparison of means: windows of sums, their influences and blocks."""

    def __init__(self) -> None:
        self.counts, self.sums = np.zeros((2, CLUSTERS)), np.zeros((2, CLUSTERS))
        """Of the window that is not complete yet."""
        self.open = np.zeros((2, CLUSTERS))
        self.influence = np.zeros((2, CLUSTERS))
        self.exchanges = np.zeros((2, CLUSTERS))
        self.blocks = Blocks()
        self._moments: tuple[Floats, Floats] | None = None

    def close(self, counts: Floats) -> None:
        self.counts += counts
        self.sums += self.open
        self.open[...] = 0
        if self.counts.sum(axis=1).min() < LEAST_REQUESTS:
            return
        h, m, added = means.influences(self.counts, self.sums)
        self.influence += added
        self._moments = None
        self.exchanges += self.counts
        self.blocks.push(h * np.array([m[CANDIDATE], m[LEGACY], 1.0]))
        self.cut()

    def cut(self) -> None:
        self.counts[...] = 0
        self.sums[...] = 0

    def moments(self) -> tuple[Floats, Floats]:
        """`means.moments` of the influences; found once a window, though the ends of the interval ask often."""
        if self._moments is None:
            self._moments = means.moments(self.influence)
        return self._moments

    def forget(self) -> None:
        """The arrays were written from elsewhere."""
        self._moments = None

    def log_evidence(self, null: float, relative: bool, sign: int, design: float) -> float:
        """ln E that the difference is beyond `null`: above it (sign +1) or below it (-1)."""
        candidate, legacy, weight = (float(part) for part in self.blocks.total)
        factor, offset = (1 + null, 0.0) if relative else (1.0, null)
        u = candidate - factor * legacy - offset * weight
        by_unit, freedom = means.unit_variance(self.moments(), factor)
        if self.blocks.windows < means.BURN_IN or freedom < means.LEAST_FREEDOM:
            return means.SILENT
        residual = (candidate - factor * legacy) / weight
        by_time, time_freedom = self.blocks.variance(np.array([1.0, -factor, -residual]), beyond=by_unit)
        if by_time > by_unit:
            by_unit, freedom = by_time, min(freedom, time_freedom)
        return means.log_evidence(sign * u, by_unit, freedom, legacy if relative else weight, design)

    def arrays(self) -> State:
        own: State = {
            "counts": self.counts,
            "sums": self.sums,
            "open": self.open,
            "influence": self.influence,
            "exchanges": self.exchanges,
        }
        return own | {f"blocks.{name}": value for name, value in self.blocks.state().items()}


class LatencyMean:
    """Evidence about the mean service time."""

    reference_needed = _REFERENCE

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._caps, self._floors = np.zeros(2), np.zeros(2)
        """Seconds: everybody's, and the candidate's where promotion is asked; 0 until fixed."""
        self._harm, self._margin = MeanSeries(), MeanSeries()

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
        self._harm.close(counts)
        self._margin.close(counts)

    def cut(self) -> None:
        self._harm.cut()
        self._margin.cut()

    def discard(self) -> None:
        self._harm.open[...] = 0
        self._margin.open[...] = 0

    def read(self, alpha: float) -> Reading:
        windows = self._harm.blocks.windows
        if not self._caps[0]:
            return Reading("ms", waiting=f"{_REFERENCE} requests of legacy must come first, as reference")
        if not windows:
            return Reading("ms", waiting=f"no window has {LEAST_REQUESTS} requests a side yet")
        metric, relative = self.metric, self.metric.margin.relative
        margin, harm = metric.margin.value, metric.tolerated.value
        candidate, legacy, weight = (float(part) for part in self._harm.blocks.total)
        n = self._harm.exchanges.sum(axis=1)
        units = occupied(self._harm.exchanges)
        estimate = (candidate / legacy - 1 if legacy > 0 else None) if relative else (candidate - legacy) / weight
        rollback = self._harm.log_evidence(harm, relative, +1, margin - harm)
        promote = self._margin.log_evidence(margin, relative, -1, margin)
        silent = rollback <= means.SILENT
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
            log_rollback=None if silent else rollback,
            waiting=f"{windows} of {means.BURN_IN} windows, or too few units" if silent else "",
        )

    def _end(self, series: MeanSeries, sign: int, design: float, alpha: float) -> float | None:
        """Where the evidence against 'at most' (sign +1) or 'at least' (-1) reaches 1 / alpha."""
        relative = self.metric.margin.relative
        candidate, legacy, weight = (float(part) for part in series.blocks.total)
        middle = candidate / legacy - 1 if relative else (candidate - legacy) / weight

        def excess(null: float) -> float:
            return series.log_evidence(null, relative, sign, design) + float(np.log(alpha))

        far = design
        for _ in range(12):
            if excess(middle - sign * far) > 0:
                return float(brentq(excess, middle - sign * far, middle, xtol=design * 5e-3))
            far *= 2
        return None

    def state(self) -> State:
        own: State = {"caps": self._caps, "floors": self._floors}
        for name, series in (("harm", self._harm), ("margin", self._margin)):
            own |= {f"{name}.{key}": value for key, value in series.arrays().items()}
        return own

    def restore(self, state: State) -> None:
        for name, array in self.state().items():
            array[...] = state[name]
        self._harm.forget()
        self._margin.forget()
