"""Durations in logarithmic buckets: at most 1 % relative error, mergeable by addition, bounded whatever comes.

The buckets are DDSketch's (Masson, Rim, Lee: DDSketch, VLDB 2019): bucket i holds (gamma^(i-1), gamma^i], and
its value 2 gamma^i / (gamma + 1) is within (gamma - 1)/(gamma + 1) = 1 % of everything in it. From 1 microsecond to
100,000 seconds there are SIZE of them. Merging two histograms is adding their counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, log

import numpy as np
import numpy.typing as npt

ERROR = 0.01
"""Largest relative error of a bucket's value."""
GAMMA = (1 + ERROR) / (1 - ERROR)
LEAST = 1e-6
"""Seconds; shorter times count as this."""
MOST = 1e5
"""Seconds; longer times count as this."""
SCALE = 1 / log(GAMMA)
FIRST = ceil(log(LEAST) * SCALE)
"""The smallest index."""
SIZE = ceil(log(MOST) * SCALE) - FIRST + 1
"""How many different indices there are."""


def index(seconds: float) -> int:
    """The bucket of a duration. Hot: called for every exchange. Not-a-number and negative times count as LEAST."""
    return ceil(log(min(max(LEAST, seconds), MOST)) * SCALE)


def seconds(index: int) -> float:
    """The value that stands for a bucket, in seconds."""
    return float(2 * GAMMA**index / (GAMMA + 1))


def offsets(times: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """`index(t) - FIRST` of many durations at once: places 0 to SIZE - 1 in an array of counts."""
    clean = np.clip(np.nan_to_num(times, nan=LEAST, posinf=MOST, neginf=LEAST), LEAST, MOST)
    return np.ceil(np.log(clean) * SCALE).astype(np.intp) - FIRST


def quantile(counts: Mapping[int, int], q: float) -> float | None:
    """The value below which a part `q` (0 to 1) of the durations lies, in seconds; None without any.

    The smallest bucket whose cumulated count reaches q of the total (inverse of the empirical distribution function).
    """
    total = sum(counts.values())
    if total <= 0:
        return None
    due = q * total
    seen = 0
    for place in sorted(counts):
        seen += counts[place]
        if seen >= due and counts[place]:
            return seconds(place)
    return seconds(max(counts))


def quantile_of(counts: npt.NDArray[np.int64], q: float) -> float | None:
    """`quantile` of an array of SIZE counts."""
    seen = counts.cumsum()
    if seen[-1] <= 0:
        return None
    return seconds(int(np.searchsorted(seen, max(q * seen[-1], 1), side="left")) + FIRST)


def merge(one: Mapping[int, int], other: Mapping[int, int]) -> dict[int, int]:
    """Both histograms in one."""
    merged = dict(one)
    for place, count in other.items():
        merged[place] = merged.get(place, 0) + count
    return merged


PACKED = np.dtype([("bucket", "<i4"), ("count", "<u4")])
"""One bucket of a packed histogram."""


def packed(counts: Mapping[int, int]) -> bytes:
    """The histogram as it travels: bucket after bucket."""
    return np.array(list(counts.items()), PACKED).tobytes()


def unpacked(data: bytes) -> dict[int, int]:
    """The inverse of `packed`. Raises ValueError on bytes that are no whole number of buckets."""
    found = np.frombuffer(data, PACKED)
    return dict(zip(found["bucket"].tolist(), found["count"].tolist(), strict=True))


def sparse(counts: npt.NDArray[np.int64]) -> dict[int, int]:
    """An array of SIZE counts as index -> count, without the zeros."""
    return {int(place) + FIRST: int(counts[place]) for place in np.flatnonzero(counts)}


def dense(counts: Mapping[int, int]) -> npt.NDArray[np.int64]:
    """The inverse of `sparse`. Raises IndexError on an index that no duration has."""
    array = np.zeros(SIZE, np.int64)
    for place, count in counts.items():
        if not 0 <= place - FIRST < SIZE:
            raise IndexError(f"{place} is no bucket of this histogram ({FIRST} to {FIRST + SIZE - 1})")
        array[place - FIRST] += count
    return array
