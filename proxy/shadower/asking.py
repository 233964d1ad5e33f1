"""Asks legacy again, before and after the candidate's copy of a read, to learn what it disagrees with itself about.

A sample only (`shadow.noise` of the rules), of reads that legacy answered, and never at legacy's expense:
shadow.noise.manners says when it may be asked. What is asked bears `X-Fig-Copy` like every copy. A sample of which an
answer of legacy is missing, or during which a write reached one side, is let go: it would say nothing about noise.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

import structlog

from proxy.shadower.counts import Counts
from proxy.shadower.renaming import Renaming
from proxy.shadower.tables import Tables
from proxy.wire import Mirror
from rules.service import Service
from rules.stages import MILLION, Side
from shadow.delivery.deliver import CopyRequest, Sender
from shadow.delivery.retry import Answered
from shadow.journal.journal import JournalError
from shadow.noise.manners import Manners
from shadow.noise.sampling import Sample
from shadow.pair import Answer, Pair
from shadow.pairs.noise_store import Asked
from shadow.sealing import SealError

log = structlog.get_logger(__name__)

WAITING = 100
"""Samples that may wait to be weighed; beyond it new ones are dropped and counted."""
BATCH = 20
"""Samples in one transaction."""


class Samples(Protocol):
    """The part of shadow.noise_store.NoiseStore that is used here."""

    def add_many(self, asked: Sequence[Asked]) -> int: ...


class Asking:
    """Decides for each read whether legacy is asked again around its copy, and has what comes of it weighed."""

    def __init__(
        self,
        sender: Sender,
        store: Samples,
        tables: Tables,
        counts: Counts,
        renaming: Renaming,
        *,
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        """`clock` is in seconds and never goes back, `chance` uniform in [0, 1)."""
        self._sender = sender
        self._store = store
        self._tables = tables
        self._counts = counts
        self._renaming = renaming
        self._clock = clock
        self._chance = chance
        self._manners: dict[str, Manners] = {}
        """By service."""
        self._waiting: deque[Asked] = deque()
        self._weighing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "noise")

    async def around(
        self, mirror: Mirror, copy: Callable[[], Awaitable[Pair | None]], is_settled: Callable[[], bool]
    ) -> None:
        """Make the copy, and if this read is sampled, ask legacy once before it and once after.

        `is_settled` tells whether both sides have known of the same writes since the read began.
        """
        found = self._turn(mirror)
        if found is None:
            await copy()
            return
        manners, service = found
        manners.busy += 1
        try:
            before = await self._ask(mirror, service, manners)
            pair = await copy()
            if before is None or pair is None:
                return
            after = await self._ask(mirror, service, manners)
        finally:
            manners.busy -= 1
        if after is not None and is_settled():
            self._add(Sample(pair, before, after))

    async def close(self) -> None:
        """Weigh what waits, and end. To be called when nothing is copied any more."""
        if self._weighing is not None:
            await self._weighing
        self._thread.shutdown(wait=True)

    def _turn(self, mirror: Mirror) -> tuple[Manners, Service] | None:
        share = self._tables.noise(mirror.route)
        if not share or Side(mirror.side) is not Side.LEGACY or mirror.unwritable or self._chance() * MILLION >= share:
            return None
        named = self._tables.service(mirror.route, Side.LEGACY)
        if named is None or self._tables.changes_legacy(mirror.route):
            return None
        manners = self._manners.setdefault(named[0], Manners())
        manners.saw(mirror.status, mirror.seconds, self._clock())
        if not manners.may_ask(self._clock()):
            self._counts.add("shadow_asked_again", route=mirror.route, result="spared")
            return None
        return manners, named[1]

    async def _ask(self, mirror: Mirror, service: Service, manners: Manners) -> Answer | None:
        request = CopyRequest(
            Side.LEGACY, mirror.method, mirror.target, mirror.host, mirror.headers, mirror.body, mirror.request_id
        )
        attempt = await self._sender.send(request, service, repeatable=True)
        answer = attempt.answer if isinstance(attempt, Answered) else Answer(0)
        manners.saw(answer.status, answer.seconds, self._clock())
        answered = answer.status != 0
        self._counts.add("shadow_asked_again", route=mirror.route, result="answered" if answered else "failed")
        return answer if answered else None

    def _add(self, sample: Sample) -> None:
        comparison = self._tables.judging(sample.pair.route)
        if comparison is None:
            return
        if len(self._waiting) >= WAITING:
            self._counts.add("shadow_dropped", reason="noise")
            return
        try:
            sample = replace(sample, pair=self._renaming.pair(sample.pair))
        except (JournalError, SealError) as exc:
            self._counts.add("journal_errors", what="read")
            log.error("ids could not be read; a sample of noise is let go", problem=str(exc))
            return
        self._waiting.append(Asked(sample, comparison))
        if self._weighing is None or self._weighing.done():
            self._weighing = asyncio.get_running_loop().create_task(self._weigh())

    async def _weigh(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                await loop.run_in_executor(self._thread, self._store.add_many, batch)
            except sqlite3.Error as exc:  # a full disk, most likely; others will come
                self._counts.add("shadow_store_errors")
                log.error("samples of noise are not stored", samples=len(batch), problem=str(exc))
            except Exception:
                log.exception("samples of noise could not be weighed", samples=len(batch))
