"""What happens to the values of one side before they are classified: no values, values that stand out, summaries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from canary.kayenta.terms import KayentaMetric, NanStrategy, Outliers

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def prepared(values: Floats, terms: KayentaMetric) -> Floats:
    """One side's values as they are classified: first what is no value, then what stands out."""
    values = without_nan(values) if terms.nan is NanStrategy.REMOVE else np.where(np.isnan(values), 0.0, values)
    if terms.outliers is Outliers.REMOVE:
        values = values[~outside_quartiles(values, terms.outlier_factor, reduced=True)]
    return values


def without_nan(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def filled_up(legacy: Floats, candidate: Floats, expected: int) -> tuple[Floats, Floats]:
    """A side without any point has as many points without a value as the other side has, or as `expected`."""
    length = max(len(legacy), len(candidate)) or expected
    absent = np.full(length, np.nan)
    return (legacy if len(legacy) else absent), (candidate if len(candidate) else absent)


def outside_quartiles(values: Floats, factor: float, *, reduced: bool) -> Mask:
    """Which values lie more than `factor` times the quartiles' distance outside of them (Tukey's fences, 1977).

    `reduced`: and outside of the 1st to 99th percentile as well. The percentiles are those of Weibull, p (n + 1)
    (Hyndman and Fan's type 6), as in the library that Kayenta uses.
    """
    if not len(values):
        return np.zeros(0, np.bool_)
    p01, p25, p75, p99 = np.percentile(values, [1, 25, 75, 99], method="weibull")
    low, high = p25 - factor * (p75 - p25), p75 + factor * (p75 - p25)
    if reduced:
        low, high = min(low, p01), max(high, p99)
    outside: Mask = (values < low) | (values > high)
    return outside


def beyond_deviations(values: Floats, k: float) -> Mask:
    """Which values lie more than k standard deviations (of all values: divided by n) from the mean."""
    if not len(values):
        return np.zeros(0, np.bool_)
    beyond: Mask = np.abs(values - values.mean()) > k * values.std()
    return beyond


@dataclass(frozen=True, slots=True)
class Summary:
    """Of one side's values; all 0 where there are none, as Kayenta has it."""

    count: int
    mean: float
    least: float
    most: float
    deviation: float
    """Standard deviation, divided by n - 1; 0 for one value."""


def summary(values: Floats) -> Summary:
    if not len(values):
        return Summary(0, 0.0, 0.0, 0.0, 0.0)
    deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return Summary(len(values), float(values.mean()), float(values.min()), float(values.max()), deviation)


def percentile(values: Floats, p: float) -> float:
    """The p-th percentile (0 to 100) of the summaries: linear between values (Hyndman and Fan's type 7)."""
    return float(np.percentile(values, p))
