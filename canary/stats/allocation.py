"""Sample ratio mismatch: do the sides get the units that the share says? If not, they cannot be compared.

Hypothesis   H0: every unit seen for the first time is the candidate's with probability p, the share of its step.
Data         first-seen units per batch: x of n on the candidate's side. Units, not requests: a unit's requests are
             not independent (in simulation 82 % false alarms when they are counted).
Formula      with o = p / (1 - p): L_phi += x phi + n (ln(1 + o) - ln(1 + o e^phi)); E = mean over phi of exp(L_phi).
             The alternatives are odds e^phi times too high or too low.
Source       Lindon and Malek, Anytime-valid inference for multinomial count data (NeurIPS 2022). Exact.
"""

from __future__ import annotations

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
