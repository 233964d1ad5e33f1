"""A release that fails a fifth of its requests, or takes three times as long: no traffic within seconds, nobody hurt.

200 requests a second at a share of 10 %: the candidate gets 20 of them. What counts is how many requests clients send
until its last answer, so that a busy machine that sends them late does not decide.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.fakes.served import PATIENCE, Served, serving

RATE = 200
"""Requests a second."""
WITHIN = 5 * RATE
"""Requests of clients, of 5 s."""
BEFORE = 3 * RATE
"""In shadow: what legacy's times are taken from."""
RULES = """
version: 1
services:
  legacy: {{url: "{legacy}"}}
  shop: {{url: "{shop}"}}
legacy: legacy
routes:
  - name: products
    match: {{path: /products/**}}
    candidate: shop
    stage: shadow
    shadow: {{sample: 0%}}
    unit: {{header: x-customer}}
    rollout: {{steps: [10%, 50%], hold: 10m, gate: storefront}}
gates:
  storefront:
    window: 500ms
    metrics:
      - {{name: errors, kind: error_rate, margin: 2pp, critical: true}}
      - {{name: p50, kind: latency, quantile: 0.5, margin: 20%, critical: true}}
      - {{name: p95, kind: latency, quantile: 0.95, margin: 20%, critical: true}}
      - {{name: mean, kind: latency, margin: 20%}}
"""


@dataclass
class Release:
    """A service that answers after 5 to 20 ms."""

    name: str
    failing: float = 0.0
    """The part of its answers that are 500."""
    times: float = 1.0
    """How much longer it takes."""
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    async def answer(self, _: web.Request) -> web.Response:
        await asyncio.sleep(self.times * min(0.05, self.chance.lognormvariate(-4.6, 0.4)))
        return web.Response(status=500 if self.chance.random() < self.failing else 200, text=self.name)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield "http://{}:{}".format(*runner.addresses[0][:2])
        finally:
            await runner.cleanup()


@dataclass
class Shoppers:
    """Requests at a fixed rate, whether answers come or not."""

    url: str
    sent: int = 0
    answers: list[tuple[int, str, int]] = field(default_factory=list)
    """Number of the request, who answered (or what went wrong), status."""

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as asking:
            while True:
                await asyncio.sleep(max(0.0, began + self.sent / RATE - loop.time()))
                asking.create_task(self._ask(session, self.sent))
                self.sent += 1

    async def _ask(self, session: aiohttp.ClientSession, number: int) -> None:
        try:
            headers = {"x-customer": f"c{number % 997}"}
            async with session.get(f"{self.url}/products/{number % 50}", headers=headers) as answer:
                self.answers.append((number, await answer.text(), answer.status))
        except aiohttp.ClientError as exc:
            self.answers.append((number, type(exc).__name__, 0))

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0.02)


@pytest.mark.parametrize(("failing", "times"), [(0.2, 1.0), (0.0, 3.0)], ids=["fails a fifth", "thrice as slow"])
async def test_a_bad_release_has_no_share_after_five_seconds_and_its_move_fails_no_request(
    tmp_path: Path, failing: float, times: float
) -> None:
    async with Release("legacy").running() as legacy, Release("shop", failing, times).running() as shop:
        (tmp_path / "fig.yaml").write_text(RULES.format(legacy=legacy, shop=shop))
        with serving(tmp_path, workers=1) as fig:
            shoppers = Shoppers(f"http://127.0.0.1:{fig.port}")
            await shoppers.until(fig.ready)
            buying = asyncio.create_task(shoppers.run())
            await shoppers.until(lambda: shoppers.sent >= BEFORE)
            moved = await asyncio.to_thread(lambda: fig.admin.post("/api/routes/products/promote", json={}))
            assert moved.status_code == 200, moved.text
            began = shoppers.sent

            await shoppers.until(lambda: any(who == "shop" for _, who, _ in shoppers.answers))
            await until_rolled_back(fig)
            after = shoppers.sent
            await shoppers.until(lambda: shoppers.sent > after + RATE)
            buying.cancel()
            await asyncio.gather(buying, return_exceptions=True)

    last = max(number for number, who, _ in shoppers.answers if who == "shop")
    assert last - began <= WITHIN
    found = Counter((who, status) for _, who, status in shoppers.answers)
    assert set(found) <= {("legacy", 200), ("shop", 200), ("shop", 500)}  # what fails is the candidate's own
    assert (("shop", 500) in found) == bool(failing)


async def until_rolled_back(fig: Served) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await asyncio.to_thread(fig.status))["routes"][0]["stage"] != "shadow":
            await asyncio.sleep(0.05)
