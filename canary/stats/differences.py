"""Two counts per window: is the candidate's rate legacy's plus a margin? Decides without a single failure, too.

Hypothesis   H0: rate_candidate - rate_legacy >= a (`down` is evidence against it), or <= a (`up`), in every window.
Data         per window x_c of n_c and x_l of n_l exchanges had the event.
Formula      for an alternative (t_c, t_l) on the other side of a, with (q + a, q) the point of the null's border that
             minimises n_c KL(t_c || q + a) + n_l KL(t_l || q):
             L += x_c ln(t_c/(q+a)) + (n_c-x_c) ln((1-t_c)/(1-q-a)) + x_l ln(t_l/q) + (n_l-x_l) ln((1-t_l)/(1-q))
             E = weighted mean over alternatives of exp(L / D).
Source       Turner, Ly and Gruenwald, Generic E-variables for exact sequential k-sample tests that allow for optional
             stopping (arXiv 2106.02693), with the window as their block.

Why it holds for any block sizes known before the answers, and for rates that move within the window: one exchange's
factor has, under a rate r, the mean g(r), linear in r, so that n_c ln g_c + n_l ln g_l is concave in the two mean
rates. On the border's point it is 0, and by the choice of q its gradient there is normal to the border and points away
from the null.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BASES: Floats = np.array([0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4])
"""Legacy's rates in the alternatives."""
GAPS: Floats = np.array([1.0, 4.0])
"""How far the alternatives lie beyond the null, in margins, or in the null's distance from 0 where that is farther."""
WEIGHTS: Floats = np.repeat(np.array([0.8, 0.2]) / len(BASES), len(BASES))
"""Of the alternatives: mostly one margin away, which is 'no difference at all' for the null at the margin."""
_LEAST = 1e-5
_MOST_ROUNDS = 60
_NEAR = 1e-13
"""Where a step of the search is no larger, the projection is found."""


def alternatives(nulls: Floats, margin: float, sign: int) -> tuple[Floats, Floats]:
    """(t_c, t_l), each (R, 20): `sign` +1 beyond the nulls upwards (more failures), -1 downwards.

    `nulls` (R,) are differences of rates, -1 < a < 1; `margin` > 0 is the design scale. Rates are kept within (0, 1).
    """
    a = nulls[:, None]
    gap = np.repeat(GAPS, len(BASES)) * np.maximum(np.abs(a), margin)
    shift = a + sign * np.minimum(gap, (1 - sign * a) / 2)
    t_l = np.clip(np.tile(BASES, len(GAPS)), np.maximum(0, -shift) + _LEAST, np.minimum(1, 1 - shift) - _LEAST)
    return t_l + shift, t_l


@lru_cache(maxsize=256)
def _alternatives(nulls: bytes, margin: float, sign: int) -> tuple[Floats, Floats]:
    """The same ones come with every window."""
    return alternatives(np.frombuffer(nulls), margin, sign)


def projection(t_c: Floats, t_l: Floats, nulls: Floats, part: float) -> Floats:
    """The q of the formula, (R, K), where the candidate has the part `part` (0 to 1, exclusive) of the exchanges.

    The derivative in q rises, and its root lies between t_l and t_c - a. Times q (1 - q) (q + a) (1 - q - a), which is
    positive there, it is a cubic without poles: Newton's steps find the root, and halving where one would leave that
    interval.
    """
    a = nulls[:, None]
    low = np.maximum(np.minimum(t_l, t_c - a), np.maximum(0, -a) + 1e-12)
    high = np.minimum(np.maximum(t_l, t_c - a), np.minimum(1, 1 - a) - 1e-12)
    # part (q + a - t_c) q (1 - q) + (1 - part) (q - t_l) (q + a) (1 - q - a) = -q^3 + k2 q^2 + k1 q + k0
    d, rest, both = a - t_c, 1 - part, a * (1 - a)
    k2 = part * (1 - d) + rest * (1 - 2 * a + t_l)
    k1 = part * d + rest * (both - t_l * (1 - 2 * a))
    k0 = -rest * t_l * both
    root: Floats = np.clip(part * (t_c - a) + rest * t_l, low, high)
    for _ in range(_MOST_ROUNDS):
        value = ((k2 - root) * root + k1) * root + k0
        rises = value < 0
        low, high = np.where(rises, root, low), np.where(rises, high, root)
        found = root - value / ((2 * k2 - 3 * root) * root + k1)
        found = np.where((found >= low) & (found <= high), found, (low + high) / 2)
        moved = float(np.abs(found - root).max())
        root = found
        if moved <= _NEAR:
            break
    return root


def increments(x_c: float, x_l: float, n_c: float, n_l: float, nulls: Floats, margin: float, sign: int) -> Floats:
    """What one window adds to the log likelihood ratios of every null and alternative, (R, 20)."""
    if n_c <= 0 or n_l <= 0:
        return np.zeros((len(nulls), len(WEIGHTS)))
    t_c, t_l = _alternatives(nulls.tobytes(), margin, sign)
    q = projection(t_c, t_l, nulls, n_c / (n_c + n_l))
    c = q + nulls[:, None]
    added: Floats = (
        x_c * np.log(t_c / c)
        + (n_c - x_c) * np.log((1 - t_c) / (1 - c))
        + x_l * np.log(t_l / q)
        + (n_l - x_l) * np.log((1 - t_l) / (1 - q))
    )
    return added
