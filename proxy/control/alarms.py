"""What takes a route back at once: the last seconds of its exchanges, and circuit breakers as the workers tell them.

Follows the book; everything is forgotten with control, which sees the next seconds anyway. Implements
canary.pilot.Alarm.
"""

from __future__ import annotations

import numpy as np

from canary.instant import Glimpse
from canary.plan import RolloutPlan
from proxy.control.book import Book
from proxy.rows import ROW
from proxy.wire import Rows, SideTally, Tally
from rules.stages import Side, Stage

Key = tuple[str, str]
"""(service, side)."""


class Breakers:
    """Since when each worker's breakers have not been closed. Half open is not closed: a breaker that tries again and
    fails has not been well in between."""

    def __init__(self) -> None:
        self._peers: dict[str, dict[Key, float | None]] = {}
        """Worker -> breaker -> since when it is not closed; None while it is."""

    def take(self, peer: str, tally: Tally, now: float) -> None:
        if tally.gauges is None:
            return
        former, found = self._peers.get(peer, {}), dict[Key, float | None]()
        for name, labels, value in tally.gauges:
            if name != "breaker_state" or not value:
                continue
            of = dict(labels)
            key = (of["service"], of["side"])
            since = former.get(key)
            found[key] = None if of["state"] == "closed" else now if since is None else since
        if found or former:
            self._peers[peer] = found

    def forget(self, peer: str) -> None:
        self._peers.pop(peer, None)

    def open_for(self, service: str, side: Side, now: float) -> float:
        """For how many seconds at least half of the workers that have this breaker have had it open; 0 if it is not."""
        since = [found[service, side.value] for found in self._peers.values() if (service, side.value) in found]
        opened = sorted(at for at in since if at is not None)
        half = (len(since) + 1) // 2
        return now - opened[half - 1] if since and len(opened) >= half else 0.0


class Alarms:
    """Implements canary.pilot.Alarm."""

    def __init__(self) -> None:
        self._glimpses: dict[str, Glimpse] = {}
        self._attempts: dict[str, tuple[str, float]] = {}
        """Route -> what is tried since when: of another attempt nothing is known."""
        self._began: dict[str, int] = {}
        """Route -> the generation of its attempt: rows of one before it are of a former one."""
        self._live: set[str] = set()
        self._services: dict[str, tuple[str, str]] = {}
        """Route -> its candidate and its legacy."""
        self._breakers = Breakers()

    def follow(self, book: Book) -> None:
        """To be called with every accepted book, before its generation is told to the workers."""
        rulebook = book.judged_by
        if rulebook is None:
            return
        glimpses, attempts, began = self._glimpses, self._attempts, self._began
        self._glimpses, self._attempts, self._began, self._services, self._live = {}, {}, {}, {}, set()
        for name, plan in rulebook.rollouts.items():
            standing = book.standings.get(name)
            if standing is None or not standing.rollout.is_exposed:
                continue
            rollout, route = standing.rollout, book.routes[name]
            attempt = (rollout.subject, rollout.began if rollout.began is not None else rollout.since)
            known = glimpses.get(name)
            if known is not None and rollout.stage is Stage.LIVE and attempts[name][0] == rollout.subject:
                attempt = attempts[name]  # the watch of the same attempt, which knows how often legacy failed
            if known is None or known.instant != plan.instant or attempts[name] != attempt:
                known, began[name] = Glimpse(plan.instant), book.effective.generation
            self._glimpses[name], self._attempts[name], self._began[name] = known, attempt, began[name]
            self._services[name] = (route.candidate or "", route.legacy or book.effective.rules.legacy)
            if rollout.stage is Stage.LIVE:
                self._live.add(name)

    def take_rows(self, rows: Rows, now: float) -> None:
        """Rows of a worker, also of a former share: it is the same candidate."""
        glimpse = self._glimpses.get(rows.route)
        if glimpse is None or rows.generation < self._began[rows.route] or len(rows.rows) % ROW.itemsize:
            return
        columns = np.frombuffer(rows.rows, ROW)
        glimpse.add(columns["clock"], columns["unit"], columns["side"] == 1, columns["failure"] != 0, now)

    def take_tally(self, peer: str, tally: Tally, now: float) -> None:
        """Breakers, and the counts of routes that are live: nobody sends rows of those."""
        self._breakers.take(peer, tally, now)
        for side in tally.sides:
            if side.route in self._live and side.side == Side.CANDIDATE.value:
                failed, requests = counted(side)
                self._glimpses[side.route].add_counts(requests, failed, now)

    def forget_peer(self, peer: str) -> None:
        self._breakers.forget(peer)

    def tripped(self, route: str, plan: RolloutPlan, now: float) -> str:
        """Why the route must be rolled back at once; ``""`` while it need not."""
        glimpse = self._glimpses.get(route)
        if glimpse is None or not plan.instant.enabled:
            return ""
        return self._broken(route, plan.instant.breaker, now) or glimpse.fatal(now)

    def _broken(self, route: str, due: float, now: float) -> str:
        candidate, legacy = self._services[route]
        held = self._breakers.open_for(candidate, Side.CANDIDATE, now)
        if held < due or self._breakers.open_for(legacy, Side.LEGACY, now) > 0:
            return ""
        return (
            f"at once: the circuit breaker of service '{candidate}' has been open for {held:.0f} s "
            f"(instant: breaker, {due:g} s)"
        )


def counted(side: SideTally) -> tuple[int, int]:
    """How many exchanges failed, and how many there were. A 5xx answer is an answer too, and so is one that was cut."""
    failed = sum(side.failures.values())
    return failed, sum(side.requests.values()) + failed - side.failures.get("status", 0) - side.cut
