"""`mean_per_unit`, `mean_per_event`, `throughput`: values of events per unit or per event, and requests per unit.

Compared     The window's values per unit of the step, or per event, window by window, with the variance of clusters of
             units and of time; see stats/means.py. An event of a unit that came long ago is divided by all units that
             are there, on both sides alike.
Cut          Values are cut at legacy's 99 % quantile, fixed from its first values, which do not count. When promotion
             asks whether the candidate is worse by the margin, its cut is moved by the margin, so that cutting cannot
             hide what is asked for.
Direction    + is worse: where more is better (`lower_is_worse`) a difference is 1 - candidate / legacy.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from canary.cohort import Places
from canary.happenings import Happenings
from canary.measures.means import LEAST_REQUESTS, MeanSeries
from canary.measures.measure import CANDIDATE, CLUSTERS, LEGACY, Floats, Reading, State, occupied
from canary.measures.of_units import OfUnits, shown, table, weighed
from canary.spec import Metric, MetricKind
from canary.stats import means

REFERENCE = 200
"""Values of legacy from which the cut is fixed."""
CAP_QUANTILE = 0.99


class UnitSeries(MeanSeries):
    """Means whose windows' weight h is that of all units of the step, few of which do something in a window: h grows
    while the means fall. Windows are then alike not in their differences, but in the ratio of the sides."""

    def log_evidence(self, null: float, relative: bool, sign: int, design: float) -> float:
        """As of MeanSeries; `relative` always."""
        candidate, legacy, _ = (float(part) for part in self.blocks.total)
        factor = 1 + null
        by_unit, freedom = means.unit_variance(self.moments(), factor)
        if self.blocks.windows < means.BURN_IN or freedom < means.LEAST_FREEDOM:
            return means.SILENT
        line = np.array([1.0, -candidate / legacy, 0.0])
        by_time, time_freedom = self.blocks.variance(line, beyond=by_unit)
        if by_time > by_unit:
            by_unit, freedom = by_time, min(freedom, time_freedom)
        return means.log_evidence(sign * (candidate - factor * legacy), by_unit, freedom, legacy, design)


class UnitMean(OfUnits):
    """Evidence about a mean: of events' values, per unit or per event, or of requests per unit."""

    def __init__(self, metric: Metric, happenings: Happenings, silence: float) -> None:
        super().__init__(metric, happenings, silence)
        self._sign = -1 if metric.lower_is_worse else +1
        self._per_event = metric.kind is MetricKind.MEAN_PER_EVENT
        self._unit = {
            MetricKind.MEAN_PER_UNIT: "per unit",
            MetricKind.MEAN_PER_EVENT: "per event",
            MetricKind.THROUGHPUT: "requests per unit",
        }[metric.kind]
        self._values = np.full(REFERENCE, np.nan)
        """Legacy's first, until the cut is fixed."""
        self._cap = np.full(1, np.inf if metric.kind is MetricKind.THROUGHPUT else np.nan)
        self._counts = np.zeros((2, CLUSTERS))
        """Events of the open window."""
        self._sums = np.zeros(2)
        """Of values that counted in this step."""
        self._steps = np.zeros(3)
        """`weighed` values of the steps that are over, summed."""
        self._harm, self._margin = UnitSeries(), UnitSeries()

    def step_over(self) -> None:
        self._steps += weighed(self._sums, self._cohort.arrived)
        self._sums[:] = 0

    def asked(self, places: Places) -> None:
        found = table(places)
        self._harm.open += found
        self._margin.open += found
        self._sums += found.sum(axis=1)

    def happened(self, places: Places, values: Floats, firsts: Places) -> None:
        readable = np.isfinite(values)
        places, values = places[readable], values[readable]
        if np.isnan(self._cap[0]):
            self._fix_cap(values[places < CLUSTERS])
            return
        cap = float(self._cap[0])
        cut = np.clip(values, -cap, cap)
        self._counts += table(places)
        found = table(places, cut)
        self._harm.open += found
        self._sums += found.sum(axis=1)
        # Were the candidate worse by the margin, so were what is cut of its values.
        caps = np.where(places >= CLUSTERS, cap * (1 + self._sign * self.metric.margin.value), cap)
        self._margin.open += table(places, np.clip(values, -caps, caps))

    def _fix_cap(self, legacy: Floats) -> None:
        free = np.flatnonzero(np.isnan(self._values))[: len(legacy)]
        self._values[free] = legacy[: len(free)]
        if not np.isnan(self._values).any():
            self._cap[0] = np.quantile(np.abs(self._values), CAP_QUANTILE)

    def close(self, counts: Floats) -> None:
        """`counts` of exchanges are none of its business."""
        each = self._counts if self._per_event else self._cohort.units
        if not np.isnan(self._cap[0]) and each.sum(axis=1).min() > 0:
            self._harm.close(each)
            self._margin.close(each)
        self.discard()

    def cut(self) -> None:
        self._harm.cut()
        self._margin.cut()

    def discard(self) -> None:
        self._counts = np.zeros((2, CLUSTERS))
        self._harm.open[...] = 0
        self._margin.open[...] = 0

    def read(self, alpha: float) -> Reading:
        counted = "events" if self._per_event else "units"
        if np.isnan(self._cap[0]):
            found = int(np.isfinite(self._values).sum())
            waiting = f"{found} of {REFERENCE} values of legacy that must come first, as reference"
            return Reading(self._unit, waiting=waiting, counted=counted)
        windows = self._harm.blocks.windows
        if not windows:
            waiting = f"no window has {LEAST_REQUESTS} {counted} a side yet"
            return Reading(self._unit, waiting=waiting, counted=counted)
        candidate, legacy, weight = (float(part) for part in self._harm.blocks.total)
        if legacy <= 0:
            return Reading(self._unit, waiting="legacy's mean is not above 0", counted=counted)
        margin, harm = self.metric.margin.value, self.metric.tolerated.value
        n = self._harm.exchanges.sum(axis=1) if self._per_event else self._cohort.entered
        units = occupied(self._harm.exchanges)
        rollback = self._evidence(self._harm, harm, +1, margin - harm)
        promote = self._evidence(self._margin, margin, -1, margin)
        silent = rollback <= means.SILENT
        values = shown(self._steps + weighed(self._sums, self._cohort.arrived))
        if self._per_event:
            values = np.array([legacy, candidate]) / weight
        return Reading(
            unit=self._unit,
            legacy=float(values[LEGACY]),
            candidate=float(values[CANDIDATE]),
            legacy_count=int(n[LEGACY]),
            candidate_count=int(n[CANDIDATE]),
            legacy_units=units[LEGACY],
            candidate_units=units[CANDIDATE],
            estimate=self._sign * (candidate / legacy - 1),
            low=None if silent else self._end(self._harm, +1, margin - harm, alpha),
            high=None if silent else self._end(self._margin, -1, margin, alpha),
            log_promote=None if silent else promote,
            log_rollback=None if silent else rollback,
            waiting=f"{windows} of {means.BURN_IN} windows, or too few units" if silent else "",
            counted=counted,
        )

    def _evidence(self, series: UnitSeries, worse: float, side: int, design: float) -> float:
        """ln E that the candidate is worse by more (`side` +1) or by less (-1) than `worse`."""
        return series.log_evidence(self._sign * worse, True, self._sign * side, design)

    def _end(self, series: UnitSeries, side: int, design: float, alpha: float) -> float | None:
        """Where the evidence against 'at most' (+1) or 'at least' (-1) reaches 1 / alpha."""
        candidate, legacy, _ = (float(part) for part in series.blocks.total)
        middle = self._sign * (candidate / legacy - 1)

        def excess(null: float) -> float:
            return self._evidence(series, null, side, design) + float(np.log(alpha))

        far = design
        for _ in range(12):
            if excess(middle - side * far) > 0:
                return float(brentq(excess, middle - side * far, middle, xtol=design * 1e-3))
            far *= 2
        return None

    def state(self) -> State:
        own: State = {"values": self._values, "cap": self._cap, "counts": self._counts, "sums": self._sums}
        own["steps"] = self._steps
        for name, series in (("harm", self._harm), ("margin", self._margin)):
            own |= {f"{name}.{key}": value for key, value in series.arrays().items()}
        return own

    def restore(self, state: State) -> None:
        for name, array in self.state().items():
            array[...] = state[name]
        self._harm.forget()
        self._margin.forget()
