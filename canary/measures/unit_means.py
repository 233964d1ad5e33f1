"""`mean_per_unit`, `mean_per_event`, `throughput`: values of events per unit or per event, and requests per unit.

Compared     The window's values per unit of the step, or per event, window by window, with the variance of clusters of
             units and of time; see stats/means.py. An event of a unit that came long ago is divided by all units that
             are there, on both sides alike.
Relative     Values are cut at legacy's 99 % quantile, fixed from its first values, which do not count. When promotion
             asks whether the candidate is worse by the margin, cuts are apart by the margin, so that cutting cannot
             hide what is asked for: none is below the quantile, else a price that nearly all pay would be cut on one
             side alone.
Absolute     Of events alone. Rollback looks at values cut as above, at one size on both sides; promotion at whole
             values, for cutting hides as much of an absolute difference as lies above the cut: see aged_means.py.
Direction    + is worse: where more is better (`lower_is_worse`) a difference is 1 - candidate / legacy, or legacy -
             candidate.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from canary import histogram
from canary.cohort import Places
from canary.happenings import Happenings
from canary.measures.evenness import Evenness
from canary.measures.late_means import LateMeans
from canary.measures.mean_series import LEAST_REQUESTS, MeanSeries, Question, farthest, unsaid
from canary.measures.measure import CANDIDATE, CLUSTERS, LEGACY, Floats, Reading, State, occupied
from canary.measures.of_units import OfUnits, shown, table, weighed
from canary.spec import Metric, MetricKind
from canary.stats import means

REFERENCE = 200
"""Values of legacy from which the cut is fixed."""
CAP_QUANTILE = 0.99
_SCALE = 1e4
"""Sizes of values are counted in canary.histogram as sqrt(size / _SCALE) seconds: from 1e-8 to 1e14, to 2 %."""


class UnitSeries(MeanSeries):
    """Means whose windows' weight h is that of all units of the step, few of which do something in a window: h grows
    while the means fall. Windows are then alike not in their differences, but in the ratio of the sides. Relative
    questions alone."""

    alike = False

    def over_time(self, factor: float, by_unit: float) -> tuple[float, float]:
        candidate, legacy, _ = (float(part) for part in self.blocks.total)
        if legacy <= 0:
            return 0.0, np.inf
        return self.blocks.variance(np.array([1.0, -candidate / legacy, 0.0]), beyond=by_unit, alike=False)

    def sensitivity(self) -> float:
        """Means that shift by 0.42 of themselves: over their spread, squared."""
        legacy, weight = float(self.blocks.total[LEGACY + 1]), float(self.blocks.total[2])
        spread, _ = self.by_unit(1.0)
        return legacy**2 / (weight * spread) if spread > 0 else 0.0


def sizes_of(values: Floats) -> npt.NDArray[np.int64]:
    """A histogram of how large they are, whatever their sign."""
    sizes = histogram.offsets(np.sqrt(np.abs(values) / _SCALE))
    return np.bincount(sizes, minlength=histogram.SIZE)


def cap_of(sizes: npt.NDArray[np.int64]) -> float:
    """Where values are cut; not a number while there are too few, or nearly all are 0."""
    size = histogram.quantile_of(sizes, CAP_QUANTILE)
    if size is None or size <= 2 * histogram.LEAST or sizes.sum() < REFERENCE:
        return np.nan
    return float(size**2 * _SCALE)


class UnitMean(OfUnits):
    """Evidence about a mean: of events' values, per unit or per event, or of requests per unit."""

    def __init__(self, metric: Metric, happenings: Happenings, silence: float) -> None:
        super().__init__(metric, happenings, silence)
        self._sign = -1 if metric.lower_is_worse else +1
        self._per_event = metric.kind is MetricKind.MEAN_PER_EVENT
        self._relative = metric.margin.relative
        self._unit = metric.counted_in
        self._sizes = np.zeros(histogram.SIZE, np.int64)
        """Of legacy's first values, until the cut is fixed."""
        self._cap = np.full(1, np.inf if metric.kind is MetricKind.THROUGHPUT else np.nan)
        self._counts = np.zeros((2, CLUSTERS))
        """Events of the open window."""
        self._sums = np.zeros(2)
        """Of values that counted in this step."""
        self._steps = np.zeros(3)
        """`weighed` values of the steps that are over, summed."""
        series = UnitSeries if self._relative else MeanSeries  # the number of events does not grow with time
        self._harm, self._margin = series(), series()
        harm = metric.tolerated.value
        self._question = self._asked(harm, +1, metric.margin.value - harm)
        self._late = LateMeans(series, self._question)
        self._evenness, self._open = Evenness(), Evenness()
        """Of absolute differences: of closed windows, and of the open one."""

    def step_over(self) -> None:
        self._steps += weighed(self._sums, self._cohort.arrived)
        self._sums[:] = 0

    def asked(self, places: Places) -> None:
        found = table(places)
        self._harm.open += found
        self._margin.open += found
        self._sums += found.sum(axis=1)

    def happened(self, places: Places, values: Floats, firsts: Places) -> None:
        if self.metric.kind is MetricKind.THROUGHPUT:
            self.asked(places)
            return
        readable = np.isfinite(values)
        places, values = places[readable], values[readable]
        if np.isnan(self._cap[0]):
            self._sizes += sizes_of(values[places < CLUSTERS])
            return
        cap = float(self._cap[0])
        cut = np.clip(values, -cap, cap)
        self._counts += table(places)
        found = table(places, cut)
        self._harm.open += found
        self._sums += found.sum(axis=1)
        if not self._relative:
            self._margin.open += table(places, values)
            self._open.add(places >= CLUSTERS, values)
            return
        # Were the candidate worse by the margin, so were what is cut of its values.
        worse = 1 + self._sign * self.metric.margin.value
        lower, upper = cap, cap * max(worse, 1 / worse)
        caps = np.where((places >= CLUSTERS) == (worse > 1), upper, lower)
        self._margin.open += table(places, np.clip(values, -caps, caps))

    def close(self, counts: Floats) -> None:
        """`counts` of exchanges are none of its business."""
        if np.isnan(self._cap[0]):
            # Between windows: within one it would matter in which order values come, and in which batches.
            self._cap[0] = cap_of(self._sizes)
            self.discard()
            return
        each = self._counts if self._per_event else self._cohort.units
        if each.sum(axis=1).min() > 0:
            self._late.add(self._harm.close(each), self._harm)
            self._margin.close(each)
            self._evenness.powers += self._open.powers
        self.discard()

    def cut(self) -> None:
        self._harm.cut()
        self._margin.cut()
        self._late.cut()

    def discard(self) -> None:
        self._counts = np.zeros((2, CLUSTERS))
        self._harm.open[...] = 0
        self._margin.open[...] = 0
        self._open.powers[...] = 0

    def read(self, alpha: float) -> Reading:
        counted = "events" if self._per_event else "units"
        if np.isnan(self._cap[0]):
            found = int(self._sizes.sum())
            waiting = f"{found} of {REFERENCE} values of legacy that must come first, as reference"
            return Reading(self._unit, waiting=waiting, counted=counted)
        windows = self._harm.blocks.windows
        if not windows:
            waiting = f"no window has {LEAST_REQUESTS} {counted} a side yet"
            return Reading(self._unit, waiting=waiting, counted=counted)
        if self._harm.blocks.total[LEGACY + 1] <= 0 and self._relative:  # (candidate, legacy, weight)
            return Reading(self._unit, waiting="legacy's mean is not above 0", counted=counted)
        margin, harm = self.metric.margin.value, self.metric.tolerated.value
        n = self._harm.exchanges.sum(axis=1) if self._per_event else self._cohort.entered
        units = occupied(self._harm.exchanges)
        rollback = self._harm.log_evidence(self._question)
        promote = self._margin.log_evidence(self._asked(margin, -1, margin))
        silent, late = rollback <= means.SILENT, self._late.log_evidence()
        uneven = "" if self._relative else self._evenness.missing()
        values = shown(self._steps + weighed(self._sums, self._cohort.arrived))
        if self._per_event:
            whole = (self._harm if self._relative else self._margin).blocks.total
            values = whole[[1, 0]] / whole[2]
        return Reading(
            unit=self._unit,
            legacy=float(values[LEGACY]),
            candidate=float(values[CANDIDATE]),
            legacy_count=int(n[LEGACY]),
            candidate_count=int(n[CANDIDATE]),
            legacy_units=units[LEGACY],
            candidate_units=units[CANDIDATE],
            estimate=self._middle(self._harm if self._relative else self._margin),
            low=None if silent else self._end(self._harm, +1, margin - harm, alpha),
            high=None if silent or uneven else self._end(self._margin, -1, margin, alpha),
            log_promote=None if silent or uneven else promote,
            log_rollback=None if silent and late == -np.inf else self._late.joined(rollback),
            waiting=unsaid(self._harm) if silent else uneven,
            lately=self._lately() if late > rollback else "",
            counted=counted,
        )

    def _lately(self) -> str:
        return self._late.lately(self._unit) if self._per_event else self._late.of_legacy()

    def _middle(self, series: MeanSeries) -> float:
        candidate, legacy, weight = (float(part) for part in series.blocks.total)
        return self._sign * (candidate / legacy - 1 if self._relative else (candidate - legacy) / weight)

    def _asked(self, worse: float, side: int, design: float) -> Question:
        """Whether the candidate is worse by more (`side` +1) or by less (-1) than `worse`."""
        return Question(self._sign * worse, self._relative, self._sign * side, design)

    def _end(self, series: MeanSeries, side: int, design: float, alpha: float) -> float | None:
        """Where the evidence against 'at most' (+1) or 'at least' (-1) reaches 1 / alpha."""

        def excess(null: float) -> float:
            return series.log_evidence(self._asked(null, side, design)) + float(np.log(alpha))

        return farthest(excess, self._middle(series), side, design)

    def state(self) -> State:
        own: State = {"sizes": self._sizes, "cap": self._cap, "counts": self._counts, "sums": self._sums}
        own |= {"steps": self._steps, "evenness": self._evenness.powers, "evenness.open": self._open.powers}
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
