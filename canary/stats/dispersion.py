"""How much more two counts vary than independent exchanges would: the D that tempers the count e-processes.

Formula      per side a: r_a = X_a / N_a, residual e_ab = x_ab - r_a n_ab of cluster b,
             D = max(1, sum_ab e_ab^2 / (1 - n_ab/N_a)  /  sum_a X_a (1 - r_a)).
Sources      Quasi-likelihood (Wedderburn 1974); clusters of units as in Liang and Zeger (1986), the leverage term of
             Bell and McCaffrey (2002). Tempering by an estimated D is asymptotic; measured, not proven.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def of_units(events: Floats, exchanges: Floats) -> float:
    """D of `events` among `exchanges`, both (2 sides, B clusters). 1 where nothing can be told (no event at all)."""
    totals = exchanges.sum(axis=1, keepdims=True)
    found = events.sum(axis=1, keepdims=True)
    rate = np.divide(found, totals, out=np.zeros_like(found), where=totals > 0)
    expected = float((found * (1 - rate)).sum())
    if expected <= 0:
        return 1.0
    part = np.divide(exchanges, totals, out=np.zeros_like(exchanges), where=totals > 0)
    squares = np.square(events - rate * exchanges)
    spread = np.divide(squares, 1 - part, out=np.zeros_like(squares), where=part < 1)
    return max(1.0, float(spread.sum()) / expected)


def of_time(variance: float, h_c: float, h_l: float, ratio: float, rate_c: float, rate_l: float) -> float:
    """D of the windows' differences: their measured variance over the one of independent exchanges.

    `variance` is Blocks.variance of sum_w h_w (m_cw - ratio m_lw); `h_c` and `h_l` are sum_w h_w^2 / n_cw and
    sum_w h_w^2 / n_lw; the rates are those of either side overall.
    """
    expected = h_c * rate_c * (1 - rate_c) + ratio**2 * h_l * rate_l * (1 - rate_l)
    return max(1.0, variance / expected) if expected > 0 else 1.0
