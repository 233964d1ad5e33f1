"""How high a sum may wander at all times: the normal mixture's boundary, the yardstick of what means.py does one-sided.

Hypothesis   S_t is sub-Gaussian with intrinsic time v_t: exp(x S_t - x^2 v_t / 2) is a supermartingale for every x.
Source       Howard, Ramdas, McAuliffe and Sekhon, Time-uniform, nonparametric, nonasymptotic confidence sequences
             (Ann. Stat. 2021), proposition 5 and section 3.5; Robbins (1970).
"""

from __future__ import annotations

from math import log, sqrt


def best_rho(v: float, alpha: float) -> float:
    """The precision rho of the mixing normal that makes the two-sided boundary about lowest at intrinsic time v.

    Formula   v / (2 ln(1/alpha) + ln(1 + 2 ln(1/alpha))). One-sided: at 2 alpha.
    """
    doubled = 2 * log(1 / alpha)
    return v / (doubled + log(1 + doubled))


def normal_mixture(v: float, alpha: float, rho: float) -> float:
    """The two-sided boundary: |S_t| ever exceeds it with a probability of alpha at most.

    Formula   sqrt((v + rho) ln((v + rho) / (rho alpha^2))).
    """
    return sqrt((v + rho) * log((v + rho) / (rho * alpha**2)))
