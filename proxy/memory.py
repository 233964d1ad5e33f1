"""Making what is kept for long, such as a table of 100,000 routes, without the cycle collector walking it ever after.

A full collection of a million values stops everything for a second. What is frozen it does not look at; that is freed
when nothing refers to it any more, and only circles in it would stay.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


def freeze() -> None:
    """Whatever lives now lives for long."""
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def made_to_last() -> Iterator[None]:
    """Whatever lives at the end of this, and did not at its beginning, lives for long.

    In between nothing is collected, so circles that other work of the process drops meanwhile stay: as much as a few
    seconds of it leave, once for each table.
    """
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
