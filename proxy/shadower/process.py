"""The shadower's life: opens what it owns, listens for workers, tells control how it stands, drains."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog

from proxy import lifeline
from proxy.following import Following, read_now
from proxy.link import Caller, Link, listen
from proxy.memory import freeze
from proxy.publication import pointed
from proxy.shadower.acknowledging import Acknowledging
from proxy.shadower.asking import Asking
from proxy.shadower.backfill import Backfills
from proxy.shadower.commands import Commands
from proxy.shadower.counts import Counts, Gauge
from proxy.shadower.decisions import Decisions
from proxy.shadower.deliveries import Deliveries
from proxy.shadower.intake import Intake
from proxy.shadower.mirrors import Mirrors
from proxy.shadower.pairing import Pairing
from proxy.shadower.pairless import PairlessWrites
from proxy.shadower.pinning import Pinning
from proxy.shadower.questions import Questions
from proxy.shadower.quiet import Quiet
from proxy.shadower.read_back import ReadBacks
from proxy.shadower.read_keys import ReadKeys
from proxy.shadower.renaming import Renaming
from proxy.shadower.replays import Replays
from proxy.shadower.securing import Securing
from proxy.shadower.settling import Settling
from proxy.shadower.states import States
from proxy.shadower.tables import MANY, Content, Tables
from proxy.shadower.upkeep import Upkeep
from proxy.slices import in_slices
from proxy.wire import Command, Hello, Record
from shadow.backfill.store import SeedError, SeedStore
from shadow.delivery.deliver import Sender
from shadow.delivery.retry import Policy
from shadow.journal.doubts import Doubts
from shadow.journal.journal import Journal, JournalError
from shadow.journal.writes import Copy, State
from shadow.pairs.noise_store import NoiseStore
from shadow.pairs.store import PairStore
from shadow.pairs.tables import StoreError
from shadow.redaction.redact import Redactor
from shadow.sealing import Sealer, SealError, state_key

log = structlog.get_logger(__name__)

DEFAULT_POLICY = Policy()
TALLY_EVERY = 0.5
"""Seconds."""
PAIRING_SECONDS = 0.5
"""What pairs get to be compared and stored when the drain is over: reads are samples, writes wait in the journal."""


class StartError(Exception):
    """Something that must be mended before the shadower can start. Exit code 2."""


@dataclass(frozen=True, slots=True)
class Settings:
    state: Path
    drain: float
    """Seconds for what is under way to end after SIGTERM."""
    lifeline: int | None
    ready: int | None = None
    """Descriptor on which the supervisor awaits the word that the shadower takes records."""
    journal_quota: int | None = None
    """Bytes that the journal may hold before writes are refused; None for as many as the disk takes."""
    key: str = field(default="", repr=False)
    """The state folder's key as hex digits, where it is not kept in the folder."""


class Shadower:
    """Wires the parts to each other; must be made in a running loop."""

    def __init__(self, settings: Settings, policy: Policy = DEFAULT_POLICY) -> None:
        """Raises StartError."""
        self._settings = settings
        state = settings.state
        loop = asyncio.get_running_loop()
        self.counts = Counts()
        self._tables = Tables(self._table_stands)
        self._begun: dict[str, str] = {}
        """Route -> digest of the window that it was last told to begin."""
        self._beginning: asyncio.Task[None] | None = None
        journal = state / "journal.db"
        chance = random.Random(os.urandom(16)).random  # noqa: S311 (spreads retries and samples, nothing secret)
        try:
            # With a journal there was a key: a new one would open nothing of what is owed.
            key = state_key(state, settings.key, make=not journal.exists())
            self._sealer = Sealer(key)
            self._store = PairStore(state / "pairs.db", key)
            self._noise = NoiseStore(state / "pairs.db", key, chance)
            self._journal = Journal.open(journal, self._sealer, settings.journal_quota)
        except (SealError, StoreError, JournalError) as exc:
            raise StartError(str(exc)) from exc
        except OSError as exc:
            raise StartError(f"the state folder {state} cannot be used: {exc}") from exc
        if self._journal.interrupted:
            log.warning("copies were interrupted and are in doubt", count=self._journal.interrupted)
        quiet = Quiet()
        self._quiet = quiet
        self._sender = Sender(Securing(loop.time))
        self._pairing = Pairing(self._journal, journal, self._sealer, self._store, self._tables, self.counts)
        renaming = Renaming(self._tables, self._journal, self._sealer, time.time)
        self._asking = Asking(
            self._sender,
            self._noise,
            self._tables,
            self.counts,
            renaming,
            clock=loop.time,
            chance=chance,
        )
        self._mirrors = Mirrors(
            self._sender,
            self._tables,
            self.counts,
            quiet,
            self._asking,
            on_pair=self._pairing.add,
            wall=time.time,
            key_of=ReadKeys(self._tables, self._sealer).of,
            renaming=renaming,
        )
        doubts = Doubts(self._journal, self._sealer)
        self._doubts = doubts
        questions = Questions(self._journal, doubts, self._sender, self._tables, self.counts, renaming)
        self._read_backs = ReadBacks(
            questions,
            doubts,
            self._tables,
            self.counts,
            on_known=lambda recorded: self._intake.carried.known(recorded),
            on_patience_over=lambda sequence: self._intake.carried.let_go(sequence),
            clock=loop.time,
            wall=time.time,
            chance=chance,
            policy=policy,
        )
        self._states = States(
            self._journal,
            self._sender,
            self._tables,
            self.counts,
            quiet,
            questions,
            renaming,
            on_pair=self._pairing.add,
            clock=loop.time,
            wall=time.time,
            chance=chance,
        )
        self._deliveries = Deliveries(
            self._journal,
            self._sender,
            self._tables,
            self.counts,
            on_end=self._copy_ended,
            clock=loop.time,
            wall=time.time,
            chance=chance,
            policy=policy,
            questions=questions,
            renaming=renaming,
        )
        self._intake = Intake(
            self._journal,
            self._sealer,
            self._tables,
            self.counts,
            quiet,
            on_copy=self._deliveries.offer,
            on_mirror=self._mirrors.offer,
            on_doubt=self._read_backs.take,
            owes_any=self._deliveries.owes_any,
            clock=loop.time,
            wall=time.time,
        )
        self._pairless = PairlessWrites(journal, self._sealer, self._store)
        self._upkeep = Upkeep(self._journal, journal, self._store, self._tables, self.counts, self._pairless)
        self.commands = Commands()
        self.commands.actions |= Decisions(self._journal, self._deliveries, self._owed_again).actions
        self.commands.actions |= Pinning(self._store, time.time).actions
        self.commands.actions |= Acknowledging(self._store, state / "pairs.db", time.time).actions
        self.commands.actions |= Settling(doubts, self._intake.carried.known, time.time).actions
        self.commands.actions |= Replays(
            state / "pairs.db", key, self._journal, self._sealer, self._sender, self._tables, renaming
        ).actions
        try:
            self._seeds = SeedStore(state / "backfill.db", self._sealer)
        except (SeedError, OSError) as exc:
            raise StartError(str(exc)) from exc
        self._backfills = Backfills(
            self._seeds,
            self._sealer,
            Redactor(key),
            self._sender,
            self._tables,
            self._journal,
            self._intake,
            self.counts,
            quiet,
            clock=loop.time,
            wall=time.time,
            chance=chance,
            policy=policy,
            environment=os.environ,
        )
        self.commands.actions |= self._backfills.actions
        self._control = Caller(state / "control.sock", self._greet, self._take)
        self._following = Following(state, self._tables)
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()

    def stop(self, reason: str) -> None:
        """Drain; asked again, break off what is under way and end, for whoever asks is about to kill this process."""
        if not self._stopping.is_set():
            log.info("draining", reason=reason, seconds=self._settings.drain)
            self._stopping.set()
        elif reason != lifeline.GONE:  # which may come beside a signal
            self._hurry.set()

    async def run(self) -> int:
        """The exit code: 1 when a part of it failed in itself, which a successor may do better."""
        self._following = self._load_first()
        self._intake.carried.resume(self._read_backs.waiting())
        await self._doubts.reopen_copies(self._tables.read_back)
        for route, count in (await self._deliveries.start()).items():
            self._quiet.enter(route, count)
        server = await listen(
            self._settings.state / "shadow.sock",
            lambda: Link(self._intake.take, self._intake.opened, self._intake.closed),
        )
        self._control.start()
        pairing = asyncio.create_task(self._pairing.run())
        looking = (self._watch_journal(), self._upkeep.look(), self._upkeep.purge())
        works = (self._tell(), *looking, self._read_backs.run(), self._backfills.run())
        ticking = [asyncio.create_task(work) for work in works]
        freeze()
        lifeline.tell_ready(self._settings.ready)
        log.info("listening", generation=self._tables.generation)
        failed = await self._stopped_or_failed([pairing, *ticking])

        server.close()
        await self.commands.stop()
        await self._backfills.stop()
        self._intake.close()
        await self._mirrors.stop()
        await self._asking.close()
        await self._read_backs.stop()
        await self._states.stop()
        left = await self._finish_writes()
        await self._intake.stop()
        for task in ticking:
            task.cancel()
        if self._beginning is not None:
            self._beginning.cancel()
        await asyncio.gather(*ticking, return_exceptions=True)
        self._pairing.finish()  # not cancelled outright: a batch that is stored must also be marked as compared
        await asyncio.wait([pairing], timeout=PAIRING_SECONDS if self._hurry.is_set() else max(PAIRING_SECONDS, left))
        pairing.cancel()
        await asyncio.gather(pairing, return_exceptions=True)
        await self._upkeep.look_once()
        await self._pairing.close()
        self.counts.flush(self._control.send, self._upkeep.standing, self._gauges())
        await self._control.stop()
        await self._sender.close()
        await self._journal.close()
        self._pairless.close()
        self._store.close()
        self._noise.close()
        self._seeds.close()
        log.info("stopped")
        return 1 if failed else 0

    async def _stopped_or_failed(self, tasks: list[asyncio.Task[None]]) -> bool:
        """Wait for `stop`, or for a task that ends by itself, which none should; whether one did."""
        stopping = asyncio.create_task(self._stopping.wait())
        done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        failed = [task for task in done if task is not stopping]
        for task in failed:
            log.error("a part failed; the shadower ends, to be started anew", exc_info=task.exception())
        return bool(failed)

    async def _watch_journal(self) -> None:
        try:
            await self._journal.watch()
        except JournalError:
            self._hurry.set()  # it would take nothing of what is waited for
            raise

    async def _finish_writes(self) -> float:
        """Wait for outcomes and for copies under way, as long as the drain lasts and nobody asks to hurry.

        Gives the seconds that are left of the drain.
        """
        until = time.monotonic() + self._settings.drain

        async def finish() -> None:
            await self._intake.carried.drain(until - time.monotonic())
            await self._deliveries.stop(max(0.0, until - time.monotonic()))

        finishing = asyncio.create_task(finish())
        hurried = asyncio.create_task(self._hurry.wait())
        await asyncio.wait([finishing, hurried], return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if finishing.done():
            finishing.result()
            return until - time.monotonic()
        finishing.cancel()
        await asyncio.gather(finishing, return_exceptions=True)
        await self._deliveries.stop(0.0)
        return 0.0

    def _owed_again(self, copy: Copy) -> None:
        self._quiet.enter(copy.route, key=copy.key)
        self._deliveries.offer(copy)

    def _copy_ended(self, copy: Copy, state: State) -> None:
        self._quiet.leave(copy.route, time.time(), copy.key)
        if state is State.DELIVERED:
            self._states.ended(copy)
        self._intake.settled(copy)
        if state is not State.IN_DOUBT:
            self._pairing.wake()

    # --- control -----------------------------------------------------------------------------------------------------

    def _greet(self, link: Link) -> None:
        link.send(Hello("shadower", 0, os.getpid(), self._tables.generation))

    def _take(self, link: Link, record: Record) -> None:
        if isinstance(record, Command):
            self.commands.take(link.send, record)
        else:
            self._following.take(link, record)

    def _load_first(self) -> Following[Content]:
        """What is published already, at once: there is nothing yet that could be held up."""
        state = self._settings.state
        try:
            pointer = pointed(state)
            content = read_now(state, self._tables, pointer)
            self._tables.stand(pointer, content)
        except FileNotFoundError:
            log.warning("there is no effective table yet")
        except Exception:  # control tells of the next one, and of this one again
            log.exception("the table could not be loaded")
        else:
            return Following(state, self._tables, pointer.rules, content)
        return Following(state, self._tables)

    def _table_stands(self) -> None:
        self._begin_anew()
        self._deliveries.pump()
        self._pairing.wake()

    def _begin_anew(self) -> None:
        """Other rules are in force, or other masks, because some have expired."""
        if self._beginning is not None:
            self._beginning.cancel()
        routes = self._tables.routes
        work = self._begin_windows(routes)
        if len(routes) <= MANY:
            for _ in work:
                pass
        else:  # a pair that comes before its turn counts in the former window, which is over
            self._beginning = asyncio.create_task(in_slices(work, time.monotonic))

    def _begin_windows(self, routes: Sequence[str]) -> Generator[None, None, None]:
        """A certificate counts under one comparison of one candidate: pairs of a changed route are counted anew."""
        for route in routes:
            yield
            self._store.expect(route, self._tables.judged_on(route))
            digest = self._tables.window_digest(route)
            if self._begun.get(route) == digest:
                continue
            try:
                begun = self._store.start_window(
                    route, digest, "loaded with other rules", time.time(), partial(self._tables.other_days, route)
                )
            except sqlite3.Error as exc:
                self.counts.add("shadow_store_errors")
                log.error("a window of pairs could not be begun", route=route, problem=str(exc))
            else:
                self._begun[route] = digest
                if begun:
                    log.info("pairs are counted anew", route=route)

    def _gauges(self) -> list[Gauge]:
        return self._upkeep.gauges() + self._deliveries.gauges()

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TALLY_EVERY)
            if self._tables.turn(time.time()):
                self._begin_anew()
            self.counts.flush(self._control.send, self._upkeep.standing, self._gauges())


async def run(settings: Settings) -> int:
    """The shadower's exit code."""
    try:
        shadower = Shadower(settings)
    except StartError as exc:
        log.error("the shadower cannot start", problem=str(exc))
        return 2
    lifeline.on_end(shadower.stop, settings.lifeline)
    return await shadower.run()
