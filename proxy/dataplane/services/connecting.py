"""One connection to whichever of several addresses takes it first ("happy eyeballs", RFC 8305 section 5)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

PAUSE = 0.25
"""Seconds before the next address is tried beside those that have not taken the connection (RFC 8305 section 8)."""

C = TypeVar("C")


async def connect_to_any(
    addresses: Sequence[str],
    connect: Callable[[str], Awaitable[C]],
    drop: Callable[[C], None],
    *,
    pause: float = PAUSE,
) -> C:
    """What `connect` gives for one of `addresses`, tried in order: the next one at once when one fails, and beside it
    when one is slow. A connection that came too late is dropped. Raises what the last one raised, an OSError."""
    if len(addresses) == 1:
        return await connect(addresses[0])
    left = list(addresses)
    running: set[asyncio.Task[C]] = set()
    winner: asyncio.Task[C] | None = None
    failure: BaseException = OSError("there is no address")

    def forget(task: asyncio.Task[C]) -> None:
        if not task.cancelled() and task.exception() is None:
            drop(task.result())

    try:
        while winner is None and (left or running):
            if left:
                running.add(asyncio.ensure_future(_begin(connect, left.pop(0))))
            done, running = await asyncio.wait(
                running, timeout=pause if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                error = task.exception()
                if error is not None:
                    failure = error
                elif winner is None:
                    winner = task
                else:
                    drop(task.result())
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(forget)
    if winner is None:
        raise failure
    return winner.result()


async def _begin(connect: Callable[[str], Awaitable[C]], address: str) -> C:
    return await connect(address)
