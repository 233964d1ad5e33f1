"""`mean_per_unit` and `throughput` with an absolute margin: what a unit does until `within` after its first exchange.

Compared     Windows of means of units, by canary.stats.means.
Promotion    looks at whole values. Nothing can be said of a mean whose largest values may still be to come (Bahadur and
             Savage 1956), and cutting them hides as much of the difference as lies above the cut: a candidate whose
             every order is smaller by the margin differs by less below it. So the normal approximation must be good
             enough without: canary.measures.evenness.
Rollback     looks at values cut at one size on both sides: the 99 % quantile of what a unit does that does something,
             fixed between windows from the first 200 of either side, which do not count: legacy's alone might never
             come. A single large order is no harm. What is worse only in larger ones is then not seen as harm, and not
             promoted either.
Unreadable   values: whose value is not known is left out, and not counted as if it had done nothing.
Direction    + is worse: where more is better (`lower_is_worse`) a difference is legacy - candidate.
"""

from __future__ import annotations

import numpy as np

from canary import histogram
from canary.cohort import Places
from canary.happenings import OVERDUE, UNREADABLE_MOST, Happenings
from canary.measures.aging import OfOneAge
from canary.measures.evenness import Evenness
from canary.measures.late_means import LateMeans
from canary.measures.mean_series import MeanSeries, Question, farthest, unsaid
from canary.measures.measure import CANDIDATE, CLUSTERS, LEGACY, Floats, Reading, State, occupied
from canary.measures.of_units import table
from canary.measures.unit_means import cap_of, sizes_of
from canary.spec import Metric, MetricKind
from canary.stats import means


class AgedMean(OfOneAge):
    """Evidence about the mean of what units do in time, in its own numbers."""

    def __init__(self, metric: Metric, happenings: Happenings, silence: float, window: float) -> None:
        super().__init__(metric, happenings, silence, window)
        self._sign = -1 if metric.lower_is_worse else +1
        self._sizes = np.zeros(histogram.SIZE, np.int64)
        """Of what the first units did, until the cut is fixed."""
        self._cap = np.full(1, np.nan)
        self._values = np.zeros(2, np.int64)
        """Of units that have not counted, since they were left out last or came: all, and those that cannot be read."""
        self._harm, self._margin = MeanSeries(), MeanSeries()
        harm = metric.tolerated.value
        self._question = self._asked(harm, +1, metric.margin.value - harm)
        self._late = LateMeans(MeanSeries, self._question)
        self._evenness = Evenness()

    def _did(self, at: Places, values: Floats) -> None:
        kept = self._cohort.kept[self._slot]
        if self.metric.kind is MetricKind.THROUGHPUT:
            values = np.ones(len(at))
        waiting, readable = ~np.isnan(kept[at]), np.isfinite(values)
        unread = np.unique(at[waiting & ~readable])
        self._values += int(waiting.sum()), int((waiting & ~readable).sum())
        self._left_out += len(unread)
        np.add.at(kept, at[readable], values[readable])
        kept[unread] = np.nan

    def discard(self) -> None:
        super().discard()
        self._values[:] = 0

    def _seen(self) -> bool:
        told, unreadable = self._values.tolist()
        return super()._seen() and unreadable < UNREADABLE_MOST * told + OVERDUE

    def close(self, counts: Floats) -> None:
        """`counts` of exchanges are none of its business."""
        for places, done in self._ripe():
            units = table(places)
            self._evenness.add(places >= CLUSTERS, done)
            self._margin.open += table(places, done)
            self._margin.close(units)
            if np.isnan(self._cap[0]):
                self._sizes += sizes_of(done[done != 0])
                self._cap[0] = cap_of(self._sizes)
                continue
            self._harm.open += table(places, np.clip(done, -self._cap[0], self._cap[0]))
            self._late.add(self._harm.close(units), self._harm)

    def cut(self) -> None:
        self._harm.cut()
        self._margin.cut()
        self._late.cut()

    def read(self, alpha: float) -> Reading:
        unit, metric, series = self.metric.counted_in, self.metric, self._margin
        windows, held = series.blocks.windows, occupied(series.exchanges)
        if not windows:
            return Reading(unit, waiting=self._waiting(), counted="units")
        candidate, legacy, weight = (float(part) for part in series.blocks.total)
        n = series.exchanges.sum(axis=1)
        margin = metric.margin.value
        uneven = self._evenness.missing()
        promote = means.SILENT if uneven else series.log_evidence(self._asked(margin, -1, margin))
        rollback = self._harm.log_evidence(self._question) if self._harm.blocks.windows else means.SILENT
        silent, late = rollback <= means.SILENT, self._late.log_evidence()
        return Reading(
            unit=unit,
            legacy=legacy / weight,
            candidate=candidate / weight,
            legacy_count=int(n[LEGACY]),
            candidate_count=int(n[CANDIDATE]),
            legacy_units=held[LEGACY],
            candidate_units=held[CANDIDATE],
            estimate=self._sign * (candidate - legacy) / weight,
            low=None if silent else self._end(self._harm, +1, self._question.design, alpha),
            high=None if promote <= means.SILENT else self._end(series, -1, margin, alpha),
            log_promote=None if promote <= means.SILENT else promote,
            log_rollback=None if silent and late == -np.inf else self._late.joined(rollback),
            waiting=uneven or (unsaid(series) if promote <= means.SILENT else ""),
            lately=self._late.lately(unit) if late > rollback else "",
            counted="units",
        )

    def _asked(self, worse: float, side: int, design: float) -> Question:
        """Whether the candidate is worse by more (`side` +1) or by less (-1) than `worse`."""
        return Question(self._sign * worse, False, self._sign * side, design)

    def _end(self, series: MeanSeries, side: int, design: float, alpha: float) -> float | None:
        """Where the evidence against 'at most' (+1) or 'at least' (-1) reaches 1 / alpha."""
        candidate, legacy, weight = (float(part) for part in series.blocks.total)
        middle = self._sign * (candidate - legacy) / weight

        def excess(null: float) -> float:
            return series.log_evidence(self._asked(null, side, design)) + float(np.log(alpha))

        return farthest(excess, middle, side, design)

    def state(self) -> State:
        own = self._ages() | {
            "values": self._values,
            "sizes": self._sizes,
            "cap": self._cap,
            "evenness": self._evenness.powers,
        }
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
