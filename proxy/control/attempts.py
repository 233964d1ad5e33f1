"""The evidence of running rollout attempts: rows and tallies of the workers in, judgements out.

Follows the book: a route that enters canary gets fresh Evidence, a change of share closes its window, another candidate
or gate begins anew, a route that leaves canary ends it. Implements canary.pilot.Gates.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any
from zlib import crc32

import numpy as np
import structlog

from canary import histogram
from canary.evidence import Evidence
from canary.gate import fault, judge
from canary.rollout import Rollout
from canary.snapshot import SnapshotError
from canary.spec import Gate
from canary.verdict import Judgement, Verdict
from proxy.control.book import Book
from proxy.control.records import Kept, Standing
from proxy.rows import EVENT_ROW, ROW
from proxy.rulebook import Rulebook
from proxy.wire import EventRows, Rows, Tally
from rules.stages import Side, Stage

log = structlog.get_logger(__name__)

_ROWS = (ROW, Evidence.ingest, ("clock", "unit", "seconds", "side", "failure"))
_EVENT_ROWS = (EVENT_ROW, Evidence.ingest_events, ("clock", "unit", "value", "side", "event"))
ROUND = 4 * 1024 * 1024
"""Bytes of snapshots that are made at one time: some ten routes, and some ten milliseconds."""
REMEMBERED = 64
"""Generations whose shares are remembered; rows of older ones come too late to belong to any window."""


class Attempts:
    """One Evidence per route in canary, and one latency reference per route before it."""

    def __init__(self, kept: Mapping[str, Kept]) -> None:
        """`kept` is what the last life of control left; taken up by the first `follow` with a rulebook."""
        self._kept = dict(kept)
        self._evidence: dict[str, Evidence] = {}
        self._references: dict[str, Counter[int]] = {name: Counter(one.reference) for name, one in kept.items()}
        self._shares: deque[tuple[int, Mapping[str, int]]] = deque(maxlen=REMEMBERED)
        self._began: dict[str, int] = {}
        """Route -> generation of its attempt: rows of one before it belong to a former attempt."""
        self._standings: Mapping[str, Standing] = {}
        self.latest: dict[str, Judgement] = {}
        """The last judgement of every attempt, also of ended ones; for whoever asks after a rollback."""
        self._judged: dict[str, str] = {}
        """Route -> subject of its `latest`: what was said of a former candidate is not said of the present one."""
        self._stale: set[str] = set()
        """Routes of which something else is to be kept than what was, whatever their evidence says."""
        self._written: dict[str, int] = dict.fromkeys(kept, -1)
        """Route that something is kept of -> CRC of its snapshot there."""
        self._anew: list[tuple[str, str]] = []
        self._looks = 0
        self._looked: dict[str, int] = {}
        """Route in canary -> at which of all looks it was last looked at, to be kept."""

    def follow(self, book: Book) -> None:
        """To be called with every accepted book, before its generation is told to the workers."""
        generation, rulebook = book.effective.generation, book.judged_by
        running = {}
        for name in rulebook.rollouts if rulebook is not None else ():
            standing = book.standings.get(name)
            if rulebook is not None and standing is not None and standing.rollout.stage is Stage.CANARY:
                running[name] = self._followed(standing, rulebook, generation)
        self._shares.append((generation, {name: book.standings[name].rollout.share for name in running}))
        if book.rulebook is not None:  # without one not all can be taken up, and nothing may be thrown away
            self._kept.clear()
        self._stale |= self._evidence.keys() - running.keys()
        self._evidence = running
        self._began = {name: began for name, began in self._began.items() if name in running}
        self._references = {name: one for name, one in self._references.items() if name in book.standings}
        self._judged = {
            name: subject
            for name, subject in self._judged.items()
            if name in book.standings
            and book.standings[name].rollout.subject == subject
            and not self._was_taken_back(book.standings[name].rollout, name)
        }
        self.latest = {name: one for name, one in self.latest.items() if name in self._judged}
        self._standings = book.standings

    def _was_taken_back(self, rollout: Rollout, name: str) -> bool:
        """Whether the gate would have promoted it: that holds no more, also if somebody puts it live later."""
        latest = self.latest.get(name)
        promoted = latest is not None and latest.verdict is Verdict.PROMOTE
        return promoted and rollout.stage in (Stage.LEGACY, Stage.SHADOW)

    def _followed(self, standing: Standing, rulebook: Rulebook, generation: int) -> Evidence:
        """The route's running evidence at its present share; fresh if there is none that fits."""
        rollout, name = standing.rollout, standing.route
        gate_name = rulebook.rollouts[name].gate
        gate = rulebook.gates[gate_name]
        began = rollout.began if rollout.began is not None else rollout.since
        found = self._evidence.get(name)
        events = _told(gate, rulebook)
        if found is None or not _fits(found, gate_name, gate, rollout.subject, began, events):
            if found is not None and (found.subject, found.since) == (rollout.subject, began):
                self._begin_anew(name, f"gate '{gate_name}', or an event that it counts, changed")
            found = self._fresh(standing, gate_name, gate, began, events)
            self._began[name] = generation
        found.share_changed(rollout.share, rollout.since)
        return found

    def _fresh(self, standing: Standing, gate_name: str, gate: Gate, began: float, events: str) -> Evidence:
        rollout, name = standing.rollout, standing.route
        evidence = Evidence(
            name,
            gate_name,
            gate,
            subject=rollout.subject,
            share=rollout.share,
            since=began,
            reference=self._references.get(name),
            events=events,
        )
        kept = self._kept.pop(name, None)
        if kept is not None and kept.snapshot:
            try:
                evidence.restore(kept.snapshot)
            except SnapshotError as exc:
                self._begin_anew(name, f"what was kept cannot be taken up: {exc}")
            else:
                if evidence.since == began:
                    log.info("evidence taken up", route=name, requests=int(evidence.requests.sum()))
                    return evidence
            # Once: what was restored from is taken out of `_kept`.
            return self._fresh(standing, gate_name, gate, began, events)
        self.latest.pop(name, None)
        return evidence

    def _begin_anew(self, route: str, why: str) -> None:
        log.warning("evidence begins anew", route=route, reason=why)
        self._anew.append((route, f"the evidence begins anew: {why}"))

    def begun_anew(self) -> list[tuple[str, str]]:
        """Routes whose evidence had to begin anew, with why, since this was last asked: for the history."""
        found, self._anew = self._anew, []
        return found

    def take_rows(self, rows: Rows | EventRows) -> None:
        """Rows of a worker. Those of a share that no longer holds, or of another attempt, count as late."""
        evidence = self._evidence.get(rows.route)
        if evidence is None:
            return
        form, take, names = _ROWS if isinstance(rows, Rows) else _EVENT_ROWS
        if len(rows.rows) % form.itemsize:
            log.error("rows of a wrong size", route=rows.route, bytes=len(rows.rows))
            return
        columns = np.frombuffer(rows.rows, form)
        share = self._share_of(rows.route, rows.generation)
        take(evidence, *(columns[name] for name in names), share=share, dropped=rows.dropped)

    def _share_of(self, route: str, generation: int) -> int:
        """The route's share in `generation`; -1, which no route has, where that is forgotten or before its attempt."""
        if generation < self._began.get(route, 0):
            return -1
        shares = next((shares for number, shares in self._shares if number == generation), {})
        return shares.get(route, -1)

    @property
    def running(self) -> Mapping[str, Evidence]:
        """The evidence of every route in canary."""
        return self._evidence

    def take_tally(self, tally: Tally) -> None:
        """Legacy's service times of routes in shadow: the reference that their canary will be held against."""
        for side in tally.sides:
            standing = self._standings.get(side.route)
            collecting = standing is not None and standing.rollout.stage is Stage.SHADOW
            if collecting and side.side == Side.LEGACY.value:
                self._references.setdefault(side.route, Counter()).update(histogram.unpacked(side.latency))
                self._stale.add(side.route)

    def verdict(self, route: str) -> Verdict | None:
        """What its gate said last of the present candidate; None where it was not asked."""
        latest = self.latest.get(route)
        return latest.verdict if latest is not None else None

    def judge(self, route: str, now: float) -> Judgement:
        """The gate's verdict at `now`, seconds since the epoch; a fault where there is no evidence."""
        evidence = self._evidence.get(route)
        if evidence is None:
            return fault(route, "-", "there is no evidence: the route is not in canary, or has no rollout", 0.05, now)
        judgement = judge(evidence.gate, evidence, now)
        self.latest[route], self._judged[route] = judgement, evidence.subject
        return judgement

    def to_keep(self, most: int = ROUND) -> dict[str, Kept | None]:
        """What must survive control and is not what was kept last, by route; None for what is to be forgotten.

        At most about `most` bytes of snapshots, those that were not looked at for longest: with N bytes of evidence
        every route is kept once in N / `most` times, rounded up.
        """
        found: dict[str, Kept | None] = {}
        for name in sorted(self._evidence, key=lambda name: self._looked.get(name, 0)):
            if most <= 0:
                break
            snapshot = self._evidence[name].snapshot()
            most -= len(snapshot)
            self._looks += 1
            self._looked[name] = self._looks
            if name in self._stale or self._written.get(name) != crc32(snapshot):
                found[name] = self._kept_of(name, snapshot)
        known = self._references.keys() | self._kept.keys() | self._evidence.keys()
        for name in self._stale & known - self._evidence.keys():
            kept = self._kept.get(name)
            found[name] = self._kept_of(name, kept.snapshot if kept is not None else b"")
        for name in self._written.keys() - known:
            found[name] = None
            del self._written[name]
        self._stale -= found.keys()
        return found

    def _kept_of(self, name: str, snapshot: bytes) -> Kept:
        self._written[name] = crc32(snapshot)
        return Kept(name, dict(self._references.get(name, {})), snapshot)

    def not_kept(self, changed: Iterable[str]) -> None:
        """These of `to_keep` could not be kept and are due again."""
        self._stale |= set(changed)
        self._written |= dict.fromkeys(changed, -1)


def _told(gate: Gate, rulebook: Rulebook) -> str:
    """What the rules say of the events that a gate counts."""
    known = rulebook.rules.events
    return "|".join(f"{name} {known[name].model_dump_json(by_alias=True)}" for name in gate.events if name in known)


def _fits(evidence: Evidence, gate_name: str, gate: Gate, subject: str, began: float, events: str) -> bool:
    """Whether evidence is of the attempt that began then, with this candidate, asked by this gate of these events."""
    mine: tuple[Any, ...] = (evidence.gate_name, evidence.gate, evidence.subject, evidence.since, evidence.events)
    return mine == (gate_name, gate, subject, began, events)
