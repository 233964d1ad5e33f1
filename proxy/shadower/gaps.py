"""Gaps on their way into the journal: kept until it takes them, however often and by whomever they are told."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from proxy.link import Link
from proxy.shadower.counts import Counts
from proxy.shadower.insist import insist
from proxy.wire import Gap, Recorded
from shadow.journal import writes
from shadow.journal.journal import Journal

log = structlog.get_logger(__name__)

GAPS_AT_ONCE = 256
"""Gaps that the journal is asked to take together: a full disk is not asked by every one of them, every second."""


class Gaps:
    """Workers keep what is not confirmed, and no more than so many: that bounds this too."""

    def __init__(
        self,
        journal: Journal,
        counts: Counts,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        wall: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._counts = counts
        self._spawn = spawn
        self._wall = wall
        self._gaps: dict[str, tuple[Link, Gap]] = {}
        """Those that are not recorded yet, with the link on which each was told last."""
        self._keeping = False

    def take(self, link: Link, gap: Gap) -> None:
        """To be recorded, and confirmed then."""
        self._gaps[gap.id] = (link, gap)
        if not self._keeping:
            self._keeping = True
            self._spawn(self._keep_all())

    async def _keep_all(self) -> None:
        try:
            while self._gaps:
                some = list(itertools.islice(self._gaps, GAPS_AT_ONCE))
                await asyncio.gather(*map(self._keep, some))
        finally:
            self._keeping = False

    async def _keep(self, id: str) -> None:
        _, record = self._gaps[id]
        gap = writes.Gap(record.id, record.route, record.key, record.reason, record.started)
        if await insist("gap", lambda: self._journal.gap(gap, self._wall()), self._counts):
            log.warning("a write went by unrecorded", route=record.route, reason=record.reason)
        link, _ = self._gaps.pop(id)  # it may have told of it again, on another link
        link.send(Recorded(gaps=[id]))
