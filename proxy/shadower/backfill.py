"""Backfill: gives the candidate, key by key, what legacy held before the first copy.

A key's way: does the candidate have it already? Then take its lease, so that no write of it is in flight; has it had a
write since the journal began? Then it is left to its copies; else ask legacy, and write what it says to the candidate.
What became of it is durable before the lease is given back, so a killed backfill goes on where it was, and a key of
which it was not sure begins with the question whether the candidate has it.
"""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog

from proxy.shadower.commands import Effect, Instruction, MalformedError, RefusedError
from proxy.shadower.counts import Counts
from proxy.shadower.quiet import Quiet
from proxy.shadower.tables import Tables
from rules.backfill import Backfill
from rules.rewriting import RewriteError
from rules.service import Service
from rules.stages import Side, Stage
from shadow.backfill.asking import (
    MissingVariableError,
    Seed,
    Seeding,
    Step,
    as_route_sends,
    candidate_had,
    candidate_took,
    credentials,
    legacy_has,
    order,
    order_key,
    question,
)
from shadow.backfill.store import Key, SeedStore
from shadow.delivery.deliver import CopyRequest, Sender
from shadow.delivery.retry import Answered, Policy
from shadow.journal.journal import Journal, JournalError, order_key_hash
from shadow.redaction.redact import Redactor
from shadow.sealing import Sealer, SealError

log = structlog.get_logger(__name__)

AT_ONCE = 8
"""Keys of one route that are under way together."""
PAGE = 200
"""Keys that are taken from the store at once."""
TRIES = 4
"""Of a key, within one run."""
LEASE_SECONDS = 10.0
"""How long a key that is being written to is waited for."""
DEFAULT_RATE = 50
MOST_RATE = 10_000
MOST_KEYS = 1_000
"""Keys in one command."""
LONGEST_KEY = 1_000
"""Characters."""
FAILED_SHOWN = 100

T = TypeVar("T")


class Lending(Protocol):
    """The part of proxy.shadower.intake.Intake that is used here."""

    async def lend(self, key: bytes, seconds: float) -> Callable[[], None] | None: ...


class Backfills:
    """At most one a route. `actions` are commands; `run` goes on with what a predecessor left."""

    def __init__(
        self,
        store: SeedStore,
        sealer: Sealer,
        redactor: Redactor,
        sender: Sender,
        tables: Tables,
        journal: Journal,
        leases: Lending,
        counts: Counts,
        quiet: Quiet,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
        chance: Callable[[], float],
        policy: Policy,
        environment: Mapping[str, str],
    ) -> None:
        """`environment` has the credentials that routes name: they are in memory only."""
        self._store = store
        self._sealer = sealer
        self._redactor = redactor
        self._sender = sender
        self._tables = tables
        self._journal = journal
        self._leases = leases
        self._counts = counts
        self._quiet = quiet
        self._clock = clock
        self._wall = wall
        self._chance = chance
        self._policy = policy
        self._environment = environment
        self._runs: dict[str, asyncio.Task[None]] = {}
        self.actions = {
            "backfill-add": self._add,
            "backfill-start": self._start,
            "backfill-stop": self._stop,
            "backfill-status": self._status,
        }

    async def run(self) -> None:
        """Go on with what was not ended; then for ever nothing. To be cancelled."""
        for route, rate in (await asyncio.to_thread(self._store.running)).items():
            log.info("a backfill goes on", route=route)
            self._begin(route, rate)
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """Break off, to be gone on with by a successor."""
        tasks = list(self._runs.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- commands -----------------------------------------------------------------------------------------------------

    async def _add(self, asked: Instruction) -> Effect:
        """Keys to be seeded when the backfill runs. They stand in no history: a key may be an address."""
        route, _ = self._of(asked)
        keys = asked.arguments.get("keys")
        if not isinstance(keys, list) or not keys or len(keys) > MOST_KEYS:
            raise MalformedError(f"'keys' is to be a list of 1 to {MOST_KEYS} keys")
        texts = [str(key) for key in keys]
        if any(not 0 < len(text) <= LONGEST_KEY for text in texts):
            raise MalformedError(f"a key has 1 to {LONGEST_KEY} characters")
        added = await self._stored(lambda: self._store.add(route, texts))
        return Effect({"added": added, "known": len(set(texts)) - added})

    async def _start(self, asked: Instruction) -> Effect:
        route, backfill = self._of(asked)
        try:
            for side in Side:
                credentials(backfill, side, self._environment)
        except MissingVariableError as exc:
            raise RefusedError(f"{exc}; set it, and restart fig") from exc
        rate = asked.number("rate", DEFAULT_RATE)
        if not 1 <= rate <= MOST_RATE:
            raise MalformedError(f"'rate' is 1 to {MOST_RATE} keys a second")
        if self._tables.stage(route) is not Stage.SHADOW:
            raise RefusedError(
                f"route '{route}' is not in shadow; put it there first ('fig stage {route} shadow'), for only there "
                "every write of a key is known, and what is seeded cannot be older than a copy"
            )
        if route in self._runs:
            raise RefusedError(f"the backfill of '{route}' runs already; see 'fig shadow backfill {route} --status'")
        await self._stored(lambda: self._store.begin(route, float(rate), self._wall()))
        self._begin(route, float(rate))
        return Effect({"route": route, "rate": rate}, [route])

    async def _stop(self, asked: Instruction) -> Effect:
        route, _ = self._of(asked)
        task = self._runs.get(route)
        if task is None:
            raise RefusedError(f"no backfill of route '{route}' runs")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self._stored(lambda: self._store.end(route, self._wall()))
        return Effect({"route": route, "stopped": True}, [route])

    async def _status(self, asked: Instruction) -> Effect:
        """Counts, and what failed; of keys only what may be shown."""
        route = asked.text("route")
        seeding: Seeding = await self._stored(lambda: self._store.seeding(route))
        failed = await self._stored(lambda: self._store.failed(route, FAILED_SHOWN))
        return Effect(
            {
                "route": route,
                "running": route in self._runs,
                "rate": seeding.rate,
                "counts": {seed.value: seeding.counts.get(seed, 0) for seed in Seed},
                "unseeded": seeding.unseeded,
                "failed": [{"key": self._redactor.text(each.key), "reason": each.reason} for each in failed],
            }
        )

    def _of(self, asked: Instruction) -> tuple[str, Backfill]:
        route = asked.text("route")
        if self._tables.service(route, Side.CANDIDATE) is None:
            raise MalformedError(f"there is no route '{route:.80}' with a candidate")
        backfill = self._tables.backfill(route)
        if backfill is None:
            raise RefusedError(
                f"route '{route}' does not say how its keys are read and written; add to it in the rules file: "
                "shadow: {backfill: {read: '/api/orders/{key}', write: 'PUT /api/orders/{key}'}}"
            )
        return route, backfill

    async def _stored(self, work: Callable[[], T]) -> T:
        """Raises JournalError, which whoever asked is told."""
        try:
            return await asyncio.to_thread(work)
        except (sqlite3.Error, SealError) as exc:
            self._counts.add("journal_errors", what="backfill")
            raise JournalError(f"backfill.db: {exc}") from exc

    # --- running ------------------------------------------------------------------------------------------------------

    def _begin(self, route: str, rate: float) -> None:
        task = self._runs[route] = asyncio.get_running_loop().create_task(self._run(route, rate))
        task.add_done_callback(lambda ended: self._ended(route, ended))

    def _ended(self, route: str, task: asyncio.Task[None]) -> None:
        del self._runs[route]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a backfill failed in itself; it goes on when it is started again", route=route, exc_info=error)

    async def _run(self, route: str, rate: float) -> None:
        """Until no key waits. Reads of the route meanwhile are unsettled: the sides do not know the same."""
        self._quiet.enter(route)
        try:
            room = asyncio.Semaphore(AT_ONCE)
            after, next_at = 0, self._clock()
            async with asyncio.TaskGroup() as group:
                while keys := await self._stored(partial(self._store.waiting, route, after, PAGE)):
                    for key in keys:
                        await room.acquire()
                        next_at = max(next_at, self._clock())
                        await asyncio.sleep(next_at - self._clock())
                        next_at += 1.0 / rate
                        group.create_task(self._bring(route, key, room))
                    after = keys[-1].number
            await self._stored(lambda: self._store.end(route, self._wall()))
            seeding: Seeding = await self._stored(lambda: self._store.seeding(route))
            log.info("a backfill is through", route=route, counts={str(each): n for each, n in seeding.counts.items()})
        finally:
            self._quiet.leave(route, self._wall())

    async def _bring(self, route: str, key: Key, room: asyncio.Semaphore) -> None:
        """One key to its end, in a few tries."""
        try:
            step = Step(Seed.FAILED, "never tried", again=True)
            for number in range(TRIES):
                if number:
                    await asyncio.sleep(self._policy.delay(number, self._chance()))
                step = await self._seed(route, key)
                if not step.again:
                    break
            if step.seed is Seed.FAILED:
                log.warning("a key was not seeded", route=route, number=key.number, reason=step.reason)
            if step.seed is not Seed.SEEDED:  # that one is noted before its lease is given back
                await self._note(key, step)
            self._counts.add("backfill_keys", route=route, result=str(step.seed))
        finally:
            room.release()

    async def _note(self, key: Key, step: Step) -> None:
        seed = step.seed
        assert seed is not None
        await self._stored(lambda: self._store.settle(key.number, seed, step.reason, self._wall()))

    async def _seed(self, route: str, key: Key) -> Step:
        try:
            return await self._seeded(route, key)
        except MissingVariableError as exc:
            return Step(Seed.FAILED, str(exc))
        except RewriteError:  # which shows the path, and so the key
            return Step(Seed.FAILED, "what the route's rules make of its path cannot be sent")

    async def _seeded(self, route: str, key: Key) -> Step:
        """Raises MissingVariableError, RewriteError."""
        backfill = self._tables.backfill(route)
        sides = {side: found[1] for side in Side if (found := self._tables.service(route, side)) is not None}
        if backfill is None or len(sides) < 2:
            return Step(Seed.FAILED, "the rules do not say any more how it is seeded")
        had = await self._ask(route, backfill, key, Side.CANDIDATE, sides)
        if (step := candidate_had(had)).seed is not None:
            return step
        return await self._leased(route, key, lambda: self._copy(route, backfill, key, sides))

    async def _leased(self, route: str, key: Key, work: Callable[[], Awaitable[Step]]) -> Step:
        """`work` while no write of the key is in flight, if it has had none that is known."""
        order_by = self._tables.writes(route).order_by
        if order_by is None:
            return await work()
        mark = order_key_hash(self._sealer, route, order_key(key.key, order_by))
        give_back = await self._leases.lend(mark, LEASE_SECONDS)
        if give_back is None:
            return Step(Seed.FAILED, "writes of it were in flight all the time", again=True)
        try:
            try:
                if self._journal.reader.has_written(mark):
                    return Step(Seed.COPIED)
            except JournalError as exc:
                return Step(Seed.FAILED, f"the journal cannot be read: {exc}", again=True)
            return await work()
        finally:
            give_back()

    async def _copy(self, route: str, backfill: Backfill, key: Key, sides: dict[Side, Service]) -> Step:
        told = await self._ask(route, backfill, key, Side.LEGACY, sides)
        if (step := legacy_has(told)).seed is not None:
            return step
        assert isinstance(told, Answered)
        mark = self._sealer.hash(b"backfill", route.encode(), key.key.encode("utf-8", "surrogateescape")).hex()
        shown = credentials(backfill, Side.CANDIDATE, self._environment)
        request = order(backfill, key.key, told.answer, str(uuid.uuid4()), f"fig-backfill-{mark}", shown)
        repeatable = self._tables.writes(route).dedupe is not None
        attempt = await self._sender.send(self._sent(route, request), sides[Side.CANDIDATE], repeatable=repeatable)
        step = candidate_took(attempt)
        if step.seed is Seed.SEEDED:
            await self._note(key, step)
        return step

    async def _ask(self, route: str, backfill: Backfill, key: Key, side: Side, sides: dict[Side, Service]) -> Any:
        shown = credentials(backfill, side, self._environment)
        request = question(backfill, key.key, side, str(uuid.uuid4()), shown)
        return await self._sender.send(self._sent(route, request), sides[side], repeatable=True)

    def _sent(self, route: str, request: CopyRequest) -> CopyRequest:
        """As the route's own requests are changed for the side that gets it. Raises RewriteError."""
        found = self._tables.changes(route)
        return as_route_sends(request, found[0], found[1][request.to]) if found is not None else request
