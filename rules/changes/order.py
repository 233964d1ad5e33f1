"""Which things of a list were moved: as few of them as explain the other order."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


def longest_increasing(numbers: Sequence[int]) -> list[int]:
    """The indices of a longest strictly increasing part of `numbers`, which are all different.

    Patience sorting, O(n log n): Fredman 1975, "On computing the length of longest increasing subsequences".
    """
    ends: list[int] = []
    """ends[k]: the smallest number that an increasing part of length k + 1 can end in."""
    at: list[int] = []
    """Its index."""
    before: list[int] = []
    for index, number in enumerate(numbers):
        length = bisect_left(ends, number)
        before.append(at[length - 1] if length else -1)
        if length == len(ends):
            ends.append(number)
            at.append(index)
        else:
            ends[length] = number
            at[length] = index
    found: list[int] = []
    index = at[-1] if at else -1
    while index >= 0:
        found.append(index)
        index = before[index]
    return found[::-1]
