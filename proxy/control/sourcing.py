"""Control asks the sources that gates name, for every route in canary, beside the pilot and never on its way.

The pilot judges what was taken by then; numbers that did not come are a fault of their metric.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from canary.sources.collecting import Collector
from proxy.control.attempts import Attempts
from proxy.control.book import Book

UNKNOWN = "the rules file has been broken since before control started, and only there it says where to ask"
"""Sources hold secrets, so control keeps none of them on the disk."""


async def ask_sources(
    book: Callable[[], Book],
    attempts: Attempts,
    every: float,
    collector: Collector,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Look every `every` seconds for numbers that are due, until cancelled; a broken rules file changes nothing."""
    try:
        while True:
            rulebook = book().rulebook
            if rulebook is not None:
                collector.follow(rulebook.sources)
                collector.look(attempts.running.values())
            else:
                collector.look(attempts.running.values(), UNKNOWN)
            await sleep(every)
    finally:
        await collector.close()
