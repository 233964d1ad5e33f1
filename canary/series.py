"""Values of both sides over time, side by side. Values only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One metric as both sides had it at the same times. The arrays are copies, of equal length, and read only.

    Raises ValueError for arrays that do not fit each other, and for times that are not finite and rising.
    """

    times: Floats
    """Seconds since the epoch, rising: where each point begins."""
    legacy: Floats
    """Not-a-number where there is no value."""
    candidate: Floats
    """As `legacy`."""

    def __post_init__(self) -> None:
        for name in ("times", "legacy", "candidate"):
            array = np.array(getattr(self, name), np.float64)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        if self.times.ndim != 1 or self.legacy.shape != self.times.shape or self.candidate.shape != self.times.shape:
            raise ValueError(
                f"a series needs as many values as times, but has {self.times.shape} times, {self.legacy.shape} values "
                f"of legacy and {self.candidate.shape} of the candidate"
            )
        if not np.isfinite(self.times).all() or (np.diff(self.times) <= 0).any():
            raise ValueError("the times of a series must be finite and rise")

    def __len__(self) -> int:
        return len(self.times)

    def whole(self) -> Series:
        """The points at which both sides have a value."""
        held = ~(np.isnan(self.legacy) | np.isnan(self.candidate))
        return Series(self.times[held], self.legacy[held], self.candidate[held])
