"""What one comparison has found so far: differences that no mask excuses, and how many each mask did excuse."""

from __future__ import annotations

from collections import Counter

from shadow.comparing.differences import Difference, DifferenceKind, Excused, Outcome
from shadow.comparing.masks import Masks
from shadow.comparing.values import Absent, Json

MOST_DIFFERENCES = 200
"""Differences located per pair; what is more becomes one NOT_LOCATED difference that says how many."""


class DisagreementError(Exception):
    """A difference where the question was whether there is any."""


class Findings:
    """Collects the differences of one pair under its masks."""

    __slots__ = ("_differences", "_more", "_most", "_only", "excused", "masks")

    def __init__(self, masks: Masks, most: int = MOST_DIFFERENCES, only: bool = False) -> None:
        """Keeps `most` differences and counts the others; with `only`, the first one raises DisagreementError."""
        self.masks = masks
        self._only = only
        self.excused: Counter[str] = Counter()
        self._most = most
        self._differences: list[Difference] = []
        self._more = 0

    @property
    def count(self) -> int:
        """Differences found, also those that were too many to keep."""
        return len(self._differences) + self._more

    def add(self, kind: DifferenceKind, pointer: str, path: str, a: Json | Absent, b: Json | Absent) -> None:
        """Note that legacy has `a` and the candidate `b` at `pointer`, unless a mask excuses it."""
        mask = self.masks.find(pointer, a, b) if self.masks.excuse else None
        if mask is not None:
            self.excused[mask.name] += 1
        elif self._only:
            raise DisagreementError
        elif len(self._differences) < self._most:
            self._differences.append(Difference(kind, pointer, path, a, b))
        else:
            self._more += 1

    @property
    def full(self) -> bool:
        """Whether what is found from now on is only counted."""
        return len(self._differences) >= self._most

    def add_more(self, count: int) -> None:
        """Note that there are so many more places that differ, which nobody looks into any more."""
        self._more += count

    def outcome(self) -> Outcome:
        differences = self._differences
        if self._more:
            more = f"{self._more} more differences"
            differences = [*differences, Difference(DifferenceKind.NOT_LOCATED, "body", "body", more, more)]
        return Outcome(tuple(differences), tuple(Excused(mask, count) for mask, count in self.excused.items()))
