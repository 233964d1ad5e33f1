"""What business events, and requests, come to per unit or per event: `rate`, `mean_per_unit`, `mean_per_event`,
`throughput`.

Rate         Of the units that have not had the event yet, how many have it in a window: counts at the exposure that
             the window really had, as in ter Schure, Perez-Ortiz, Ly and Grunwald, The anytime-valid logrank test
             (arXiv 2011.06931), by canary.stats.ratios. A unit counts once, so it matters neither how long after its
             first exchange the event comes nor how often. Where most units convert, a ratio of rates in time is
             farther from 1 than one of final parts: promotion then asks for more than the margin, not less.
Means        Of the window's values per unit of the step (`mean_per_unit`, `throughput`) or per event
             (`mean_per_event`), window by window, with the variance of clusters of units and of time; see
             stats/means.py. An event of a unit that came long ago is divided by all units that are there, on both sides
             alike. Values are cut at legacy's 99 % quantile, fixed from its first values, which do not count.
Direction    + is worse: where more is better (`lower_is_worse`) a difference is 1 - candidate / legacy.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from canary.cohort import Places
from canary.happenings import Happenings
from canary.measures.means import LEAST_REQUESTS, MeanSeries
from canary.measures.measure import (
    CANDIDATE,
    CLUSTERS,
    LEGACY,
    Batch,
    Floats,
    Reading,
    State,
    interval,
    nulls_around,
    occupied,
)
from canary.measures.onsets import Onsets
from canary.measures.tempering import Tempering
from canary.spec import Metric, MetricKind
from canary.stats import means, ratios

REFERENCE = 200
"""Values of legacy from which the cut is fixed."""
CAP_QUANTILE = 0.99


def _sensitivity(rate: float) -> float:
    """For canary.stats.dispersion.unproven: a side's own slow noise moves the odds of an event by 0.42 of themselves.
    The rate of failures is taken to move by as much; but that of events may be near 1, where it has little room."""
    return rate * (1 - rate)


def _table(places: Places, values: Floats | None = None) -> Floats:
    """Counts, or sums of values, per side and cluster, (2, CLUSTERS)."""
    return np.bincount(places, values, minlength=2 * CLUSTERS).reshape(2, CLUSTERS).astype(np.float64)


def _weighed(sums: npt.NDArray[np.floating[Any]], units: npt.NDArray[Any]) -> Floats:
    """A step's weight h = n_c n_l / (n_c + n_l), and h times both sides' means: steps differ in how long their units
    have had for an event, so they are shown with one weight on both sides. For show only."""
    if not units.min():
        return np.zeros(3)
    h = units[LEGACY] * units[CANDIDATE] / units.sum()
    return np.array([h, *(h * sums / units)])


def _shown(steps: Floats) -> Floats:
    """Both sides' means of a sum of `_weighed`."""
    found: Floats = steps[1:] / max(float(steps[0]), float(np.finfo(np.float64).tiny))
    return found


class _UnitSeries(MeanSeries):
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


class _OfUnits:
    """What metrics on the units of a step have in common."""

    reference_needed: ClassVar[int] = 0

    def __init__(self, metric: Metric, happenings: Happenings, silence: float) -> None:
        self.metric = metric
        self._happenings = happenings
        self._cohort = happenings.cohort
        self._silence = silence
        happenings.listen(self, metric.event)

    def fix(self, reference: npt.NDArray[np.int64]) -> None:
        """Nothing to fix from times."""

    def add(self, batch: Batch) -> None:
        """Exchanges come by `asked`, those of remembered units alone."""

    def happened(self, places: Places, values: Floats, firsts: Places) -> None:
        """Nothing of it."""

    def asked(self, places: Places) -> None:
        """Nothing of it."""

    def step_over(self) -> None:
        """Nothing of it."""

    def problem(self, now: float) -> str:
        """Why its data cannot carry a promotion; ``""`` where it can."""
        if self.metric.event is None:
            return ""
        valued = self.metric.kind.is_of_values
        return self._happenings.problem(self.metric.event, now, self._silence, valued=valued)


class UnitRate(_OfUnits):
    """Evidence about the part of units that have an event."""

    def __init__(self, metric: Metric, happenings: Happenings, silence: float) -> None:
        super().__init__(metric, happenings, silence)
        assert metric.event is not None
        self._event = happenings.events.index(metric.event)
        self._falls = metric.lower_is_worse
        nulls = nulls_around(metric.margin, metric.tolerated)
        self._nulls = nulls[nulls < 1] if self._falls else nulls
        self._times = 1 / (1 - self._nulls) if self._falls else 1 + self._nulls
        """How many times as often the event comes on the better (`_falls`) or on the candidate's side."""
        self._harm = int(np.searchsorted(self._nulls, metric.tolerated.value))
        self._margin = int(np.searchsorted(self._nulls, metric.margin.value))
        shape = (len(self._nulls), len(ratios.PHI))
        self._up, self._down = np.zeros(shape), np.zeros(shape)
        self._open = np.zeros((2, CLUSTERS))
        self._tempering = Tempering(_sensitivity)
        self._onsets = Onsets(ratios.WEIGHTS, _sensitivity)
        self._steps = np.zeros(3)
        """`_weighed` parts of the units of the steps that are over, summed."""

    def step_over(self) -> None:
        self._steps += self._step()

    def _step(self) -> Floats:
        return _weighed(self._cohort.had[self._event].sum(axis=1), self._cohort.units.sum(axis=1))

    def happened(self, places: Places, values: Floats, firsts: Places) -> None:
        if len(firsts):
            self._open += _table(firsts)

    def close(self, counts: Floats) -> None:
        """`counts` of exchanges are none of its business."""
        events, self._open = self._open, np.zeros((2, CLUSTERS))
        waiting = np.maximum(self._cohort.units - self._cohort.had[self._event] + events, events)
        n, x = waiting.sum(axis=1), events.sum(axis=1)
        if not n.min():
            return
        one, other = (LEGACY, CANDIDATE) if self._falls else (CANDIDATE, LEGACY)
        up, down = ratios.increments(
            np.full(len(self._nulls), x[one]), float(x[other]), float(n[one]), float(n[other]), self._times
        )
        self._up += up
        self._down += down
        self._onsets.add(up[self._harm], events, waiting, self._tempering)
        self._tempering.add(events, waiting)

    def cut(self) -> None:
        self._onsets.cut()

    def discard(self) -> None:
        self._open = np.zeros((2, CLUSTERS))

    def read(self, alpha: float) -> Reading:
        units = self._cohort.entered
        if not self._tempering.windows:
            return Reading("%", waiting="no window with units of both sides is complete yet", counted="units")
        if not self._tempering.events.any():
            return Reading("%", waiting=f"no unit had the event '{self.metric.event}' yet", counted="units")
        spread = self._tempering.dispersion()
        up = ratios.log_mean(self._up, ratios.WEIGHTS, spread)
        down = ratios.log_mean(self._down, ratios.WEIGHTS, spread)
        low, high = interval(self._nulls, up, down, alpha)
        legacy, candidate = self._tempering.rates()
        ratio = candidate / legacy if legacy > 0 else None
        parts = _shown(self._steps + self._step())
        held = occupied(self._tempering.exchanges)
        return Reading(
            unit="%",
            legacy=parts[LEGACY] * 100,
            candidate=parts[CANDIDATE] * 100,
            legacy_count=int(units[LEGACY]),
            candidate_count=int(units[CANDIDATE]),
            legacy_units=held[LEGACY],
            candidate_units=held[CANDIDATE],
            estimate=None if ratio is None else 1 - ratio if self._falls else ratio - 1,
            low=low,
            high=high,
            log_promote=float(down[self._margin]),
            log_rollback=self._onsets.joined(float(up[self._harm])),
            counted="units",
        )

    def state(self) -> State:
        own: State = {"up": self._up, "down": self._down, "open": self._open, "steps": self._steps}
        own |= {f"onsets.{name}": value for name, value in self._onsets.state().items()}
        return own | {f"tempering.{name}": value for name, value in self._tempering.state().items()}

    def restore(self, state: State) -> None:
        for name, array in self.state().items():
            array[...] = state[name]


class UnitMean(_OfUnits):
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
        """`_weighed` values of the steps that are over, summed."""
        self._harm, self._margin = _UnitSeries(), _UnitSeries()

    def step_over(self) -> None:
        self._steps += _weighed(self._sums, self._cohort.arrived)
        self._sums[:] = 0

    def asked(self, places: Places) -> None:
        found = _table(places)
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
        self._counts += _table(places)
        found = _table(places, cut)
        self._harm.open += found
        self._sums += found.sum(axis=1)
        # Were the candidate worse by the margin, so were what is cut of its values.
        caps = np.where(places >= CLUSTERS, cap * (1 + self._sign * self.metric.margin.value), cap)
        self._margin.open += _table(places, np.clip(values, -caps, caps))

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
        shown = _shown(self._steps + _weighed(self._sums, self._cohort.arrived))
        if self._per_event:
            shown = np.array([legacy, candidate]) / weight
        return Reading(
            unit=self._unit,
            legacy=float(shown[LEGACY]),
            candidate=float(shown[CANDIDATE]),
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

    def _evidence(self, series: _UnitSeries, worse: float, side: int, design: float) -> float:
        """ln E that the candidate is worse by more (`side` +1) or by less (-1) than `worse`."""
        return series.log_evidence(self._sign * worse, True, self._sign * side, design)

    def _end(self, series: _UnitSeries, side: int, design: float, alpha: float) -> float | None:
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
