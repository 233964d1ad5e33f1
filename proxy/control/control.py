"""Control: desk, peers, traffic, API and pilot in one process. It carries no traffic; it may crash and come back."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Mapping

import structlog
from aiohttp import web

from canary.pilot import Pilot
from canary.sources.collecting import Collector
from canary.turns import HOUR
from proxy import lifeline
from proxy.control.alarms import Alarms
from proxy.control.api import Api
from proxy.control.attempts import Attempts
from proxy.control.book import Book, Reloading
from proxy.control.budget_upkeep import TOLD, BudgetUpkeep
from proxy.control.budgets import Budgets
from proxy.control.commanding import Commanding
from proxy.control.courses import Courses
from proxy.control.desk import Desk
from proxy.control.flight import PILOT, Certificates, Positions
from proxy.control.guard import Guard
from proxy.control.overriding import Overriding
from proxy.control.peers import Peers
from proxy.control.prober import Prober
from proxy.control.proofs import FRESH, Proofs
from proxy.control.records import Kept
from proxy.control.settling import open_desk
from proxy.control.sourcing import ask_sources
from proxy.control.spans import SpanExport
from proxy.control.status import UNMATCHED
from proxy.control.store import DATABASE, SqlStore, Store, StoreError
from proxy.control.telling.telling import Telling
from proxy.control.told import Told
from proxy.control.traffic import Labels, Traffic
from proxy.control.turns import Queue, Turns
from proxy.control.view import View
from proxy.control.watcher import Signature, changes, signature
from proxy.control.watches import Watches
from proxy.memory import freeze
from proxy.wire import EventRows, Rows, Tally

log = structlog.get_logger(__name__)

LOOK_EVERY = 0.5
"""Seconds between two looks of the pilot."""
KEEP_EVERY = 3.0
"""Seconds of evidence that a killed control may lose; more where there is much of it (attempts.ROUND)."""
KEEP_COURSES_EVERY = 30.0
"""Seconds of an attempt's course that a killed control may lose; no verdict rests on it."""
REMIND_EVERY = 2.0
"""Seconds until a worker that refused a table is told of it again."""
SOCKET = "control.sock"


class Control:
    """The running process."""

    def __init__(self, told: Told, store: Store, book: Book, reloading: Reloading, loaded: Signature) -> None:
        """`loaded` tells which rules files the book was made of."""
        self._told = told
        self._loaded = loaded
        self._store = store
        self._attempts = Attempts(store.evidence())
        self._courses = Courses(self._attempts, store.courses.all())
        self._watches = Watches(self._courses, store.watches.all())
        self._alarms = Alarms()
        for follow in (self._courses.follow, self._watches.follow, self._alarms.follow):
            follow(book)
        self._proofs = Proofs(told.state)
        self._traffic = Traffic(self._knows, time.monotonic, self._is_under_way)
        self._budgets = Budgets(store.budgets.all())
        self._telling = Telling(store, self._note_veto, self._count)
        self._budget_upkeep = BudgetUpkeep(
            *(self._budgets, store.budgets, self._note_budget, self._traffic.add, time.time, StoreError)
        )
        for follow in (self._budgets.follow, self._telling.follow):
            follow(book)
        self._spans = _export(told.otlp) if told.otlp else None
        self._commanding = Commanding(lambda record: self._peers.command(record))
        self._peers = Peers(
            told.workers,
            self._take_tally,
            self._take_rows,
            self._peer_gone,
            self._spans.take if self._spans is not None else lambda _: None,
            self._commanding.take,
        )
        peers = self._peers
        self._desk = Desk(*(told.rules, told.state, store, peers.publish, self._follow, book, reloading, peers.prepare))
        certificates = Certificates(self._desk, self._proofs)
        queue = Queue(lambda: self._desk.book, store.times_of(PILOT, "promote", time.time() - HOUR))
        self._prober = Prober(self._desk)
        # Webhooks are asked about moves whose turn it is, and a turn is claimed last: whoever waits must not have it.
        passable = (self._prober, self._budgets, queue)
        vetoes = (*passable, self._telling.questions, Turns(queue))
        self._pilot = Pilot(
            *(Positions(self._desk, queue.moved), self._watches, certificates, time.time),
            *(vetoes, (self._alarms, self._prober)),
        )
        self._view = View(
            *(told, self._desk, self._peers, self._traffic, self._attempts, self._proofs, self._spans),
            self._pilot.waiting,
            self._courses,
            self._prober,
            watches=self._watches,
            budgets=self._budgets,
            questions=self._telling.questions,
            overriding=Overriding(self._desk, passable, self._attempts.verdict),
        )

    async def run(self, ended: asyncio.Event, reload_asked: asyncio.Event) -> None:
        """Until `ended` is set. Whoever sets `reload_asked` has the rules loaded anew."""
        generation = self._desk.book.effective.generation
        await self._peers.start(self._told.state / SOCKET, generation)
        runner = await self._serve_api()
        tasks = [
            asyncio.create_task(self._reload_when_asked(reload_asked)),
            asyncio.create_task(self._reload_on_change(ended)),
            asyncio.create_task(self._pilot.run(LOOK_EVERY)),
            asyncio.create_task(self._prober.run()),
            asyncio.create_task(self._read_proofs()),
            asyncio.create_task(ask_sources(lambda: self._desk.book, self._attempts, LOOK_EVERY, Collector(time.time))),
            asyncio.create_task(self._keep_evidence()),
            asyncio.create_task(self._keep_all_courses()),
            asyncio.create_task(self._remind()),
            asyncio.create_task(self._telling.run()),
            asyncio.create_task(self._budget_upkeep.run()),
        ]
        freeze()
        lifeline.tell_ready(self._told.ready)
        log.info("control ready", admin=str(self._told.admin), generation=generation)
        try:
            await _first_of(tasks, ended)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await runner.cleanup()
            await self._peers.stop()
            if self._spans is not None:
                await asyncio.to_thread(self._spans.stop)
            self._keep(self._attempts.to_keep(most=sys.maxsize), self._watches.to_keep())
            self._keep_courses(self._courses.to_keep())
            self._budget_upkeep.keep()
            self._store.close()

    def _follow(self, book: Book) -> None:
        """Every book but the first, before the workers are told of it."""
        try:
            for follow in (self._courses.follow, self._watches.follow, self._alarms.follow):
                follow(book)
        finally:
            self._budgets.follow(book)
            self._telling.follow(book)

    def _count(self, name: str, labels: Labels, amount: float) -> None:
        self._traffic.add("control", Tally(counts=[(name, labels, amount)]))

    async def _note_veto(self, route: str, who: str, why: str) -> None:
        await self._desk.note(route, "veto", who, why, {})
        self._telling.grown()

    async def _note_budget(self, route: str, why: str) -> None:
        await self._desk.note(route, "slo", TOLD, why, {})
        self._telling.grown()

    async def _serve_api(self) -> web.AppRunner:
        guard = Guard(self._told.admin, self._told.admin_token, self._told.read_token)
        runner = web.AppRunner(Api(self._view, guard, self._commanding).app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, self._told.admin.host, self._told.admin.port).start()
        return runner

    async def _reload_when_asked(self, asked: asyncio.Event) -> None:
        while True:
            await asked.wait()
            asked.clear()
            await self._desk.reload()

    async def _reload_on_change(self, ended: asyncio.Event) -> None:
        async for _ in changes(self._told.rules, ended, self._loaded):
            await self._desk.reload()

    async def _read_proofs(self) -> None:
        while True:
            await self._proofs.refresh(self._desk.book)
            await asyncio.sleep(FRESH)

    async def _remind(self) -> None:
        while True:
            await asyncio.sleep(REMIND_EVERY)
            self._peers.remind()

    async def _keep_evidence(self) -> None:
        while True:
            await asyncio.sleep(KEEP_EVERY)
            await self._note_anew()
            evidence, watches = self._attempts.to_keep(), self._watches.to_keep()
            if not await asyncio.to_thread(self._keep, evidence, watches):
                self._attempts.not_kept(evidence)
                self._watches.not_kept(watches)

    async def _note_anew(self) -> None:
        for route, why in self._attempts.begun_anew():
            try:
                await self._desk.note(route, "attempt", "control", why, {})
            except StoreError as exc:
                log.error("that evidence begins anew is not in the history", route=route, problem=str(exc))

    async def _keep_all_courses(self) -> None:
        while True:
            await asyncio.sleep(KEEP_COURSES_EVERY)
            changed = self._courses.to_keep()
            if not await asyncio.to_thread(self._keep_courses, changed):
                self._courses.not_kept(changed)

    def _keep_courses(self, changed: dict[str, bytes | None]) -> bool:
        """Whether they are kept. Blocking."""
        try:
            self._store.courses.keep(changed)
        except StoreError as exc:
            log.error("how attempts go is not kept; their reports would lack it after a restart", problem=str(exc))
            return False
        return True

    def _keep(self, evidence: Mapping[str, Kept | None], watches: Mapping[str, bytes | None]) -> bool:
        """Whether they are kept. Blocking."""
        try:
            if evidence:
                self._store.keep(evidence)
            if watches:
                self._store.watches.keep(watches)
        except StoreError as exc:
            log.error("evidence not kept; a restart of control would begin it anew", problem=str(exc))
            return False
        return True

    def _take_rows(self, rows: Rows | EventRows) -> None:
        self._courses.take_rows(rows)
        if isinstance(rows, Rows):
            self._alarms.take_rows(rows, time.time())

    def _take_tally(self, peer: str, tally: Tally) -> None:
        now = time.time()
        self._traffic.add(peer, tally)
        self._attempts.take_tally(tally)
        self._watches.take_tally(tally, now)
        self._alarms.take_tally(peer, tally, now)
        self._budgets.take_tally(tally, time.time())

    def _peer_gone(self, name: str) -> None:
        self._traffic.forget_peer(name)
        self._alarms.forget_peer(name)
        if name == "shadower":
            self._commanding.lost()

    def _is_under_way(self, route: str) -> bool:
        """Whether someone moved the route, or the pilot does."""
        book = self._desk.book
        return route in book.effective.positions or (book.rulebook is not None and route in book.rulebook.rollouts)

    def _knows(self, route: str) -> bool:
        return route == UNMATCHED or route in self._desk.book.routes


async def _first_of(tasks: list[asyncio.Task[None]], ended: asyncio.Event) -> None:
    """Wait for `ended`; a task that fails before it ends the process, for the supervisor to start it anew."""
    waiting = asyncio.create_task(ended.wait())
    try:
        done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task is not waiting and not ended.is_set():
                task.result()
                raise RuntimeError("a task of control ended by itself")
    finally:
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting


def _export(endpoint: str) -> SpanExport:
    from proxy.control.otel import OtlpExport  # an extra, and half a second: only whoever asked for it waits for it

    return SpanExport(OtlpExport(endpoint))


async def open_control(told: Told) -> Control:
    """Open the store and settle what is effective. Raises RulesError when there is nothing at all to go on with."""
    store = SqlStore.at(told.state / DATABASE)
    loaded = signature(told.rules)
    book, reloading = await asyncio.to_thread(lambda: open_desk(told.rules, told.state, store, strict=False))
    return Control(told, store, book, reloading, loaded)


async def run(told: Told) -> None:
    """The process: until SIGTERM, or until the supervisor is gone; SIGHUP loads the rules anew. Raises RulesError."""
    ended, reload_asked = asyncio.Event(), asyncio.Event()

    def stop(reason: str) -> None:
        log.info("ending", reason=reason)
        ended.set()

    lifeline.on_end(stop, told.lifeline)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload_asked.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))  # blocked by the supervisor, until now
    await (await open_control(told)).run(ended, reload_asked)
