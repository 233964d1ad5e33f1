"""A real fig whose legacy is down: its budget pays for what fig answers, and who was not told before a kill is told."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx

from canary.slo.ledger import HOUR, Ledger
from canary.slo.spec import Objective
from proxy.control.store import DATABASE, SqlStore
from tests.fakes.ports import free_port
from tests.fakes.receiver import Receiver
from tests.fakes.served import PATIENCE, Served, eventually, serving

RULES = """
version: 1
services:
  monolith: {{url: "http://127.0.0.1:{dead}"}}
  shop: {{url: "http://127.0.0.1:{dead}"}}
legacy: monolith
routes:
  - {{name: cart, match: {{path: /cart/**, methods: [GET]}}, candidate: shop, unit: {{header: x-customer}}}}
slo:
  cart: {{route: cart, availability: 99%, min_requests: {requests}}}
  monolith: {{service: monolith, availability: 99%, min_requests: {requests}}}
webhooks:
  log: {{url: "{hook}", secret: "${{HOOK_SECRET}}", when: [after]}}
notify:
  team: {{url: "{chat}", form: slack, events: [slo]}}
"""
REQUESTS = 120


async def test_clients_that_fig_answered_with_502_burn_the_budget_and_a_successor_tells(tmp_path: Path) -> None:
    async with Receiver() as hook, Receiver() as chat:
        hook.silent = chat.silent = True
        text = RULES.format(dead=free_port(), requests=REQUESTS, hook=hook.url, chat=chat.url)
        (tmp_path / "fig.yaml").write_text(text)
        with serving(tmp_path, workers=1, more={"HOOK_SECRET": "correct-horse-battery"}) as fig:
            await asyncio.to_thread(eventually, fig.ready, "ready")
            statuses = await asyncio.to_thread(ask, fig)
            assert statuses == {502}
            assert (
                await asyncio.to_thread(fig.admin.post, "/api/routes/cart/stage", json={"stage": "shadow"})
            ).is_success
            [asked] = await hook.got(1)
            told = [one.document["text"] for one in await chat.got(1)]
            assert "the error budget burns 100.0 times too fast" in told[0]

            # Kept when people are told, a moment after: what a kill takes before is what it may take.
            everything = {"cart": REQUESTS, "monolith": REQUESTS}
            await asyncio.to_thread(eventually, lambda: kept(fig) == everything, "counts on the disk")
            killed = await asyncio.to_thread(fig.pid, "control")
            hook.silent = chat.silent = False
            await asyncio.to_thread(kill, killed)
            again = (await hook.got(2))[1]
            assert again.headers["Idempotency-Key"] == asked.headers["Idempotency-Key"] == "webhook-log-2"
            await chat.got(2)
            await asyncio.to_thread(eventually, fig.ready, "ready again")
            assert await asyncio.to_thread(bad, fig) == everything


def ask(fig: Served) -> set[int]:
    with httpx.Client(base_url=f"http://127.0.0.1:{fig.port}", timeout=PATIENCE, trust_env=False) as client:
        return {client.get(f"/cart/{number}").status_code for number in range(REQUESTS)}


def bad(fig: Served) -> dict[str, Any]:
    found = fig.admin.get("/api/slo").json()["slo"]
    return {each["name"]: each["bad"] for each in found}


def kept(fig: Served) -> dict[str, int]:
    """Failed requests of each objective, as they stand in control's store."""
    store = SqlStore.at(fig.state / DATABASE)
    try:
        found = store.budgets.all()
    finally:
        store.close()
    failed = {}
    for name, what in (("cart", "route"), ("monolith", "service")):
        ledger = Ledger(name, Objective.model_validate({what: name, "availability": "99%"}))
        if name in found:
            ledger.restore(found[name])
        failed[name] = ledger.counts(time.time(), HOUR).failed
    return failed


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
