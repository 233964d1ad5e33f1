"""One run of the whole gate over one stretch of seeded traffic: real Evidence, real judge, a look after every batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from benchmarks.canary_traffic import AT_MARGIN, EFFECTS, EQUAL, Effect, Traffic
from canary import histogram
from canary.evidence import Evidence
from canary.gate import judge
from canary.spec import Gate
from canary.verdict import Judgement, Verdict
from rules.stages import MILLION

START = 1_700_000_000.0
METRICS: tuple[dict[str, Any], ...] = (
    {"name": "mean", "kind": "latency", "margin": "5%", "weight": 0.5},
    {"name": "p50", "kind": "latency", "quantile": 0.5, "margin": "5%", "weight": 0.05},
    {"name": "p95", "kind": "latency", "quantile": 0.95, "margin": "5%", "weight": 0.05},
    {"name": "p99", "kind": "latency", "quantile": 0.99, "margin": "5%", "weight": 0.2},
    {"name": "errors", "kind": "error_rate", "margin": "0.5pp", "critical": True, "weight": 0.05},
    {"name": "timeouts", "kind": "error_rate", "failures": ["timeout"], "margin": "0.15pp", "weight": 0.05},
    {"name": "conversion", "kind": "rate", "event": "order", "margin": "10%", "weight": 0.05},
    {"name": "revenue", "kind": "mean_per_unit", "event": "order", "margin": "10%", "weight": 0.05},
)
"""Eight metrics. All margins are those of `canary_traffic.AT_MARGIN`; only the mean is required, as the issue asks for
promotion 'at a 5 % margin on the mean', so that nothing slower hides a wrong promotion."""
SCHEDULE = ((1_500, 25), (4_000, 125), (20_000, 800), (100_000, 4_000), (1_000_000, 20_000))
"""(to so many exchanges of the smaller side, in batches of so many): traffic grows as its share does, and looks are
densest where evidence is youngest."""
EFFECT_SCHEDULE = ((2_400, 15), (12_000, 60), (100_000, 300))
"""Where it is asked how soon: dense enough that the looks say hardly anything of it."""
REFERENCE = 20_000
"""Exchanges of legacy from before the canary; fig has them from the shadow stage."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is run many times."""

    question: str
    """``A/A``, ``at margin``, or the name of an effect."""
    workload: str
    share: int
    """Millionths."""
    most: int
    """Exchanges of the smaller side."""

    @property
    def name(self) -> str:
        return f"{self.question}|{self.workload}|{self.share}|{self.most}"

    @property
    def effect(self) -> Effect:
        if self.question == "A/A":
            return EQUAL
        return AT_MARGIN if self.question == "at margin" else EFFECTS[self.question]

    @property
    def stops(self) -> bool:
        """Whether the first verdict ends the run, as it ends a rollout."""
        return self.question in EFFECTS


@cache
def gate(required: tuple[str, ...] = ("mean",), window: str = "1s") -> Gate:
    """The gate; `required`: names of the metrics that promotion waits for."""
    blocks = [{**one, "required": one["name"] in required} for one in METRICS]
    return Gate.model_validate({"metrics": blocks, "window": window, "silence": "10m"})


def gate_of(cell: Cell) -> Gate:
    """Promotion waits for the mean alone, or for every metric where the question is how soon harm is found (else the
    mean would be promoted before)."""
    harmed = cell.stops and cell.question != "A/A promote"
    required = tuple(one["name"] for one in METRICS) if harmed else ("mean",)
    return gate(required, "60s" if cell.question == "errors 0 -> 2 %" else "1s")


def batches(cell: Cell) -> Iterator[int]:
    """How many exchanges the next batch has on the smaller side, on average."""
    done = 0
    for until, size in EFFECT_SCHEDULE if cell.stops else SCHEDULE:
        while done < min(until, cell.most):
            yield size
            done += size


def run(cell: Cell, seed: int, tried: Gate | None = None) -> dict[str, Any]:
    """One run, as a record for the results: requests of the smaller side at which things happened, None where they
    did not.

    `rollback`, and with it `blamed`, every metric's e-value then; `promote`: every required metric excluded its margin,
    whatever was said about rollback; `excluded`: the same of every metric alone; `verdict`: the first that the gate
    itself said. Nothing stops the run but its end, unless the cell `stops` at the first verdict.
    """
    slow = cell.question == "errors 0 -> 2 %"
    judged = tried or gate_of(cell)
    part = cell.share / MILLION
    per_side = 1 / min(part, 1 - part)
    traffic = Traffic(cell.workload, seed, cell.share, cell.effect, round(cell.most * per_side))
    evidence = run_evidence(cell, seed, judged)
    found: dict[str, Any] = {"rollback": None, "promote": None, "verdict": None, "at": None, "fault": 0}
    excluded: dict[str, int] = {}
    length, sides = (60.0, 10) if slow else (1.0, 0)
    looks = 0
    for looks, size in enumerate(batches(cell)):
        begin = START + looks * length
        batch = traffic.batch(round((sides or size) * per_side), begin, length)
        evidence.ingest(batch.clock, batch.unit, batch.seconds, batch.side, batch.failure)
        if judged.events:
            sold = np.flatnonzero(batch.revenue)
            evidence.ingest_events(
                batch.clock[sold],
                batch.unit[sold],
                batch.revenue[sold],
                batch.side[sold],
                np.zeros(len(sold), np.uint8),
            )
        shown = judge(judged, evidence, begin + length)
        n = int(evidence.requests.min())
        _note(found, excluded, shown, n)
        if (cell.stops and found["verdict"]) or n >= cell.most:
            break
    return {"cell": cell.name, "seed": seed, "n": int(evidence.requests.min()), "looks": looks + 1, **found} | {
        "excluded": excluded
    }


def run_evidence(cell: Cell, seed: int, judged: Gate) -> Evidence:
    """Empty, but for legacy's times from before the canary."""
    return Evidence(
        "shop", "bench", judged, subject="x", share=cell.share, since=START, reference=_reference(cell, seed)
    )


def _note(found: dict[str, Any], excluded: dict[str, int], shown: Judgement, n: int) -> None:
    due = 1 / shown.alpha
    required = [one for one in shown.metrics if one.required]
    for one in shown.metrics:
        if one.evidence_promote >= due:
            excluded.setdefault(one.name, n)
    if found["promote"] is None and required and all(one.evidence_promote >= due for one in required):
        found["promote"] = n
    if found["rollback"] is None and shown.verdict is Verdict.ROLLBACK:
        found["rollback"] = n
        found["blamed"] = {one.name: round(one.evidence_rollback, 1) for one in shown.metrics}
    found["fault"] += shown.verdict is Verdict.FAULT
    if found["verdict"] is None and shown.verdict in (Verdict.PROMOTE, Verdict.ROLLBACK):
        found["verdict"], found["at"] = str(shown.verdict), n


def _reference(cell: Cell, seed: int) -> dict[int, int]:
    """Legacy's times from before the canary, by traffic of another seed."""
    before = Traffic(cell.workload, seed + 10_000_019, 0, EQUAL, REFERENCE)
    places = histogram.offsets(before.batch(REFERENCE, 0.0).seconds)
    return histogram.sparse(np.bincount(places, minlength=histogram.SIZE))
