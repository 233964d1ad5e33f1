"""Long work in small pieces, so that the loop it runs in goes on serving."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import TypeVar

T = TypeVar("T")

SLICE = 0.002
"""Seconds of work at a time; a piece that has begun is finished, so it may be a little more."""
REST = 0.002
"""Seconds in between, in which the loop serves: work takes half of a busy processor, and twice its time."""


async def in_slices(
    work: Generator[None, None, T],
    clock: Callable[[], float],
    rest: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> T:
    """What `work` returns. It yields after every piece, each of some tens of microseconds; `clock` is in seconds."""
    until = clock() + SLICE
    try:
        while True:
            next(work)
            if clock() >= until:
                await rest(REST)
                until = clock() + SLICE
    except StopIteration as ended:
        return ended.value  # type: ignore[no-any-return]
    finally:
        work.close()
