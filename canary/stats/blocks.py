"""The variance of a sum of windows that resemble their neighbours, from sums only: batch means at every dyadic length.

Formula      blocks of l = 1, 2, 4, ... windows; residuals e_j of J blocks, v = J/(J-1) sum e_j^2, and the correlation
             of neighbours rho = sum e_j e_{j+1} / sum e_j^2. A rho that is more than noise (> 2.5/sqrt(J)) is freed of
             its bias, rho + (1 + 3 rho)/J (Kendall 1954, Marriott and Pope 1954), and raised by one standard error; it
             is kept within 0 and 0.97. Then V_l = v (1+rho)/(1-rho) W/(J l), with J (1-rho)/(1+rho) - 1 degrees of
             freedom (pre-whitening: Andrews and Monahan 1992). The largest V_l over the lengths with J >= 16 blocks
             counts. Where another estimate V_0 is at hand, which is right but for slow noise, V_l counts only if rho is
             more than noise, or if v W/(J l) / V_0 is beyond 2 standard scores of what it is without slow noise: a chi
             square over its J' = 2 / (2/J + K) degrees of freedom (Wilson and Hilferty 1931). K is the excess of the
             fourth moment, one over the number of values that carry the sum: blocks of few rare events vary more than
             normal ones. The largest of several noisy estimates would else be a third too large, with a tenth of the
             degrees of freedom; an inflation by every rho above 0 was beyond V_0 in 9 to 15 % of series without any
             noise, and is so in 1 to 7 % now. The price is noise too small to be sure of.
             With windows of unequal weight J is their effective number (sum h)^2 / sum h^2 (Kish 1965): residuals have
             variances in proportion to h, so that v has the relative variance 2 / J of that J. With their plain number
             a share that grew twentyfold passed for noise in a quarter of the runs. Beside them the single windows
             count with equal weight, V = sum h / (W - 1) sum e_w^2 / h_w: what makes exchanges of one window alike
             makes windows of every size vary as many times more, and few large ones must not hide what many small ones
             have shown.
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
SURE = 2.0
"""Standard scores by which blocks must exceed the variance of independent units before they replace it."""
SURE_OF_RHO = 2.5
"""The same for the correlation of neighbours: one that is only noise would raise the variance up to tenfold, at one of
many lengths."""
_MOST_RHO = 0.97


def most_by_chance(freedom: float) -> float:
    """What an estimate of a variance is at most, as a multiple of it, but for a chance of 2.3 % (SURE scores): the
    quantile of a chi square over its degrees of freedom (Wilson and Hilferty 1931)."""
    step = 2 / (9 * freedom)
    return max(1.0, (1 - step + SURE * sqrt(step)) ** 3)


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
        self.alike = np.zeros((3, 3))
        """Sum of v v^T / h over single windows."""

    @property
    def windows(self) -> int:
        return int(self.count[0])

    def push(self, window: Floats) -> None:
        """One more window, (3,). The second block of a pair goes up a level together with the first."""
        self.total += window
        self.alike += window[:, None] * window / window[2]
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

    def variance(
        self, weights: Floats, beyond: float = 0.0, excess: float = 0.0, *, alike: bool = True
    ) -> tuple[float, float]:
        """Of sum_w weights . window, and its degrees of freedom; (0, inf) with fewer than 16 windows, and where no
        length of block says surely more than `beyond`, another estimate of the same. `excess` is the K above: the
        fourth cumulant of the sum over the square of its variance. `alike`: residuals of single windows have
        variances in proportion to h, but for slow noise.

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
        if alike and beyond and windows >= LEAST_BLOCKS:
            value = float((self.alike * forms).sum()) * float(self.total[2]) / (windows - 1)
            if value > beyond * most_by_chance(2 / (2 / windows + excess)):
                found, freedom = value, windows - 1.0
        for level, (squares, products) in enumerate(zip(own, neighbours, strict=True)):
            if squares <= 0 or heavy[level] <= 0:
                continue
            blocks = min(float(windows >> level), whole / heavy[level])
            if blocks <= 1:
                continue
            value = squares * blocks / (blocks - 1) * windows / ((windows >> level) << level)
            rho = products / squares
            sure = value > beyond * most_by_chance(2 / (2 / blocks + excess))
            if rho > SURE_OF_RHO / sqrt(blocks):
                rho += (1 + 3 * rho) / blocks + sqrt(max(0.0, 1 - rho * rho) / blocks)
                sure = True
            rho = min(max(rho, 0.0), _MOST_RHO)
            inflation = (1 + rho) / (1 - rho)
            value *= inflation
            if sure and value > max(found, beyond):
                found, freedom = value, blocks / inflation - 1
        return found, freedom

    def state(self) -> dict[str, npt.NDArray[np.generic]]:
        """Everything, as arrays; `restore` takes it back."""
        return {
            "count": self.count, "own": self.own, "next": self.next, "last": self.last, "total": self.total,
            "alike": self.alike,
        }  # fmt: skip

    def restore(self, state: dict[str, npt.NDArray[np.generic]]) -> None:
        self.count[...] = state["count"]
        self.own[...] = state["own"]
        self.next[...] = state["next"]
        self.last[...] = state["last"]
        self.total[...] = state["total"]
        self.alike[...] = state["alike"]
