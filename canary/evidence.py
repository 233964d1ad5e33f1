"""The evidence of one rollout attempt: exchanges of both sides in, windows closed, sums kept. Judged by canary.gate.

Memory is bounded whatever the traffic: sums per metric, side and cluster, two latency histograms, a sample of unit
hashes. A window is a stretch of clock time at one share, at least `gate.window` long and with WINDOW_REQUESTS on
either side; what both sides have in common then (load, hour, season) cancels. A change of share closes it. No file, no
clock, no chance in here: rows bring their own times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from canary import histogram, snapshot
from canary.arrivals import Arrivals
from canary.happenings import Happenings
from canary.kayenta.terms import KayentaGate
from canary.measures.aged_means import AgedMean
from canary.measures.aged_rates import AgedRate
from canary.measures.means import LatencyMean
from canary.measures.measure import CANDIDATE, CLUSTERS, LEGACY, Batch, Measure
from canary.measures.points import WindowPoints
from canary.measures.quantiles import LatencyQuantile
from canary.measures.rates import ErrorRate
from canary.measures.sourced import Sourced
from canary.measures.unit_means import UnitMean
from canary.measures.unit_rates import UnitRate
from canary.snapshot import SnapshotError
from canary.spec import Gate, Method, Metric, MetricKind
from rules.stages import MILLION

VERSION = 9
WINDOW_REQUESTS = 5
"""On either side, before a window may close: with fewer, counts of one side tell nothing about the other."""
STARVING = 50
"""Requests that a side should have had in the open window; with fewer than WINDOW_REQUESTS instead it has stopped
answering: rows come with the answers."""
DROPPED_MOST = 0.01
"""Part of a window's rows that may be missing; a window that lost more is thrown away and is a fault."""
_CLUSTER_SHIFT = np.uint64(56)
_BACK = 8
"""A row this many windows before the open one means that a clock was set back, not that a worker was slow."""


def measure_of(metric: Metric, gate: Gate, happenings: Happenings) -> Measure:
    """The measure for a metric of a gate."""
    if gate.method is Method.KAYENTA and metric.kind in (MetricKind.ERROR_RATE, MetricKind.LATENCY):
        return WindowPoints(metric, (gate.kayenta or KayentaGate()).points)
    if metric.kind is MetricKind.ERROR_RATE:
        return ErrorRate(metric)
    if metric.kind is MetricKind.LATENCY:
        return LatencyMean(metric) if metric.quantile is None else LatencyQuantile(metric)
    if metric.kind is MetricKind.QUERY:
        return Sourced(metric)
    if metric.within is not None:
        aged = AgedRate if metric.kind is MetricKind.RATE else AgedMean
        return aged(metric, happenings, gate.silence, gate.window)
    if metric.kind is MetricKind.RATE:
        return UnitRate(metric, happenings, gate.silence)
    return UnitMean(metric, happenings, gate.silence)


class Evidence:
    """What one rollout attempt has shown so far. One writer; `canary.gate.judge` reads."""

    def __init__(
        self,
        route: str,
        gate_name: str,
        gate: Gate,
        *,
        subject: str,
        share: int,
        since: float,
        reference: Mapping[int, int] | None = None,
        alone: bool = False,
        events: str = "",
    ) -> None:
        """`subject` names what is tried (a digest of candidate and rules); `share` in millionths; `since` seconds since
        the epoch; `reference` a histogram (index -> count) of legacy-only traffic from before the canary, from which
        the latency thresholds are fixed. With too few requests in it, the first ones of legacy complete it, and count
        only as reference. `alone`: there will be no exchanges, only numbers of sources (a gate in CI without a fig).
        `events` tells what the gate's events are: evidence of others is of no use."""
        self.route = route
        self.gate_name = gate_name
        self.gate = gate
        self.subject = subject
        self.share = share
        self.since = since
        self.alone = alone
        self.events = events
        aged = sum(metric.within is not None for metric in gate.metrics)
        self.happenings = Happenings(gate.events, since, aged)
        self.measures: tuple[Measure, ...] = tuple(measure_of(metric, gate, self.happenings) for metric in gate.metrics)
        for sourced in self.sourced:
            sourced.begin(since)
        self.arrivals = Arrivals()
        self.requests = np.zeros(2, np.int64)
        """Rows taken, legacy and candidate."""
        self.last = np.zeros(2)
        """Clock of each side's newest row; 0 before the first."""
        self.dropped = 0
        """Rows lost on their way."""
        self.late = 0
        """Rows of a former share, not used."""
        self.windows = 0
        self.windows_at_share = 0
        """Of `windows`, those since the share last changed."""
        self.spoilt_at = 0.0
        """Clock of the newest window that lost too many rows; 0 when none did."""
        self._counts = np.zeros((2, CLUSTERS))
        self._cell: int | None = None
        self._window_rows = 0
        self._window_dropped = 0
        self._timed = True
        """Whether the latency thresholds are fixed."""
        self._looks_at_units = any(metric.kind.is_of_units for metric in gate.metrics)
        self._reference = histogram.dense(reference or {})
        self._reference_needed = max((m.reference_needed for m in self.measures), default=0)
        if self._reference_needed:
            self._timed = False
            self._fix_when_enough()

    def ingest(
        self,
        clock: npt.NDArray[np.float64],
        unit: npt.NDArray[np.uint64],
        seconds: npt.NDArray[np.floating[Any]],
        side: npt.NDArray[np.integer[Any]],
        failure: npt.NDArray[np.integer[Any]],
        *,
        share: int | None = None,
        dropped: int = 0,
    ) -> None:
        """Take a batch of exchanges: columns of equal length, as proxy.rows.ROW has them.

        `side` 0 legacy, 1 candidate; `failure` 0 for none; `share` the one under which the exchanges were decided (the
        current one when None): rows of a former share come too late to belong to any window. `dropped` rows are known
        to be missing. Rows whose times or side cannot be read count as dropped.
        """
        if share is not None and share != self.share:
            self.late += len(clock)
            return
        usable = np.isfinite(clock) & np.isfinite(seconds) & (side <= CANDIDATE)
        if not usable.all():
            dropped += int(len(clock) - usable.sum())
            clock, unit, seconds = clock[usable], unit[usable], seconds[usable]
            side, failure = side[usable], failure[usable]
        self.dropped += dropped
        self._window_dropped += dropped
        if not len(clock):
            return
        for cell, part in self._by_cell(clock):
            self._take(cell, clock[part], unit[part], seconds[part], side[part], failure[part])

    def _by_cell(self, clock: npt.NDArray[np.float64]) -> Iterator[tuple[int, npt.NDArray[np.intp] | slice]]:
        """Cells of the clock in order, and which of the rows are in each."""
        cells = np.floor(clock / self.gate.window).astype(np.int64)
        if cells[0] == cells[-1] and (cells == cells[0]).all():
            yield int(cells[0]), slice(None)
            return
        order = np.argsort(cells, kind="stable")
        bounds = np.flatnonzero(np.diff(cells[order])) + 1
        for part in np.split(order, bounds):
            yield int(cells[part[0]]), part

    def _take(
        self,
        cell: int,
        clock: npt.NDArray[np.float64],
        unit: npt.NDArray[np.uint64],
        seconds: npt.NDArray[np.floating[Any]],
        side: npt.NDArray[np.integer[Any]],
        failure: npt.NDArray[np.integer[Any]],
    ) -> None:
        """Rows of one cell of the clock (cells are `gate.window` long, the same for every process)."""
        if self._cell is not None and cell < self._cell - _BACK:
            np.minimum(self.last, clock.max(), out=self.last)  # else a side could fall silent unseen until then
        if self._cell is not None and (cell > self._cell or cell < self._cell - _BACK):
            self._end_window()
        if self._cell is None:
            self._cell = cell
        candidate = side == CANDIDATE
        self.requests += np.bincount(side, minlength=2)
        for row, chosen in ((LEGACY, ~candidate), (CANDIDATE, candidate)):
            if chosen.any():
                self.last[row] = max(self.last[row], clock[chosen].max())
        self.arrivals.add(unit, candidate, self.share)
        if not self._timed and not candidate.all():
            places = histogram.offsets(seconds[~candidate].astype(np.float64))
            self._reference += np.bincount(places, minlength=histogram.SIZE)
        batch = Batch(
            place=(unit >> _CLUSTER_SHIFT).astype(np.intp) + CLUSTERS * candidate,
            candidate=candidate,
            seconds=seconds.astype(np.float64),
            failed=failure != 0,
            failure=failure,
        )
        self._window_rows += len(clock)
        self._counts += np.bincount(batch.place, minlength=2 * CLUSTERS).reshape(2, CLUSTERS)
        for measure in self.measures:
            if self._timed or not measure.reference_needed:
                measure.add(batch)
        if self._looks_at_units:
            self.happenings.asked(unit, candidate, batch.place, batch.failed, clock)

    def ingest_events(
        self,
        clock: npt.NDArray[np.float64],
        unit: npt.NDArray[np.uint64],
        value: npt.NDArray[np.float64],
        side: npt.NDArray[np.integer[Any]],
        event: npt.NDArray[np.integer[Any]],
        *,
        share: int | None = None,
        dropped: int = 0,
    ) -> None:
        """Take a batch of business events: columns as proxy.rows.EVENT_ROW has them; `share` and `dropped` as of
        `ingest`. Like exchanges they end a window that is over, and belong to the open one where theirs is."""
        if share is not None and share != self.share:
            self.late += len(clock)
            return
        dated = np.isfinite(clock)
        if not dated.all():
            dropped += int(len(clock) - dated.sum())
            clock, unit, value, side, event = clock[dated], unit[dated], value[dated], side[dated], event[dated]
        self.happenings.lose(dropped)
        for cell, part in self._by_cell(clock) if len(clock) else ():
            if self._cell is not None and cell > self._cell:
                self._end_window()
                self._cell = cell if self._cell is None else self._cell
            self.happenings.take(clock[part], unit[part], value[part], side[part], event[part])

    @property
    def sourced(self) -> tuple[Sourced, ...]:
        """The metrics whose numbers come from sources."""
        return tuple(measure for measure in self.measures if isinstance(measure, Sourced))

    def share_changed(self, share: int, at: float | None = None) -> None:
        """The candidate's share is another one from now on, in millionths; closes the window. `at`: seconds since the
        epoch, for numbers of sources, which come later than they are dated."""
        if share != self.share:
            for sourced in self.sourced if at is not None else ():
                sourced.moved(at or 0.0)
            self._cut()
            self.happenings.clear()
            self.share = share
            self.windows_at_share = 0

    def _fix_when_enough(self) -> None:
        """Fix the latency thresholds once there is enough to fix them from. Rows from before count as reference only.
        Between windows: within one it would matter in which order rows come, and in which batches."""
        if self._reference.sum() < self._reference_needed:
            return
        self._cut()
        self._timed = True
        for measure in self.measures:
            if measure.reference_needed:
                measure.fix(self._reference)

    def _end_window(self) -> None:
        """Rows of another cell come: close the window, unless it is to go on until it is full."""
        if not self._timed:
            self._fix_when_enough()
        if self._is_full():
            self._close()
            self._cell = None

    def _is_full(self) -> bool:
        return bool(self._counts.sum(axis=1).min() >= WINDOW_REQUESTS)

    def _cut(self) -> None:
        """Close the window if it is full, else forget it; pool nothing with what follows."""
        if self._is_full():
            self._close()
        else:
            self._reset(fold=False)
        for measure in self.measures:
            measure.cut()
        self._cell = None

    def _close(self) -> None:
        missing = self._window_dropped / (self._window_dropped + self._window_rows)
        if missing > DROPPED_MOST:
            self.spoilt_at = float(self.last.max())
        self._reset(fold=missing <= DROPPED_MOST)

    def _reset(self, *, fold: bool) -> None:
        self.happenings.window_over()
        for measure in self.measures:
            if measure.reference_needed and not self._timed:
                continue
            if fold:
                measure.close(self._counts)
            else:
                measure.discard()
        self.windows += fold
        self.windows_at_share += fold
        self._counts = np.zeros((2, CLUSTERS))
        self._window_rows = self._window_dropped = 0

    def window_loss(self) -> float:
        """The part of the open window's rows that is missing, 0 to 1."""
        total = self._window_dropped + self._window_rows
        return self._window_dropped / total if total else 0.0

    def starving(self) -> tuple[int, int, float] | None:
        """The side that has hardly a request in the open window though the other has many, how many it has, and how
        many the share would have given it; None while both have."""
        part = self.share / MILLION
        if not 0 < part < 1:
            return None
        odds = part / (1 - part)
        found = self._counts.sum(axis=1)
        for side, expected in ((LEGACY, found[CANDIDATE] / odds), (CANDIDATE, found[LEGACY] * odds)):
            if expected >= STARVING and found[side] < WINDOW_REQUESTS:
                return side, int(found[side]), float(expected)
        return None

    def digest(self) -> str:
        """What must be equal for a snapshot to fit: version, route, gate, subject and events."""
        spec = f"{VERSION}|{self.route}|{self.gate_name}|{self.gate.model_dump_json()}|{self.subject}|{self.events}"
        return hashlib.sha256(spec.encode()).hexdigest()

    def snapshot(self) -> bytes:
        """Everything, as bytes: 65 to 165 KB a metric, and samples of 32,768 units at most: 8 bytes each, 24 more where
        metrics are on what units do, and with a `within` 16 more and 8 for each such metric. 0.5 MB for errors and a
        quantile, 2.2 MB with one such metric."""
        return snapshot.encode(
            {
                "digest": self.digest(),
                "share": self.share,
                "since": self.since,
                "measures": [measure.state() for measure in self.measures],
                "sources": [[sourced.trouble, sourced.answered] for sourced in self.sourced],
                "happenings": self.happenings.state(),
                "arrivals": self.arrivals.state(),
                "requests": self.requests,
                "last": self.last,
                "dropped": self.dropped,
                "late": self.late,
                "windows": [self.windows, self.windows_at_share],
                "spoilt_at": self.spoilt_at,
                "counts": self._counts,
                "cell": self._cell,
                "window": [self._window_rows, self._window_dropped],
                "timed": self._timed,
                "reference": self._reference,
            }
        )

    def restore(self, data: bytes) -> None:
        """Take up a snapshot of the same attempt. Raises SnapshotError when it is of another, and changes nothing
        then; and when it is damaged: this evidence is then of no use either."""
        state = snapshot.decode(data)
        if state.get("digest") != self.digest():
            raise SnapshotError("of another attempt: the candidate, the rules, the gate or fig's version changed")
        try:
            for measure, kept in zip(self.measures, state["measures"], strict=True):
                measure.restore(kept)
            for sourced, (trouble, answered) in zip(self.sourced, state["sources"], strict=True):
                sourced.trouble, sourced.answered = trouble, answered  # a source that was down is so until it answers
            self.happenings.restore(state["happenings"])
            self.arrivals.restore(state["arrivals"])
            self.share, self.since = state["share"], state["since"]
            self.requests, self.last = state["requests"], state["last"]
            self.dropped, self.late = state["dropped"], state["late"]
            self.windows, self.windows_at_share = state["windows"]
            self.spoilt_at = state["spoilt_at"]
            self._counts, self._cell = state["counts"], state["cell"]
            self._window_rows, self._window_dropped = state["window"]
            self._timed, self._reference = state["timed"], state["reference"]
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as exc:
            raise SnapshotError(f"damaged: {exc!r}") from exc
