"""Counts over time in bounded memory: a ring of buckets of equal width. Pure; the time is an argument.

Sums only: merging two rings adds their buckets, so workers and lives of control (one day, machines) add up exactly.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np


class Counts(NamedTuple):
    """Requests of some stretch of time."""

    total: int = 0
    failed: int = 0
    """Answered with a 5xx, cut off, or not at all."""
    slow: int = 0
    """Answered too late, or not at all."""


class _Kept(msgspec.Struct, array_like=True):
    width: float
    numbers: bytes
    counts: bytes


class Ring:
    """The last `size` buckets, each `width` seconds wide and aligned to multiples of that since the epoch."""

    def __init__(self, width: float, size: int) -> None:
        self.width = width
        self._numbers = np.full(size, -1, np.int64)
        """Which bucket (start divided by width) each slot holds; -1 for none."""
        self._counts = np.zeros((size, len(Counts._fields)), np.int64)

    def add(self, at: float, counts: Counts) -> None:
        """Count at that time, which is now, in seconds since the epoch."""
        number = int(at // self.width)
        slot = number % len(self._numbers)
        if self._numbers[slot] > number:  # the clock was set back: what is of the future must not keep out the present
            self._numbers[slot] = -1
        self._add(number, np.array(counts, np.int64))

    def _add(self, number: int, counts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        slot = number % len(self._numbers)
        if self._numbers[slot] < number:
            self._numbers[slot] = number
            self._counts[slot] = 0
        if self._numbers[slot] == number:
            self._counts[slot] += counts

    def sum(self, now: float, seconds: float) -> Counts:
        """Counts of the last `seconds`, and of what more the oldest of their buckets holds."""
        latest = int(now // self.width)
        reach = int(-(-seconds // self.width))
        within = (self._numbers >= latest - reach) & (self._numbers <= latest)
        return Counts(*(int(each) for each in self._counts[within].sum(axis=0)))

    def merge(self, other: Ring) -> None:
        """Add what another ring of the same width counted. Raises ValueError for another width."""
        if other.width != self.width:
            raise ValueError(f"buckets of {other.width:g} s cannot be added to buckets of {self.width:g} s")
        for number, counts in zip(other._numbers.tolist(), other._counts, strict=True):
            if number >= 0:
                self._add(number, counts)

    def dump(self) -> bytes:
        """What `load` reads again."""
        used = self._numbers >= 0
        return msgspec.msgpack.encode(_Kept(self.width, self._numbers[used].tobytes(), self._counts[used].tobytes()))

    @staticmethod
    def load(data: bytes) -> Ring:
        """A ring just large enough for what was dumped. Raises ValueError for anything else."""
        try:
            kept = msgspec.msgpack.decode(data, type=_Kept)
            numbers = np.frombuffer(kept.numbers, np.int64)
            counts = np.frombuffer(kept.counts, np.int64).reshape(len(numbers), len(Counts._fields))
        except (msgspec.MsgspecError, ValueError) as exc:
            raise ValueError(f"not a ring of counts: {exc}") from exc
        found = Ring(kept.width, max(len(numbers), 1))
        found._numbers[: len(numbers)], found._counts[: len(numbers)] = numbers, counts
        return found
