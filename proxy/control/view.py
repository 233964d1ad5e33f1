"""What control shows of itself: to /metrics, and as documents of the admin API. Reads everything, changes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from canary import report
from canary.gate import fault
from canary.verdict import Verdict
from proxy.control.attempts import Attempts
from proxy.control.budgets import Budgets
from proxy.control.courses import Courses
from proxy.control.desk import Desk
from proxy.control.last_words import last_words
from proxy.control.overriding import Overriding
from proxy.control.peers import Peer, Peers
from proxy.control.prober import Prober
from proxy.control.proofs import Proofs, target_of
from proxy.control.spans import SpanExport
from proxy.control.standings import MoveError
from proxy.control.status import (
    UNMATCHED,
    certificate_document,
    delivered_by_route,
    peer_document,
    reloading_document,
    route_document,
    shown,
    sides_of,
    unsided_documents,
    writes_document,
)
from proxy.control.telling.asking import Questions
from proxy.control.telling.happenings import Intention
from proxy.control.told import Told
from proxy.control.traffic import Traffic
from proxy.control.watches import Watches
from proxy.probing.findings import Finding
from rules.effective import Effective, Position
from rules.stages import Stage


class View:
    """Implements metrics.Source and api.Shown."""

    def __init__(
        self,
        told: Told,
        desk: Desk,
        peers: Peers,
        traffic: Traffic,
        attempts: Attempts,
        proofs: Proofs,
        spans: SpanExport | None = None,
        waiting: Mapping[str, Sequence[str]] | None = None,
        courses: Courses | None = None,
        prober: Prober | None = None,
        budgets: Budgets | None = None,
        questions: Questions | None = None,
        watches: Watches | None = None,
        overriding: Overriding | None = None,
    ) -> None:
        """`waiting`: what the next moves of routes wait for, by route, as the pilot says."""
        self._told = told
        self.desk = desk
        self._peers = peers
        self.traffic = traffic
        self._attempts = attempts
        self._proofs = proofs
        self._spans = spans
        self._waiting = waiting if waiting is not None else {}
        self._courses = courses
        self._prober = prober
        self._budgets = budgets
        self._questions = questions
        self._watches = watches
        self._overriding = overriding
        self._started = time.time()

    # What /metrics reads.

    @property
    def effective(self) -> Effective:
        return self.desk.book.effective

    @property
    def positions(self) -> Mapping[str, Position]:
        book = self.desk.book
        return {name: book.standings[name].position for name in shown(book, self.traffic)}

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        standings, latest = self.desk.book.standings, self._attempts.latest.items()
        compared = {name: found.verdict for name, found in latest if standings[name].rollout.stage is Stage.CANARY}
        watched = self._watches.latest if self._watches is not None else {}
        return {**compared, **{name: found.verdict for name, found in watched.items()}}

    @property
    def peers(self) -> Mapping[str, Peer]:
        return self._peers.names

    @property
    def workers_expected(self) -> int:
        return self._told.workers

    @property
    def reloads(self) -> Mapping[str, int]:
        return self.desk.reloads

    @property
    def reload_ok(self) -> bool:
        return self.desk.reloading.ok

    @property
    def reload_success_at(self) -> float:
        return self.desk.reloading.last_success

    @property
    def spans(self) -> Mapping[str, float]:
        """What became of traced exchanges here; empty where nobody takes spans."""
        return dict(self._spans.counts()) if self._spans is not None else {}

    @property
    def findings(self) -> Sequence[Finding]:
        return self._prober.findings() if self._prober is not None else ()

    # What the API shows.

    def readiness(self) -> str:
        generation = self.effective.generation
        if any(peer.generation >= generation for peer in self._peers.workers):
            return ""
        return f"no worker decides by generation {generation} yet"

    def status(self) -> dict[str, Any]:
        book = self.desk.book
        generation = book.effective.generation
        delivered, names = delivered_by_route(self.traffic), shown(book, self.traffic)
        return {
            "at": time.time(),
            "started": self._started,
            "generation": generation,
            "ready": not self.readiness(),
            "listen": str(self._told.listen) if self._told.listen is not None else None,
            "tls_listen": str(self._told.tls_listen) if self._told.tls_listen is not None else None,
            "rules": {"file": str(self._told.rules), **reloading_document(self.desk.reloading)},
            "workers_expected": self._told.workers,
            "peers": [peer_document(peer, generation) for _, peer in sorted(self._peers.names.items())],
            "routes": [
                route_document(name, book, book.standings[name], self.traffic, self._judged(name, delivered[name]))
                for name in names
            ],
            "routes_left_out": len(book.standings) - len(names),
            "slo": self.objectives(),
            "unsided": unsided_documents(book, self.traffic),
            "unmatched": sides_of(UNMATCHED, self.traffic)["legacy"],
        }

    def _judged(self, name: str, delivered: int) -> dict[str, Any]:
        """What the pilot knows of a route: verdict in canary, certificate and writes where there are any."""
        found: dict[str, Any] = {"waiting": list(self._waiting.get(name, ()))}
        if self._prober is not None and (probes := self._prober.documents(name)):
            found["probes"] = probes
        stage = self.desk.book.standings[name].rollout.stage
        judgement, proof = self._attempts.latest.get(name), self._proofs.of(name)
        if stage is Stage.CANARY and judgement is not None:
            found["verdict"] = report.to_dict(judgement)
        elif self._watches is not None and (watched := self._watches.latest.get(name)) is not None:
            found["verdict"] = report.to_dict(watched)
        if proof is not None:
            if stage.copies and target_of(self.desk.book, name) is not None:
                found["certificate"] = certificate_document(proof)
            if self.desk.book.routes[name].writes is not None:
                found["writes"] = writes_document(proof, delivered)
        return found

    def evidence(self, route: str) -> Mapping[str, Any]:
        """The gate's last words on a route in canary, and the watch's on one that it watches; empty elsewhere."""
        if self._watches is not None and (watched := self._watches.latest.get(route)) is not None:
            return report.to_dict(watched)
        standing, found = self.desk.book.standings.get(route), self._attempts.latest.get(route)
        if standing is None or standing.rollout.stage is not Stage.CANARY or found is None:
            return {}
        return report.to_dict(found)

    def course(self, route: str) -> dict[str, Any]:
        """How the route's attempt goes, or went: its judgement, its judgements over time, both sides' times."""
        course = self._courses.find(route) if self._courses is not None else None
        return {"judgement": self.gate(route), "course": course.document() if course is not None else None}

    def objectives(self, route: str | None = None) -> list[dict[str, Any]]:
        """Service level objectives; of a route, those that can stop it. Raises UnknownRouteError."""
        if route is not None:
            self.desk.route(route)
        return self._budgets.documents(time.time(), route) if self._budgets is not None else []

    async def permit(self, intention: Intention, actor: str, why: str) -> bool:
        """Whether webhooks were asked about the move, and allowed it. Raises MoveError where one did not."""
        return self._questions is not None and await self._questions.permit(intention, actor, why)

    def goes_past(self, intention: Intention) -> list[str]:
        """What the pilot would have waited for before this move of a person."""
        return self._overriding.reasons(intention, time.time()) if self._overriding is not None else []

    def gate(self, route: str) -> dict[str, Any]:
        """The gate's verdict now; after an attempt, what came of it (proxy.control.last_words)."""
        self.desk.standing(route)
        book, now = self.desk.book, time.time()
        rulebook = book.judged_by
        if rulebook is None:
            raise MoveError(
                "the rules file is broken since before control started, and no former one was kept; nothing is judged "
                "until it is mended"
            )
        if route not in rulebook.rollouts:
            raise MoveError(f"route '{route}' has no gate; give it a `rollout:` with one in the rules file")
        rollout, gate = book.standings[route].rollout, rulebook.rollouts[route].gate
        if rollout.stage is Stage.CANARY:
            return report.to_dict(self._attempts.judge(route, now))
        reason = f"the route is in stage {rollout.stage.value}; its gate judges what it does in canary"
        unasked = fault(route, gate, reason, rulebook.gates[gate].alpha, now)
        watched = self._watches.latest.get(route) if self._watches is not None else None
        return report.to_dict(last_words(rollout, self._attempts.latest.get(route), unasked, watched))
