"""How much more two counts vary than independent exchanges would: the D that tempers the count e-processes.

Formula      per side a: r_a = X_a / N_a, residual e_ab = x_ab - r_a n_ab of cluster b,
             d = sum_ab e_ab^2 / (1 - n_ab/N_a)  /  S  with S = sum_a X_a (1 - r_a),
             D = d - s^2 / (d - 1) where d > 1 + s, else 1: a d that is merely chance would cost evidence, 4 % of it
             after 200 independent events. s is the standard error of d of such, by the cumulants of their counts:
             s^2 = sum_ab (2 u_ab^2 + u_ab (1 - 6 r_a (1 - r_a))) / S^2,  u_ab = n_ab r_a (1 - r_a).
             `of_units` is this; the same for windows is their variance (blocks.py) over the `independent` one;
             `unproven` stands in for that until there are enough.
Sources      Quasi-likelihood (Wedderburn 1974); clusters of units as in Liang and Zeger (1986), the leverage term of
             Bell and McCaffrey (2002); what is taken off for chance is the garrote's (Breiman 1995). Tempering by an
             estimated D is asymptotic; measured, not proven.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Floats = npt.NDArray[np.float64]

PROVING = 48
"""Windows over which the assumption of `unproven` fades. Shorter is faster and wrong more often."""


def of_units(events: Floats, exchanges: Floats) -> float:
    """D of `events` among `exchanges`, both (2 sides, B clusters). 1 where nothing can be told (no event at all), and
    where it is no more than chance."""
    totals = exchanges.sum(axis=1, keepdims=True)
    found = events.sum(axis=1, keepdims=True)
    rate = np.divide(found, totals, out=np.zeros_like(found), where=totals > 0)
    expected = float((found * (1 - rate)).sum())
    if expected <= 0:
        return 1.0
    squares = np.square(events - rate * exchanges)
    others = totals - exchanges
    spread = np.divide(squares * totals, others, out=np.zeros_like(squares), where=others > 0)
    more = float(spread.sum()) / expected - 1
    own = exchanges * rate * (1 - rate)
    chance = float((2 * own**2 + own * (1 - 6 * rate * (1 - rate))).sum()) / expected**2
    return 1 + more - chance / more if more > 0 and more**2 > chance else 1.0


def independent(h_c: float, h_l: float, ratio: float, rate_c: float, rate_l: float) -> float:
    """The variance that sum_w h_w (m_cw - ratio m_lw) has where exchanges are independent: D over time is the measured
    one (Blocks.variance) over this.

    `h_c` and `h_l` are sum_w h_w^2 / n_cw and sum_w h_w^2 / n_lw; the rates are those of either side overall.
    """
    return h_c * rate_c * (1 - rate_c) + ratio**2 * h_l * rate_l * (1 - rate_l)


def excess(of_candidate: Floats, of_legacy: Floats, ratio: float) -> float:
    """The fourth cumulant of sum_w h_w (m_cw - ratio m_lw) over the square of its variance, of rare and independent
    events: one over the number of events that carry the sum (Kish 1965). 0 without any.

    Each side, (2,), as sum_w h_w^2 x_w / n_w^2 and sum_w h_w^4 x_w / n_w^4, with x_w events among n_w exchanges: the
    second and the fourth cumulant of a Poisson count are its mean.
    """
    variance = float(of_candidate[0] + ratio**2 * of_legacy[0])
    return float(of_candidate[1] + ratio**4 * of_legacy[1]) / variance**2 if variance > 0 else 0.0


def unproven(h: float, sensitivity: float, windows: float) -> float:
    """D that is assumed before the windows have shown how much a side's own slow noise moves its rate.

    Such noise (a pause, a cold cache, a neighbour on the machine) does not average out over the exchanges of a window,
    so that its part grows with the exchanges: D = 1 + h * sensitivity, with h = n_c n_l / (n_c + n_l) of the windows
    that carry the sum, sum h^2 / sum h, and `windows` their effective number (sum h)^2 / sum h^2: where traffic grows,
    what small windows have shown says little of large ones. Without it the first windows of a busy route are taken for
    far more than they are: with noise of 5 % of the times and 2,000 requests a window, 44 % of A/A tests were rolled
    back and 41 % of candidates that are worse by their margin promoted (80 simulated runs each); with it 0 and 5 %.
    With noise of 0.42 of the spread and a correlation of 0.7 from window to window: 38 and 51 % without, 5 and 11 %
    with it, so such noise is tamed, not mastered.
    """
    return 1.0 + h * sensitivity * max(0.0, 1 - windows / PROVING)


def sensitivity_of_slow(rate: float) -> float:
    """Of the exchanges beyond a threshold, `rate` of all: phi(z)^2 / (rate (1 - rate)), z the threshold's normal score.

    Where a side's times shift by delta of their spread, the rate shifts by phi(z) delta. The delta assumed is 0.42,
    with a correlation of 0.7 from window to window: delta^2 (1 + 0.7) / (1 - 0.7) = 1.
    """
    if not 0 < rate < 1:
        return 0.0
    density = np.exp(-(float(ndtri(rate)) ** 2) / 2) / np.sqrt(2 * np.pi)
    return float(density**2 / (rate * (1 - rate)))


def sensitivity_of_failures(rate: float) -> float:
    """Of failures: the rate shifts by 0.42 of itself, with the same correlation."""
    return rate / (1 - rate) if rate < 1 else 0.0
