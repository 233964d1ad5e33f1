"""May the candidate have more traffic? One pure question, `judge`, answered from the evidence and the time alone.

Rollback    when the weighted average of the e-values against harm reaches 2 / alpha, or a critical metric's own reaches
            2 k / alpha with k critical metrics (1 / alpha for the average where none is critical). An average of
            e-values is an e-value whatever their dependence (Vovk and Wang, E-values, Ann. Stat. 2021); the two halves
            of alpha add up by the union bound. Ville's inequality makes both hold at all looks together.
Promote     when every required metric's e-value against its margin reaches 1 / alpha: an intersection-union test
            (Berger 1982), so alpha is not split.
Fault       when the data cannot carry a verdict: a silent or starving side, lost rows, a sample ratio mismatch, a
            metric without data, anything not a number, any exception. Never promotes. A proven rollback is said
            nevertheless: taking traffic away is the safe direction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from canary import words
from canary.evidence import Evidence
from canary.kayenta.judging import judge_once
from canary.measures.measure import CANDIDATE, LEGACY, Measure, Reading
from canary.measures.of_units import OfUnits
from canary.measures.sourced import Sourced
from canary.soundness import e_value, unsound
from canary.spec import Gate, Method, Metric, MetricKind
from canary.verdict import Judgement, MetricJudgement, Verdict
from rules.quantities import share_text

_MOST_TIMES = 10_000.0
"""The requests so far that may still be needed before nobody waits for them."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """One metric, and what the rules below need beside its judgement."""

    spec: Metric
    shown: MetricJudgement
    weight: float
    """Its part of the average, 0 where it cannot be measured."""
    units: tuple[int, int]
    lately: str
    problem: str
    """Why it cannot be judged at all; makes the gate a fault where the metric is required."""


def judge(gate: Gate, evidence: Evidence, now: float) -> Judgement:
    """The verdict at `now` (seconds since the epoch), with one sentence of reason. Never raises."""
    try:
        return judge_once(gate, evidence, now) if gate.method is Method.KAYENTA else _judge(gate, evidence, now)
    except Exception as exc:  # whatever went wrong, the answer must not be `promote`
        return fault(
            evidence.route, evidence.gate_name, f"judging failed: {type(exc).__name__}: {exc}", gate.alpha, now
        )


def fault(route: str, gate_name: str, reason: str, alpha: float, now: float) -> Judgement:
    """A judgement without evidence, for a gate that cannot be asked."""
    return Judgement(
        route=route,
        gate=gate_name,
        verdict=Verdict.FAULT,
        reason=reason,
        alpha=alpha,
        metrics=(),
        legacy_requests=0,
        candidate_requests=0,
        since=now,
        at=now,
    )


def _judge(gate: Gate, evidence: Evidence, now: float) -> Judgement:
    total = sum(metric.weight for metric in gate.metrics)
    judged = [
        _read(metric, measure, gate.alpha, total, now)
        for metric, measure in zip(gate.metrics, evidence.measures, strict=True)
    ]
    _, alone = _due(gate, judged)
    judged = [
        replace(one, shown=replace(one.shown, rollback_due=alone)) if one.spec.critical else one for one in judged
    ]
    verdict, reason, judged = _rule(gate, evidence, judged, now)
    due, _ = _due(gate, judged)
    return Judgement(
        route=evidence.route,
        gate=evidence.gate_name,
        verdict=verdict,
        reason=reason,
        alpha=gate.alpha,
        metrics=tuple(one.shown for one in judged),
        legacy_requests=int(evidence.requests[LEGACY]),
        candidate_requests=int(evidence.requests[CANDIDATE]),
        since=evidence.since,
        at=now,
        windows=evidence.windows_at_share,
        harm=_average(judged),
        harm_due=due,
    )


def _rule(gate: Gate, evidence: Evidence, judged: list[_Judged], now: float) -> tuple[Verdict, str, list[_Judged]]:
    """The rules in order: harm first, then data that cannot be trusted, then promotion."""
    harm = _harm(gate, judged)
    if harm is not None:
        blamed, why = harm
        return Verdict.ROLLBACK, why, [_marked(one, Verdict.ROLLBACK) if one is blamed else one for one in judged]
    problem = _problem(gate, evidence, judged, now)
    if problem:
        return Verdict.FAULT, problem, judged
    missing = _missing(gate, evidence, judged)
    if missing:
        return Verdict.KEEP_WATCHING, missing, judged
    return Verdict.PROMOTE, _proof(gate, judged), judged


def _read(metric: Metric, measure: Measure, alpha: float, total: float, now: float) -> _Judged:
    try:
        reading = measure.read(alpha)
    except Exception as exc:  # one metric's fault must not hide another's rollback
        problem = f"cannot be computed: {type(exc).__name__}: {exc}"
        return _shown(metric, Reading("", waiting=problem), 0.0, problem, alpha)
    problem = measure.problem(now) if isinstance(measure, Sourced | OfUnits) else ""
    numbers = (reading.log_promote, reading.log_rollback, reading.estimate, reading.legacy, reading.candidate)
    # No finite data proves anything for certain, so endless evidence to promote is a mistake somewhere below.
    if reading.log_promote == math.inf or any(number is not None and math.isnan(number) for number in numbers):
        problem = "is not a number"
        reading = Reading(reading.unit, waiting=problem)
    judged = _shown(metric, reading, metric.weight / total, problem, alpha)
    if isinstance(measure, Sourced):
        judged = replace(judged, shown=replace(judged.shown, age=measure.age(now)))
    return judged


def _shown(metric: Metric, reading: Reading, weight: float, problem: str, alpha: float) -> _Judged:
    promote = e_value(reading.log_promote)
    proven = promote >= 1 / alpha
    shown = MetricJudgement(
        name=metric.name,
        kind=str(metric.kind),
        legacy=reading.legacy,
        candidate=reading.candidate,
        legacy_count=reading.legacy_count,
        candidate_count=reading.candidate_count,
        unit=reading.unit,
        estimate=reading.estimate,
        low=reading.low,
        high=reading.high,
        margin=metric.margin.value,
        harm=metric.tolerated.value,
        relative=metric.margin.relative,
        evidence_promote=promote,
        evidence_rollback=e_value(reading.log_rollback),
        required=metric.required,
        critical=metric.critical,
        verdict=Verdict.FAULT if problem else Verdict.PROMOTE if proven else Verdict.KEEP_WATCHING,
        reason="",
        more_needed=None if proven or problem else _more_needed(metric, reading, alpha),
        counted=reading.counted,
    )
    if problem or reading.waiting:
        reason = problem or f"no evidence yet: {reading.waiting}"
    elif proven:
        reason = f"worse by {words.bound(shown.margin, shown)} is excluded"
    else:
        reason = f"worse by {words.bound(shown.margin, shown)} is not excluded"
    units = (reading.legacy_units, reading.candidate_units)
    return _Judged(metric, replace(shown, reason=reason), weight, units, reading.lately, problem)


def _more_needed(metric: Metric, reading: Reading, alpha: float) -> int | None:
    """Until a verdict is likely, if the candidate is what it seems to be. ln E grows about linearly with the requests,
    so it reaches ln(1/alpha) after n ln(1/alpha) / ln E of them; while it has hardly begun to, the interval tells,
    whose width falls with their root: until it is within the margin, or beyond the harm, whichever is sooner."""
    found, due = reading.log_promote, -math.log(alpha)
    n = min(reading.legacy_count, reading.candidate_count)
    times = due / found if found is not None and found >= 0.05 * due else _narrower(metric, reading) ** 2
    return max(1, math.ceil(n * (times - 1))) if 1 < times < _MOST_TIMES else None


def _narrower(metric: Metric, reading: Reading) -> float:
    """How many times narrower the interval must be to decide; endless where there is none, or nothing to decide."""
    estimate, margin, harm = reading.estimate, metric.margin.value, metric.tolerated.value
    found = [math.inf]
    if estimate is not None and reading.high is not None and estimate < margin:
        found.append((reading.high - estimate) / (margin - estimate))
    if estimate is not None and reading.low is not None and estimate > harm:
        found.append((estimate - reading.low) / (estimate - harm))
    return min(found)


def _marked(one: _Judged, verdict: Verdict) -> _Judged:
    shown = one.shown
    reason = f"worse than legacy by more than {words.bound(shown.harm, shown)}"
    return replace(one, shown=replace(shown, verdict=verdict, reason=reason, more_needed=None))


def _due(gate: Gate, judged: list[_Judged]) -> tuple[float, float]:
    """The e-values that roll back: of the average of all metrics, and of one critical metric alone."""
    critical = sum(one.spec.critical for one in judged)
    part = gate.alpha / 2 if critical else gate.alpha
    return 1 / part, max(critical, 1) / part


def _average(judged: list[_Judged]) -> float:
    return sum(one.weight * one.shown.evidence_rollback for one in judged)


def _harm(gate: Gate, judged: list[_Judged]) -> tuple[_Judged, str] | None:
    """The metric to blame and the sentence, where harm is proven."""
    average_due, alone_due = _due(gate, judged)
    for one in judged:
        if one.spec.critical and one.shown.evidence_rollback >= alone_due:
            rule = f"critical metric at alpha {words.percent(1 / alone_due)}"
            return one, _harm_sentence(one, one.shown.evidence_rollback, alone_due, rule)
    average = _average(judged)
    if average >= average_due:
        measured = [one for one in judged if one.weight > 0]
        worst = max(measured, key=lambda one: one.weight * one.shown.evidence_rollback)
        rule = f"weighted average of {len(measured)} metrics at alpha {words.percent(1 / average_due)}"
        return worst, _harm_sentence(worst, average, average_due, rule)
    return None


def _is_only_watched(one: _Judged) -> bool:
    """Of a source, or of events, whose failures are not the gate's: neither promotion nor a rollback of its own rests
    on it."""
    return (one.spec.kind is MetricKind.QUERY or one.spec.event is not None) and not one.spec.critical


def _harm_sentence(one: _Judged, found: float, due: float, rule: str) -> str:
    shown = one.shown
    whole = f"{words.difference(shown.estimate, shown)} {words.interval(shown)} ({words.sides(shown)})"
    beyond = f"more than the harm of {words.bound(shown.harm, shown)}"
    evidence = f"evidence {words.evidence(found)} >= {words.evidence(due)} ({rule})"
    if one.lately:  # the interval is that of the whole attempt, and may hold no harm at all
        return f"'{shown.name}' became worse by {beyond}: {one.lately}; in the whole attempt {whole}; {evidence}"
    return f"'{shown.name}' is worse by {whole}, {beyond}: {evidence}"


def _problem(gate: Gate, evidence: Evidence, judged: list[_Judged], now: float) -> str:
    """Why the data cannot carry a promotion; ``""`` when it can."""
    found = unsound(gate, evidence, now)
    if found:
        return found
    for one in judged:
        if one.problem and (one.spec.required or not _is_only_watched(one)):
            return f"metric '{one.spec.name}'{':' if one.spec.kind is MetricKind.QUERY else ''} {one.problem}"
    return ""


def _missing(gate: Gate, evidence: Evidence, judged: list[_Judged]) -> str:
    """What promotion still waits for; ``""`` when nothing."""
    if not evidence.windows_at_share and not evidence.alone:
        return f"no window at the share of {share_text(evidence.share)} is complete yet"
    required = [one for one in judged if one.spec.required]
    fewest = int(evidence.requests.min())
    open_metrics = [one for one in required if one.shown.verdict is not Verdict.PROMOTE]
    if open_metrics:
        slowest = min(open_metrics, key=lambda one: one.shown.evidence_promote)
        shown = slowest.shown
        if shown.legacy_count == 0 or (shown.estimate is None and shown.evidence_promote == 0):
            return f"'{shown.name}': {shown.reason}"
        more = f"; about {shown.more_needed:,} more {shown.counted} a side" if shown.more_needed else ""
        return (
            f"'{shown.name}' differs by {words.difference(shown.estimate, shown)} {words.interval(shown)} "
            f"({words.sides(shown)}); {shown.reason}: evidence {words.evidence(shown.evidence_promote)} of "
            f"{words.evidence(1 / gate.alpha)} at alpha {words.percent(gate.alpha)}{more}"
        )
    few = next((one.shown for one in required if min(_counts(one)) < one.spec.min_samples), None)
    if few is not None:
        found = min(few.legacy_count, few.candidate_count)
        return f"'{few.name}': {found:,} {few.counted} on the side with fewer (min_samples)"
    if fewest < gate.min_requests and not evidence.alone:
        return f"{fewest:,} of {gate.min_requests:,} requests on the side with fewer (min_requests)"
    units = min((min(one.units) for one in required if one.spec.kind is not MetricKind.QUERY), default=gate.min_units)
    if units < gate.min_units:
        return f"{units} of {gate.min_units} different units on the side with fewer (min_units)"
    return ""


def _counts(one: _Judged) -> tuple[int, int]:
    return one.shown.legacy_count, one.shown.candidate_count


def _proof(gate: Gate, judged: list[_Judged]) -> str:
    parts = [
        f"'{one.shown.name}' {words.difference(one.shown.estimate, one.shown)} {words.interval(one.shown)} is within "
        f"{words.bound(one.shown.margin, one.shown)} ({words.sides(one.shown)})"
        for one in judged
        if one.spec.required
    ]
    return f"every required metric excludes its margin at alpha {words.percent(gate.alpha)}: {'; '.join(parts)}"
