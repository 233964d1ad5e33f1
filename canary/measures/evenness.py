"""Whether enough was counted for a mean of whole values to be judged by the normal law.

Formula      n > 25 G^2 on both sides, with G = m_3 / m_2^(3/2) the skewness of n values (Cochran, Sampling Techniques,
             1977, section 2.15). G is at most sqrt(n), and stays near it where the largest value outweighs the others:
             such values never suffice, however many there are, as it should be where there is hardly a mean.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from canary.measures.measure import Floats

COCHRAN = 25.0
_SIDES = ("legacy", "the candidate")


class Evenness:
    """Sums of powers of both sides' values."""

    def __init__(self) -> None:
        self.powers: Floats = np.zeros((2, 4))
        """Per side: how many values, their sum, that of their squares, and of their cubes."""

    def add(self, of_candidate: npt.NDArray[np.bool_], values: Floats) -> None:
        """Values of either side."""
        for side, chosen in enumerate((~of_candidate, of_candidate)):
            self.powers[side] += (values[chosen] ** np.arange(4)[:, None]).sum(axis=1)

    def missing(self) -> str:
        """What is missing, in words; ``""`` for nothing."""
        for side, name in enumerate(_SIDES):
            n, needed = float(self.powers[side, 0]), COCHRAN * self._skewness(side) ** 2
            if n <= needed:
                return f"{n:,.0f} values of {name} are too uneven for their mean; it takes {needed:,.0f} of such"
        return ""

    def _skewness(self, side: int) -> float:
        n, *sums = self.powers[side].tolist()
        if not n:
            return 0.0
        mean, square, cube = (total / n for total in sums)
        variance = square - mean * mean
        if variance <= 1e-12 * square:  # all are equal, but for rounding
            return 0.0
        return float((cube - 3 * mean * square + 2 * mean**3) / variance**1.5)
