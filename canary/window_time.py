"""What time it was in a window of evidence, whatever single rows say."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

STRAYS = 4
"""Rows of a window that may be dated anyhow, on either end; a window has ten rows at least."""


class WindowTime:
    """When the last window began and ended: but for STRAYS rows, all of its rows are dated after `first`, and before
    `last`. Neither depends on the order in which rows come."""

    def __init__(self) -> None:
        self.first = 0.0
        self.last = 0.0
        self._lowest = np.zeros(0)
        self._highest = np.zeros(0)
        """Of the open window, sorted."""

    def see(self, clock: npt.NDArray[np.float64]) -> None:
        """Rows of the open window."""
        self._lowest = np.sort(np.concatenate((self._lowest, clock)))[: STRAYS + 1]
        self._highest = np.sort(np.concatenate((self._highest, clock)))[-STRAYS - 1 :]

    def end(self) -> None:
        """The window is over; without rows, nothing changes."""
        if len(self._lowest):
            self.first, self.last = float(self._lowest[-1]), float(self._highest[0])
        self._lowest, self._highest = np.zeros(0), np.zeros(0)

    def state(self) -> dict[str, Any]:
        return {"ends": [self.first, self.last], "lowest": self._lowest, "highest": self._highest}

    def restore(self, state: dict[str, Any]) -> None:
        self.first, self.last = state["ends"]
        self._lowest, self._highest = state["lowest"], state["highest"]
