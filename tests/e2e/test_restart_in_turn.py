"""A planned restart (SIGUSR2, `fig restart`) under clients of every kind: nobody notices, and everyone runs anew."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator

import pytest

from proxy.restart import Report
from tests.fakes.lively_service import lively_service
from tests.fakes.ports import free_port
from tests.fakes.served import Served, eventually, serving
from tests.fakes.traffic import CLIENTS, traffic, until

pytestmark = pytest.mark.timeout(150)

RULES = """
version: 1
services:
  legacy: {{url: "{legacy}"}}
  shop: {{url: "{shop}"}}
legacy: legacy
routes:
  - {{name: who, match: {{path: /who}}, candidate: shop, stage: live}}
  - {{name: rest, match: {{path: /**, methods: [GET, POST]}}, candidate: shop, stage: live}}
"""
CHILDREN = ("control", "shadower", "worker-0", "worker-1")
FORMER = {"former worker 0", "former worker 1"}


@pytest.fixture(scope="module")
def fig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("fig")
    with lively_service("legacy", free_port()) as legacy, lively_service("shop", free_port()) as shop:
        (folder / "fig.yaml").write_text(RULES.format(legacy=legacy.url, shop=shop.url))
        with serving(folder) as served:
            eventually(served.ready, "fig ready")
            yield served


def pids(fig: Served) -> dict[str, int]:
    return {child: fig.pid(child) for child in CHILDREN}


def peers(fig: Served) -> set[str]:
    return {peer["name"].split(" (")[0] for peer in fig.status()["peers"]}


async def test_everyone_is_restarted_in_turn_and_no_client_notices(fig: Served) -> None:
    before = pids(fig)
    async with traffic(fig.port) as load:
        command = [sys.executable, "-P", "-m", "proxy.cli", "restart", "--state", str(fig.state)]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        told, _ = await process.communicate()

        assert process.returncode == 0
        assert told.decode().split() == ["supervisor", *CHILDREN, "restarted"]
        assert not set(pids(fig).values()) & set(before.values())
        # WebSockets are still the former workers', which go on as long as these last.
        echoes = load.answers["echoes"]
        await until(lambda: load.answers["echoes"] > echoes + 10)
        await until(fig.ready)
        # Control is a former one's successor too, and hears of each when that one calls.
        # Which of the two has the WebSockets, if not both, is the kernel's choice.
        await until(lambda: {"worker 0", "worker 1"} <= peers(fig) and bool(FORMER & peers(fig)))

        # A move waits for them too: their connections may still ask.
        answer = await asyncio.to_thread(lambda: fig.admin.post("/api/routes/who/rollback", json={}))
        assert answer.json()["acknowledged"], answer.text
        # One that calls for the first time since, of whom this control knew nothing, hears of the move by that call.
        await until(lambda: all(peer["current"] for peer in fig.status()["peers"]))
        await until(lambda: load.answers["legacy"] > 0)
    assert load.failures == []
    assert load.answers["sockets"] == CLIENTS  # none of them had to connect again

    gone = [before["worker-0"], before["worker-1"]]
    await until(lambda: all(fig.logged("stopped", pid=pid, code=0) for pid in gone))


async def test_restarts_asked_for_at_once_run_one_after_the_other_and_end_with_fig(fig: Served) -> None:
    before, replaced = Report.read(fig.state).number, len(fig.logged("replaced"))
    async with traffic(fig.port) as load:
        for _ in range(3):
            fig.process.send_signal(signal.SIGUSR2)
            await asyncio.sleep(0.05)
        await until(lambda: fig.logged("restarted", number=before + 1))
        await until(lambda: len(fig.logged("replaced")) == replaced + 3)
    # A worker that was replaced twice is asked to end, with the WebSockets that it still has.
    assert [failure for failure in load.failures if not failure.startswith("talks: ")] == []

    assert await asyncio.to_thread(fig.end) == 0
    assert Report.read(fig.state).number == before + 2
