"""Watches of routes that went live: tallies of their candidates in, verdicts out.

Stands before the gates of routes in canary: the pilot asks one object about every route whose candidate answers
clients. What a canary shows is gathered while it runs, from the same tallies that the watch is then fed with.
Implements canary.pilot.Gates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog

from canary import histogram
from canary.gate import fault
from canary.pilot import Gates
from canary.snapshot import SnapshotError
from canary.spec import Gate
from canary.verdict import Judgement, Verdict
from canary.watch import WINDOW_REQUESTS, Standard, Watch, decode, encode, unwatched
from proxy.control.alarms import counted
from proxy.control.book import Book
from proxy.control.records import Standing
from proxy.wire import Tally
from rules.stages import Side, Stage

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Watched:
    """One attempt: its canary, and then its watch."""

    subject: str
    began: float
    """When it entered canary."""
    gate_name: str
    gate: Gate
    standard: Standard
    watch: Watch | None = None
    since: float = 0.0
    """When it went live."""


class Watches:
    """Implements canary.pilot.Gates; `gates` judges whatever is not watched."""

    def __init__(self, gates: Gates, kept: Mapping[str, bytes]) -> None:
        """`kept`: what `to_keep` gave the last life of control."""
        self._gates = gates
        self._kept = dict(kept)
        self._watched: dict[str, _Watched] = {}
        self._changed: set[str] = set()
        self.latest: dict[str, Judgement] = {}
        """The last judgement of every watch that runs."""

    def follow(self, book: Book) -> None:
        """To be called with every accepted book, before its generation is told to the workers."""
        rulebook = book.judged_by
        if rulebook is None:
            return
        former, self._watched = self._watched, {}
        for name, plan in rulebook.rollouts.items():
            standing = book.standings.get(name)
            if plan.watch is None or standing is None or not standing.rollout.is_exposed:
                continue
            gate = rulebook.gates[plan.gate]
            found = former.get(name) or self._taken_up(name, plan.gate, gate)
            found = _followed(found, standing, plan.gate, gate)
            if found is not None:
                self._watched[name] = found
        if book.rulebook is not None:
            self._kept.clear()
        self._changed |= former.keys() - self._watched.keys()
        running = {name for name, one in self._watched.items() if one.watch is not None}
        self.latest = {name: one for name, one in self.latest.items() if name in running}

    def _taken_up(self, name: str, gate_name: str, gate: Gate) -> _Watched | None:
        data = self._kept.get(name)
        if data is None:
            return None
        try:
            known = decode(data, gate)
        except SnapshotError as exc:
            log.warning("what the canary of a route showed is lost for its watch", route=name, problem=str(exc))
            return None
        return _Watched(known.subject, known.began, gate_name, gate, known.standard, known.watch, known.since)

    def take_tally(self, tally: Tally, now: float) -> None:
        for side in tally.sides:
            found = self._watched.get(side.route)
            if found is None or side.side != Side.CANDIDATE.value:
                continue
            failed, requests = counted(side)
            into = found.watch or found.standard
            into.add(requests, failed, histogram.unpacked(side.latency), now)
            self._changed.add(side.route)

    def judge(self, route: str, now: float) -> Judgement:
        found = self._watched.get(route)
        if found is None or found.watch is None:
            return self._gates.judge(route, now)
        self.latest[route] = judged = _judged(route, found, found.watch, now)
        return judged

    def to_keep(self) -> dict[str, bytes | None]:
        """What changed since the last time, by route; None where nothing is to be kept any more."""
        changed, self._changed = self._changed, set()
        return {name: _encoded(self._watched[name]) if name in self._watched else None for name in changed}

    def not_kept(self, changed: Mapping[str, bytes | None]) -> None:
        """Those of `to_keep` could not be kept and are due again."""
        self._changed |= changed.keys()


def _followed(found: _Watched | None, standing: Standing, gate_name: str, gate: Gate) -> _Watched | None:
    """What is known of the attempt under the present book; None for a route that is live without a known canary."""
    rollout = standing.rollout
    if rollout.stage is Stage.CANARY:
        began = rollout.began if rollout.began is not None else rollout.since
        fits = found is not None and found.watch is None and (found.subject, found.began) == (rollout.subject, began)
        if found is None or not fits or found.gate != gate:
            return _Watched(rollout.subject, began, gate_name, gate, Standard(gate))
        return found
    if found is None or found.subject != rollout.subject:
        return _Watched(rollout.subject, 0.0, gate_name, gate, Standard(gate), Watch((), gate.alpha, gate.window), 0.0)
    if found.watch is None or found.since != rollout.since:
        found.watch, found.since = Watch.of(found.standard, found.gate.alpha), rollout.since
    return found


def _judged(route: str, found: _Watched, watch: Watch, now: float) -> Judgement:
    blind = _blind(found, watch, now)
    if blind:
        return fault(route, found.gate_name, blind, found.gate.alpha, now)
    requests, windows = (int(each) for each in watch.counts)
    worse = watch.worse()
    well = f"not worse than in its own canary over {requests:,} exchanges since it went live"
    reason = worse or "; ".join(filter(None, (well, unwatched(found.gate))))
    return replace(
        fault(route, found.gate_name, reason, found.gate.alpha, now),
        verdict=Verdict.ROLLBACK if worse else Verdict.KEEP_WATCHING,
        candidate_requests=requests,
        since=found.since,
        windows=windows,
    )


def _blind(found: _Watched, watch: Watch, now: float) -> str:
    """Why the watch sees nothing; ``""`` where it does."""
    if not found.standard.metrics:
        return f"the watch sees nothing: {unwatched(found.gate)}"
    if not watch.bounds:
        return "the watch sees nothing: its canary has shown too little to hold it against (or control forgot it)"
    quiet = now - found.since
    if not watch.counts[1] and quiet > found.gate.silence:
        return f"{watch.seen} exchanges since it went live {quiet:.0f} s ago, and the watch needs {WINDOW_REQUESTS}"
    return ""


def _encoded(found: _Watched) -> bytes:
    return encode(found.subject, found.began, found.standard, found.watch, found.since)
