"""One rollout attempt with made-up traffic: the real evidence, gate and rollout, at a pace of its own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from canary import histogram
from canary.evidence import Evidence
from canary.gate import judge
from canary.measures.measure import CANDIDATE, LEGACY
from canary.plan import DeadlineEnd, RolloutPlan
from canary.rollout import Look, Rollout, advance
from canary.simulating.traffic import Batch, Candidate, Load, Traffic, can_be_worse
from canary.spec import Gate
from rules.stages import Stage

BEGIN = 1_800_000_000.0
REFERENCE = 5_000
"""Exchanges of legacy from before the canary, as a route in shadow has had them."""
AT_ONCE = 50
"""Exchanges between two looks at least: a look costs as much as thousands of them."""
TOGETHER = 1_000
"""Exchanges that are made up at once, so that units come and go; with events a window at most."""
COARSER = 0.01
"""Of an attempt's age, between two looks: a verdict is so much later at most, and long attempts come to an end."""


class Outcome(StrEnum):
    """How an attempt ended."""

    LIVE = "live"
    ROLLED_BACK = "rolled back"
    UNDECIDED = "undecided"
    """The deadline ended it, or the simulation's patience was over."""


@dataclass(frozen=True, slots=True)
class End:
    """One attempt's end."""

    outcome: Outcome
    seconds: float
    """From the first step on."""
    legacy: int
    candidate: int
    """Requests of either side until then."""
    share: int
    """The candidate's last share before, in millionths."""
    why: str
    """The gate's last sentence."""


@dataclass(frozen=True, slots=True)
class Patience:
    """What one attempt may take."""

    seconds: float = 7 * 86400.0
    """Of the attempt's own time."""
    requests: int = 3_000_000


def simulable(gate: Gate, plan: RolloutPlan) -> tuple[Gate, RolloutPlan, tuple[str, ...]]:
    """What of a gate and a plan can be simulated, and what was left out, as sentences.

    Raises ValueError where nothing is left to ask.
    """
    left, notes = [], []
    for metric in gate.metrics:
        if metric.source is not None:
            notes.append(f"'{metric.name}' asks a source, whose answers cannot be made up: it is taken as fulfilled")
            continue
        left.append(metric)
        if not can_be_worse(metric):
            notes.append(f"'{metric.name}' is judged, but no candidate is tried that is worse in it alone")
    if not any(metric.required for metric in left):
        raise ValueError("no required metric is fig's own, so there is nothing to simulate")
    if plan.only:
        notes.append("the hours of 'only' are taken as always open")
    if plan.approve_live or any(step.approval for step in plan.steps):
        notes.append("approvals are taken as given at once")
    notes.append("instant triggers are left out: they can only be faster than the gate")
    steps = tuple(step.model_copy(update={"approval": False}) for step in plan.steps)
    # What a deadline ends is undecided: taken back for it, an equal candidate would look like one that was found worse.
    alike = {"only": (), "approve_live": False, "watch": None, "on_deadline": DeadlineEnd.FREEZE}
    plan = plan.model_copy(update={**alike, "steps": steps})
    return gate.model_copy(update={"metrics": tuple(left)}), plan, tuple(notes)


def attempt(gate: Gate, plan: RolloutPlan, load: Load, candidate: Candidate, seed: int, patience: Patience) -> End:
    """From the first step to the end of one attempt. `gate` and `plan` as `simulable` gives them."""
    traffic = Traffic(load, candidate, gate.events, seed)
    before = traffic.batch(BEGIN - REFERENCE / load.rate, REFERENCE / load.rate, 0)
    reference = np.bincount(histogram.offsets(before.seconds), minlength=histogram.SIZE)
    share = plan.shares[0]
    evidence = Evidence(
        "route", plan.gate, gate, subject="", share=share, since=BEGIN, reference=histogram.sparse(reference)
    )
    rollout = Rollout(Stage.CANARY, share, BEGIN, began=BEGIN)
    least = max(gate.window, AT_ONCE / load.rate)
    now, why = BEGIN, ""
    while now - BEGIN < patience.seconds and int(evidence.requests.sum()) < patience.requests:
        tick = max(least, (now - BEGIN) * COARSER)
        now = play(evidence, traffic, now, tick, least if gate.events else max(least, TOGETHER / load.rate))
        judgement = judge(gate, evidence, now)
        why = judgement.reason
        look = Look(judgement.verdict, why, None, now, judgement.windows)
        share, (rollout, _) = rollout.share, advance(rollout, plan, look)
        if rollout.stage is Stage.LIVE:
            return _end(Outcome.LIVE, evidence, now, share, why)
        if rollout.stage is Stage.SHADOW:
            return _end(Outcome.ROLLED_BACK, evidence, now, share, why)
        if rollout.frozen:
            break
        evidence.share_changed(rollout.share, now)
    return _end(Outcome.UNDECIDED, evidence, now, rollout.share, why)


def play(evidence: Evidence, traffic: Traffic, begin: float, seconds: float, piece: float) -> float:
    """What comes in so many seconds, in pieces of about `piece`: units come and go, and events are told, while windows
    close. Gives the time after it."""
    pieces = max(1, round(seconds / piece))
    for number in range(pieces):
        _take(evidence, traffic.batch(begin + number * seconds / pieces, seconds / pieces, evidence.share))
    return begin + seconds


def _take(evidence: Evidence, batch: Batch) -> None:
    evidence.ingest(batch.clock, batch.unit, batch.seconds, batch.side, batch.failure)
    for number, (rows, values) in enumerate(batch.events):
        which = np.full(len(rows), number, np.uint8)
        evidence.ingest_events(batch.clock[rows], batch.unit[rows], values, batch.side[rows], which)


def _end(outcome: Outcome, evidence: Evidence, now: float, share: int, why: str) -> End:
    return End(
        outcome,
        now - BEGIN,
        int(evidence.requests[LEGACY]),
        int(evidence.requests[CANDIDATE]),
        share,
        why,
    )
