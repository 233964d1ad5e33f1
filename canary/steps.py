"""What a source said about one metric: sums of both sides, step by step. Values only.

Step k is the stretch from (k - 1) * length to k * length seconds since the epoch: a number dated at its end, as
Prometheus has it, covers it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from canary.series import Series

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Steps `first` to `last`, both included, each `length` seconds."""

    first: int
    last: int
    length: float

    def __len__(self) -> int:
        return self.last - self.first + 1

    @property
    def begin(self) -> float:
        return (self.first - 1) * self.length

    @property
    def end(self) -> float:
        return self.last * self.length

    def place(self, time: float) -> int | None:
        """The index of the step in which `time` lies; None outside the stretch."""
        found = math.floor(time / self.length) + 1 - self.first
        return found if 0 <= found < len(self) else None


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a source says about a stretch; arrays (2 sides, legacy first; its steps)."""

    stretch: Stretch
    n: Floats
    """How many numbers, or observations, are summed up; 0 where a side has none."""
    total: Floats
    squares: Floats
    """The sum of their squares; not-a-number where the source does not say."""

    @classmethod
    def empty(cls, stretch: Stretch) -> Answer:
        """Without a number; whoever asks fills it."""
        return cls(stretch, *(np.zeros((2, len(stretch))) for _ in range(3)))

    def add(self, side: int, place: int, n: float, total: float, squares: float) -> None:
        """To one step of one side. While it is filled."""
        self.n[side, place] += n
        self.total[side, place] += total
        self.squares[side, place] += squares

    def series(self) -> Series:
        """The mean of either side at every step, dated at its beginning."""
        means: Floats = np.divide(self.total, self.n, out=np.full(self.n.shape, np.nan), where=self.n > 0)
        times: Floats = (np.arange(len(self.stretch), dtype=np.float64) + self.stretch.first - 1) * self.stretch.length
        return Series(times, means[0], means[1])
