"""The counts that one objective is held against, and what they say now. Pure; the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from canary.slo.burning import DAY, HOUR, MINUTE, WINDOWS, Burn, BurnAlert, Severity, burn, raised, remaining
from canary.slo.ring import Counts, Ring
from canary.slo.spec import Objective
from rules.quantities import duration_text, fraction_text

_FINE = WINDOWS["6h"]
"""Seconds of which buckets of a minute are kept; what is longer ago is kept by the hour."""


class LedgerError(Exception):
    """What was kept cannot be taken up: it is damaged, or counts something else."""


class _Kept(msgspec.Struct, array_like=True):
    subject: str
    since: float
    fine: bytes
    coarse: bytes
    told: dict[str, str]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the counts say of one promise."""

    promise: str
    """``availability`` or ``latency``."""
    goal: float
    total: int
    """Requests in the period."""
    bad: int
    burns: dict[str, Burn]
    """By window."""
    remaining: float | None
    """Part of the budget that is left, 1 to below 0; None without requests."""
    alert: BurnAlert | None
    exhausted: bool
    sentence: str
    """What there is to say, for people."""

    @property
    def level(self) -> str:
        """``exhausted``, ``page``, ``ticket``, or empty: how bad it is."""
        if self.exhausted:
            return "exhausted"
        return self.alert.severity.value if self.alert is not None else ""

    @property
    def stops_promotion(self) -> bool:
        return self.exhausted or (self.alert is not None and self.alert.severity is Severity.PAGE)


class Ledger:
    """Counts of one objective: by the minute for six hours, by the hour for its period."""

    def __init__(self, name: str, objective: Objective) -> None:
        self.name = name
        self.objective = objective
        self.since = 0.0
        """When the first request was counted, or the first after a period without any; 0 before that."""
        self.told: dict[str, str] = {}
        """Promise -> the level that people were last told of."""
        self._fine = Ring(MINUTE, int(_FINE / MINUTE) + 2)
        self._coarse = Ring(HOUR, int(objective.period / HOUR) + 2)

    def add(self, at: float, counts: Counts) -> None:
        """Count at that time, in seconds since the epoch."""
        if not self.since or at < self.since:  # the clock was ahead: what is dated later has not covered more
            self.since = at
        elif at - self.since > self.objective.period and not self.counts(at, self.objective.period).total:
            self.since = at  # of a clock that was not set yet, or so long ago that nothing of it counts any more
        self._fine.add(at, counts)
        self._coarse.add(at, counts)

    def counts(self, now: float, seconds: float) -> Counts:
        """Of the last `seconds`."""
        return (self._fine if seconds <= _FINE else self._coarse).sum(now, seconds)

    def read(self, now: float) -> list[Reading]:
        """One for each promise of the objective."""
        windows = {name: self.counts(now, seconds) for name, seconds in WINDOWS.items()}
        period = self.counts(now, self.objective.period)
        found = []
        if self.objective.availability is not None:
            goal = self.objective.availability
            burns = {name: burn(each.total, each.failed, goal) for name, each in windows.items()}
            found.append(self._reading("availability", goal, period.total, period.failed, burns, now))
        if self.objective.latency is not None:
            part = self.objective.latency.part
            burns = {name: burn(each.total, each.slow, part) for name, each in windows.items()}
            found.append(self._reading("latency", part, period.total, period.slow, burns, now))
        return found

    def _reading(self, promise: str, goal: float, total: int, bad: int, burns: dict[str, Burn], now: float) -> Reading:
        objective = self.objective
        left = remaining(total, bad, goal, now - self.since, objective.period)
        alert = raised(burns, objective.period, objective.min_requests)
        exhausted = left is not None and left <= 0 and total >= objective.min_requests
        sentence = self._sentence(promise, goal, burns, left, alert, exhausted=exhausted)
        return Reading(promise, goal, total, bad, burns, left, alert, exhausted, sentence)

    def _sentence(
        self,
        promise: str,
        goal: float,
        burns: dict[str, Burn],
        left: float | None,
        alert: BurnAlert | None,
        *,
        exhausted: bool,
    ) -> str:
        latency = self.objective.latency
        under = f" under {duration_text(latency.under)}" if promise == "latency" and latency is not None else ""
        about = f"SLO '{self.name}' ({promise} {fraction_text(goal)}{under}, {self.objective.about})"
        if left is None:
            return f"{about}: no requests yet"
        if exhausted:
            return f"{about}: the error budget of {self.objective.period / DAY:g} days is used up"
        kept = f"{left:.1%} of the error budget is left"
        if alert is None:
            return f"{about}: {kept}"
        long, short = burns[alert.long], burns[alert.short]
        return (
            f"{about}: the error budget burns {long.rate or 0:.1f} times too fast over {alert.long} and "
            f"{short.rate or 0:.1f} times over {alert.short} ({alert.severity} from "
            f"{alert.threshold(self.objective.period):g}); {kept}"
        )

    def dump(self) -> bytes:
        """What `restore` reads."""
        kept = _Kept(self._subject(), self.since, self._fine.dump(), self._coarse.dump(), self.told)
        return msgspec.msgpack.encode(kept)

    def restore(self, data: bytes) -> None:
        """Add what another life of control counted. Raises LedgerError, and then has counted nothing of it."""
        try:
            kept = msgspec.msgpack.decode(data, type=_Kept)
            if kept.subject != self._subject():
                raise LedgerError(f"counts were kept of {kept.subject}, and the objective is about {self._subject()}")
            fine, coarse = Ring.load(kept.fine), Ring.load(kept.coarse)
            if (fine.width, coarse.width) != (self._fine.width, self._coarse.width):
                raise LedgerError("counts were kept in buckets of another width")
        except (msgspec.MsgspecError, ValueError) as exc:
            raise LedgerError(str(exc)) from exc
        self._fine.merge(fine)
        self._coarse.merge(coarse)
        self.since = min(filter(None, (self.since, kept.since)), default=0.0)
        self.told = {**kept.told, **self.told}

    def _subject(self) -> str:
        """What is counted: where that changes, what was counted before is of something else. The goals may change."""
        latency = self.objective.latency
        return f"{self.objective.about}, slow from {latency.under:g} s" if latency is not None else self.objective.about
