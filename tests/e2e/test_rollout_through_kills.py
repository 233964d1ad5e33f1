"""Control is killed in every hold of a rollout, and in the watch after it: no step is skipped, shortened or taken
twice, nobody is failed by it, and a candidate that breaks later is found and not forgotten."""

from __future__ import annotations

import asyncio
import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.test_bad_release import Release, Shoppers, until_rolled_back
from tests.fakes.served import PATIENCE, Served, eventually, serving

HOLD = 2.0
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
    rollout: {{steps: [10%, 50%], hold: 2s, gate: storefront, watch: 1h}}
gates:
  storefront:
    window: 200ms
    metrics:
      - {{name: errors, kind: error_rate, margin: 20pp}}
"""


def look(fig: Served, path: str) -> dict[str, Any]:
    """What the admin API says; empty while control is away."""
    try:
        return dict(fig.admin.get(path).json())
    except httpx.HTTPError:
        return {}


async def until_at(fig: Served, stage: str, share: float) -> None:
    def is_there() -> bool:
        routes = look(fig, "/api/status").get("routes", [])
        return bool(routes) and (routes[0]["stage"], routes[0]["share"]) == (stage, share)

    async with asyncio.timeout(2 * PATIENCE):
        while not await asyncio.to_thread(is_there):
            await asyncio.sleep(0.05)


async def kill_control(fig: Served) -> None:
    os.kill(await asyncio.to_thread(fig.pid, "control"), signal.SIGKILL)


async def test_a_rollout_goes_on_through_kills_of_control(tmp_path: Path) -> None:
    release = Release("shop")
    async with Release("legacy").running() as legacy, release.running() as shop:
        (tmp_path / "fig.yaml").write_text(RULES.format(legacy=legacy, shop=shop))
        with serving(tmp_path, workers=1) as fig:
            shoppers = Shoppers(f"http://127.0.0.1:{fig.port}")
            await shoppers.until(fig.ready)
            buying = asyncio.create_task(shoppers.run())
            moved = await asyncio.to_thread(lambda: fig.admin.post("/api/routes/products/promote", json={}))
            assert moved.status_code == 200, moved.text

            for stage, share in (("canary", 0.1), ("canary", 0.5), ("live", 1.0)):
                await until_at(fig, stage, share)
                await asyncio.sleep(0.5)  # so that there is something to lose
                await kill_control(fig)
            await until_at(fig, "live", 1.0)
            assert {status for _, _, status in shoppers.answers} == {200}
            steps = [line for line in look(fig, "/api/history")["history"] if line["action"] == "promote"][::-1]
            assert [(line["actor"], line["after"]["share"]) for line in steps[1:]] == [("pilot", 0.5), ("pilot", 1.0)]
            assert all(later["at"] - line["at"] >= HOLD for line, later in pairwise(steps))

            release.failing = 1.0
            await until_rolled_back(fig)
            await kill_control(fig)
            told = await asyncio.to_thread(eventually, lambda: look(fig, "/api/gates/products"), "control that is back")
            assert told["verdict"] == "rollback", "control has forgotten its judgements, and not what came of it"
            buying.cancel()
            await asyncio.gather(buying, return_exceptions=True)
