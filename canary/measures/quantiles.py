"""A latency quantile, by counting: how many exchanges are slower than a reference that was fixed beforehand.

The reference t is legacy's quantile from before the counted exchanges. 'The candidate's quantile is at most (1 + d)
times legacy's' means that not more of the candidate's exchanges exceed (1 + d) t than of legacy's exceed t: two rates,
no density, any distribution. A poor t costs requests, never validity, because it was fixed first. Every d of a grid is
counted at once, which gives the interval. When legacy drifts so far that t is no longer near its quantile, t is fixed
anew at the end of a window, from legacy's exchanges of earlier windows: it stays fixed before what is counted with it.
A failed exchange is slower than anything: an answer that does not come is no fast answer.
"""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np
import numpy.typing as npt

from canary import histogram
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
from canary.spec import Metric
from canary.stats import dispersion, ratios

DRIFT = 3.0
"""How many times the odds of exceeding t may be off before t is fixed anew."""
SURE = 5.0
"""And by how many standard errors: t must not move because of a few requests."""
RECENT = 80
"""What legacy did is recent for as many requests as have this many beyond its quantile, on average: with fewer nobody
could be so sure that t lies too high."""


class LatencyQuantile:
    """Evidence about one quantile of the service time."""

    def __init__(self, metric: Metric) -> None:
        assert metric.quantile is not None
        self.metric = metric
        self._q: float = metric.quantile
        self.reference_needed = min(1000, max(100, ceil(5 / (1 - self._q))))
        self._nulls = nulls_around(metric.margin, metric.tolerated)
        self._weights = ratios.weights_below(1 / (1 - self._q))
        """Of the alternatives that harm is asked with."""
        rows = len(self._nulls)
        self._harm = int(np.searchsorted(self._nulls, metric.tolerated.value))
        self._margin = int(np.searchsorted(self._nulls, metric.margin.value))
        self._time = np.zeros(1)
        """t in seconds; 0 until it is fixed."""
        self._limits = np.zeros(rows)
        self._up, self._down = np.zeros((rows, len(ratios.PHI))), np.zeros((rows, len(ratios.PHI)))
        self._up_before, self._down_before = np.zeros_like(self._up), np.zeros_like(self._down)
        """The same, tempered, of the time before t was last fixed."""
        self._exchanges = np.zeros((2, CLUSTERS))
        self._slower = np.zeros((2, rows))
        """Sums over windows of h times the rate: of legacy beyond t, of the candidate beyond each limit."""
        self._counts = np.zeros((2, histogram.SIZE), np.int64)
        self._recent, self._recent_slower = np.zeros(histogram.SIZE, np.int64), np.zeros(1)
        """Legacy's times, and how many exceeded t, since t was fixed or found good."""
        self._onsets = Onsets(self._weights, dispersion.sensitivity_of_slow)
        self._at_harm = Tempering(dispersion.sensitivity_of_slow)
        self._at_margin = Tempering(dispersion.sensitivity_of_slow)
        self.discard()

    def fix(self, reference: npt.NDArray[np.int64]) -> None:
        time = histogram.quantile_of(reference, self._q)
        assert time is not None  # canary.evidence fixes only with `reference_needed` requests
        self._time[0] = time
        self._limits[:] = time * (1 + self._nulls) if self.metric.margin.relative else time + self._nulls

    def add(self, batch: Batch) -> None:
        # `places` counts the limits below a time: it exceeds limit j exactly if j < place.
        places = np.searchsorted(self._limits, batch.candidate_times, side="left")
        self._open_places += np.bincount(places, minlength=len(self._limits) + 1)
        for open_, limit in (
            (self._open_harm, self._limits[self._harm]),
            (self._open_margin, self._limits[self._margin]),
        ):
            open_ += batch.per_cluster(batch.times > np.where(batch.candidate, limit, self._time[0]))
        self._open_counts += batch.histograms

    def close(self, counts: Floats) -> None:
        n = counts.sum(axis=1)
        n_c, n_l = float(n[CANDIDATE]), float(n[LEGACY])
        x_c = self._open_places[::-1].cumsum()[::-1][1:].astype(np.float64)
        x_l = float(self._open_harm[LEGACY].sum())
        up, down = ratios.increments(x_c, x_l, n_c, n_l, np.ones(1))
        self._up += up
        self._down += down
        h = n_c * n_l / (n_c + n_l)
        self._slower[LEGACY] += h * x_l / n_l
        self._slower[CANDIDATE] += h * x_c / n_c
        self._counts += self._open_counts
        self._exchanges += counts
        self._onsets.add(up[self._harm, : len(self._weights)], self._open_harm, counts, self._at_harm)
        self._at_harm.add(self._open_harm, counts)
        self._at_margin.add(self._open_margin, counts)
        self._recent += self._open_counts[LEGACY]
        self._recent_slower += x_l
        self.discard()
        self._follow_drift()

    def _follow_drift(self) -> None:
        seen = int(self._recent.sum())
        if seen < self.reference_needed:
            return
        rate = min(float(self._recent_slower[0]) / seen, 1.0)
        odds, meant = rate / max(1 - rate, 1e-9), (1 - self._q) / self._q
        expected = seen * (1 - self._q)
        sure = abs(seen * rate - expected) > SURE * sqrt(expected)
        drifted = sure and not meant / DRIFT <= odds <= meant * DRIFT
        if drifted:
            # Counts beyond another t have another dispersion: what was found so far is tempered by its own, once and
            # for all, and what follows by what follows. The log likelihood ratios of the two add up.
            self._up_before += self._up / self._at_harm.dispersion()
            self._down_before += self._down / self._at_margin.dispersion()
            self._up[:] = self._down[:] = 0
            self._at_harm, self._at_margin = (
                Tempering(dispersion.sensitivity_of_slow, former) for former in (self._at_harm, self._at_margin)
            )
            self._onsets.cut()
            self.fix(self._recent)
        if drifted or seen >= RECENT / (1 - self._q):
            self._recent[:] = 0
            self._recent_slower[:] = 0

    def cut(self) -> None:
        self._onsets.cut()

    def discard(self) -> None:
        self._open_places = np.zeros(len(self._limits) + 1, np.int64)
        self._open_harm, self._open_margin = np.zeros((2, CLUSTERS)), np.zeros((2, CLUSTERS))
        self._open_counts = np.zeros((2, histogram.SIZE), np.int64)

    def read(self, alpha: float) -> Reading:
        if not self._time[0]:
            return Reading("ms", waiting=f"{self.reference_needed} requests of legacy must come first, as reference")
        if not self._exchanges.any():
            return Reading("ms", waiting="no window is complete yet")
        up = ratios.log_mean(self._up_before + self._up / self._at_harm.dispersion(), self._weights)
        down = ratios.log_mean(self._down_before + self._down / self._at_margin.dispersion(), ratios.WEIGHTS)
        late = self._onsets.log_evidence()
        low, high = interval(self._nulls, up, down, alpha)
        times = [histogram.quantile_of(side, self._q) for side in self._counts]
        n = self._exchanges.sum(axis=1)
        units = occupied(self._exchanges)
        return Reading(
            unit="ms",
            legacy=_milliseconds(times[LEGACY]),
            candidate=_milliseconds(times[CANDIDATE]),
            legacy_count=int(n[LEGACY]),
            candidate_count=int(n[CANDIDATE]),
            legacy_units=units[LEGACY],
            candidate_units=units[CANDIDATE],
            estimate=self._estimate(times[LEGACY], times[CANDIDATE]),
            low=low,
            high=high,
            log_promote=float(down[self._margin]),
            log_rollback=self._onsets.joined(float(up[self._harm])),
            lately=self._onsets.lately() if late > up[self._harm] else "",
        )

    def _estimate(self, legacy: float | None, candidate: float | None) -> float | None:
        """The d at which as many of the candidate's exceed (1 + d) t as of legacy's exceed t; window by window, so that
        a drift of both does not count. Beyond the grid, what the histograms say."""
        excess = self._slower[CANDIDATE] - self._slower[LEGACY]  # falls along the grid
        after = int(np.searchsorted(-excess, 0.0))
        if 0 < after < len(self._nulls) and excess[after - 1] > excess[after]:
            part = excess[after - 1] / (excess[after - 1] - excess[after])
            return float(self._nulls[after - 1] + part * (self._nulls[after] - self._nulls[after - 1]))
        if legacy is None or candidate is None:
            return None
        return candidate / legacy - 1 if self.metric.margin.relative else candidate - legacy

    def state(self) -> State:
        own: State = {
            "time": self._time,
            "limits": self._limits,
            "up": self._up,
            "down": self._down,
            "up_before": self._up_before,
            "down_before": self._down_before,
            "exchanges": self._exchanges,
            "slower": self._slower,
            "counts": self._counts,
            "recent": self._recent,
            "recent_slower": self._recent_slower,
            "open_places": self._open_places,
            "open_harm": self._open_harm,
            "open_margin": self._open_margin,
            "open_counts": self._open_counts,
        }
        for name, tempering in (("harm", self._at_harm), ("margin", self._at_margin)):
            own |= {f"{name}.{key}": value for key, value in tempering.state().items()}
        return own | {f"onsets.{key}": value for key, value in self._onsets.state().items()}

    def restore(self, state: State) -> None:
        for name, array in self.state().items():
            array[...] = state[name]
        for tempering in (self._at_harm, self._at_margin):
            tempering.forget()
        self._onsets.forget()


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
