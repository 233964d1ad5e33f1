"""Error budgets of the running rules' objectives: tallies of the workers in; readings, alerts and vetoes out.

Who pays for a route's budget is whoever its clients meet: both sides' answers count, and those that fig gives in their
place; a fallback to legacy saved the client, and costs nothing. For a service its own failures count, on every route.
Implements canary.pilot.Veto: a budget that burns fast, or is used up, stops promotion, and never a way back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import structlog

from canary import histogram
from canary.rollout import Move, Rollout
from canary.slo.ledger import Ledger, LedgerError, Reading
from canary.slo.ring import Counts
from proxy.control.book import Book
from proxy.control.telling.happenings import EVERYTHING
from proxy.control.traffic import Labels
from proxy.wire import SideTally, Tally

log = structlog.get_logger(__name__)

LEVELS = ("", "ticket", "page", "exhausted")
"""From well to worst."""
CALM = 600.0
"""Seconds that a budget must have been better before people are told so: alerts at their threshold come and go."""
_OF_THE_RULES = frozenset(("redirect", "respond"))
"""Reasons for which fig answers itself because the route says so, and not because a side failed."""


class Budgets:
    """One ledger for each objective."""

    def __init__(self, kept: Mapping[str, bytes]) -> None:
        """`kept` is what the last life of control left; taken up by the first `follow` with a rulebook."""
        self._kept = dict(kept)
        self._ledgers: dict[str, Ledger] = {}
        self._by_route: dict[str, list[Ledger]] = {}
        self._by_service: dict[str, list[Ledger]] = {}
        self._sides: dict[str, frozenset[str]] = {}
        """Route -> services that may answer it, of routes with a rollout."""
        self._better_since: dict[tuple[str, str], float] = {}
        self._changed: set[str] = set()
        self._read: dict[str, tuple[float, list[Reading]]] = {}
        """By name: what the ledger said, and when that was; three ask for it at every look."""

    def follow(self, book: Book) -> None:
        """To be called with every accepted book."""
        if book.rulebook is None:
            return
        ledgers: dict[str, Ledger] = {}
        for name, objective in book.rulebook.slo.items():
            found = self._ledgers.get(name)
            if found is not None and found.objective == objective:
                ledgers[name] = found
                continue
            ledger = ledgers[name] = Ledger(name, objective)
            data = found.dump() if found is not None else self._kept.get(name)
            if data is not None:
                try:
                    ledger.restore(data)
                except LedgerError as exc:
                    log.warning("an error budget begins anew", slo=name, reason=str(exc))
        self._changed |= ledgers.keys() | self._ledgers.keys() | self._kept.keys()
        self._kept.clear()
        self._ledgers = ledgers
        self._read.clear()
        self._by_route, self._by_service = defaultdict(list), defaultdict(list)
        for ledger in ledgers.values():
            objective = ledger.objective
            if objective.route is not None:
                self._by_route[objective.route].append(ledger)
            else:
                self._by_service[objective.service or ""].append(ledger)
        self._sides = {
            name: frozenset(filter(None, (route.legacy or book.effective.rules.legacy, route.candidate)))
            for name in book.rulebook.rollouts
            if (route := book.routes.get(name)) is not None
        }

    def take_tally(self, tally: Tally, now: float) -> None:
        """What a worker counted since its last one. `now`: seconds since the epoch."""
        if not self._ledgers:
            return
        for side in tally.sides:
            for ledger in self._by_route.get(side.route, ()):
                self._add(ledger, now, _of_clients(side, ledger))
            for ledger in self._by_service.get(side.service, ()):
                self._add(ledger, now, _of_service(side, ledger))
        for name, labels, delta in tally.counts:
            if name in ("own_answers", "service_turned_away"):
                for ledger in self._paying(name, dict(labels)):
                    self._add(ledger, now, Counts(int(delta), int(delta), int(delta)))

    def _paying(self, name: str, labels: Mapping[str, str]) -> Iterable[Ledger]:
        """Whose budget an answer of fig's own goes on."""
        if name == "service_turned_away":
            return self._by_service.get(labels.get("service", ""), ())
        is_failure = labels.get("status", "") >= "500" and labels.get("reason") not in _OF_THE_RULES
        return self._by_route.get(labels.get("route", ""), ()) if is_failure else ()

    def _add(self, ledger: Ledger, now: float, counts: Counts) -> None:
        if counts.total:
            ledger.add(now, counts)
            self._read.pop(ledger.name, None)
            self._changed.add(ledger.name)

    def _readings(self, ledger: Ledger, now: float) -> list[Reading]:
        found = self._read.get(ledger.name)
        if found is None or found[0] != now:
            found = self._read[ledger.name] = (now, ledger.read(now))
        return found[1]

    def reasons(self, route: str, rollout: Rollout, move: Move, now: float) -> Sequence[str]:
        """Why the pilot may not promote the route: the sentences of budgets that burn fast or are used up."""
        binding = [*self._by_route.get(route, ())]
        for service in sorted(self._sides.get(route, frozenset())):
            binding += self._by_service.get(service, ())
        return [
            reading.sentence
            for ledger in binding
            if ledger.objective.blocks
            for reading in self._readings(ledger, now)
            if reading.stops_promotion
        ]

    def documents(self, now: float, route: str | None = None) -> list[dict[str, Any]]:
        """Every promise as plain data; of one route, those that can stop it."""
        services = self._sides.get(route, frozenset()) if route is not None else frozenset()
        return [
            _document(ledger, reading)
            for ledger in self._ledgers.values()
            if route is None or ledger.objective.route == route or ledger.objective.service in services
            for reading in self._readings(ledger, now)
        ]

    def gauges(self, now: float) -> list[tuple[str, Labels, float]]:
        """As a Tally brings them."""
        found: list[tuple[str, Labels, float]] = []
        for ledger in self._ledgers.values():
            for reading in self._readings(ledger, now):
                labels: Labels = (("objective", reading.promise), ("slo", ledger.name))
                if reading.remaining is not None:
                    found.append(("slo_budget_remaining_ratio", labels, float(reading.remaining)))
                found += [
                    ("slo_burn_rate", (*labels, ("window", window)), float(burn.rate))
                    for window, burn in reading.burns.items()
                    if burn.rate is not None
                ]
        return found

    def news(self, now: float) -> list[tuple[str, str]]:
        """What people have not been told yet, as (route, sentence): what became worse, and what has been better for a
        while."""
        found: list[tuple[str, str]] = []
        for ledger in self._ledgers.values():
            for reading in self._readings(ledger, now):
                if self._is_news(ledger, reading, now):
                    better = LEVELS.index(reading.level) < LEVELS.index(ledger.told.get(reading.promise, ""))
                    ledger.told[reading.promise] = reading.level
                    self._changed.add(ledger.name)
                    sentence = f"better again: {reading.sentence}" if better else reading.sentence
                    found.append((ledger.objective.route or EVERYTHING, sentence))
        return found

    def _is_news(self, ledger: Ledger, reading: Reading, now: float) -> bool:
        key = (ledger.name, reading.promise)
        level, told = LEVELS.index(reading.level), LEVELS.index(ledger.told.get(reading.promise, ""))
        if level < told and now - self._better_since.setdefault(key, now) < CALM:
            return False
        self._better_since.pop(key, None)
        return level != told

    def to_keep(self) -> dict[str, bytes | None]:
        """What has changed since this was last asked; None for objectives that there are no more."""
        changed, self._changed = self._changed, set()
        return {name: self._ledgers[name].dump() if name in self._ledgers else None for name in sorted(changed)}

    def not_kept(self, changed: Iterable[str]) -> None:
        """These could not be kept; they are to be kept the next time."""
        self._changed.update(changed)


def _slow(side: SideTally, ledger: Ledger) -> int:
    latency = ledger.objective.latency
    if latency is None or not side.latency:
        return 0
    buckets = np.frombuffer(side.latency, histogram.PACKED)
    return int(buckets["count"][buckets["bucket"] > histogram.index(latency.under)].sum())


def _of_clients(side: SideTally, ledger: Ledger) -> Counts:
    """Answers of a side to a route's clients; where it gave none, fig answered, which is counted apart."""
    failed = side.failures.get("status", 0) + side.cut
    return Counts(sum(side.requests.values()), failed, _slow(side, ledger))


def _of_service(side: SideTally, ledger: Ledger) -> Counts:
    """Requests that a service was asked, answered or not."""
    answers = sum(side.requests.values())
    failed = sum(side.failures.values())
    unanswered = failed - side.failures.get("status", 0) - side.cut
    return Counts(answers + unanswered, failed, _slow(side, ledger) + unanswered)


def _document(ledger: Ledger, reading: Reading) -> dict[str, Any]:
    objective = ledger.objective
    is_latency = reading.promise == "latency" and objective.latency is not None
    return {
        "name": ledger.name,
        "route": objective.route,
        "service": objective.service,
        "objective": reading.promise,
        "goal": reading.goal,
        "under": objective.latency.under if is_latency and objective.latency is not None else None,
        "period": objective.period,
        "requests": reading.total,
        "bad": reading.bad,
        "remaining": reading.remaining,
        "burn": {window: burn.rate for window, burn in reading.burns.items()},
        "level": reading.level,
        "stops_promotion": reading.stops_promotion and objective.blocks,
        "sentence": reading.sentence,
    }
