"""Memory of processes that run for long: what lives long is not walked again and again, what was freed is kept.

A full collection of a million values, such as a table of 100,000 routes, stops everything for a second. What is frozen
the collector does not look at; that is freed when nothing refers to it any more, and only circles in it would stay.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Iterator

from rules.memory import without_collector

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""What glibc's malloc.h calls M_TRIM_THRESHOLD and M_MMAP_THRESHOLD."""
KEPT = 8 * 1024 * 1024
LARGE = 4 * 1024 * 1024


def keep_freed() -> None:
    """Have the C library keep up to KEPT bytes that were freed, and take blocks up to LARGE bytes from what it keeps.

    Pieces of a body are 250 KB. By default each is asked of the kernel and given back to it a moment later, so that
    every page of it is cleared and faulted in anew: measured, 2,000 of 3,000 us per megabyte of a chunked body. Other
    C libraries than glibc have no such setting, and go on as they are.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_TRIM_THRESHOLD, KEPT)
        set_option(_MMAP_THRESHOLD, LARGE)


def freeze() -> None:
    """Whatever lives now lives for long."""
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def made_to_last() -> Iterator[None]:
    """Whatever lives at the end of this lives for long.

    Nothing is collected, before or within: that would stop a process with many connections. Circles that were dropped
    since the last round of the collector stay; the data plane leaves none, and the rest some kilobytes for each table.
    """
    with without_collector():
        try:
            yield
        finally:
            gc.freeze()
