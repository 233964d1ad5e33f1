"""One telling of the story: programs up, shoppers in, watch until every route came to rest, shoppers home, judge.

The only things it does to the migration are those that a team would do: it starts the services, and while cart is in
canary it deploys cart's second release beside the first and points the rules file to it. It never moves a route.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from rich.console import Console

from proxy.demo import orders, story
from proxy.demo.figures import describe
from proxy.demo.processes import Program
from proxy.demo.screen import Screen, summary, told
from proxy.demo.shop import SLOW_CART, Plan, Shop
from proxy.demo.story import CART, REVIEWS, Delivered, Ending, Facts, Fault, Move
from proxy.demo.watch import View, read_certificate, read_history, read_report, read_status
from rules.stages import Stage

LOOK_EVERY = 0.25
"""Seconds between two looks at fig."""
SILENCE = 6.0
"""Seconds that fig's admin API may be silent, and that the last orders get to be delivered."""
TOLD_AFTER = 2.0
"""Seconds after which control has been told, and has read, whatever happened before."""
GOING_HOME = 12.0
"""Seconds that shoppers get to finish what they have asked for; longer than they wait for an answer."""


class Unfinished(Exception):  # noqa: N818 - an outcome, not an error
    """The story cannot be told to its end; says why."""


@dataclass
class Shopping:
    """What the shoppers counted so far; their last line once they are home."""

    counts: Mapping[str, Any] = field(default_factory=lambda: {"requests": 0, "failed": 0, "failures": [], "orders": 0})

    async def read(self, shoppers: Program) -> None:
        async for line in shoppers.lines():
            self.counts = json.loads(line)

    @property
    def told_all(self) -> bool:
        """Whether the counts are the shoppers' last word, and not what they had seen before they were killed."""
        return bool(self.counts.get("final", False))

    @property
    def footer(self) -> str:
        counts = self.counts
        return f"shoppers: {counts['requests']} requests, {counts['failed']} failed, {counts['orders']} orders placed"


async def run(plan: Plan, console: Console) -> int:
    """Tell the story; gives the exit code. Raises StartError and ExampleError when it cannot begin."""
    shop = Shop(plan)
    telling = Telling(plan, shop, console)
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    try:
        return await telling.tell()
    finally:
        telling.screen.close()
        await shop.close()


class Telling:
    """The running demo."""

    def __init__(self, plan: Plan, shop: Shop, console: Console) -> None:
        self._plan = plan
        self._shop = shop
        self._began = time.time()
        self.screen = Screen(console, self._began, plan.pace.shown_every)
        self._shopping = Shopping()
        self._moves: tuple[Move, ...] = ()
        self._refused = False
        """Whether the certificate of reviews was judged NO-GO."""
        self._deploying: asyncio.Task[float] | None = None
        """Gives when the rules file was changed, in seconds since the epoch."""
        self._released_at: float | None = None
        self._seen_at = time.monotonic()

    async def tell(self) -> int:
        self._say("starting a monolith, four services and fig")
        await self._shop.open()
        for line in describe(self._shop.rules, self._plan.pace, self._plan.faults):
            self.screen.say(line)
        await self._look()
        self._say(f"fig is ready: {self._shop.url('fig')}")
        self.screen.open()
        shoppers, counting = await self._send_shoppers(self._plan.pace.rate)
        interrupted = ""
        try:
            await self._watch()
        except Unfinished as exc:
            interrupted = str(exc)
        await shoppers.end(GOING_HOME)
        await counting
        ending = await self._judge(interrupted)
        self.screen.close()
        self.screen.say(*summary(ending, time.time() - self._began, self._shop.files))
        if self._plan.keep:
            await self._stay()
        return ending.exit_code

    async def _send_shoppers(self, rate: float) -> tuple[Program, asyncio.Task[None]]:
        """The shoppers, and the task that reads what they count."""
        self._say(f"{self._plan.pace.shoppers} shoppers come in, together about {rate:g} requests a second")
        shoppers = await self._shop.send_shoppers(rate)
        return shoppers, asyncio.create_task(self._shopping.read(shoppers))

    async def _watch(self) -> None:
        """Until every route came to rest, or the time is over. Raises Unfinished."""
        until = self._began + self._plan.pace.limit
        rested = 0.0
        while rested < self._plan.pace.linger and time.time() < until:
            await asyncio.sleep(LOOK_EVERY)
            rested = rested + LOOK_EVERY if self._over else 0.0
            if crashed := self._shop.crashed:
                raise Unfinished(f"{crashed[0].name} ended by itself:\n{crashed[0].last_words}")
            if (view := await self._look()) is not None:
                self._deploy_when_due(view)

    @property
    def _over(self) -> bool:
        return story.is_over(self._moves, self._released_at is not None, self._refused)

    async def _look(self) -> View | None:
        """fig as it stands, shown; None when control is silent just now. Raises Unfinished when it stays so."""
        try:
            status = (await self._shop.admin.get("/api/status")).raise_for_status().json()
            history = (await self._shop.admin.get("/api/history", params={"limit": 1000})).raise_for_status().json()
        except httpx.HTTPError as exc:
            if time.monotonic() - self._seen_at > SILENCE:
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
        edited = await self._shop.deploy_cart()
        how = f"its answers take {SLOW_CART} ms" if Fault.SLOW_CART in self._plan.faults else "as fast as the first"
        self._say(f"cart's second release is deployed ({how}); the rules file points to it", at=edited)
        return edited

    async def _judge(self, interrupted: str) -> Ending:
        """Wait for the last deliveries, look once more, read the report, judge."""
        began = time.monotonic()
        view = None
        while time.monotonic() - began < SILENCE:
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
        if not interrupted and not self._shopping.told_all:
            interrupted = "the shoppers never said what they had seen in the end"
        report, problem = await self._shop.write_report()
        await self._shop.write_canary_report()
        certificate, verified = await self._shop.certify(story.CHECKOUT)
        facts = Facts(
            requests=self._shopping.counts["requests"],
            failed=self._shopping.counts["failed"],
            failures=self._shopping.counts["failures"],
            moves=self._moves,
            compared=read_report(report) if report else {},
            writes=self._writes(view) if view else Delivered(),
            orders=await asyncio.to_thread(orders.compare, self._shop.data),
            certified=read_certificate(certificate, verified) if certificate else None,
            released_at=self._released_at,
            crashed=[*(program.name for program in self._shop.crashed), *self._shop.restarted()],
            interrupted=interrupted or problem,
            faults=self._plan.faults,
        )
        return story.end(facts)

    @staticmethod
    def _writes(view: View) -> Delivered:
        route = view.route(story.CHECKOUT)
        return (route.writes if route else None) or Delivered()

    async def _stay(self) -> None:
        """Until Ctrl-C, which here is no interruption but the end that was asked for."""
        _, counting = await self._send_shoppers(self._plan.pace.rate / 2)
        self.screen.say(
            f"shop    {self._shop.url('fig')}/",
            f"admin   {self._shop.url('admin')}/api/status",
            f"rules   {self._shop.rules}",
            f"state   {self._shop.state}",
            "Ctrl-C ends it all",
        )
        try:
            await counting
        except asyncio.CancelledError:
            self._say("ending every program")

    def _say(self, text: str, at: float | None = None) -> None:
        self.screen.event(time.time() if at is None else at, text)
