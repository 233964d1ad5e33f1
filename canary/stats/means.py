"""Two means, compared window by window: how far apart they are, in units that allow looking at any time.

Hypothesis   H0: mean_candidate <= f mean_legacy + a  (or >=, with the sign turned).
Formula      windows w with means m_cw, m_lw and weights h_w = n_c n_l / (n_c + n_l) (Mantel and Haenszel):
             U = sum_w h_w (m_cw - f m_lw - a), linear in f and a, so that no bias of a ratio arises (Fieller 1954).
             V_unit = sum_b I_cb^2 + f^2 sum_b I_lb^2 over clusters of units (Liang and Zeger 1986; the delta method of
             Deng, Knoblich and Lu 2018), df_unit = V_unit^2 / sum of the squared terms, V = max(V_unit, V_time of
             blocks.py). A side with fewer than LEAST_FREEDOM effective clusters of its own has said too little of how
             much it varies (one that did nothing yet seems not to vary at all, and would be proof): its exchanges are
             taken to vary as much as the other side's, as where the sides are equal. Z = Phi^-1(T_df(U / sqrt V)) has
             the normal's tail; with the effect's scale c, se = sqrt(V)/c, S = Z/se, I = 1/se^2, the e-value is the
             normal mixture with prior N(mu, tau^2) cut off at 0:
             a = I + 1/tau^2, b = S + mu/tau^2,
             ln E = -ln(1 + I tau^2)/2 + b^2/(2a) - mu^2/(2 tau^2) + ln Phi(b/sqrt a) - ln Phi(mu/tau).
Sources      Robbins (1970); Howard, Ramdas, McAuliffe and Sekhon (2021), proposition 5; asymptotic use as in
             Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (arXiv 2103.06476). Asymptotic: hence no evidence before
             64 windows.
"""

from __future__ import annotations

from math import copysign, isfinite, log1p, sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, ndtri, stdtr

Floats = npt.NDArray[np.float64]

BURN_IN = 64
"""Windows before a mean says anything: its variance over time must be known first (fewer gave 3 to 10 % false
alarms)."""
LEAST_FREEDOM = 20.0
"""Effective clusters below which a mean says nothing."""
LEAST_TIME_FREEDOM = 4.0
SILENT = -50.0
"""ln E of 'no evidence': an e-value may always be smaller."""


def influences(counts: Floats, sums: Floats) -> tuple[float, Floats, Floats]:
    """One window: its weight h, the means (2,), and what every cluster adds to the influences I (2, B).

    `counts`, `sums`: (2 sides, B clusters). Both sides must have exchanges. The leverage of a cluster that is all of
    its side is unbounded; it adds nothing here and nothing to the degrees of freedom.
    """
    n = counts.sum(axis=1)
    means = sums.sum(axis=1) / n
    h = float(n[0] * n[1] / (n[0] + n[1]))
    part = counts / n[:, None]
    residual = h * (sums - means[:, None] * counts) / n[:, None]
    added = np.divide(residual, np.sqrt(1 - part), out=np.zeros_like(residual), where=part < 1)
    return h, means, added


def moments(influence: Floats) -> tuple[Floats, Floats]:
    """Of influences (2, B), legacy first: per side the sum of squares and that of fourth powers, each (2,)."""
    squares = np.square(influence)
    return squares.sum(axis=1), np.square(squares).sum(axis=1)


def unit_variance(of: tuple[Floats, Floats], factor: float, sizes: Floats) -> tuple[float, float]:
    """V_unit and its degrees of freedom, from `moments`; legacy's influences count `factor` times. `sizes`: exchanges,
    (2,), legacy first: a side that has said too little varies at least as the other's exchanges do."""
    squares, fourths = of
    scale = np.array([factor**2, 1.0])
    variances, fourth = squares * scale, float((fourths * scale**2).sum())
    total = float(variances.sum())
    freedoms = np.divide(squares**2, fourths, out=np.zeros(2), where=fourths > 0)
    few = int(freedoms.argmin())
    if freedoms[few] < LEAST_FREEDOM <= freedoms[1 - few] and sizes.min() > 0:
        as_other = float(variances[1 - few] * sizes[1 - few] / sizes[few])
        if as_other > variances[few]:
            return float(variances[1 - few]) + as_other, float(freedoms[1 - few])
    return total, (total * total / fourth if fourth > 0 else 0.0)


def normal_score(ratio: float, freedom: float) -> float:
    """The Z whose normal tail is the t tail of `ratio` with `freedom` degrees of freedom."""
    tail = float(stdtr(freedom, -abs(ratio)))
    if tail <= 0:
        return copysign(38.0, ratio)  # beyond what floats can tell: ndtri(5e-324) is about -38.5
    return copysign(-float(ndtri(tail)), ratio)


def log_mixture(score: float, information: float, mu: float, tau: float) -> float:
    """ln E of the one-sided mixture: `score` S = sum / variance, `information` I; the prior N(mu, tau^2) on (0,
    inf)."""
    a = information + 1 / tau**2
    b = score + mu / tau**2
    return float(
        -0.5 * log1p(information * tau**2)
        + b * b / (2 * a)
        - mu**2 / (2 * tau**2)
        + log_ndtr(b / sqrt(a))
        - log_ndtr(mu / tau)
    )


def log_evidence(u: float, variance: float, freedom: float, scale: float, design: float) -> float:
    """ln E that the sum U (see above) is above 0, for effects about `design` > 0 in units of U / `scale`."""
    if variance <= 0 or scale <= 0 or freedom < LEAST_TIME_FREEDOM or not isfinite(u):
        return SILENT
    error = sqrt(variance) / scale
    z = normal_score(u / sqrt(variance), freedom)
    return log_mixture(z / error, 1 / error**2, design, design / 2)
