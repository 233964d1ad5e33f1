"""Judgements made up for tests of what is done with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from canary.verdict import Judgement, MetricJudgement, Verdict


def metric(name: str, **changed: Any) -> MetricJudgement:
    """A metric that is not decided yet."""
    made = MetricJudgement(
        name=name,
        kind="error_rate",
        legacy=1.0,
        candidate=1.1,
        legacy_count=1000,
        candidate_count=100,
        unit="%",
        estimate=0.001,
        low=-0.004,
        high=0.006,
        margin=0.005,
        harm=0.0,
        relative=False,
        evidence_promote=2.0,
        evidence_rollback=0.5,
        required=True,
        critical=False,
        verdict=Verdict.KEEP_WATCHING,
        reason="the upper end is above the margin",
    )
    return replace(made, **changed)


def judgement(**changed: Any) -> Judgement:
    """A judgement of one such metric."""
    made = Judgement(
        route="products",
        gate="storefront",
        verdict=Verdict.KEEP_WATCHING,
        reason="errors may still be worse by its margin",
        alpha=0.05,
        metrics=(metric("errors"),),
        legacy_requests=1000,
        candidate_requests=100,
        since=1_790_000_000.0,
        at=1_790_000_060.0,
    )
    return replace(made, **changed)
