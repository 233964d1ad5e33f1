"""Sample ratio mismatch: do the sides get the units that the share says? If not, they cannot be compared.

Hypothesis   H0: every unit seen for the first time is the candidate's with probability p, the share of its step.
Data         first-seen units per batch: x of n on the candidate's side. Units, not requests: a unit's requests are
             not independent (in simulation 82 % false alarms when they are counted).
Formula      with o = p / (1 - p): L_phi += x phi + n (ln(1 + o) - ln(1 + o e^phi)); E = mean over phi of exp(L_phi).
             The alternatives are odds e^phi times too high or too low.
Source       Lindon and Malek, Anytime-valid inference for multinomial count data (NeurIPS 2022). Exact.
"""

from __future__ import annotations

from math import exp, lgamma, log

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ALPHA = 0.001
"""A mismatch stops every promotion, so it must not be cried lightly."""
_STEPS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
PHI: Floats = np.array([-s for s in reversed(_STEPS)] + list(_STEPS))
EQUAL: Floats = np.full(len(PHI), 1 / len(PHI))


def increments(x: float, n: float, share: float) -> Floats:
    """What n first-seen units, x of them the candidate's at a share of 0 < share < 1, add to the (12,) logs."""
    odds = share / (1 - share)
    added: Floats = x * PHI + n * (np.log1p(odds) - np.log1p(odds * np.exp(PHI)))
    return added


def sequential_p(counts: Floats, shares: Floats, prior: Floats) -> float:
    """The always-valid p-value of 'units fall to k sides by `shares`', against a Dirichlet `prior` over all others.

    `counts`, `shares` (summing to 1) and `prior` are (k,). The counts at this look alone: the smallest p-value of all
    looks so far is one, too.
    Formula   1 / BF, BF = G(sum a) / G(sum a + n) prod_i G(a_i + x_i) / (G(a_i) p_i^x_i), G the gamma function.
    Source    Lindon and Malek (NeurIPS 2022), section 3. For comparison: the gate's own grid of odds needs no prior.
    """
    total = float(prior.sum())
    factor = lgamma(total) - lgamma(total + float(counts.sum()))
    for x, p, a in zip(counts.tolist(), shares.tolist(), prior.tolist(), strict=True):
        factor += lgamma(a + x) - lgamma(a) - (x * log(p) if x else 0.0)
    return exp(min(0.0, -factor))
