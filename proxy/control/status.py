"""The status document: all that `fig status` and the demo show, as plain data. Durations in seconds, shares 0 to 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from itertools import islice
from typing import Any

from canary import histogram
from canary.rollout import Standing as CertificateStanding
from proxy.control import standings
from proxy.control.book import Book, Reloading
from proxy.control.peers import Peer
from proxy.control.proofs import Proof
from proxy.control.records import Entry, Standing
from proxy.control.traffic import SideTraffic, Traffic
from rules.effective import Position
from rules.stages import MILLION, Side, Stage

UNMATCHED = "-"
"""The catch-all of the compiled table: what no route names."""


MANY = 1000
"""Routes that are shown each, whatever becomes of them; of more, those that there is something to say of."""


def shown(book: Book, traffic: Traffic) -> list[str]:
    """The routes that status and metrics tell of, in file order.

    Of many: those that stand elsewhere than the file says, are under way, or have had traffic.
    """
    if len(book.standings) <= MANY:
        return [name for name in book.routes if name in book.standings]
    told = {*book.effective.positions, *(route for route, _ in traffic.sides)}
    if book.rulebook is not None:
        told.update(book.rulebook.rollouts)
    return list(islice((name for name in book.routes if name in told and name in book.standings), MANY))


def unsided_documents(book: Book, traffic: Traffic) -> list[dict[str, Any]]:
    """Routes on which the same one always answers, with how often; of many, those that were asked."""
    asked: Counter[str] = Counter()
    for name, labels, count in traffic.counts():
        if name == "own_answers":
            asked[dict(labels).get("route", "")] += int(count)
    for (route, _), side in traffic.sides.items():
        asked[route] += side.total
    many = len(book.routes) > MANY
    found = (route for route in book.routes.values() if route.candidate is None and (asked[route.name] or not many))
    return [
        {"name": route.name, "answers": standings.answers(route), "requests": asked[route.name]}
        for route in islice(found, MANY)
    ]


def side_figures(traffic: SideTraffic) -> dict[str, Any]:
    return {
        "requests": traffic.total,
        "errors": traffic.errors,
        "failures": dict(traffic.failures),
        "p50": histogram.quantile(traffic.latency, 0.5),
        "p99": histogram.quantile(traffic.latency, 0.99),
    }


def sides_of(route: str, traffic: Traffic) -> dict[str, Any]:
    """Figures of both sides, since control started and over the last seconds."""
    found = {}
    for side in Side:
        key = (route, side.value)
        total = traffic.sides.get(key, SideTraffic())
        found[side.value] = {**side_figures(total), "recent": side_figures(traffic.recent(key))}
    return found


def step_of(position: Position, steps: tuple[int, ...]) -> dict[str, Any] | None:
    """Which step of its rollout a canary stands on (from 1; 0 before the first), and the next share."""
    if position.stage is not Stage.CANARY or not steps:
        return None
    reached = sum(1 for step in steps if step <= position.share)
    following = next((step for step in steps if step > position.share), None)
    return {"number": reached, "of": len(steps), "next": None if following is None else following / MILLION}


def route_document(
    name: str, book: Book, standing: Standing, traffic: Traffic, judged: Mapping[str, Any]
) -> dict[str, Any]:
    """`judged` brings what the pilot knows of the route: verdict, certificate, writes, what its next move waits for."""
    route = book.routes[name]
    position = standing.position
    return {
        "name": name,
        "stage": position.stage.value,
        "share": position.share / MILLION,
        "frozen": position.frozen,
        "pinned": standing.rollout.frozen and standing.rollout.pinned,
        "ended": standing.rollout.ended,
        "waiting": [],
        "since": standing.rollout.since,
        "legacy": route.legacy or book.effective.rules.legacy,
        "candidate": route.candidate,
        "step": step_of(position, tuple(book.steps(name))),
        "watched": standing.rollout.stage is Stage.LIVE and standing.rollout.watched,
        "sides": sides_of(name, traffic),
        "verdict": None,
        "certificate": None,
        "writes": None,
        **judged,
    }


VERDICTS = {
    CertificateStanding.GO: "GO",
    CertificateStanding.NO_GO: "NO-GO",
    CertificateStanding.TOO_FEW: "TOO FEW",
    CertificateStanding.FAULT: "FAULT",
}


def certificate_document(proof: Proof) -> dict[str, Any]:
    """What the route's pairs prove; counts are 0 where there are no pairs under the present rules."""
    certificate = proof.certificate
    return {
        "verdict": VERDICTS[proof.standing],
        "reason": proof.reason,
        "pairs": certificate.evidence.pairs if certificate else 0,
        "differing": certificate.evidence.differing if certificate else 0,
        "needed": certificate.target.pairs if certificate else None,
        "bound": certificate.bound if certificate else None,
    }


def delivered_by_route(traffic: Traffic) -> Counter[str]:
    """Copies delivered since control started."""
    found: Counter[str] = Counter()
    for name, labels, count in traffic.counts():
        if name == "deliveries" and ("result", "delivered") in labels:
            found[dict(labels)["route"]] += int(count)
    return found


def writes_document(proof: Proof, delivered: int) -> dict[str, Any]:
    """What became of the route's writes: `delivered` since control started, the rest as the journal stands."""
    owed = proof.writes
    return {
        "delivered": delivered,
        "undelivered": owed.undelivered,
        "gaps": owed.gaps,
        "doubts": owed.in_doubt + owed.dead,
    }


def reloading_document(reloading: Reloading) -> dict[str, Any]:
    return {
        "ok": reloading.ok,
        "at": reloading.at,
        "last_success": reloading.last_success,
        "problems": list(reloading.problems),
    }


def peer_document(peer: Peer, generation: int) -> dict[str, Any]:
    return {
        "name": peer.name,
        "pid": peer.pid,
        "generation": peer.generation,
        "current": peer.generation >= generation,
        "problem": peer.problem,
    }


def entry_document(entry: Entry) -> dict[str, Any]:
    return {
        **asdict(entry),
        "before": position_document(entry.before),
        "after": position_document(entry.after),
        "evidence": dict(entry.evidence),
    }


def position_document(position: Position | None) -> dict[str, Any] | None:
    if position is None:
        return None
    return {"stage": position.stage.value, "share": position.share / MILLION, "frozen": position.frozen}
