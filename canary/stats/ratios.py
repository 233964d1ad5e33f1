"""Two counts per window: is the candidate's rate a multiple of legacy's? A likelihood ratio e-process, exact in theory.

Hypothesis   H0: rate_candidate <= rho * rate_legacy (`up`), or >= (`down`), in every window.
Data         per window x_c of n_c and x_l of n_l exchanges had the event (failed; were slower than a threshold).
Formula      with o = rho n_c / n_l, p = o / (1 + o), q = o e^phi / (1 + o e^phi):
             L_phi += x_c ln(q/p) + x_l ln((1-q)/(1-p));   E = mean over phi of exp(L_phi / D).
Sources      Lindon and Malek, Anytime-valid inference for multinomial count data (NeurIPS 2022), with each window's
             realised exposure as in ter Schure et al., The anytime-valid logrank test (arXiv 2011.06931).

Why it holds, for any share, however it changes, and however the common rate drifts: given what came before the window,
let the exchanges fail independently with mean rates r_c and r_l <= ... r_c = rho' r_l, rho' <= rho. As 1 + z <= e^z,
    E[(q/p)^x_c ((1-q)/(1-p))^x_l] <= exp(n_c r_c (q-p)/p - n_l r_l (q-p)/(1-p)) = exp(K r_l (q-p) (rho'/rho - 1)) <= 1
with K = rho n_c + n_l = rho n_c / p = n_l / (1-p). `down` is the same with q < p. A mean of such products over phi is
one again. At rho = 1 exchangeability within the window is enough: given the total, x_c is hypergeometric, which lies
below the binomial in convex order (Hoeffding 1963, theorem 4).

Tempering (D >= 1, see dispersion.py) keeps the bound by Jensen's inequality where D is a constant; where D is estimated
it is asymptotic, as any cluster-robust variance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

RATIOS = (1.15, 1.25, 1.4, 1.6, 1.85, 2.2, 2.7, 3.4, 4.5, 6.5, 10.0, 20.0, 50.0, 200.0)
"""How many times worse (or better) the alternatives are than the null: from a half of the usual margin to a total
loss."""
_TIMES: Floats = np.array(RATIOS)
PHI: Floats = np.log(_TIMES)


def increments(x_c: Floats, x_l: float, n_c: float, n_l: float, nulls: Floats) -> tuple[Floats, Floats]:
    """What one window adds to the log likelihood ratios of every null and alternative.

    `nulls` (R,), or (1,) where they are all the same: rate ratios rho > 0; `x_c` (R,): the candidate's events for each
    null (they differ where the null moves the candidate's threshold). Returns `up` and `down`, each (R, 14). A window
    with an empty side adds nothing.
    """
    shape = (len(x_c), len(PHI))
    if n_c <= 0 or n_l <= 0:
        return np.zeros(shape), np.zeros(shape)
    odds = (nulls * n_c / n_l)[:, None]
    events = x_c[:, None]
    total = events + x_l
    here = np.log1p(odds)
    up = events * PHI + total * (here - np.log1p(odds * _TIMES))
    down = -events * PHI + total * (here - np.log1p(odds / _TIMES))
    return up, down


def increment(x_c: float, x_l: float, n_c: float, n_l: float, times: float) -> float:
    """What one window adds to the log likelihood ratio of one alternative, that the candidate's rate is `times`
    legacy's, over the null that they are equal. `times` may follow from all that came before the window, never from the
    window itself."""
    if n_c <= 0 or n_l <= 0:
        return 0.0
    odds = n_c / n_l
    return float(x_c * np.log(times) + (x_c + x_l) * (np.log1p(odds) - np.log1p(odds * times)))


def log_mean(logs: Floats, weights: Floats, dispersion: float = 1.0) -> Floats:
    """ln of the weighted mean of exp(logs / dispersion) along the last axis; `weights` sum to 1, and belong to its
    first elements."""
    scaled = logs[..., : len(weights)] / dispersion
    top = scaled.max(axis=-1, keepdims=True)
    mean: Floats = np.log(np.exp(scaled - top) @ weights) + top[..., 0]
    return mean


WEIGHTS: Floats = np.array([.05, .09, .15, .15, .09, .05, .04, .04, .04, .05, .05, .06, .06, .08])  # fmt: skip
"""Weights of the alternatives: twice the equal share for those that take longest to find, where a weight counts most,
and for failures where legacy has none; less for those between, which are found by their neighbours too."""
WITH_DESIGN: Floats = np.array(
    [.004, .006, .01, .01, .01, .012, .012, .013, .013, .015, .02, .025, .035, .065, .75]
)  # fmt: skip
"""The same beside the alternative that the metric's own margin names (the last, three quarters): whoever sets a margin
fears a harm of that size most; the others look after what is far from it."""


def weights_below(limit: float) -> Floats:
    """Equal weights of the first alternatives: those that are possible where no rate can be `limit` times legacy's, as
    what exceeds legacy's median can at most double. At least one."""
    possible = max(1, int(np.searchsorted(_TIMES, limit)))
    return np.full(possible, 1 / possible)
