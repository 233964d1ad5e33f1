"""How consistent two sides are, as a statement that can be held against a target. Pure.

The question: of all requests like those compared, at most which part is answered differently? With n pairs, k of them
different, the one-sided upper bound at confidence c is the c-quantile of Beta(k + 1, n - k) (Clopper and Pearson,
Biometrika 26, 1934). It is honest for an n fixed beforehand only, so the verdict is on the first `pairs` pairs of the
window; looking every second until the bound happens to be good would not be 95 %.

Whether a pair may differ at all is another question: a difference that is known is to be mended or excused by a mask,
not averaged away, so unless the target says otherwise any difference is NO-GO (docs/decisions/0045).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from rules.quantities import fraction_text
from shadow.certifying.strata import Stratum, StratumKind
from shadow.spec import CertificateTarget, Differences, StratumTarget


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
    strata: tuple[Stratum, ...] = ()
    """The window's strata, those without pairs too."""
    unseeded: int | None = None
    """Keys that legacy held before the first copy and that the candidate is not known to have (shadow.backfill); None
    where nobody named such keys."""
    resolved: int = 0
    """Writes whose effect was uncertain until read-back showed it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the pairs of one stratum show on their own."""

    name: str
    pairs: int
    differing: int
    bound: float
    """One-sided upper bound of the rate of differences; 1.0 without pairs."""
    accuracy: float
    """What is held against it."""
    needed: int
    """Pairs that it takes."""

    keys: int | None = None
    """Of keys from before the first copy: how many the candidate was not given; None where nobody named them."""

    @property
    def proven(self) -> bool:
        """Whether there are enough pairs, and they agree well enough."""
        return self.pairs >= self.needed and self.bound <= 1 - self.accuracy


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
    strata: tuple[Shown, ...]
    """What was asked of strata on their own, in the order of the target."""
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
    """The most differing pairs among `target.pairs` whose bound still meets the accuracy (by bisection: it grows).

    None where any difference is NO-GO.
    """
    if target.differences is Differences.NONE:
        return 0
    low, high = 0, target.pairs  # the bound holds at low (CertificateTarget checks that), and fails at high
    while high - low > 1:
        middle = (low + high) // 2
        if upper_bound(target.pairs, middle, target.confidence) <= 1 - target.accuracy:
            low = middle
        else:
            high = middle
    return low


def shown_by(target: StratumTarget, strata: Iterable[Stratum], confidence: float) -> Shown:
    """What the strata that a target names show together.

    The bound is that of the pairs that it takes, fixed beforehand; with fewer, a preview. Which of the differences are
    among the first so many is not known, so all of them are counted there: the bound is never too small.
    """
    chosen = [
        one
        for one in strata
        if one.kind.compared
        and target.method in (None, one.method)
        and target.status in (None, one.status_class)
        and target.kind in (None, one.kind)
    ]
    pairs, differing = sum(one.pairs for one in chosen), sum(one.differing for one in chosen)
    bound = upper_bound(min(pairs, target.pairs), differing, confidence)
    return Shown(target.name, pairs, differing, bound, target.accuracy, target.pairs)


SEEDS = "what legacy held before the first copy"
"""What stands for the keys that backfill is about (shadow.backfill)."""


def unproven(evidence: Evidence, target: CertificateTarget) -> tuple[Shown, ...]:
    """Everything that shows too little on its own: methods and status classes, and keys that were not seeded.

    Where nobody named keys to seed, what legacy held before is unproven as soon as there are writes: a candidate
    without it may agree about all that came since.
    """
    found = [one for one in shown_alone(evidence.strata, target) if not one.proven]
    has_state = any(one.kind in (StratumKind.WRITE, StratumKind.STATE) for one in evidence.strata)
    if evidence.unseeded or (evidence.unseeded is None and has_state):
        found.append(Shown(SEEDS, 0, 0, 1.0, target.accuracy, evidence.unseeded or 0, evidence.unseeded))
    return tuple(found)


def shown_alone(strata: Iterable[Stratum], target: CertificateTarget) -> tuple[Shown, ...]:
    """What every method and status class shows without the others, against the accuracy asked of all pairs together.

    One whose requests never became pairs is there with none: nothing is shown of it at all.
    """
    found: dict[tuple[str, str], list[int]] = {}
    for one in strata:
        if one.kind is StratumKind.STATE:
            continue  # no request of a client
        tally = found.setdefault((one.method, one.status_class), [0, 0])
        if one.kind.compared:
            tally[0] += one.pairs
            tally[1] += one.differing
    needed = target.least_pairs
    return tuple(
        Shown(
            f"{method} {answered}",
            pairs,
            differing,
            upper_bound(pairs, differing, target.confidence),
            target.accuracy,
            needed,
        )
        for (method, answered), (pairs, differing) in sorted(found.items())
    )


def judge_certificate(evidence: Evidence, target: CertificateTarget) -> Certificate:
    """The verdict on a window. A NO-GO is final for its window; nothing is ever GO with a gap or a doubt."""
    allowed = allowed_differences(target)
    strata = tuple(shown_by(each, evidence.strata, target.confidence) for each in target.strata)
    verdict, reason = _verdict(evidence, target, allowed, strata)
    counted = min(evidence.pairs, target.pairs)
    bound = upper_bound(counted, evidence.differing_first, target.confidence)
    return Certificate(verdict, reason, target, evidence, allowed, strata, bound)


def _verdict(
    evidence: Evidence, target: CertificateTarget, allowed: int, strata: tuple[Shown, ...]
) -> tuple[CertificateVerdict, str]:
    counted = min(evidence.pairs, target.pairs)
    accuracy, confidence = fraction_text(target.accuracy), fraction_text(target.confidence)
    if evidence.differing and target.differences is Differences.NONE:
        return CertificateVerdict.NO_GO, (
            f"{_different(evidence.differing, f'{evidence.pairs:,} pairs')}, and any difference is NO-GO"
        )
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
    for shown in strata:
        if shown.pairs >= shown.needed and not shown.proven:
            return CertificateVerdict.NO_GO, (
                f"{_different(shown.differing, f'{shown.pairs:,} pairs of {shown.name}')}, more than "
                f"{fraction_text(shown.accuracy)} on {shown.needed:,} pairs allows"
            )
    for shown in strata:
        if not shown.proven:
            return CertificateVerdict.TOO_FEW, (
                f"{shown.pairs:,} of the {shown.needed:,} pairs of {shown.name} that it takes are compared, "
                f"{_different(shown.differing, 'them')}"
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
