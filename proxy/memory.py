"""Making what is kept for long, such as a table of 100,000 routes, without the cycle collector walking it ever after.

A full collection of a million values stops everything for a second. What is frozen it does not look at; that is freed
when nothing refers to it any more, and only circles in it would stay.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

from rules.memory import without_collector


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
