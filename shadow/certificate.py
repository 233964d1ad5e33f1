"""How consistent two sides are, as a statement that can be held against a target. Pure.

The question: of all requests like those compared, at most which part is answered differently? With n pairs, k of them
different, the one-sided upper bound at confidence c is the c-quantile of Beta(k + 1, n - k) (Clopper and Pearson,
Biometrika 26, 1934). It is honest for an n fixed beforehand only, so the verdict is on the first `pairs` pairs of the
window; looking every second until the bound happens to be good would not be 95 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rules.quantities import fraction_text
from shadow.spec import CertificateTarget


class CertificateVerdict(StrEnum):
    """May the route leave shadow?"""

    GO = "GO"
    NO_GO = "NO-GO"
    TOO_FEW = "TOO FEW"
    """Not yet: the pairs that were asked for are not there, or copies are still on their way."""
    FAULT = "FAULT"
    """Gaps or doubts: writes whose effect on the other side nobody can vouch for."""

    @property
    def exit_code(self) -> int:
        """DESIGN section 7."""
        return {"GO": 0, "NO-GO": 1, "TOO FEW": 3, "FAULT": 4}[self.value]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the current window of a route holds."""

    pairs: int
    differing: int
    """Pairs with a difference that no mask excuses."""
    differing_first: int
    """Those among the window's first `target.pairs` pairs."""
    gaps: int = 0
    """Writes known not to be recorded."""
    doubts: int = 0
    """Writes or deliveries whose effect cannot be known."""
    overdue: int = 0
    """Writes that should have been delivered by now and are not."""
    dead: int = 0
    """Copies that were given up."""
    undelivered: int = 0
    """Copies still owed, overdue ones among them."""
    declared: int = 0
    """Gaps, doubts and dead copies that a person has settled."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The answer, with the numbers behind it."""

    verdict: CertificateVerdict
    reason: str
    """One sentence for people."""
    target: CertificateTarget
    evidence: Evidence
    allowed: int
    """Differing pairs that `target.pairs` pairs may have at most."""
    bound: float
    """Upper bound of the rate of differing answers after the pairs so far, at `target.confidence`; 1.0 without pairs.
    The claim of a GO; before that a preview, not to be held against the target."""


def upper_bound(pairs: int, differing: int, confidence: float) -> float:
    """One-sided Clopper-Pearson upper bound of a rate, 0 to 1."""
    from scipy.special import betaincinv  # here, because it takes 0.4 s and most commands never ask

    if differing >= pairs:
        return 1.0
    return float(betaincinv(differing + 1, pairs - differing, confidence))


def allowed_differences(target: CertificateTarget) -> int:
    """The most differing pairs among `target.pairs` whose bound still meets the accuracy (by bisection: it grows)."""
    low, high = 0, target.pairs  # the bound holds at low (CertificateTarget checks that), and fails at high
    while high - low > 1:
        middle = (low + high) // 2
        if upper_bound(target.pairs, middle, target.confidence) <= 1 - target.accuracy:
            low = middle
        else:
            high = middle
    return low


def judge_certificate(evidence: Evidence, target: CertificateTarget) -> Certificate:
    """The verdict on a window. A NO-GO is final for its window; nothing is ever GO with a gap or a doubt."""
    allowed = allowed_differences(target)
    verdict, reason = _verdict(evidence, target, allowed)
    counted = min(evidence.pairs, target.pairs)
    bound = upper_bound(counted, evidence.differing_first, target.confidence)
    return Certificate(verdict, reason, target, evidence, allowed, bound)


def _verdict(evidence: Evidence, target: CertificateTarget, allowed: int) -> tuple[CertificateVerdict, str]:
    counted = min(evidence.pairs, target.pairs)
    accuracy, confidence = fraction_text(target.accuracy), fraction_text(target.confidence)
    if evidence.differing_first > allowed:
        return CertificateVerdict.NO_GO, (
            f"{_different(evidence.differing_first, f'the first {counted:,} pairs')}; "
            f"to show {accuracy} on {target.pairs:,} pairs, {_at_most(allowed)} may"
        )
    if evidence.pairs > target.pairs and evidence.differing > (1 - target.accuracy) * evidence.pairs:
        return CertificateVerdict.NO_GO, (
            f"the first {target.pairs:,} pairs agreed well enough, but by now "
            f"{_different(evidence.differing, f'{evidence.pairs:,} pairs')}, more than {accuracy} allows"
        )
    if evidence.gaps or evidence.doubts or evidence.dead:
        return CertificateVerdict.FAULT, (
            f"{_many(evidence.gaps, 'write was', 'writes were')} not recorded (gaps), "
            f"{_many(evidence.doubts, 'write is', 'writes are')} in doubt and "
            f"{_many(evidence.dead, 'copy was', 'copies were')} given up: what the candidate holds cannot be vouched "
            "for until a person settles them"
        )
    if evidence.pairs < target.pairs:
        return CertificateVerdict.TOO_FEW, (
            f"{evidence.pairs:,} of the {target.pairs:,} pairs that it takes are compared, "
            f"{_different(evidence.differing_first, 'them')}"
        )
    if evidence.overdue:
        return CertificateVerdict.TOO_FEW, (
            f"{target.pairs:,} pairs compared, but {_many(evidence.overdue, 'write has', 'writes have')} "
            "not reached the candidate yet"
        )
    return CertificateVerdict.GO, (
        f"{_different(evidence.differing_first, f'the first {target.pairs:,} pairs')}: with {confidence} confidence "
        f"at least {accuracy} of all answers agree"
    )


def _different(count: int, of: str) -> str:
    return f"none of {of} differs" if count == 0 else f"{count:,} of {of} {'differs' if count == 1 else 'differ'}"


def _at_most(count: int) -> str:
    return "none" if count == 0 else f"at most {count:,}"


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"
