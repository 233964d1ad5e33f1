"""Judgements by hand: a metric a verdict, for whatever shows or carries out what a gate says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from canary.verdict import Judgement, MetricJudgement, Verdict

ERRORS = MetricJudgement(
    name="errors",
    kind="error_rate",
    legacy=0.2,
    candidate=20.0,
    legacy_count=812,
    candidate_count=90,
    unit="%",
    estimate=0.198,
    low=0.05,
    high=None,
    margin=0.005,
    harm=0.0,
    relative=False,
    evidence_promote=0.0,
    evidence_rollback=5.1e6,
    required=True,
    critical=True,
    verdict=Verdict.KEEP_WATCHING,
    reason="worse by 0.5 pp is not excluded",
)


def metric(name: str = "errors", verdict: Verdict = Verdict.KEEP_WATCHING, **changes: Any) -> MetricJudgement:
    """A metric with that verdict, its reason in words."""
    return replace(ERRORS, name=name, verdict=verdict, reason=f"{name} is so", **changes)


def judgement(verdict: Verdict, *metrics: MetricJudgement, **changes: Any) -> Judgement:
    """Of the gate storefront on the route shop, after a minute."""
    whole = Judgement(
        route="shop",
        gate="storefront",
        verdict=verdict,
        reason=f"because of {verdict}",
        alpha=0.05,
        metrics=metrics,
        legacy_requests=812,
        candidate_requests=90,
        since=1_700_000_000.0,
        at=1_700_000_060.0,
    )
    return replace(whole, **changes)
