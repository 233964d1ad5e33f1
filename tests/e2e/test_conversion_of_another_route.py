"""A catalogue that answers fast and right, and sells nothing: orders at a route of legacy's take its share away."""

from __future__ import annotations

import asyncio
import functools
import itertools
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.e2e.test_bad_release import until_rolled_back
from tests.fakes.served import PATIENCE, Served, serving

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
    rollout: {{steps: [40%, 50%], hold: 10m, gate: storefront}}
gates:
  storefront:
    window: 500ms
    metrics:
      - {{name: errors, kind: error_rate, margin: 2pp, critical: true}}
      - {{name: conversion, kind: rate, event: order_placed, margin: 10%, critical: true}}
      - {{name: revenue, kind: mean_per_unit, event: order_placed, margin: 10%, required: false}}
events:
  order_placed: {{match: {{path: /orders, methods: [POST]}}, status: 201, value: response:/total}}
"""


async def answer(request: web.Request, who: str) -> web.Response:
    if request.path == "/orders":
        return web.json_response({"total": "19.90"}, status=201)
    return web.Response(text=who)


async def service(who: str) -> tuple[web.AppRunner, str]:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", functools.partial(answer, who=who))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, "http://{}:{}".format(*runner.addresses[0][:2])


async def buy(url: str, numbers: itertools.count[int]) -> None:
    """One shopper after another: each sees a product, and orders it unless the candidate's page hides how."""
    async with aiohttp.ClientSession(url) as session:
        for number in numbers:
            customer = {"x-customer": f"c{number}"}
            async with session.get("/products/1", headers=customer) as shown:
                seen = await shown.text()
            if seen == "legacy":
                async with session.post("/orders", headers=customer) as ordered:
                    assert ordered.status == 201
            await asyncio.sleep(0.05)


async def test_a_catalogue_that_sells_nothing_is_rolled_back_for_orders_at_a_route_of_legacys(tmp_path: Path) -> None:
    (one, legacy), (other, shop) = await service("legacy"), await service("shop")
    (tmp_path / "fig.yaml").write_text(RULES.format(legacy=legacy, shop=shop))
    try:
        with serving(tmp_path, workers=1) as fig:
            async with asyncio.timeout(PATIENCE):
                while not await asyncio.to_thread(fig.ready):
                    await asyncio.sleep(0.05)
            moved = await asyncio.to_thread(lambda: fig.admin.post("/api/routes/products/promote", json={}))
            assert moved.status_code == 200, moved.text
            numbers = itertools.count()
            shopping = [asyncio.create_task(buy(f"http://127.0.0.1:{fig.port}", numbers)) for _ in range(5)]
            await until_rolled_back(fig)
            for task in shopping:
                task.cancel()
            assert not [
                why
                for why in await asyncio.gather(*shopping, return_exceptions=True)
                if type(why) is not asyncio.CancelledError
            ]
            await asyncio.to_thread(blames_conversion, fig)
    finally:
        await one.cleanup()
        await other.cleanup()


def blames_conversion(fig: Served) -> None:
    newest = fig.admin.get("/api/history", params={"limit": 10}).json()["history"]
    rollback = next(entry for entry in newest if entry["action"] == "rollback")
    assert "'conversion' is worse by" in rollback["why"], rollback
    metrics = {metric["name"]: metric for metric in rollback["evidence"]["metrics"]}
    assert metrics["conversion"]["candidate"] == 0
    assert metrics["conversion"]["legacy"] > 50
    assert fig.metric('fig_events_total{event="order_placed"}')
    assert not fig.metric('fig_events_unreadable_total{event="order_placed",reason="no_value"}')
