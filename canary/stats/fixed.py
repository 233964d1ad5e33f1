"""Two sides' sums compared at a sample size that is fixed beforehand, or by an asymptotic confidence sequence.

What experiment platforms report: the absolute or relative difference of means, proportions and ratios, by the delta
method, with or without adjusting for what units did before (CUPED). fig's gate does not decide by these; they are the
yardstick that its own statistics are held against, and what a naive gate would look at again and again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import exp, inf, log, sqrt

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import t

Floats = npt.NDArray[np.float64]


class Tail(StrEnum):
    """Which alternative is looked for."""

    BOTH = "both"
    GREATER = "greater"
    LESSER = "lesser"


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over n units: of a value, of its square."""

    total: float
    squares: float

    def mean(self, n: int) -> float:
        return self.total / n

    def variance(self, n: int) -> float:
        """Of one unit, divided by n - 1."""
        return (self.squares - self.total**2 / n) / (n - 1)


@dataclass(frozen=True, slots=True)
class Side:
    """One side: its mean, or ratio of means, and the variance of one unit's part in it."""

    n: int
    mean: float
    variance: float


def of_sums(n: int, values: Sums) -> Side:
    return Side(n, values.mean(n), values.variance(n))


def of_proportion(n: int, events: float) -> Side:
    """Events of n units, at most one each."""
    part = events / n
    return Side(n, part, part * (1 - part))


def of_ratio(n: int, totals: Floats, moments: Floats) -> Side:
    """sum(above) / sum(below) over n units, whose parts depend on each other.

    `totals` (2,): sums of above and below; `moments` (2, 2): sums of their products.
    Formula   R = M / D; a unit's part varies by g' S g, with the gradient g = (1 / mean D, -R / mean D), the delta
              method.
    Source    Deng, Knoblich and Lu, Applying the delta method in metric analytics (KDD 2018), section 3.
    """
    spread = _covariances(n, totals, moments)
    gradient = _of_quotient(totals / n)
    return Side(n, float(totals[0] / totals[1]), float(gradient @ spread @ gradient))


def _covariances(n: int, totals: Floats, moments: Floats) -> Floats:
    """Of one unit's values, divided by n - 1."""
    found: Floats = (moments - np.outer(totals, totals) / n) / (n - 1)
    return found


def _of_quotient(means: Floats) -> Floats:
    """How a / b changes with a and b."""
    return np.array([1 / means[1], -means[0] / means[1] ** 2])


@dataclass(frozen=True, slots=True)
class Past:
    """One side with what the same units did before the attempt: means (or ratios), and how one unit's parts vary."""

    n: int
    after: float
    before: float
    spread: Floats
    """(2, 2): covariances of after and before."""


def of_past_sums(n: int, totals: Floats, moments: Floats) -> Past:
    """`totals` (2,): sums of after and before; `moments` (2, 2): sums of their products."""
    return Past(n, float(totals[0] / n), float(totals[1] / n), _covariances(n, totals, moments))


def of_past_ratios(n: int, totals: Floats, moments: Floats) -> Past:
    """`totals` (4,): sums of above and below after, above and below before; `moments` (4, 4) of their products."""
    means = totals / n
    gradients = np.zeros((2, 4))
    gradients[0, :2], gradients[1, 2:] = _of_quotient(means[:2]), _of_quotient(means[2:])
    spread: Floats = gradients @ _covariances(n, totals, moments) @ gradients.T
    return Past(n, float(totals[0] / totals[1]), float(totals[2] / totals[3]), spread)


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much the candidate's mean is above legacy's, with its standard error; relative or absolute."""

    estimate: float
    error: float
    freedom: float
    """Welch and Satterthwaite's degrees of freedom."""
    n: int
    """Units of both sides."""


def difference(legacy: Side, candidate: Side, *, relative: bool) -> Difference:
    """The difference of two independent sides, relative to legacy's mean by the delta method.

    Formula   absolute: m_c - m_l with v_c / n_c + v_l / n_l; relative: (m_c - m_l) / m_l with
              v_c / (n_c m_l^2) + v_l m_c^2 / (n_l m_l^4); Welch's (1947) degrees of freedom.
    Source    Deng, Knoblich and Lu (KDD 2018), section 2. Raises ZeroDivisionError for a relative difference to 0.
    """
    part_l, part_c = legacy.variance / legacy.n, candidate.variance / candidate.n
    gap, n, freedom = candidate.mean - legacy.mean, legacy.n + candidate.n, _freedom(legacy, candidate)
    if not relative:
        return Difference(gap, sqrt(part_l + part_c), freedom, n)
    variance = part_c / legacy.mean**2 + part_l * candidate.mean**2 / legacy.mean**4
    return Difference(gap / legacy.mean, sqrt(variance), freedom, n)


def _freedom(legacy: Side, candidate: Side) -> float:
    part_l, part_c = legacy.variance / legacy.n, candidate.variance / candidate.n
    return (part_l + part_c) ** 2 / (part_l**2 / (legacy.n - 1) + part_c**2 / (candidate.n - 1))


def adjusted_means(legacy: Past, candidate: Past, *, relative: bool) -> Difference:
    """As `difference`, less what the time before explains: after - theta before, one theta for both sides.

    Formula   theta = (cov_l + cov_c) / (var_l + var_c) of after with before, and of before. A relative difference is a
              part of legacy's unadjusted mean A_l, whose own variation is taken for that of the adjusted mean.
    Source    Deng, Xu, Kohavi and Walker, Improving the sensitivity of online controlled experiments by utilizing
              pre-experiment data (WSDM 2013); the relative form as experiment platforms publish it.
    """
    theta, gap = _explained(legacy, candidate)
    slope = np.array([1.0, -theta]) * (candidate.after / legacy.after**2 if relative else 1.0)
    return _adjusted(legacy, candidate, theta, gap, slope, legacy.after if relative else 1.0)


def adjusted_ratios(legacy: Past, candidate: Past, *, relative: bool) -> Difference:
    """As `adjusted_means`, for ratios, with the whole gradient of a relative difference in legacy's (after, before):
    (-1 / A_l - gap / A_l^2, theta / A_l)."""
    theta, gap = _explained(legacy, candidate)
    scale = legacy.after if relative else 1.0
    slope = np.array([-1 / scale - (gap / scale**2 if relative else 0.0), theta / scale])
    return _adjusted(legacy, candidate, theta, gap, slope, scale)


def _explained(legacy: Past, candidate: Past) -> tuple[float, float]:
    """theta, and the difference less what the time before explains."""
    spread = legacy.spread + candidate.spread
    theta = float(spread[0, 1] / spread[1, 1]) if spread[1, 1] > 0 else 0.0
    return theta, (candidate.after - theta * candidate.before) - (legacy.after - theta * legacy.before)


def _adjusted(legacy: Past, candidate: Past, theta: float, gap: float, slope: Floats, scale: float) -> Difference:
    plain = np.array([1.0, -theta])
    variance = plain @ candidate.spread @ plain / (candidate.n * scale**2) + slope @ legacy.spread @ slope / legacy.n
    sides = [Side(one.n, one.after, float(plain @ one.spread @ plain)) for one in (legacy, candidate)]
    return Difference(gap / scale, sqrt(float(variance)), _freedom(*sides), legacy.n + candidate.n)


@dataclass(frozen=True, slots=True)
class Inference:
    """An interval at 1 - alpha, and the p-value of 'no difference, or one the other way'."""

    low: float
    high: float
    p: float


def welch(found: Difference, alpha: float, tail: Tail = Tail.BOTH) -> Inference:
    """The t-test with unequal variances (Welch 1947). Holds for one look at a size fixed beforehand."""
    score = found.estimate / found.error
    if tail is Tail.BOTH:
        half = float(t.ppf(1 - alpha / 2, found.freedom)) * found.error
        return Inference(found.estimate - half, found.estimate + half, 2 * float(t.sf(abs(score), found.freedom)))
    half = float(t.ppf(1 - alpha, found.freedom)) * found.error
    if tail is Tail.GREATER:
        return Inference(found.estimate - half, inf, float(t.sf(score, found.freedom)))
    return Inference(-inf, found.estimate + half, float(t.cdf(score, found.freedom)))


LARGEST_ONE_SIDED = 0.4999
"""One-sided sequences have no level of a half or above."""


def sequence(found: Difference, alpha: float, aimed_at: float, tail: Tail = Tail.BOTH) -> Inference:
    """An asymptotic confidence sequence: its interval may be looked at as often as one likes, from some size on.

    Formula   n units of variance s^2 each: s sqrt(2 (n r^2 + 1) / (n r)^2 ln(sqrt(n r^2 + 1) / alpha)), one-sided with
              ln(1 + sqrt(n r^2 + 1) / (2 alpha)); r tuned to be narrowest at `aimed_at` units:
              r^2 = (-2 ln a + ln(1 - 2 ln a)) / aimed_at, a = alpha, or 2 alpha one-sided. The p-value is the level at
              which the interval begins to hold 0; at most LARGEST_ONE_SIDED one-sided, where larger ones do not exist.
    Source    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Time-uniform central limit theory and asymptotic
              confidence sequences (arXiv 2103.06476), theorems 2.2 and B.1.
    """
    n, spread = found.n, found.error * sqrt(found.n)
    tuned = alpha if tail is Tail.BOTH else 2 * alpha
    square = (-2 * log(tuned) + log(1 - 2 * log(tuned))) / aimed_at
    grown = n * square + 1

    def half(level: float) -> float:
        within = log(sqrt(grown) / level) if tail is Tail.BOTH else log(1 + sqrt(grown) / (2 * level))
        return spread * sqrt(2 * grown / (n**2 * square) * within)

    estimate = found.estimate
    if tail is Tail.GREATER:
        return Inference(estimate - half(alpha), inf, _one_sided(lambda level: estimate - half(level)))
    if tail is Tail.LESSER:
        return Inference(-inf, estimate + half(alpha), _one_sided(lambda level: -estimate - half(level)))
    log_e = square * n * (estimate / found.error) ** 2 / (2 * grown) - log(grown) / 2  # Robbins's mixture (1970)
    return Inference(estimate - half(alpha), estimate + half(alpha), exp(min(0.0, -log_e)))


def _one_sided(end: Callable[[float], float]) -> float:
    """The level at which `end`, which rises with the level, reaches 0."""
    least = 1e-12
    if end(LARGEST_ONE_SIDED) <= 0:
        return LARGEST_ONE_SIDED
    if end(least) >= 0:
        return least
    return float(brentq(end, least, LARGEST_ONE_SIDED))
