"""Control: desk, peers, traffic, API and pilot in one process. It carries no traffic; it may crash and come back."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from proxy import lifeline
from proxy.control.api import Api
from proxy.control.desk import Book, Desk, Reloading, open_desk
from proxy.control.guard import Guard
from proxy.control.metrics import FigCollector
from proxy.control.peers import Peer, Peers
from proxy.control.standings import MoveError
from proxy.control.status import UNMATCHED, peer_document, reloading_document, route_document, sides_of
from proxy.control.store import SqlStore, Store
from proxy.control.traffic import Traffic
from proxy.control.watcher import changes
from proxy.settings import Address
from rules.effective import Effective

log = structlog.get_logger(__name__)

SOCKET = "control.sock"
DATABASE = "state.db"


@dataclass(frozen=True, slots=True)
class Told:
    """What control was told on its command line and by environment."""

    rules: Path
    state: Path
    admin: Address
    listen: Address
    workers: int
    admin_token: str = field(default="", repr=False)
    read_token: str = field(default="", repr=False)
    lifeline: int | None = None


def once(told: Told) -> Book:
    """Load the rules and publish what is effective; for the supervisor, before anything else starts.

    Raises RulesError with every problem.
    """
    store = SqlStore.at(told.state / DATABASE)
    try:
        book, _ = open_desk(told.rules, told.state, store, strict=True)
    finally:
        store.close()
    return book


class Control:
    """The running process. Also what /metrics and the API look at."""

    def __init__(self, told: Told, store: Store, book: Book, reloading: Reloading) -> None:
        self._told = told
        self._store = store
        self._peers = Peers(told.workers, self._take_tally, self._take_rows, self._peer_gone)
        self.desk = Desk(told.rules, told.state, store, self._peers.publish, book, reloading)
        self.traffic = Traffic(self._knows, time.monotonic)
        self._started = time.time()

    async def run(self) -> None:
        """Until SIGTERM, or until the supervisor is gone."""
        ended = asyncio.Event()

        def stop(reason: str) -> None:
            log.info("ending", reason=reason)
            ended.set()

        lifeline.on_end(stop, self._told.lifeline)
        reload_asked = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload_asked.set)
        await self._peers.start(self._told.state / SOCKET, self.effective.generation)
        runner = await self._serve_api()
        tasks = [
            asyncio.create_task(self._reload_when_asked(reload_asked)),
            asyncio.create_task(self._reload_on_change(ended)),
        ]
        log.info("control ready", admin=str(self._told.admin), generation=self.effective.generation)
        try:
            await _first_of(tasks, ended)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await runner.cleanup()
            await self._peers.stop()
            self._store.close()

    async def _serve_api(self) -> web.AppRunner:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(FigCollector(self))
        guard = Guard(self._told.admin, self._told.admin_token, self._told.read_token)
        runner = web.AppRunner(Api(self, guard, registry).app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, self._told.admin.host, self._told.admin.port).start()
        return runner

    async def _reload_when_asked(self, asked: asyncio.Event) -> None:
        while True:
            await asked.wait()
            asked.clear()
            await self.desk.reload()

    async def _reload_on_change(self, ended: asyncio.Event) -> None:
        async for _ in changes(self._told.rules, ended):
            await self.desk.reload()

    def _take_tally(self, peer: str, tally: Any) -> None:
        self.traffic.add(peer, tally)

    def _take_rows(self, rows: Any) -> None:
        pass

    def _peer_gone(self, peer: str) -> None:
        self.traffic.forget_peer(peer)

    def _knows(self, route: str) -> bool:
        return route == UNMATCHED or route in self.desk.book.routes

    # What /metrics reads.

    @property
    def effective(self) -> Effective:
        return self.desk.book.effective

    @property
    def peers(self) -> Mapping[str, Peer]:
        return self._peers.names

    @property
    def workers_expected(self) -> int:
        return self._told.workers

    @property
    def reload_ok(self) -> bool:
        return self.desk.reloading.ok

    @property
    def reload_success_at(self) -> float:
        return self.desk.reloading.last_success

    # What the API shows.

    def readiness(self) -> str:
        generation = self.effective.generation
        if any(peer.generation >= generation for peer in self._peers.workers):
            return ""
        return f"no worker decides by generation {generation} yet"

    def status(self) -> dict[str, Any]:
        book = self.desk.book
        generation = book.effective.generation
        return {
            "at": time.time(),
            "started": self._started,
            "generation": generation,
            "ready": not self.readiness(),
            "listen": str(self._told.listen),
            "rules": {"file": str(self._told.rules), **reloading_document(self.desk.reloading)},
            "workers_expected": self._told.workers,
            "peers": [peer_document(peer, generation) for _, peer in sorted(self._peers.names.items())],
            "routes": [route_document(name, book, book.standings[name], self.traffic, {}) for name in book.routes],
            "unmatched": sides_of(UNMATCHED, self.traffic)["legacy"],
        }

    def gate(self, route: str) -> dict[str, Any]:
        self.desk.route(route)
        raise MoveError(f"route '{route}' has no gate; give it a `rollout:` with one in the rules file")


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


async def run(told: Told) -> None:
    """Open the store, settle what is effective, run. Raises RulesError when there is nothing at all to go on with."""
    store = SqlStore.at(told.state / DATABASE)
    book, reloading = await asyncio.to_thread(lambda: open_desk(told.rules, told.state, store, strict=False))
    await Control(told, store, book, reloading).run()
