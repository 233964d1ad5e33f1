"""How often legacy disagrees with itself at a path, how often with the candidate, and whether the one explains the
other. Pure.

A sample is one read, asked four times: what the client got (legacy), legacy again, the candidate, legacy once more. At
one path, *noise* is that the first answer differs from legacy's last one, a *difference* that it differs from the
candidate's. The candidate was asked in between, so whatever changes as time goes by shows in noise at least as often as
in differences: drift is never blamed on the candidate.

Intervals are Clopper and Pearson's (Biometrika 26, 1934), two-sided. The test is the exact one-sided sign test on
samples that only one of the two shows (McNemar, Psychometrika 12, 1947): were the candidate no worse than legacy asked
again, each of them would be a difference with probability 1/2 at most. All pairs of a window are many more than its
samples; where the same paths count in both, Fisher's exact one-sided test holds the two rates against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shadow.noise.counts import PathCounts

CONFIDENCE = 0.95
ALPHA = 0.01
"""Probability that noise alone is called more than noise, at one path and one look."""
FEWEST = 30
"""Samples below which nothing is said about a path."""


class PathVerdict(StrEnum):
    """What noise says about the differences at one path."""

    EXPLAINED = "noise explains it"
    BEYOND = "difference beyond noise"
    TOO_FEW = "too few"
    NO_DIFFERENCE = "no difference"


@dataclass(frozen=True, slots=True)
class Rate:
    """`hits` of `of`, with the interval at CONFIDENCE in which the true rate lies."""

    hits: int
    of: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """0 to 1; 0 of nothing is 0."""
        return self.hits / self.of if self.of else 0.0


def rate(hits: int, of: int, confidence: float = CONFIDENCE) -> Rate:
    """The rate with its two-sided Clopper-Pearson interval; of nothing, anything is possible."""
    from scipy.special import betaincinv  # here and below: every command of `fig` would wait 1.2 s for scipy

    tail = (1 - confidence) / 2
    low = float(betaincinv(hits, of - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, of - hits, 1 - tail)) if hits < of else 1.0
    return Rate(hits, of, low, high)


def sign_test(only_differing: int, only_after: int) -> float:
    """p of so many differences without noise, or more, were the candidate no worse than legacy asked again."""
    from scipy.special import bdtrc

    return float(bdtrc(only_differing - 1, only_differing + only_after, 0.5)) if only_differing else 1.0


def rates_test(hits: int, of: int, noisy: int, asked: int) -> float:
    """p of so many differences in `of` pairs, or more, were their rate that of noise (one-sided, Fisher's exact)."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(hits - 1, of + asked, hits + noisy, of)) if hits else 1.0


def judge_path(counts: PathCounts, wide: tuple[int, int] | None = None) -> PathVerdict:
    """What noise says about the differences at a path.

    `wide`: (differing, pairs) of all pairs of the same window, where they can be held against these samples. ALPHA is
    then shared by both tests.
    """
    differing = counts.differing + (wide[0] if wide else 0)
    if not differing:
        return PathVerdict.NO_DIFFERENCE
    if counts.asked < FEWEST:
        return PathVerdict.TOO_FEW
    alpha = ALPHA / 2 if wide else ALPHA
    if sign_test(counts.only_differing, counts.only_after) <= alpha:
        return PathVerdict.BEYOND
    if wide and rates_test(*wide, counts.after, counts.asked) <= alpha:
        return PathVerdict.BEYOND
    if not counts.after:
        return PathVerdict.TOO_FEW
    noise = rate(counts.after, counts.asked)
    seen = max(counts.differing / counts.asked, wide[0] / wide[1] if wide and wide[1] else 0.0)
    return PathVerdict.EXPLAINED if seen <= noise.high else PathVerdict.TOO_FEW
