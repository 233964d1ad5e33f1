"""Two samples compared by their ranks, for a sample size that is fixed beforehand: shift, interval, effect sizes.

Unlike everything else in canary/stats these numbers hold for one look only. Asked again and again they are wrong far
more often than their level says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import copysign, inf, isfinite, nan, sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

Floats = npt.NDArray[np.float64]

TOLERANCE = 1e-4
"""How exactly R and Kayenta seek the ends of the interval, in the values' own unit. Too coarse for small values, of
seconds say: those who do not have to agree with R pass one that suits the values."""
_EPSILON = float(np.finfo(np.float64).eps)
_MOST_STEPS = 1000


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much `x` lies above `y`, with an interval; in the values' unit."""

    estimate: float
    low: float
    high: float


def u_statistic(x: Floats, y: Floats) -> float:
    """Mann and Whitney's U: in how many of the len(x) len(y) pairs x is larger; ties count a half.

    Source   Mann and Whitney, Annals of Mathematical Statistics 18 (1947) 50-60.
    """
    return _above(x, np.sort(y))


def _above(x: Floats, y: Floats) -> float:
    """U, with `y` in order. Exact: a sum of halves."""
    return float(np.searchsorted(y, x, side="left").sum() + np.searchsorted(y, x, side="right").sum()) / 2


def score(x: Floats, y: Floats, mu: float = 0.0) -> float:
    """The normal score of U for `x - mu` against `y`, with corrections for ties and for continuity.

    Hypothesis   H0: P(x - mu > y) = P(x - mu < y), both samples independent and of one shape.
    Formula      D = U(x - mu, y) - n m / 2, S^2 = n m / 12 (n + m + 1 - sum_t (t^3 - t) / ((n + m)(n + m - 1))) over
                 groups of t equal values, Z = (D - sign(D) / 2) / S.
    Source       Hollander, Wolfe and Chicken, Nonparametric Statistical Methods (3rd ed.), 4.1; as R's wilcox.test with
                 exact = FALSE and correct = TRUE.

    Raises ValueError when all values are equal, so that S is 0, or when a sample is empty.
    """
    if not len(x) or not len(y):
        raise ValueError("an empty sample has no ranks")
    return _score(np.sort(x), np.sort(y), mu)


def _score(x: Floats, y: Floats, mu: float) -> float:
    """`score` of samples in order; asked for some fifteen times for every end of an interval."""
    n, m = len(x), len(y)
    moved, total = x - mu, n + m
    distance = _above(moved, y) - n * m / 2
    both = np.concatenate((moved, y))
    both.sort(kind="stable")
    ends = np.flatnonzero(both[1:] != both[:-1])
    ties = np.diff(ends, prepend=-1, append=total - 1).astype(np.float64)
    tied = float((ties**3 - ties).sum()) / (total * (total - 1))
    variance = n * m / 12 * (total + 1 - tied)
    if variance <= 0:
        raise ValueError("all values are equal, so that they have no order")
    return (distance - 0.5 * float(np.sign(distance))) / sqrt(variance)


def p_value(x: Floats, y: Floats) -> float:
    """The two-sided p-value of `score`; 1 when all values are equal."""
    try:
        z = score(x, y)
    except ValueError:
        if not len(x) or not len(y):
            raise
        return 1.0
    return float(min(1.0, 2 * ndtr(-abs(z))))


def shift(x: Floats, y: Floats, level: float, tolerance: float = TOLERANCE) -> Shift:
    """Hodges and Lehmann's estimate of how far `x` lies above `y`, and its two-sided interval at `level` (0 to 1).

    Hypothesis   the ends are the shifts mu that the test of `score` just does not reject at 1 - level.
    Formula      the estimate is the root of score(x, y, mu) in mu, the ends are those of score -+ z, z the normal
                 quantile at (1 + level) / 2; all within [min x - max y, max x - min y], sought by Brent's method to
                 `tolerance`. With ties the score is a staircase, and where on a stair the search ends is part of what R
                 and Kayenta answer; hence the very same search here.
    Sources      Hodges and Lehmann, Annals of Mathematical Statistics 34 (1963) 598-611; R's wilcox.test with
                 exact = FALSE, conf.int = TRUE (R 3; R 4 is stricter about its tolerance).

    Where each sample is constant throughout, the shift is known exactly and has no spread: the interval is the point.
    Raises ValueError on an empty sample, on one with a value that is not finite, and on a level outside 0 to 1.
    """
    if not len(x) or not len(y):
        raise ValueError("an empty sample has no shift")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a shift needs finite values")
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not at {level}")
    lowest, highest = float(x.min() - y.max()), float(x.max() - y.min())
    if lowest == highest:
        return Shift(lowest, lowest, lowest)
    x, y = np.sort(x), np.sort(y)
    z = -float(ndtri((1 - level) / 2))
    at_lowest, at_highest = _score(x, y, lowest), _score(x, y, highest)

    def end(due: float) -> float:
        if at_lowest - due <= 0:
            return lowest
        if at_highest - due >= 0:
            return highest
        return root(lambda mu: _score(x, y, mu) - due, lowest, highest, at_lowest - due, at_highest - due, tolerance)

    return Shift(end(0.0), end(z), end(-z))


def root(function: Callable[[float], float], a: float, b: float, fa: float, fb: float, tolerance: float) -> float:
    """Where `function` changes its sign between a and b, to `tolerance`; `fa`, `fb` are its values there.

    Source   Brent, Algorithms for Minimization without Derivatives (1973), chapter 4 (zeroin), with the order of its
             steps as in R's uniroot.
    """
    if fa == 0:
        return a
    if fb == 0:
        return b
    c, fc = a, fa
    for _ in range(_MOST_STEPS + 1):
        last_step = b - a
        if abs(fc) < abs(fb):  # b is always the best so far, c on the other side of the root
            a, b, c = b, c, b
            fa, fb, fc = fb, fc, fb
        enough = 2 * _EPSILON * abs(b) + tolerance / 2
        step = (c - b) / 2
        if abs(step) <= enough or fb == 0:
            return b
        if abs(last_step) >= enough and abs(fa) > abs(fb):
            step = _interpolated(a, b, c, fa, fb, fc, last_step, enough)
        if abs(step) < enough:
            step = copysign(enough, step)
        a, fa = b, fb
        b += step
        fb = function(b)
        if (fb > 0) == (fc > 0) and fb != 0 and fc != 0:
            c, fc = a, fa
    return b


def _interpolated(
    a: float, b: float, c: float, fa: float, fb: float, fc: float, last_step: float, enough: float
) -> float:
    """The step to the root of a line or an inverse parabola, where that is a good one; half of the interval else."""
    across = c - b
    if a == c:
        p, q = across * fb / fa, 1.0 - fb / fa
    else:
        r, s, t = fa / fc, fb / fc, fb / fa
        p = t * (across * r * (r - s) - (b - a) * (s - 1))
        q = (r - 1) * (s - 1) * (t - 1)
    if p > 0:
        q = -q
    else:
        p = -p
    if p < 0.75 * across * q - abs(enough * q) / 2 and p < abs(last_step * q / 2):
        return p / q
    return across / 2


def mean_ratio(x: Floats, y: Floats) -> float:
    """mean(x) / mean(y); not-a-number where either mean is 0, as Kayenta has it (`honest_ratio` says more).

    An effect size, no test.
    """
    above, below = float(x.mean()), float(y.mean())
    return nan if above == 0 or below == 0 else above / below


def honest_ratio(x: Floats, y: Floats) -> float:
    """mean(x) / mean(y), infinite where only y's mean is 0, and 1 where both are 0: never not-a-number."""
    above, below = float(x.mean()), float(y.mean())
    if below != 0:
        return above / below
    return 1.0 if above == 0 else copysign(inf, above)


def common_language(x: Floats, y: Floats) -> float:
    """How probably a value of x is above one of y (ties count a half): U / (n m). 0.5 is no effect.

    Source   McGraw and Wong, A common language effect size statistic, Psychological Bulletin 111 (1992) 361-365;
             Vargha and Delaney (2000) for the form with ties.
    """
    return u_statistic(x, y) / (len(x) * len(y))


def cohen_d(x: Floats, y: Floats) -> float:
    """|mean(x) - mean(y)| over the pooled standard deviation.

    Source   Cohen, Statistical Power Analysis for the Behavioral Sciences (2nd ed. 1988), 2.2. Not-a-number for fewer
             than two values a sample; infinite where neither varies but the means differ.
    """
    if len(x) < 2 or len(y) < 2:
        return nan
    freedom = len(x) + len(y) - 2
    pooled = sqrt(((len(x) - 1) * float(x.var(ddof=1)) + (len(y) - 1) * float(y.var(ddof=1))) / freedom)
    distance = abs(float(x.mean()) - float(y.mean()))
    if pooled == 0:
        return 0.0 if distance == 0 else inf
    return distance / pooled if isfinite(pooled) else nan
