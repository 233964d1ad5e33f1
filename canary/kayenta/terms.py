"""What a rules file says of a gate with `method: kayenta`, and of its metrics. The defaults are those of Kayenta."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Self

from pydantic import Field, field_validator, model_validator

from rules.names import Block
from rules.quantities import Fraction

GROUP = "metrics"
"""The group of metrics that name none."""


class Direction(StrEnum):
    """Which difference speaks against the candidate."""

    INCREASE = "increase"
    DECREASE = "decrease"
    EITHER = "either"


class NanStrategy(StrEnum):
    """What becomes of points without a value."""

    REMOVE = "remove"
    """They are left out."""
    REPLACE = "replace"
    """They count as 0: nothing happened."""


class Outliers(StrEnum):
    KEEP = "keep"
    REMOVE = "remove"
    """Leave out what lies far outside of the quartiles, each side by itself."""


class EffectMeasure(StrEnum):
    """How large a difference is said to be."""

    MEAN_RATIO = "mean_ratio"
    """The candidate's mean over legacy's; 1 is no difference."""
    CLES = "cles"
    """How probably a value of the candidate is above one of legacy; 0.5 is no difference."""

    @property
    def no_effect(self) -> float:
        return 0.5 if self is EffectMeasure.CLES else 1.0


class EffectSize(Block):
    """How large a difference must be, too, before it counts."""

    measure: EffectMeasure = EffectMeasure.MEAN_RATIO
    """`mean_ratio` (1 is no difference) or `cles` (0.5 is none)."""
    allowed_increase: float | None = Field(default=None, ge=0)
    """Only an effect of at least this is high: 1.1 is 10 % more; every one above no difference without it."""
    allowed_decrease: float | None = Field(default=None, ge=0)
    """Only an effect of at most this is low: 0.9 is 10 % less."""
    critical_increase: float | None = Field(default=None, ge=0)
    """A critical metric that is high is a critical failure from this effect on."""
    critical_decrease: float | None = Field(default=None, ge=0)
    """A critical metric that is low is a critical failure from this effect down."""

    def bound(self, value: float | None) -> float:
        """A threshold, where none is named the effect of no difference."""
        return self.measure.no_effect if value is None else value


class KayentaMetric(Block):
    """How a metric of a gate with `method: kayenta` is classified."""

    direction: Direction = Direction.EITHER
    """Which difference speaks against the candidate: `increase`, `decrease` or `either`."""
    nan: NanStrategy = NanStrategy.REMOVE
    """Points without a value: `remove` them, or `replace` them by 0."""
    groups: tuple[str, ...] = Field(default=(GROUP,), min_length=1, max_length=16)
    """The groups whose scores it is part of."""
    effect: EffectSize = EffectSize()
    """How large a difference must be before it counts."""
    outliers: Outliers = Outliers.KEEP
    """`keep` them, or `remove` what lies outside of the quartiles by `outlier_factor` times their distance."""
    outlier_factor: float = Field(default=3.0, gt=0, le=1000)
    """How far outside of the quartiles, in distances between them, an outlier lies."""


class KayentaGate(Block):
    """The judge of a gate with `method: kayenta`."""

    points: int = Field(default=60, ge=20, le=500)
    """How many complete windows (or steps of a source) are judged, once, when that many are there."""
    passing: float = Field(default=95.0, gt=0, le=100)
    """Promote at this score or above (Kayenta's `pass`)."""
    marginal: float = Field(default=75.0, ge=0, le=100)
    """Roll back below this score; between the two a person decides."""
    groups: dict[str, float] = Field(default_factory=dict, max_length=32)
    """Group -> its weight, in parts of 100; groups without one share what is left."""
    tolerance: float = Field(default=0.25, ge=0, le=10)
    """How much of the estimated shift the near end of its interval must exceed."""
    confidence: Fraction = 0.98
    """Of the interval of the shift: ``98%``."""

    def weights(self, heard: Collection[str]) -> dict[str, float]:
        """What each of the groups that have a say weighs, in parts of 100, which they sum to unless all weigh 0.

        Those without a weight share what the others leave; where none is without, the weights are scaled.
        """
        given = {name: self.groups[name] for name in sorted(heard) if name in self.groups}
        total = sum(given.values())
        if len(given) < len(heard):
            rest = max(0.0, 100.0 - total) / (len(heard) - len(given))
            return {name: given.get(name, rest) for name in heard}
        return {name: weight * 100 / total if total else 0.0 for name, weight in given.items()}

    @field_validator("confidence")
    @classmethod
    def _confidence_is_a_level(cls, confidence: float) -> float:
        if not 0.5 <= confidence < 1:
            raise ValueError("confidence is how sure an interval is; write it like 98% (50% to below 100%)")
        return confidence

    @model_validator(mode="after")
    def _thresholds_and_weights_fit(self) -> Self:
        if self.marginal > self.passing:
            raise ValueError(f"'marginal' {self.marginal:g} is above 'passing' {self.passing:g}; swap them")
        if any(weight < 0 for weight in self.groups.values()):
            raise ValueError("a group's weight cannot be negative; write parts of 100, like {latency: 60, errors: 40}")
        if sum(self.groups.values()) > 100 + 1e-9:
            raise ValueError(
                f"the weights of 'groups' sum to {sum(self.groups.values()):g}; they may sum to 100 at most"
            )
        return self
