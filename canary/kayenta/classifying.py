"""One metric of both sides: is the candidate high, low, or neither?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from canary.kayenta.divergences import AS_KAYENTA, Manner
from canary.kayenta.preparing import prepared
from canary.kayenta.terms import Direction, EffectMeasure, KayentaMetric, NanStrategy
from canary.stats import rank

Floats = npt.NDArray[np.float64]


class Label(StrEnum):
    """What a metric is classified as, in Kayenta's words."""

    PASS = "Pass"  # noqa: S105 a label, no password
    HIGH = "High"
    LOW = "Low"
    NODATA = "Nodata"
    NODATA_FAIL = "NodataFailMetric"
    """Without data, though data was demanded: counts as failed."""
    ERROR = "Error"


@dataclass(frozen=True, slots=True)
class Classified:
    """One metric's answer."""

    label: Label
    reason: str
    deviation: float
    """The effect size: 1 where nothing was compared."""
    critical: bool
    """Whether it makes the whole fail."""
    shift: rank.Shift | None = None
    """By how much the candidate lies above legacy; None where that was not asked."""


@dataclass(frozen=True, slots=True)
class Strictness:
    """The strictness of the Mann-Whitney test, in Kayenta the judge's own, not the metric's."""

    tolerance: float = 0.25
    confidence: float = 0.98


def classify(
    legacy: Floats,
    candidate: Floats,
    terms: KayentaMetric,
    *,
    critical: bool = False,
    data_demanded: bool = False,
    strictness: Strictness | None = None,
    manner: Manner = AS_KAYENTA,
) -> Classified:
    """Prepare both sides' values (not-a-number where there is none), compare them, classify.

    Raises ValueError on values that cannot be compared (infinite ones).
    """
    strictness = strictness or Strictness()
    legacy, candidate = prepared(legacy, terms), prepared(candidate, terms)
    if not len(legacy) or not len(candidate):
        return _without_data(terms, critical, data_demanded, manner)
    if np.array_equal(np.sort(legacy), np.sort(candidate)):
        return Classified(Label.PASS, "both sides have the same values", 1.0, False)
    if len(np.unique(np.concatenate((legacy, candidate)))) == 1:
        return Classified(Label.PASS, "all values are the same", 1.0, False)
    return _compared(legacy, candidate, terms, critical, strictness, manner)


def _without_data(terms: KayentaMetric, critical: bool, data_demanded: bool, manner: Manner) -> Classified:
    if terms.nan is NanStrategy.REPLACE and manner.absence_passes:
        return Classified(Label.PASS, "no data counts as nothing happened", 1.0, False)
    if data_demanded and not critical:
        return Classified(Label.NODATA_FAIL, "a side has no data", 1.0, False)
    return Classified(Label.NODATA, "a side has no data", 1.0, critical)


def _compared(
    legacy: Floats, candidate: Floats, terms: KayentaMetric, critical: bool, strictness: Strictness, manner: Manner
) -> Classified:
    """High where the interval of the shift lies above, Low where below, a part of the shift; and the effect is large
    enough."""
    span = float(candidate.max() - candidate.min() + legacy.max() - legacy.min())
    shift = rank.shift(candidate, legacy, strictness.confidence, manner.tolerance(span))
    effect = terms.effect
    if effect.measure is EffectMeasure.CLES:
        deviation = rank.common_language(candidate, legacy)
    else:
        deviation = manner.ratio(candidate, legacy)
    bound = strictness.tolerance * abs(shift.estimate)
    up, down = terms.direction is not Direction.DECREASE, terms.direction is not Direction.INCREASE
    if up and shift.low > bound and deviation >= effect.bound(effect.allowed_increase):
        fatal = critical and deviation >= effect.bound(effect.critical_increase)
        return Classified(Label.HIGH, "the candidate is higher", deviation, fatal, shift)
    if down and shift.high < -bound and deviation <= effect.bound(effect.allowed_decrease):
        fatal = critical and deviation <= effect.bound(effect.critical_decrease)
        return Classified(Label.LOW, "the candidate is lower", deviation, fatal, shift)
    return Classified(Label.PASS, "no difference that counts", deviation, False, shift)


def mean_inequality(legacy: Floats, candidate: Floats, direction: Direction) -> Classified:
    """The plain comparison of means that Kayenta keeps for benchmarks: any difference counts."""
    if not len(legacy) or not len(candidate):
        return Classified(Label.NODATA, "a side has no data", 0.0, False)
    above, below = float(candidate.mean()), float(legacy.mean())
    deviation = AS_KAYENTA.ratio(candidate, legacy)
    if direction is not Direction.DECREASE and above > below:
        return Classified(Label.HIGH, "the candidate's mean is higher", deviation, False)
    if direction is not Direction.INCREASE and above < below:
        return Classified(Label.LOW, "the candidate's mean is lower", deviation, False)
    return Classified(Label.PASS, "the means are equal", deviation, False)
