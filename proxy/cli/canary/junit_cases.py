"""A judgement as the cases of a JUnit report: one for the verdict, one for each metric.

A ``failure`` is proven harm, or a pipeline that wanted a decision and got none; an ``error`` is data that cannot be
judged; ``skipped`` is what is not decided, or not acted upon. What is only watched never fails.
"""

from __future__ import annotations

from canary.report import metric_text
from canary.verdict import Judgement, MetricJudgement, Verdict
from proxy.cli.canary.places import Places
from proxy.cli.canary.policy import Policy
from proxy.cli.junit import Case
from rules.problems import Place


def cases_of(judgement: Judgement, policy: Policy, places: Places) -> list[Case]:
    """In the order of the rules file, the verdict first."""
    classname = f"fig.canary.{judgement.route}"
    return [
        _verdict(judgement, policy, classname, places.gate),
        *(_metric(one, judgement, policy, classname, places.of(one.name)) for one in judgement.metrics),
    ]


def _verdict(judgement: Judgement, policy: Policy, classname: str, place: Place | None) -> Case:
    verdict, note = judgement.verdict, policy.note(judgement.verdict)
    told = f"{verdict.value}: {judgement.reason}" + (f"\n{note}" if note else "")
    if verdict is Verdict.PROMOTE:
        return _case("verdict", classname, place)
    if policy.exit_code(verdict) == 0:
        return _case("verdict", classname, place, skipped=told)
    if verdict is Verdict.FAULT:
        return _case("verdict", classname, place, error=told)
    return _case("verdict", classname, place, failure=told)


def _metric(metric: MetricJudgement, judgement: Judgement, policy: Policy, classname: str, place: Place | None) -> Case:
    told = f"{metric.verdict.value}: {metric.reason}\n{metric_text(metric, judgement)}"
    if metric.verdict is Verdict.PROMOTE:
        return _case(metric.name, classname, place)
    if policy.dry_run or metric.verdict is Verdict.KEEP_WATCHING:
        return _case(metric.name, classname, place, skipped=told)
    if metric.verdict is Verdict.ROLLBACK:
        return _case(metric.name, classname, place, failure=told)
    if metric.required:
        return _case(metric.name, classname, place, error=told)
    return _case(metric.name, classname, place, skipped=told)


def _case(
    name: str,
    classname: str,
    place: Place | None,
    failure: str | None = None,
    error: str | None = None,
    skipped: str | None = None,
) -> Case:
    file, line = (place.file, place.line) if place is not None else (None, None)
    return Case(name, classname, file, line, failure=failure, error=error, skipped=skipped)
