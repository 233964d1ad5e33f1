"""The business events of one rollout attempt: matched to the units of the present step, handed to the metrics on them.

Workers flush a few times a second, each for itself, so an event may be told before the exchange by which its unit came
to the step: such events wait a moment. What no unit of the step had counts for neither side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from canary.arrivals import Hashes
from canary.cohort import Cohort, Places

WAITING = 4096
"""Events that wait for their unit to be told; with more, the oldest are let go."""
PATIENCE = 5.0
"""Seconds that they wait."""
UNREADABLE_MOST = 0.01
"""Part of an event's values that may be missing where a metric is made of them."""
LOST_MOST = 0.01
"""Part of the events' rows that may be lost on their way."""
OVERDUE = 20
"""How many events the pace so far lets expect in a time without any, before that is a fault."""

Floats = npt.NDArray[np.float64]
_ROW = np.dtype([("clock", "<f8"), ("unit", "<u8"), ("value", "<f8"), ("event", "u1")])


class Listener(Protocol):
    """A metric on one event."""

    def happened(self, places: Places, values: Floats, firsts: Places) -> None:
        """Events: where their units are (side * CLUSTERS + cluster), their values (not a number: none), and the places
        of units that had the event for the first time in this step."""

    def asked(self, places: Places) -> None:
        """Exchanges that did not fail, by the same places."""

    def step_over(self) -> None:
        """The units of this step are about to be forgotten."""


class Happenings:
    """One writer, like canary.evidence. `events` are names; rows name them by their place."""

    def __init__(self, events: Sequence[str], since: float) -> None:
        self.events = tuple(events)
        self.since = since
        self.cohort = Cohort(len(self.events))
        self.counts = np.zeros((len(self.events), 2), np.int64)
        """Events that were told, by side, whether their unit counts or not."""
        self.valued = np.zeros(len(self.events), np.int64)
        """Those of them with a value."""
        self.last = np.zeros(len(self.events))
        """Clock of each event's newest; 0 before the first."""
        self.taken = 0
        self.lost = 0
        """Rows that did not come."""
        self._listeners: dict[int, list[Listener]] = {}
        self._askers: list[Listener] = []
        self._waiting = np.zeros(0, _ROW)

    def listen(self, listener: Listener, event: str | None) -> None:
        """To an event, or (None) to every exchange."""
        if event is None:
            self._askers.append(listener)
        else:
            self._listeners.setdefault(self.events.index(event), []).append(listener)

    def asked(
        self, unit: Hashes, candidate: npt.NDArray[np.bool_], places: Places, failed: npt.NDArray[np.bool_]
    ) -> None:
        """Exchanges of the present step: `places` are side * CLUSTERS + cluster."""
        remembered = self.cohort.enter(unit, candidate)
        if self._askers:
            places = places[remembered & ~failed]
            for asker in self._askers:
                asker.asked(places)
        if len(self._waiting):
            self._count(self._waiting)

    def take(
        self,
        clock: Floats,
        unit: Hashes,
        value: Floats,
        side: npt.NDArray[np.integer[Any]],
        event: npt.NDArray[np.integer[Any]],
        lost: int,
    ) -> None:
        """A batch of events of the present step: columns of equal length, as proxy.rows.EVENT_ROW has them."""
        usable = np.isfinite(clock) & (side <= 1) & (event < len(self.events))
        self.lost += lost + int(len(clock) - usable.sum())
        rows = np.zeros(int(usable.sum()), _ROW)
        if not len(rows):
            return
        rows["clock"], rows["unit"], rows["value"], rows["event"] = (
            column[usable] for column in (clock, unit, value, event)
        )
        self.taken += len(rows)
        np.add.at(self.counts, (rows["event"], side[usable]), 1)
        self.valued += np.bincount(rows["event"][np.isfinite(rows["value"])], minlength=len(self.events))
        np.maximum.at(self.last, rows["event"], rows["clock"])
        self._count(np.concatenate((self._waiting, rows)))

    def _count(self, rows: npt.NDArray[np.void]) -> None:
        at = self.cohort.find(rows["unit"])
        known = at >= 0
        held = rows[~known & self.cohort.sampled(rows["unit"])]
        if len(held):
            held = held[held["clock"] >= self.last.max() - PATIENCE][-WAITING:]
        self._waiting = held
        rows, at = rows[known], at[known]
        for event, listeners in self._listeners.items():
            of_it = rows["event"] == event
            if not of_it.any():
                continue
            places, values = self.cohort.place(at[of_it]), rows["value"][of_it]
            firsts = self.cohort.mark(at[of_it], event)
            for listener in listeners:
                listener.happened(places, values, firsts)

    def clear(self) -> None:
        """Another step begins."""
        for listener in (*self._askers, *(each for some in self._listeners.values() for each in some)):
            listener.step_over()
        self.cohort.clear()
        self._waiting = self._waiting[:0]

    def problem(self, event: str, now: float, silence: float, *, valued: bool) -> str:
        """Why what was told of an event cannot carry a promotion; ``""`` where it can. `valued`: its values are
        asked for."""
        number = self.events.index(event)
        total, last = int(self.counts[number].sum()), float(self.last[number])
        if not total:
            waited = now - self.since
            return f"has no event '{event}' for {waited:,.0f} s, since the attempt began" if waited >= silence else ""
        pace = total / max(last - self.since, 1.0)
        quiet = now - last
        if quiet > max(silence, OVERDUE / pace):
            return f"has no event '{event}' for {quiet:,.0f} s, where {quiet * pace:,.0f} were to be expected"
        missing = total - int(self.valued[number])
        if valued and missing > UNREADABLE_MOST * total:
            return f"is made of values, and {missing:,} of {total:,} events '{event}' have none that can be read"
        if self.lost > LOST_MOST * (self.taken + self.lost):
            return f"has lost {self.lost:,} of {self.taken + self.lost:,} events on their way"
        return ""

    def state(self) -> dict[str, Any]:
        return {
            "cohort": self.cohort.state(),
            "counts": self.counts,
            "valued": self.valued,
            "last": self.last,
            "taken": [self.taken, self.lost],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.cohort.restore(state["cohort"])
        self.counts, self.valued, self.last = state["counts"], state["valued"], state["last"]
        self.taken, self.lost = state["taken"]
        self._waiting = self._waiting[:0]
