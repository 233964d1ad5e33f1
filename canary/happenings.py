"""The business events of one rollout attempt: matched to the units of the present step, handed to the metrics on them.

Workers flush a few times a second, each for itself, so an event may be told before the exchange by which its unit came
to the step: such events wait a moment. What no unit of the step had counts for neither side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import bdtrc

from canary.arrivals import Hashes
from canary.cohort import CLUSTERS, Cohort, Places
from canary.window_time import WindowTime

WAITING = 4096
"""Events that wait for their unit to be told; with more, the oldest are let go."""
PATIENCE = 5.0
"""Seconds that they wait."""
UNREADABLE_MOST = 0.01
"""Part of an event's values that may be missing where a metric is made of them."""
LOST_MOST = 0.01
"""Part of the events' rows that may be lost on their way."""
LARGEST = 1e50
"""Values count as no larger: squares and cubes of sums of them are numbers."""
OVERDUE = 20
"""How many events the pace so far lets expect in a time without any, before that is a fault."""
NO_CHANCE = 20.0
"""-ln of the chance that one side alone has no event, from which on it is a fault: 2e-9, as each event asks anew."""
UNREADABLE_CHANCE = 1e-6
"""Chance that so many of one side's values are missing, were it UNREADABLE_MOST of them: below it is a fault."""
_SLOTS = 2**12
"""Places by which units are told apart, by the first bits of their hashes: there are as many units at least."""

Floats = npt.NDArray[np.float64]
_ROW = np.dtype([("clock", "<f8"), ("unit", "<u8"), ("value", "<f8"), ("event", "u1")])
_COLUMNS = _ROW.names or ()
_SIDES = ("legacy", "the candidate")


def unlikely(others: Any, odds: Any) -> Floats:
    """-ln of the chance that none of so many units came to this side, `odds` to 1 for each."""
    found: Floats = others * np.log1p(odds)
    return found


class Listener(Protocol):
    """A metric on one event."""

    def happened(self, places: Places, values: Floats, firsts: Places) -> None:
        """Events: where their units are (side * CLUSTERS + cluster), their values (not a number: none), and the places
        of units that had the event for the first time in this step."""

    def asked(self, places: Places) -> None:
        """Exchanges that did not fail, by the same places."""

    def step_over(self) -> None:
        """The units of this step are about to be forgotten."""


class Ager(Protocol):
    """A metric on what units do within some time of their first exchange."""

    def aged(self, at: Places, ages: Floats, values: Floats) -> None:
        """Events, or exchanges that did not fail: where in the cohort their units are, how long after those' first
        exchange they came, and their values."""


class Happenings:
    """One writer, like canary.evidence. `events` are names; rows name them by their place."""

    def __init__(self, events: Sequence[str], since: float, agers: int = 0) -> None:
        """`agers`: how many metrics will `age`."""
        self.events = tuple(events)
        self.since = since
        self.cohort = Cohort(len(self.events), agers)
        self.window = WindowTime()
        self.lossy = False
        """Whether too many events of the last window did not come."""
        self._before = np.zeros(2, np.int64)
        """`taken` and `lost` when the open window began."""
        self._told = np.zeros(len(self.events), np.int64)
        """How many of each event then had been told."""
        self._asked = np.zeros(2, np.int64)
        """Exchanges: all, and those of the open window."""
        self._quiet = np.zeros(len(self.events), np.int64)
        """Exchanges of the windows since each event came last."""
        self._exchanges = np.zeros(2, np.int64)
        """By side."""
        self._since = np.zeros((len(self.events), 2, 2), np.int64)
        """By event and side, since that side told of it last: exchanges of legacy and of the candidate."""
        self._alone = np.zeros((len(self.events), 2, _SLOTS), np.bool_)
        """By event and side, which places have units that had it there since the other side told of it last."""
        self._silenced = np.zeros((len(self.events), 2), np.bool_)
        """By event and side, whether it stayed away there alone for longer than chance lets it."""
        self.counts = np.zeros((len(self.events), 2), np.int64)
        """Events that were told, by side, whether their unit counts or not."""
        self.firsts = np.zeros((len(self.events), 2), np.int64)
        """Units that had the event, by side; of all steps."""
        self.valued = np.zeros((len(self.events), 2), np.int64)
        """Of `counts`, those with a value."""
        self.last = np.zeros(len(self.events))
        """Clock of each event's newest; 0 before the first."""
        self._lately = 0.0
        """Clock of the newest batch of events: their median, for one that is dated ahead must not end all patience."""
        self.taken = 0
        self.lost = 0
        """Rows that did not come."""
        self._listeners: dict[int, list[Listener]] = {}
        self._askers: list[Listener] = []
        self._agers: list[tuple[int | None, Ager]] = []
        self._waiting = np.zeros(0, _ROW)

    def listen(self, listener: Listener, event: str | None) -> None:
        """To an event, or (None) to every exchange."""
        if event is None:
            self._askers.append(listener)
        else:
            self._listeners.setdefault(self.events.index(event), []).append(listener)

    def age(self, ager: Ager, event: str | None) -> int:
        """As `listen`, for one that remembers a number of each unit; gives which of cohort.Cohort.kept is its."""
        self._agers.append((None if event is None else self.events.index(event), ager))
        return len(self._agers) - 1

    def asked(
        self,
        unit: Hashes,
        candidate: npt.NDArray[np.bool_],
        places: Places,
        failed: npt.NDArray[np.bool_],
        clock: Floats,
    ) -> None:
        """Exchanges of the present step: `places` are side * CLUSTERS + cluster."""
        remembered = self.cohort.enter(unit, candidate, clock)
        self._asked += len(unit)
        sides = np.bincount(candidate, minlength=2)
        self._exchanges += sides
        self._since += sides
        self.window.see(clock)
        if self._agers:
            at = self.cohort.find(unit[~failed])
            known = at >= 0
            self._age(None, at[known], clock[~failed][known], np.ones(int(known.sum())))
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
    ) -> None:
        """A batch of events of the present step: columns of equal length, as proxy.rows.EVENT_ROW has them. `clock` is
        finite."""
        usable = (side <= 1) & (event < len(self.events))
        self.lose(int(len(clock) - usable.sum()))
        rows = np.zeros(int(usable.sum()), _ROW)
        if not len(rows):
            return
        rows["clock"], rows["unit"], rows["value"], rows["event"] = (
            column[usable] for column in (clock, unit, value, event)
        )
        np.clip(rows["value"], -LARGEST, LARGEST, out=rows["value"], where=np.isfinite(rows["value"]))
        self.taken += len(rows)
        sides, readable = side[usable], np.isfinite(rows["value"])
        np.add.at(self.counts, (rows["event"], sides), 1)
        np.add.at(self.valued, (rows["event"][readable], sides[readable]), 1)
        self._tell(rows["event"], sides, rows["unit"])
        np.maximum.at(self.last, rows["event"], rows["clock"])
        self._lately = float(np.median(rows["clock"]))
        self._count(np.concatenate((self._waiting, rows)))

    def _tell(self, events: npt.NDArray[Any], sides: npt.NDArray[Any], units: Hashes) -> None:
        """Note which units had what since the other side had it: a unit that has it often, or in turn with another,
        tells no more than one that has it once."""
        self._alone[events, sides, units >> np.uint64(64 - 12)] = True
        self._since[events, sides] = 0
        self._alone[events, 1 - sides] = False

    def lose(self, rows: int) -> None:
        """So many events did not come, or cannot be read."""
        self.lost += rows

    def _count(self, rows: npt.NDArray[np.void]) -> None:
        at = self.cohort.find(rows["unit"])
        known = at >= 0
        held = rows[~known & self.cohort.sampled(rows["unit"])]
        if len(held):
            held = held[held["clock"] >= self._lately - PATIENCE][-WAITING:]
        self._waiting = held
        rows, at = rows[known], at[known]
        for event in range(len(self.events)):
            listeners = self._listeners.get(event, ())
            of_it = rows["event"] == event
            if not of_it.any():
                continue
            self._age(event, at[of_it], rows["clock"][of_it], rows["value"][of_it])
            places, values = self.cohort.place(at[of_it]), rows["value"][of_it]
            firsts = self.cohort.mark(at[of_it], event)
            self.firsts[event] += np.bincount(firsts // CLUSTERS, minlength=2)
            for listener in listeners:
                listener.happened(places, values, firsts)

    def _age(self, event: int | None, at: Places, clock: Floats, values: Floats) -> None:
        for number, ager in self._agers:
            if number == event:
                ager.aged(at, clock - self.cohort.begun[at], values)

    def window_over(self) -> None:
        """The window of evidence is complete, or given up; before its measures are told."""
        now = np.array([self.taken, self.lost])
        taken, lost = (now - self._before).tolist()
        self._before = now
        self.lossy = lost > LOST_MOST * (taken + lost)
        self._silenced |= self._unlikely() >= NO_CHANCE
        told = self.counts.sum(axis=1)
        self._quiet = np.where(told > self._told, 0, self._quiet + self._asked[1])
        self._told, self._asked[1] = told, 0
        self.window.end()
        # Dated ahead, or before a clock was set back, one event would let all others fall silent unseen until then.
        np.minimum(self.last, self.window.last + PATIENCE, out=self.last)
        if self._agers:
            self.cohort.date(self.window.last)

    def vanished(self, event: str) -> bool:
        """Whether an event has not come at all, or stays away for as many exchanges as OVERDUE of it used to come with:
        up to the last window. Whether units do nothing, or nobody is told what they do, cannot be known then."""
        number = self.events.index(event)
        told = int(self.counts[number].sum())
        return not told or int(self._quiet[number]) * told >= OVERDUE * int(self._asked[0])

    def _unlikely(self) -> Floats:
        """By event and side, -ln of the chance that it has not come there since it did last, though the other side has
        had it since: each time it could as well have come here, as often as there were exchanges on either side and as
        it used to come per exchange (or as on the other side, where it used to come more often: few events tell too
        much). 0 of what a side never had."""
        paces = self.counts / np.maximum(self._exchanges, 1)
        usual = np.divide(paces, paces[:, ::-1], out=np.zeros_like(paces), where=paces[:, ::-1] > 0)
        own, others = self._since[:, (0, 1), (0, 1)], self._since[:, (0, 1), (1, 0)]
        units = np.count_nonzero(self._alone, axis=2)[:, ::-1]
        return unlikely(units, own * np.minimum(usual, 1.0) / np.maximum(others, 1))

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
        for side, name in enumerate(_SIDES):
            if self._silenced[number, side]:
                return (
                    f"had no event '{event}' of {name} for a time in which the other side had it too often for that to "
                    "be chance, so nobody knows what happened there; abort the canary, and begin anew when it is back"
                )
        one_sided = self._one_sided(number)
        if one_sided:
            return one_sided
        unread = self._unread(number) if valued else ""
        if unread:
            return f"is made of values, and {unread}"
        if self.lost > LOST_MOST * (self.taken + self.lost):
            return f"has lost {self.lost:,} of {self.taken + self.lost:,} events on their way"
        return ""

    def _one_sided(self, number: int) -> str:
        """A side that never has an event which the other often has does not tell of it, as far as anybody can know:
        also where less of it would be better."""
        entered = self.cohort.entered
        for side, name in enumerate(_SIDES):
            if entered.min() and not self.firsts[number, side]:
                others, odds = self.firsts[number, 1 - side], entered[side] / entered[1 - side]
                if unlikely(others, odds) >= NO_CHANCE:
                    expected = float(others * odds)
                    units = f"{entered[side]:,} units of {name}"
                    return f"has no event '{self.events[number]}' of {units}, where {expected:,.0f} were to be expected"
        return ""

    def _unread(self, number: int) -> str:
        """Which values cannot be read, where those are too many: of all, or of one side, whose mean they would move."""
        missing, name = self.counts[number] - self.valued[number], self.events[number]
        if missing.sum() > UNREADABLE_MOST * self.counts[number].sum():
            return f"{missing.sum():,} of {self.counts[number].sum():,} events '{name}' have none that can be read"
        for side, of in enumerate(_SIDES):
            told = self.counts[number, side]
            if missing[side] and bdtrc(missing[side] - 1, told, UNREADABLE_MOST) < UNREADABLE_CHANCE:
                return f"{missing[side]:,} of {told:,} events '{name}' of {of} have none that can be read"
        return ""

    def state(self) -> dict[str, Any]:
        return {
            "cohort": self.cohort.state(),
            "counts": self.counts,
            "firsts": self.firsts,
            "valued": self.valued,
            "last": self.last,
            "lately": self._lately,
            "taken": [self.taken, self.lost],
            "window": self.window.state(),
            "before": self._before,
            "told": self._told,
            "asked": self._asked,
            "quiet": self._quiet,
            "exchanges": self._exchanges,
            "since": self._since,
            "alone": self._alone,
            "silenced": self._silenced,
            "waiting": [self._waiting[name] for name in _COLUMNS],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.cohort.restore(state["cohort"])
        self.counts, self.firsts = state["counts"], state["firsts"]
        self.valued, self.last = state["valued"], state["last"]
        self._lately = state["lately"]
        self.taken, self.lost = state["taken"]
        self.window.restore(state["window"])
        self._before, self._told = state["before"], state["told"]
        self._asked, self._quiet = state["asked"], state["quiet"]
        self._exchanges, self._since, self._silenced = state["exchanges"], state["since"], state["silenced"]
        self._alone = state["alone"]
        self._waiting = np.zeros(len(state["waiting"][0]), _ROW)
        for name, column in zip(_COLUMNS, state["waiting"], strict=True):
            self._waiting[name] = column
