"""What the journal must take in the end: asked again until it does, and told to whoever watches meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from proxy.shadower.counts import Counts
from shadow.journal.journal import JournalError

log = structlog.get_logger(__name__)

T = TypeVar("T")
WAITS = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds between tries; the last one repeats. A full disk is waited for, because forgetting is not a choice."""


async def insist(what: str, record: Callable[[], Awaitable[T]], counts: Counts) -> T:
    """The result of `record`, once the journal has taken it. Each failure is counted, one in 20 is logged."""
    failures = 0
    while True:
        try:
            result = await record()
        except JournalError as exc:
            counts.add("journal_errors", what=what)
            if failures % 20 == 0:
                log.error("the journal does not take a record; trying again", what=what, problem=str(exc))
            await asyncio.sleep(WAITS[min(failures, len(WAITS) - 1)])
            failures += 1
        else:
            if failures:
                log.info("the journal takes records again", what=what, failures=failures)
            return result
