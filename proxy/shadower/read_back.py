"""Clears doubts about writes whose answer nobody has, by asking the side that was to answer.

While a write is asked about, later writes of its key wait: they would hide what it did, and its copy must go before
theirs. They wait `within` and `patience` together at most. Afterwards the write stays in doubt and is still asked
about, now and then, until it is known or a person decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from proxy.shadower.counts import Counts
from proxy.shadower.insist import insist
from proxy.shadower.questions import Questions
from proxy.shadower.tables import Tables
from shadow.delivery.read_back import Finding
from shadow.delivery.retry import Policy
from shadow.journal.doubts import Doubt, Doubts
from shadow.journal.journal import JournalError
from shadow.journal.writes import Recorded

log = structlog.get_logger(__name__)

AT_ONCE = 500
"""Doubts that are asked about at once; others are taken up as these end."""
ASKING = 16
"""Questions under way at once."""
LOOK_EVERY = 1.0
"""Seconds between two looks for doubts that nobody asks about."""
SLOWEST = 30.0
"""Seconds between two questions about a write for which nobody waits any more, at most."""


class ReadBacks:
    """`take` each doubt as it arises; `run` takes up those that a predecessor, or a lack of room, left."""

    def __init__(
        self,
        questions: Questions,
        doubts: Doubts,
        tables: Tables,
        counts: Counts,
        *,
        on_known: Callable[[Recorded], None],
        on_patience_over: Callable[[int], None],
        clock: Callable[[], float],
        wall: Callable[[], float],
        chance: Callable[[], float],
        policy: Policy,
    ) -> None:
        """`on_known` gets each doubt that is cleared; `on_patience_over` each write that nobody is to wait for."""
        self._questions = questions
        self._doubts = doubts
        self._tables = tables
        self._counts = counts
        self._on_known = on_known
        self._on_patience_over = on_patience_over
        self._clock = clock
        self._wall = wall
        self._chance = chance
        self._policy = policy
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(ASKING)
        self._closing = False

    def waiting(self) -> list[Doubt]:
        """Doubts for which later writes of their key are to wait, as a predecessor left them. Raises JournalError."""
        found = self._doubts.of_routes(self._tables.read_back, 0, AT_ONCE)
        return [doubt for doubt in found if not doubt.of_copy and not doubt.overtaken]

    def take(self, sequence: int, route: str) -> bool:
        """Whether this doubt is asked about from now on; then `on_known` or `on_patience_over` is called for it."""
        if self._closing or len(self._tasks) >= AT_ONCE or self._questions.rule(route) is None:
            return False
        if sequence not in self._tasks:
            self._spawn(sequence, self._clear(sequence))
        return True

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                self._look()
            except JournalError as exc:
                self._counts.add("journal_errors", what="read")
                log.error("doubts could not be read", problem=str(exc))

    def _look(self) -> None:
        after, routes = 0, self._tables.read_back
        while routes and len(self._tasks) < AT_ONCE and not self._closing:
            found = self._doubts.of_routes(routes, after, AT_ONCE)
            for doubt in found:
                if doubt.sequence not in self._tasks and len(self._tasks) < AT_ONCE:
                    self._spawn(doubt.sequence, self._clear(doubt.sequence, awaited=False))
            if len(found) < AT_ONCE:
                return
            after = found[-1].sequence

    async def stop(self) -> None:
        """Ask nothing more; what is not known stays in doubt, and a successor asks."""
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _clear(self, sequence: int, *, awaited: bool = True) -> None:
        """Ask until it is known. `awaited`: later writes of its key wait for that."""
        began = self._clock()
        tries = 0
        try:
            while (doubt := self._doubts.of(sequence)) is not None:
                waited = self._clock() - began
                async with self._room:
                    reply = await self._questions.ask(
                        sequence,
                        doubt.route,
                        doubt.asks,
                        of_copy=doubt.of_copy,
                        waited=waited,
                        overtaken=doubt.overtaken,
                        now=self._wall(),
                    )
                if reply.finding is not Finding.UNKNOWN:
                    await self._known(doubt, applied=reply.finding is Finding.APPLIED, why=reply.why)
                    awaited = False
                    return
                tries += 1
                pause = self._policy.delay(tries, self._chance())
                patience = self._questions.patience(doubt.route, doubt.asks)
                if awaited and self._clock() - began + pause >= patience:
                    awaited = False
                    log.warning("still in doubt", route=doubt.route, sequence=sequence, why=reply.why)
                    self._on_patience_over(sequence)
                await asyncio.sleep(pause if awaited else SLOWEST * (0.5 + self._chance() / 2))
        except JournalError as exc:  # `run` takes it up again
            self._counts.add("journal_errors", what="read")
            log.error("a doubt could not be read", sequence=sequence, problem=str(exc))
        finally:
            if awaited and not self._closing:
                self._on_patience_over(sequence)

    async def _known(self, doubt: Doubt, *, applied: bool, why: str) -> None:
        by = f"{'applied' if applied else 'not applied'}, by read-back ({why})"
        recorded = await insist(
            "read-back",
            lambda: self._doubts.resolve(doubt.sequence, applied=applied, by=by, now=self._wall()),
            self._counts,
        )
        log.info("a doubt is cleared", route=doubt.route, sequence=doubt.sequence, state=recorded.state, why=by)
        self._on_known(recorded)

    def _spawn(self, sequence: int, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[sequence] = task
        task.add_done_callback(lambda done: self._ended(sequence, done))

    def _ended(self, sequence: int, task: asyncio.Task[None]) -> None:
        self._tasks.pop(sequence, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a read-back failed in itself", sequence=sequence, exc_info=error)
