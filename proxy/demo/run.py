"""One telling of the story: programs up, shoppers in, watch until every route came to rest, shoppers home, judge.

The only things it does to the migration are those that a team would do: it starts the services, and while cart is in
canary it deploys cart's second release beside the first and points the rules file to it. It never moves a route.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from proxy.demo import example, orders, story
from proxy.demo.figures import describe
from proxy.demo.pace import Pace
from proxy.demo.processes import Company, Program, StartError, can_listen, free_ports, wait_until_well
from proxy.demo.screen import Screen, summary, told
from proxy.demo.story import CART, REVIEWS, Delivered, Ending, Facts, Fault, Move
from proxy.demo.watch import View, read_history, read_report, read_status
from rules.stages import Stage

LOOK_EVERY = 0.25
"""Seconds between two looks at fig."""
PATIENCE = 6.0
"""Seconds that each program gets to end, that fig may be silent, and that the last orders get to be delivered."""
TOLD_AFTER = 2.0
"""Seconds after which control has been told, and has read, whatever happened before."""
SLOW_CART = 85
"""Milliseconds that an answer of cart's slow release usually waits; its first release takes 5."""
FIG = (sys.executable, "-m", "proxy.cli")
WORKERS = 2


class Unfinished(Exception):  # noqa: N818 - an outcome, not an error
    """The story cannot be told to its end; says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asked for."""

    pace: Pace
    faults: frozenset[Fault]
    port: int | None = None
    """Where the shop listens; any free port when None."""
    keep: bool = False
    seed: int = 1


@dataclass
class Shopping:
    """What the shoppers counted so far; their last line once they are home."""

    counts: Mapping[str, Any] = field(default_factory=lambda: {"requests": 0, "failed": 0, "failures": [], "orders": 0})

    async def read(self, shoppers: Program) -> None:
        async for line in shoppers.lines():
            self.counts = json.loads(line)

    @property
    def footer(self) -> str:
        counts = self.counts
        return f"shoppers: {counts['requests']} requests, {counts['failed']} failed, {counts['orders']} orders placed"


async def run(plan: Plan, console: Console) -> int:
    """Tell the story; gives the exit code. Raises StartError and example.ExampleError when it cannot begin."""
    if plan.port is not None and not can_listen(plan.port):
        raise StartError(f"port {plan.port} is in use; choose another with --port, or leave it out for a free one")
    folder = Path(tempfile.mkdtemp(prefix="fig-demo-"))
    (folder / "logs").mkdir()
    company = Company(folder / "logs")
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    telling = Telling(plan, console, folder, company)
    try:
        return await telling.tell()
    finally:
        telling.screen.close()
        await company.end(PATIENCE)
        for name in ("state", "data"):
            shutil.rmtree(folder / name, ignore_errors=True)


class Telling:
    """The running demo."""

    def __init__(self, plan: Plan, console: Console, folder: Path, company: Company) -> None:
        self._plan = plan
        self._folder = folder
        self._company = company
        self._began = time.time()
        self.screen = Screen(console, self._began, plan.pace.shown_every)
        self._pinnacle = example.find()
        names = [*example.SERVICES, "cart release 2", "admin", "fig"]
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        if plan.port is not None:
            self._ports["fig"] = plan.port
        self._rules = folder / "rules" / example.RULES
        self._report = folder / "shadow-report.html"
        self._shopping = Shopping()
        self._moves: tuple[Move, ...] = ()
        self._refused = False
        self._deploying: asyncio.Task[float] | None = None
        """Gives when the rules file was changed, in seconds since the epoch."""
        self._released_at: float | None = None
        self._admin = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._ports['admin']}", timeout=2.0)
        self._seen_at = time.monotonic()

    async def tell(self) -> int:
        async with self._admin:
            await self._open_shop()
            shoppers = await self._send_shoppers(self._plan.pace.rate)
            counting = asyncio.create_task(self._shopping.read(shoppers))
            interrupted = ""
            try:
                await self._watch()
            except Unfinished as exc:
                interrupted = str(exc)
            await shoppers.end(PATIENCE * 2)
            await counting
            ending = await self._judge(interrupted)
            self.screen.close()
            self.screen.say(*summary(ending, time.time() - self._began, self._report))
            if self._plan.keep:
                await self._stay()
            return ending.exit_code

    async def _open_shop(self) -> None:
        """All programs at once, as they share two cores; traffic comes when every one of them is well."""
        self._rules.parent.mkdir()
        source = (self._pinnacle / example.RULES).read_text(encoding="utf-8")
        example.put(self._rules, example.rules_for(source, self._ports, self._plan.pace))
        self._say("starting a monolith, four services and fig")
        flags = {REVIEWS: ["--bug"] if Fault.REVIEWS_BUG in self._plan.faults else []}
        started = [await self._start(name, name, *flags.get(name, [])) for name in example.SERVICES]
        serve: list[str | Path] = ["serve", "-c", self._rules, "--listen", f"127.0.0.1:{self._ports['fig']}"]
        serve += ["--admin", f"127.0.0.1:{self._ports['admin']}", "--workers", str(WORKERS)]
        serve += ["--state", self._folder / "state", "--drain", "3s"]
        fig = await self._company.start("fig", [*FIG, *serve])
        await asyncio.gather(
            *(self._well(program, self._ports[program.name]) for program in started),
            wait_until_well(self._admin, fig, "/readyz"),
        )
        for line in describe(self._rules, self._plan.pace, self._plan.faults):
            self.screen.say(line)
        await self._look()
        self._say(f"fig is ready: http://127.0.0.1:{self._ports['fig']}")
        self.screen.open()

    async def _start(self, name: str, script: str, *flags: str) -> Program:
        path, data = self._pinnacle / f"{script}.py", self._folder / "data" / name
        command: list[str | Path] = [sys.executable, path, "--port", str(self._ports[name]), "--data", data, *flags]
        return await self._company.start(name, command)

    async def _well(self, program: Program, port: int) -> None:
        await wait_until_well(self._admin, program, f"http://127.0.0.1:{port}/healthz")

    async def _send_shoppers(self, rate: float) -> Program:
        pace = self._plan.pace
        flags = ["--url", f"http://127.0.0.1:{self._ports['fig']}", "--seed", str(self._plan.seed)]
        flags += ["--rate", f"{rate:g}", "--shoppers", str(pace.shoppers)]
        self._say(f"{pace.shoppers} shoppers come in, together about {rate:g} requests a second")
        command: list[str | Path] = [sys.executable, self._pinnacle / "shoppers.py", *flags]
        return await self._company.start("shoppers", command, reads_stdout=True)

    async def _watch(self) -> None:
        """Until every route came to rest, or the time is over. Raises Unfinished."""
        until = self._began + self._plan.pace.limit
        rested = 0.0
        while rested < self._plan.pace.linger and time.time() < until:
            await asyncio.sleep(LOOK_EVERY)
            rested = rested + LOOK_EVERY if self._over else 0.0
            if crashed := self._company.crashed:
                raise Unfinished(f"{crashed[0].name} ended by itself:\n{crashed[0].last_words}")
            if (view := await self._look()) is not None:
                self._deploy_when_due(view)

    @property
    def _over(self) -> bool:
        return story.is_over(self._moves, self._released_at is not None, self._refused)

    async def _look(self) -> View | None:
        """fig as it stands, shown; None when control is silent just now. Raises Unfinished when it stays so."""
        try:
            status = (await self._admin.get("/api/status")).raise_for_status().json()
            history = (await self._admin.get("/api/history", params={"limit": 1000})).raise_for_status().json()
        except httpx.HTTPError as exc:
            if time.monotonic() - self._seen_at > PATIENCE:
                raise Unfinished(f"fig's admin API does not answer: {exc or type(exc).__name__}") from exc
            return None
        self._seen_at = time.monotonic()
        view, moves = read_status(status), read_history(history)
        for move in moves[len(self._moves) :]:
            self.screen.event(move.at, told(move))
        self._moves = moves
        reviews = view.route(REVIEWS)
        if reviews is not None and reviews.refused and not self._refused:
            self._refused = True
            self._say(f"reviews stays in shadow: {reviews.certificate}")
        self.screen.show(view, self._shopping.footer, time.time())
        return view

    def _deploy_when_due(self, view: View) -> None:
        """Cart's second release: started beside the first, then the rules file points to it, and fig reloads that."""
        if self._deploying is None:
            since = next((m.at for m in self._moves if m.route == CART and m.stage is Stage.CANARY), None)
            if since is not None and time.time() - since >= self._plan.pace.first_release:
                self._deploying = asyncio.create_task(self._deploy())
        elif self._deploying.done() and self._released_at is None:
            if view.problems:
                raise Unfinished(f"fig refused the rules file: {view.problems[0]}")
            if view.settled and view.rules_loaded_at >= self._deploying.result():
                self._released_at = view.rules_loaded_at
                self._say("cart's second release gets its share of the traffic", at=self._released_at)

    async def _deploy(self) -> float:
        slow = Fault.SLOW_CART in self._plan.faults
        name = "cart release 2"
        program = await self._start(name, "cart", *(["--slow", str(SLOW_CART)] if slow else []))
        await self._well(program, self._ports[name])
        rules = self._rules.read_text(encoding="utf-8")
        edited = time.time()
        example.put(self._rules, example.at_url(rules, CART, f"http://127.0.0.1:{self._ports[name]}"))
        how = f"its answers take {SLOW_CART} ms" if slow else "as fast as the first"
        self._say(f"cart's second release is deployed ({how}); the rules file points to it", at=edited)
        return edited

    async def _judge(self, interrupted: str) -> Ending:
        """Wait for the last deliveries, look once more, read the report, judge."""
        began = time.monotonic()
        view = None
        while time.monotonic() - began < PATIENCE:
            await asyncio.sleep(LOOK_EVERY)
            try:
                view = await self._look() or view
            except Unfinished as exc:
                interrupted = interrupted or str(exc)
                break
            if time.monotonic() - began > TOLD_AFTER and view is not None and self._writes(view).undelivered == 0:
                break
        if not interrupted and not self._over:
            interrupted = f"the time was over ({self._plan.pace.limit:g} s) before every route came to rest"
        report, problem = await self._fig("shadow", "report", "--json", "--html", self._report)
        facts = Facts(
            requests=self._shopping.counts["requests"],
            failed=self._shopping.counts["failed"],
            failures=self._shopping.counts["failures"],
            moves=self._moves,
            compared=read_report(report) if report else {},
            writes=self._writes(view) if view else Delivered(),
            orders=await asyncio.to_thread(orders.compare, self._folder / "data"),
            released_at=self._released_at,
            crashed=[program.name for program in self._company.crashed],
            interrupted=interrupted or problem,
            faults=self._plan.faults,
        )
        return story.end(facts)

    @staticmethod
    def _writes(view: View) -> Delivered:
        route = view.route(story.CHECKOUT)
        return (route.writes if route else None) or Delivered()

    async def _fig(self, *arguments: str | Path) -> tuple[str, str]:
        """What a fig command prints on stdout, and what went wrong, if something did."""
        command = [*FIG, *arguments, "--state", self._folder / "state", "-c", self._rules]
        program = await self._company.start(f"fig-{arguments[0]}", command, reads_stdout=True)
        printed = "".join([line async for line in program.lines()])
        program.ending = True
        code = await program.process.wait()
        # The report's exit code says what it found; all but 2 (nothing to read) are answers.
        return printed, "" if code in (
            0,
            1,
            3,
            4,
        ) else f"`fig {' '.join(map(str, arguments))}` failed: {program.last_words}"

    async def _stay(self) -> None:
        """Until Ctrl-C, which here is no interruption but the end that was asked for."""
        shoppers = await self._send_shoppers(self._plan.pace.rate / 2)
        self._shopping = replace(self._shopping)
        self.screen.say(
            f"shop    http://127.0.0.1:{self._ports['fig']}/",
            f"admin   http://127.0.0.1:{self._ports['admin']}/api/status",
            f"rules   {self._rules}",
            f"state   {self._folder / 'state'}",
            "Ctrl-C ends it all",
        )
        try:
            await self._shopping.read(shoppers)
        except asyncio.CancelledError:
            self._say("ending every program")

    def _say(self, text: str, at: float | None = None) -> None:
        self.screen.event(time.time() if at is None else at, text)
