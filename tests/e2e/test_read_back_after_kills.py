"""A real `fig serve` whose processes are killed while nothing deduplicates: read-back keeps both sides equal."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from pathlib import Path

import httpx

from shadow.journal.reader import read_standing
from tests.fakes.remembering import Remembering
from tests.fakes.served import Served, eventually, serving

RULES = """
version: 1
services:
  legacy: {{url: "http://127.0.0.1:{legacy}", timeout: 2s}}
  orders: {{url: "http://127.0.0.1:{candidate}", timeout: 2s}}
legacy: legacy
routes:
  - name: orders
    match: {{path: "/orders/{{order}}"}}
    candidate: orders
    stage: shadow
    writes:
      order_by: "path:order"
      read_back:
        path: "/orders/{{order}}"
        applied: {{equals: [{{body: /last_key, with: "header:idempotency-key"}}]}}
        within: 0.5s
        state: 0%
"""
CLIENTS, WRITES = 6, 30


async def write(fig: Served, client: int) -> None:
    """One key, one write after the other. One that breaks is not sent again: nobody knows whether it was applied."""
    async with httpx.AsyncClient(trust_env=False, timeout=15) as http:
        for number in range(WRITES):
            for _ in range(400):
                try:
                    answer = await http.post(
                        f"http://127.0.0.1:{fig.port}/orders/k{client}",
                        content=f"k{client}-{number}",
                        headers={"Idempotency-Key": f"k{client}-{number}"},
                    )
                except httpx.HTTPError:
                    break
                if answer.status_code == 201:
                    break
                assert answer.status_code == 503, answer.text
                await asyncio.sleep(0.05)
            else:
                raise AssertionError(f"k{client}-{number} was never taken")
            await asyncio.sleep(0.02)


async def test_after_kills_every_write_that_legacy_applied_is_applied_once_and_in_order(tmp_path: Path) -> None:
    faults = dict.fromkeys(range(11, 400, 31), "break") | dict.fromkeys(range(17, 400, 37), "apply then break")
    legacy = await Remembering(pause=0.02).up()
    candidate = await Remembering(behave=lambda number: faults.get(number, "apply")).up()
    (tmp_path / "fig.yaml").write_text(RULES.format(legacy=legacy.port, candidate=candidate.port))
    with serving(tmp_path) as fig:
        await asyncio.to_thread(eventually, fig.ready, "fig ready")
        clients = [asyncio.create_task(write(fig, number)) for number in range(CLIENTS)]
        for child in itertools.islice(itertools.cycle(("worker-0", "shadower", "worker-1")), 7):
            await asyncio.sleep(0.45)
            os.kill(await asyncio.to_thread(fig.pid, child), signal.SIGKILL)
        await asyncio.gather(*clients)

        def settled() -> bool:
            standing = read_standing(fig.state / "journal.db").get("orders")
            return standing is None or (standing.quiet and not standing.in_doubt)

        await asyncio.to_thread(eventually, settled, "nothing owed and nothing in doubt")
        assert sum(map(len, legacy.applied.values())) > CLIENTS * WRITES / 2
        assert candidate.applied == legacy.applied
        assert candidate.questions  # about the copies that it did not answer
    await legacy.down()
    await candidate.down()
