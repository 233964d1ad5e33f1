"""What a gate answers, and the numbers behind it. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    KEEP_WATCHING = "keep_watching"
    FAULT = "fault"

    @property
    def exit_code(self) -> int:
        """DESIGN section 7."""
        return {"promote": 0, "rollback": 1, "keep_watching": 3, "fault": 4}[self.value]


@dataclass(frozen=True, slots=True)
class MetricJudgement:
    """One metric of a gate: both sides' values, the estimate with its interval, and what its evidence says."""

    name: str
    kind: str
    legacy: float | None
    candidate: float | None
    legacy_count: int
    candidate_count: int
    unit: str
    """What `legacy`, `candidate` are measured in: ``%``, ``ms``, ``per unit``..."""
    estimate: float | None
    """How much worse the candidate is, in the margin's own measure (relative, or percentage points); + is worse."""
    low: float | None
    high: float | None
    """Always-valid interval of the estimate at the gate's alpha."""
    margin: float
    harm: float
    relative: bool
    """Whether estimate, interval, margin and harm are relative (0.1 is 10 %) or absolute."""
    evidence_promote: float
    """E-value against 'worse by at least the margin'; promotes at 1/alpha."""
    evidence_rollback: float
    """E-value against 'worse by at most the harm'."""
    required: bool
    critical: bool
    verdict: Verdict
    reason: str
    more_needed: int | None = None
    """How many more requests a side until a verdict is likely, when that can be said."""
    rollback_due: float | None = None
    """The e-value of `evidence_rollback` at which this metric alone rolls back; None where it is not critical."""
    counted: str = "requests"
    """What the counts are of."""
    age: float | None = None
    """Seconds since the source last answered well; None where it never did, and for what fig measures itself."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A gate's answer for one route at one moment."""

    route: str
    gate: str
    verdict: Verdict
    reason: str
    """One sentence: the rule that fired, on which metric, at which numbers."""
    alpha: float
    metrics: tuple[MetricJudgement, ...]
    legacy_requests: int
    candidate_requests: int
    since: float
    """Seconds since the epoch when the evidence began."""
    at: float
    """When it was judged."""
    windows: int = 0
    """Complete windows at the present share."""
    harm: float = 0.0
    """Weighted average of the metrics' evidence to roll back."""
    harm_due: float | None = None
    """Where that average rolls back."""
    method: str = "sequential"
    """How it was judged: canary.spec.Method."""
    score: float | None = None
    """Of the method kayenta, 0 to 100; None before it was judged."""

    @property
    def is_once(self) -> bool:
        """Whether it is judged once (method kayenta), so that there are no margins and no e-values."""
        return self.method == "kayenta"
