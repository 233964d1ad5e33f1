"""A gate with `method: kayenta`: judged once, when its windows are complete, by canary.kayenta's judge as fig mends it.

Rollback    a critical metric fails, or the score of all required metrics is below `marginal`, with such as cannot be
            judged taken as passing. Said though the data should be unsound by then: taking traffic away is the safe
            direction.
Fault       a required metric is without data or its classification failed, or the exchanges are unsound
            (canary.soundness). Never promotes.
Promote     at a score of `passing` or above. Between the two a person decides.

A metric that is watched only (`required: false`) is shown and has no say: nothing waits for it or fails with it.

What the judge saw does not change after the last window, and neither does its answer: one look at a level that holds
for one look. It loses its worth with time, so that after as many windows again it is a fault to promote on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from canary.evidence import Evidence
from canary.kayenta.classifying import Classified, Label, Strictness, classify
from canary.kayenta.divergences import MENDED
from canary.kayenta.scoring import Outcome, Score, Scored, outcome, score
from canary.kayenta.terms import Direction, KayentaGate, KayentaMetric, NanStrategy
from canary.measures.measure import CANDIDATE, LEGACY, Floats, Measure, Reading
from canary.measures.points import WindowPoints
from canary.measures.sourced import Sourced
from canary.soundness import unsound
from canary.spec import Gate, Metric, MetricKind
from canary.verdict import Judgement, MetricJudgement, Verdict
from rules.quantities import share_text

LEAST_HELD = 0.5
"""Part of the points of either side that must have a value."""
_FAILED = (Label.HIGH, Label.LOW)


@dataclass(frozen=True, slots=True)
class _Answer:
    """One metric, and how it was classified; None while it waits for windows."""

    metric: Metric
    reading: Reading
    classified: Classified | None
    points: int
    """How many windows, or steps of its source, there are."""
    problem: str = ""
    """Why it cannot be classified, or its data be trusted; makes the gate a fault where the metric is required."""
    mean: float = 0.0
    """Legacy's, of the points that were judged, in the values' own unit."""
    age: float | None = None
    """Seconds since its source last answered well."""

    @property
    def failed(self) -> bool:
        return self.classified is not None and self.classified.label in _FAILED

    @property
    def fatal(self) -> bool:
        """Whether it rolls back alone."""
        return self.failed and self.classified is not None and self.classified.critical


def judge_once(gate: Gate, evidence: Evidence, now: float) -> Judgement:
    """The verdict at `now` (seconds since the epoch)."""
    terms = gate.kayenta or KayentaGate()
    answers = [
        _answer(metric, measure, terms, now) for metric, measure in zip(gate.metrics, evidence.measures, strict=True)
    ]
    heard = [one for one in answers if one.metric.required]
    found = _score(heard, terms)
    verdict, reason = _rule(gate, evidence, terms, heard, found, now)
    if verdict is Verdict.FAULT and any(one.problem for one in heard):
        found = None  # no more than the best that it could be
    return Judgement(
        route=evidence.route,
        gate=evidence.gate_name,
        verdict=verdict,
        reason=reason,
        alpha=1 - terms.confidence,
        metrics=tuple(_shown(one, terms) for one in answers),
        legacy_requests=int(evidence.requests[LEGACY]),
        candidate_requests=int(evidence.requests[CANDIDATE]),
        since=evidence.since,
        at=now,
        windows=evidence.windows_at_share,
        method="kayenta",
        score=None if found is None else found.value,
    )


def _terms(metric: Metric) -> KayentaMetric:
    return metric.kayenta or KayentaMetric()


def _score(heard: list[_Answer], terms: KayentaGate) -> Score | None:
    """Of the required metrics, at best: one that cannot be judged is taken as passing. None before all are complete,
    or where none can be judged."""
    waiting = any(one.points < terms.points and not one.problem for one in heard)
    if waiting or all(one.problem for one in heard):
        return None
    groups = {group for one in heard for group in _terms(one.metric).groups}
    return score([_scored(one) for one in heard], terms.weights(groups))


def _scored(one: _Answer) -> Scored:
    name, groups = one.metric.name, _terms(one.metric).groups
    if one.classified is None or (one.problem and not one.fatal):
        return Scored(name, Label.PASS, False, groups)
    return Scored(name, one.classified.label, one.classified.critical, groups)


def _answer(metric: Metric, measure: Measure | None, gate: KayentaGate, now: float) -> _Answer:
    problem = ""
    if isinstance(measure, WindowPoints):
        legacy, candidate = measure.values()
    elif isinstance(measure, Sourced):
        problem = measure.problem(now)
        legacy, candidate = measure.series.legacy, measure.series.candidate
    else:
        problem = f"of kind {metric.kind} has no series of windows that the method kayenta could judge"
        return _Answer(metric, Reading("", waiting=problem), None, 0, problem)
    age = measure.age(now) if isinstance(measure, Sourced) else None
    answer = _Answer(metric, measure.read(1 - gate.confidence), None, len(legacy), problem, age=age)
    return answer if len(legacy) < gate.points else _classified(answer, legacy, candidate, gate)


def _classified(answer: _Answer, legacy: Floats, candidate: Floats, gate: KayentaGate) -> _Answer:
    """With the first points judged; what came after them is not looked at."""
    metric, terms = answer.metric, _terms(answer.metric)
    legacy, candidate = legacy[: gate.points], candidate[: gate.points]
    for side, values in (("legacy", legacy), ("the candidate", candidate)):
        held = int(np.count_nonzero(~np.isnan(values)))
        least = 1 if terms.nan is NanStrategy.REPLACE else int(np.ceil(LEAST_HELD * gate.points))
        if held < least:
            return replace(answer, problem=answer.problem or f"has {held} of {gate.points} values of {side}")
    try:
        strictness = Strictness(gate.tolerance, gate.confidence)
        classified = _remembered(legacy.tobytes(), candidate.tobytes(), terms, metric.critical, strictness)
    except Exception as exc:  # one metric's fault must not hide another's rollback
        return replace(answer, problem=f"cannot be classified: {type(exc).__name__}: {exc}")
    problem = "has no data" if classified.label not in (Label.PASS, *_FAILED) else answer.problem
    mean = float(legacy[~np.isnan(legacy)].mean())
    return replace(answer, classified=classified, problem=problem, mean=mean)


@lru_cache(maxsize=256)
def _remembered(
    legacy: bytes, candidate: bytes, terms: KayentaMetric, critical: bool, strictness: Strictness
) -> Classified:
    """`classify` of the same points is asked for at every look, and says the same."""
    return classify(
        np.frombuffer(legacy),
        np.frombuffer(candidate),
        terms,
        critical=critical,
        strictness=strictness,
        manner=MENDED,
    )


def _rule(
    gate: Gate, evidence: Evidence, terms: KayentaGate, heard: list[_Answer], found: Score | None, now: float
) -> tuple[Verdict, str]:
    """The rules in order: harm that no other metric can outweigh, data that cannot be trusted, then the score."""
    fatal = next((one for one in heard if one.fatal), None)
    if fatal is not None:
        return Verdict.ROLLBACK, f"critical metric {_sentence(fatal)}: score 0 of 100"
    wrong = [one for one in heard if one.problem]
    if found is not None and outcome(found.value, terms.passing, terms.marginal) is Outcome.FAIL:
        told = f"{_told(terms, heard, found)}, below {terms.marginal:g}"
        taken = ", ".join(f"'{one.metric.name}' ({one.problem})" for one in wrong)
        return Verdict.ROLLBACK, f"{told} even with a pass of {taken}" if taken else told
    if wrong:
        return Verdict.FAULT, f"metric '{wrong[0].metric.name}' {wrong[0].problem}"
    problem = unsound(gate, evidence, now)
    if problem:
        return Verdict.FAULT, problem
    if found is None:
        points = min(one.points for one in heard)
        return Verdict.KEEP_WATCHING, f"judged once, when there are {terms.points} points: {points} so far"
    return _of_score(gate, evidence, terms, heard, found)


def _of_score(
    gate: Gate, evidence: Evidence, terms: KayentaGate, heard: list[_Answer], found: Score
) -> tuple[Verdict, str]:
    """A score that is not below `marginal`, of sound data."""
    told = _told(terms, heard, found)
    age = max(evidence.windows, *(one.points for one in heard))
    if age > 2 * terms.points:
        return (
            Verdict.FAULT,
            f"{told}, but that was judged on the first {terms.points} of {age} points and is too old to promote on; "
            "begin another attempt, or ask for more 'points'",
        )
    if found.value < terms.passing:
        return Verdict.KEEP_WATCHING, f"{told}, marginal below {terms.passing:g}: a person decides"
    if not evidence.windows_at_share and not evidence.alone:
        return Verdict.KEEP_WATCHING, f"no window at the share of {share_text(evidence.share)} is complete yet"
    fewest = int(evidence.requests.min())
    if fewest < gate.min_requests and not evidence.alone:
        return (
            Verdict.KEEP_WATCHING,
            f"{fewest:,} of {gate.min_requests:,} requests on the side with fewer (min_requests)",
        )
    few = next((one for one in heard if _count(one) < one.metric.min_samples), None)
    if few is not None:
        told = f"{_count(few):,} {few.reading.counted} on the side with fewer (min_samples)"
        return Verdict.KEEP_WATCHING, f"'{few.metric.name}': {told}"
    own = [one.reading for one in heard if one.metric.kind is not MetricKind.QUERY]
    units = min((min(one.legacy_units, one.candidate_units) for one in own), default=gate.min_units)
    if units < gate.min_units:
        return Verdict.KEEP_WATCHING, f"{units} of {gate.min_units} different units on the side with fewer (min_units)"
    return Verdict.PROMOTE, f"{told}, at least {terms.passing:g}"


def _count(one: _Answer) -> int:
    return min(one.reading.legacy_count, one.reading.candidate_count)


def _told(terms: KayentaGate, heard: list[_Answer], found: Score) -> str:
    failed = [_sentence(one) for one in heard if one.failed and not one.problem]
    said = f"; {'; '.join(failed)}" if failed else ""
    most = "at most " if any(one.problem for one in heard) else ""
    return f"score {most}{found.value:g} of 100 after {terms.points} points{said}"


def _sentence(one: _Answer) -> str:
    classified = one.classified
    assert classified is not None
    return f"'{one.metric.name}' is {classified.label} ({_effect(one, classified)})"


def _effect(one: _Answer, classified: Classified) -> str:
    return f"{_terms(one.metric).effect.measure} {classified.deviation:.3g}"


def _shown(one: _Answer, terms: KayentaGate) -> MetricJudgement:
    classified, metric = one.classified, one.metric
    sign = -1 if _terms(metric).direction is Direction.DECREASE else 1
    shift = classified.shift if classified is not None else None
    # An own metric is compared in its own unit, one of a source in parts of legacy's mean, whatever its unit.
    relative = metric.kind is MetricKind.QUERY
    scale = float(sign) if not relative else sign / abs(one.mean) if one.mean else 0.0
    if not scale:
        shift = None
    ends = sorted((scale * shift.low, scale * shift.high)) if shift is not None else None
    shown = MetricJudgement(
        name=metric.name,
        kind=str(metric.kind),
        legacy=one.reading.legacy,
        candidate=one.reading.candidate,
        legacy_count=one.reading.legacy_count,
        candidate_count=one.reading.candidate_count,
        unit=one.reading.unit,
        estimate=None if shift is None else scale * shift.estimate,
        low=None if ends is None else ends[0],
        high=None if ends is None else ends[1],
        margin=0.0,
        harm=0.0,
        relative=relative,
        evidence_promote=0.0,
        evidence_rollback=0.0,
        required=metric.required,
        critical=metric.critical,
        verdict=Verdict.KEEP_WATCHING,
        reason=f"{one.points} of {terms.points} points",
        counted=one.reading.counted,
        age=one.age,
    )
    if one.problem:
        return replace(shown, verdict=Verdict.FAULT, reason=one.problem)
    if classified is None:
        return shown
    reason = f"{classified.label}: {classified.reason} ({_effect(one, classified)})"
    return replace(shown, verdict=Verdict.ROLLBACK if one.failed else Verdict.PROMOTE, reason=reason)


JUDGED_KINDS = (MetricKind.ERROR_RATE, MetricKind.LATENCY)
