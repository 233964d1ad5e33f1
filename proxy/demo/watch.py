"""What the demo sees of fig: its status and history over the admin API, its shadow report from the command line.

Documents in, frozen values out. Nothing here moves a route: the demo only ever reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.demo.story import Certified, Compared, Delivered, Move, Place
from rules.stages import Stage
from shadow.certifying.statement import parse
from shadow.certifying.text import needed_for

BEYOND = "99.99%"
"""The accuracy that a real shop would ask for."""

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SideView:
    """One side of a route since the start; times in seconds, None without a request."""

    requests: int
    errors: int
    p50: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class RouteView:
    """One line of the table."""

    name: str
    stage: Stage
    share: float
    frozen: bool
    legacy: SideView
    candidate: SideView
    gate: str
    """The gate's verdict; empty where there is none now."""
    certificate: str
    """How far the certificate is, in words; empty where there is none."""
    refused: bool
    """Whether the certificate was judged, and the answer is NO-GO."""
    writes: Delivered | None


@dataclass(frozen=True, slots=True)
class View:
    """fig at one moment."""

    generation: int
    settled: bool
    """Whether every worker decides by that generation."""
    rules_loaded_at: float
    """Seconds since the epoch: when the last good load of the rules file began."""
    problems: tuple[str, ...]
    """Why the rules file was refused, if it was."""
    routes: tuple[RouteView, ...]
    unmatched: int
    """Requests that no route names, so that legacy answered them."""

    def route(self, name: str) -> RouteView | None:
        return next((route for route in self.routes if route.name == name), None)


def read_status(document: Document) -> View:
    """From GET /api/status."""
    workers = [peer for peer in document["peers"] if peer["name"].startswith("worker")]
    return View(
        document["generation"],
        len(workers) == document["workers_expected"] and all(peer["current"] for peer in workers),
        document["rules"]["last_success"],
        tuple(document["rules"]["problems"]),
        tuple(_route(route) for route in document["routes"]),
        document["unmatched"]["requests"],
    )


def _route(document: Document) -> RouteView:
    certificate = document["certificate"]
    return RouteView(
        document["name"],
        Stage(document["stage"]),
        document["share"],
        document["frozen"],
        _side(document["sides"]["legacy"]),
        _side(document["sides"]["candidate"]),
        _verdict(document["verdict"]),
        _standing(certificate),
        certificate is not None and certificate["verdict"] == "NO-GO",
        _writes(document["writes"]),
    )


def _side(document: Document) -> SideView:
    return SideView(document["requests"], document["errors"], document["p50"], document["p99"])


def _verdict(document: Document | None) -> str:
    return str(document["verdict"]).replace("_", " ") if document else ""


def _standing(certificate: Document | None) -> str:
    """``NO-GO: 7 of 60 pairs differ``; where none is asked for there is nothing to say."""
    if certificate is None or certificate["needed"] is None:
        return ""
    pairs, needed, differing = certificate["pairs"], certificate["needed"], certificate["differing"]
    found = f"{differing} of {pairs} pairs differ" if differing else f"{min(pairs, needed)} of {needed} pairs"
    return f"{certificate['verdict']}: {found}"


def _writes(document: Document | None) -> Delivered | None:
    if document is None:
        return None
    return Delivered(document["delivered"], document["undelivered"], document["gaps"], document["doubts"])


def read_history(document: Document) -> tuple[Move, ...]:
    """From GET /api/history, oldest first; what came of probes moves nothing and is left out."""
    entries = sorted(document["history"], key=lambda entry: entry["number"])
    entries = [entry for entry in entries if entry["action"] != "probe"]
    return tuple(
        Move(
            entry["at"],
            entry["route"],
            entry["actor"],
            entry["action"],
            Stage(entry["after"]["stage"]) if entry["after"] else None,
            entry["after"]["share"] if entry["after"] else 0.0,
            entry["why"],
        )
        for entry in entries
    )


def read_certificate(text: str, verified: bool) -> Certified:
    """From `fig shadow certify --json`. Raises ValueError when it is no certificate."""
    document, _ = parse(text.encode())
    return Certified(document["verdict"], document["reason"], verified, needed_for(document, BEYOND))


def read_report(text: str) -> dict[str, Compared]:
    """From `fig shadow report --json`: what it says of each route. Raises ValueError when it is no report."""
    document = json.loads(text)
    return {route["route"]: _compared(route) for route in document["routes"]}


def _compared(document: Document) -> Compared:
    places = sorted((_place(place) for place in document["differences"]), key=lambda place: -place.count)
    causes = tuple(cause["sentence"] for cause in document["causes"])
    return Compared(document["pairs"], document["differing"], tuple(places), causes)


def _place(document: Document) -> Place:
    """Samples carry values as JSON text, or null where there is none."""
    samples: Sequence[Document] = document["samples"]
    first = samples[0] if samples else {"legacy": None, "candidate": None}
    return Place(document["path"], document["pairs"], *(first[side] or "nothing" for side in ("legacy", "candidate")))
