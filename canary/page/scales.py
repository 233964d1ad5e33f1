"""From values to places in a drawing: linear and logarithmic axes with round ticks. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps `low`..`high` to `start`..`end` (in a drawing's own units); what lies outside is put at the edge."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        part = (value - low) / (high - low) if high > low else 0.5
        return self.start + part * (self.end - self.start)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def round_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """At most `most` values between `low` and `high`, one, two or five times a power of ten apart."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(times * power for times in (1, 2, 5, 10, 20) if span / (times * power) <= most - 1 or times == 20)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def decades(low: float, high: float) -> list[float]:
    """Powers of ten between two positive values; with two and five times them where there are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    times: Sequence[int] = (1,) if last - first > 3 else (1, 2, 5)
    found = [time * 10.0**power for power in range(first, last + 1) for time in times]
    return [value for value in found if low <= value <= high]
