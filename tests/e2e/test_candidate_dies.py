"""A candidate dies in the middle of its canary: the pilot rolls back by itself, and with a fallback nobody sees it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_no_request_is_lost import Load, loaded, until
from tests.fakes.mortal_service import mortal_service
from tests.fakes.plain_service import plain_service
from tests.fakes.ports import free_port
from tests.fakes.served import PATIENCE, Served, serving

RULES = """
version: 1
services:
  legacy: {{url: "{legacy}"}}
  shop: {{url: "{shop}", timeout: 1s}}
legacy: legacy
routes:
  - name: who
    match: {{path: /who}}
    candidate: shop
    stage: canary
    share: 50%
    unit: {{header: x-customer}}
    rollout: {{steps: [50%], hold: 10m, gate: storefront}}
    fallback: legacy
gates:
  storefront:
    metrics:
      - {{name: errors, kind: error_rate, margin: 3pp, critical: true}}
      - {{name: p95, kind: latency, quantile: 0.95, margin: 100%}}
    window: 500ms
"""


def history(fig: Served) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = fig.admin.get("/api/history", params={"route": "who"}).json()["history"]
    return found


async def rolled_back(fig: Served, load: Load) -> dict[str, Any]:
    """The pilot's line of the history, once it is there."""
    while not (moves := [line for line in history(fig) if line["action"] == "rollback"]):
        await asyncio.sleep(0.1)
    await until(lambda: fig.status()["routes"][0]["stage"] == "shadow")  # it takes effect once it is durable
    seen = load.answers["legacy"]
    await until(lambda: load.answers["legacy"] > seen + 20)
    return moves[0]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP, signal.SIGUSR1])
async def test_a_candidate_that_dies_hangs_or_only_fails_is_rolled_back_by_the_pilot(
    tmp_path: Path, end: signal.Signals
) -> None:
    port = free_port()
    with plain_service("legacy") as legacy, mortal_service(port) as candidate:
        (tmp_path / "fig.yaml").write_text(RULES.format(legacy=legacy.url, shop=f"http://127.0.0.1:{port}"))
        with serving(tmp_path, workers=1) as fig:
            await until(fig.ready)
            async with loaded(fig) as load:
                await until(lambda: load.answers["candidate"] > 200)
                await asyncio.sleep(3)  # a good while first: late harm must not hide behind it
                candidate.send_signal(end)

                async with asyncio.timeout(PATIENCE):
                    line = await rolled_back(fig, load)

    assert line["actor"] == "pilot"
    assert "worse" in line["why"]
    seen_by_clients = [failure for failure in load.failures if not (end is signal.SIGUSR1 and failure[:3] == "500")]
    assert not seen_by_clients, "the fallback hides a dead candidate from clients, and from them only"
