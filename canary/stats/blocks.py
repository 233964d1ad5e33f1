"""The variance of a sum of windows that resemble their neighbours, from sums only: batch means at every dyadic length.

Formula      blocks of l = 1, 2, 4, ... windows; residuals e_j of J blocks, v = J/(J-1) sum e_j^2, and the correlation
             of neighbours rho = sum e_j e_{j+1} / sum e_j^2. A rho that is more than noise (> 3/sqrt(J)) is freed of
             its bias, rho + (1 + 3 rho)/J (Kendall 1954, Marriott and Pope 1954), and raised by one standard error; it
             is kept within 0 and 0.97. Then V_l = v (1+rho)/(1-rho) W/(J l), with J (1-rho)/(1+rho) - 1 degrees of
             freedom (pre-whitening: Andrews and Monahan 1992). The largest V_l over the lengths with J >= 16 blocks
             counts. Where another estimate V_0 is at hand, which is right but for slow noise, V_l counts only beyond
             V_0 (1 + 2.5 sqrt(2/J)), as V_l / V_0 has the variance 2/J where there is none: the largest of several
             noisy estimates would else be a third too large, with a tenth of the degrees of freedom. Simulated on means
             of independent exchanges at the level of a gate of 8 metrics (e-value 80): +5 % found after 2,050 requests
             a side instead of 2,660. The price is noise too small to be sure of: the worst case found is 4.7 to 7 %
             wrong instead of 2.8 (noise of 2 %, correlation 0.9 from window to window; 600 and 300 runs).
             With windows of unequal weight J is their effective number (sum h)^2 / sum h^2 (Kish 1965): residuals have
             variances in proportion to h, so that v has the relative variance 2 / J of that J. With their plain number
             a share that grew twentyfold passed for noise in a quarter of the runs.
Why          A side's own slow noise (a pause, a cold cache) makes exchanges of one time alike; variance between units
             does not see it. Without this term an autocorrelated A/A test is rolled back in 24 to 80 % of simulated
             runs.
"""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEVELS = 40
"""Block lengths 1 to 2^39 windows: more than any rollout has."""
LEAST_BLOCKS = 16
SURE = 2.5
"""Standard errors by which blocks must exceed the variance of independent units before they replace it."""
SURE_OF_RHO = 3.0
"""The same for the correlation of neighbours: one that is only noise would raise the variance up to tenfold, at one of
many lengths."""
_MOST_RHO = 0.97


class Blocks:
    """Second moments of (h m_c, h m_l, h), a value per window, in blocks of every dyadic length; 40 levels, all
    sums."""

    def __init__(self) -> None:
        self.count = np.zeros(LEVELS, np.int64)
        self.own = np.zeros((LEVELS, 3, 3))
        """Per level: sum of v_j v_j^T."""
        self.next = np.zeros((LEVELS, 3, 3))
        """Per level: sum of v_j v_{j+1}^T."""
        self.last = np.zeros((LEVELS, 3))
        self.total = np.zeros(3)

    @property
    def windows(self) -> int:
        return int(self.count[0])

    def push(self, window: Floats) -> None:
        """One more window, (3,). The second block of a pair goes up a level together with the first."""
        self.total += window
        block = window
        for level in range(LEVELS):
            former = self.last[level].copy()
            self.own[level] += block[:, None] * block
            if self.count[level]:
                self.next[level] += former[:, None] * block
            self.last[level] = block
            self.count[level] += 1
            if self.count[level] % 2:
                return
            block = former + block

    def variance(self, weights: Floats, beyond: float = 0.0) -> tuple[float, float]:
        """Of sum_w weights . window, and its degrees of freedom; (0, inf) with fewer than 16 windows, and where no
        length of block says more than `beyond`, another estimate of the same, by two standard errors.

        `weights` (3,) must make residuals of the windows: their sum over all windows is 0, such as
        (1, -f, -(sum h m_c - f sum h m_l) / sum h).
        """
        found, freedom = 0.0, inf
        windows = self.windows
        levels = max(0, (windows // LEAST_BLOCKS).bit_length())
        forms = np.outer(weights, weights)
        own = (self.own[:levels] * forms).sum(axis=(1, 2)).tolist()
        neighbours = (self.next[:levels] * forms).sum(axis=(1, 2)).tolist()
        whole = float(self.total[2]) ** 2
        heavy = self.own[:levels, 2, 2].tolist()
        for level, (squares, products) in enumerate(zip(own, neighbours, strict=True)):
            if squares <= 0 or heavy[level] <= 0:
                continue
            blocks = min(float(windows >> level), whole / heavy[level])
            if blocks <= 1:
                continue
            rho = products / squares
            if rho > SURE_OF_RHO / sqrt(blocks):
                rho += (1 + 3 * rho) / blocks + sqrt(max(0.0, 1 - rho * rho) / blocks)
            rho = min(max(rho, 0.0), _MOST_RHO)
            inflation = (1 + rho) / (1 - rho)
            value = squares * blocks / (blocks - 1) * inflation * windows / ((windows >> level) << level)
            if value > found and value > beyond * (1 + SURE * sqrt(2 / blocks)):
                found, freedom = value, blocks / inflation - 1
        return found, freedom

    def state(self) -> dict[str, npt.NDArray[np.generic]]:
        """Everything, as arrays; `restore` takes it back."""
        return {
            "count": self.count, "own": self.own, "next": self.next, "last": self.last, "total": self.total
        }  # fmt: skip

    def restore(self, state: dict[str, npt.NDArray[np.generic]]) -> None:
        self.count[...] = state["count"]
        self.own[...] = state["own"]
        self.next[...] = state["next"]
        self.last[...] = state["last"]
        self.total[...] = state["total"]
