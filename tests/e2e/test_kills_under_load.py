"""Processes are killed while clients of every kind and writes go on: each costs what it carried, at most.

Writes are those of a route with `writes:`, whose intents the shadower makes durable; they wait for its successor.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from proxy.restart import Report
from tests.fakes.lively_service import LivelyService, lively_service
from tests.fakes.ports import free_port
from tests.fakes.served import Served, eventually, serving
from tests.fakes.traffic import CLIENTS, Traffic, answered, traffic, until
from tests.fakes.wires import Wire

pytestmark = pytest.mark.timeout(180)
RULES = """
version: 1
services:
  legacy: {{url: "{legacy}"}}
  shop: {{url: "{shop}"}}
  frail: {{url: "{frail}", connect_timeout: 1s}}
legacy: legacy
routes:
  - name: orders
    match: {{path: "/orders/{{order}}", methods: [POST]}}
    candidate: shop
    stage: shadow
    writes: {{order_by: path:order, dedupe: idempotency-key}}
  - {{name: frail, match: {{path: /frail/**}}, candidate: frail, stage: live}}
  - {{name: safe, match: {{path: /safe/**}}, candidate: frail, stage: live, fallback: legacy}}
  - {{name: rest, match: {{path: /**, methods: [GET, POST]}}, candidate: shop, stage: live}}
"""


@dataclass
class Setting:
    fig: Served
    frail: LivelyService


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("kills")
    with (
        lively_service("legacy", free_port()) as legacy,
        lively_service("shop", free_port()) as shop,
        lively_service("frail", free_port()) as frail,
    ):
        (folder / "fig.yaml").write_text(RULES.format(legacy=legacy.url, shop=shop.url, frail=frail.url))
        with serving(folder) as fig:
            eventually(fig.ready, "fig ready")
            yield Setting(fig, frail)


async def write(load: Traffic, number: int) -> None:
    """Journaled writes, each of another key, until the traffic stops."""
    wire = await Wire.to(load.port)
    count = 0
    while not load.stop:
        count += 1
        wire.send(b"POST /orders/%d-%d HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\n\r\norder" % (number, count))
        try:
            got = await answered(wire)
            load.answers["writes"] += 1
            if got.get("connection") == "close":
                wire.close()
                wire = await Wire.to(load.port)
        except Exception as exc:
            load.failures.append(f"write: {exc!r}")
            wire = await Wire.to(load.port)
        await asyncio.sleep(0.02)
    wire.close()


@pytest.mark.parametrize("child", ["control", "shadower"])
async def test_a_killed_control_or_shadower_fails_no_client_and_no_write(setting: Setting, child: str) -> None:
    fig = setting.fig
    async with traffic(fig.port) as load:
        writing = [asyncio.create_task(write(load, number)) for number in range(CLIENTS)]
        for _ in range(2):
            await until(lambda: load.answers["writes"] > 20)
            starts = len(fig.logged("started", child=child))
            os.kill(fig.pid(child), signal.SIGKILL)
            await until(lambda starts=starts: len(fig.logged("started", child=child)) > starts)
            seen = load.answers["writes"]
            await until(lambda seen=seen: load.answers["writes"] > seen + 20)
    await asyncio.gather(*writing)
    assert load.failures == []


async def test_a_planned_restart_fails_no_write(setting: Setting) -> None:
    fig = setting.fig
    async with traffic(fig.port, clients=1) as load:
        writing = [asyncio.create_task(write(load, number)) for number in range(CLIENTS)]
        await until(lambda: load.answers["writes"] > 20)
        fig.process.send_signal(signal.SIGUSR2)
        await until(lambda: (report := Report.read(fig.state)).number == 1 and not report.running)
        assert Report.read(fig.state).problem == ""
        seen = load.answers["writes"]
        await until(lambda: load.answers["writes"] > seen + 20)
    await asyncio.gather(*writing)
    assert load.failures == []


async def test_a_killed_worker_costs_what_it_carried_and_nobody_is_refused(setting: Setting) -> None:
    fig = setting.fig
    async with traffic(fig.port) as load:
        starts = len(fig.logged("listening", process="worker-0"))
        os.kill(fig.pid("worker-0"), signal.SIGKILL)
        await until(lambda: len(fig.logged("listening", process="worker-0")) > starts)
    # Six kinds of clients with one request or WebSocket each; those of the other worker lose nothing.
    assert len(load.failures) <= 6 * CLIENTS
    assert [failure for failure in load.failures if "refused" in failure.lower() or "Timeout" in failure] == []
    assert fig.logged("crashed", child="worker-0")[-1]["restart_in"] == 0


async def test_a_killed_service_costs_its_own_requests_only_and_none_where_there_is_a_fallback(
    setting: Setting,
) -> None:
    fig, frail = setting.fig, setting.frail
    seen: dict[str, list[int]] = {"frail": [], "safe": []}

    async def ask(path: str) -> None:
        wire = await Wire.to(fig.port)
        while not load.stop:
            wire.send(b"GET /%b/x HTTP/1.1\r\nHost: shop\r\n\r\n" % path.encode())
            got = await wire.message()
            seen[path].append(got.status)
            if path == "safe":
                load.answers[f"safe by {got.body.decode()}"] += 1
            if got.get("connection") == "close":
                wire.close()
                wire = await Wire.to(fig.port)
            await asyncio.sleep(0.01)
        wire.close()

    async with traffic(fig.port) as load:
        asking = [asyncio.create_task(ask(path)) for path in seen for _ in range(CLIENTS)]
        for _ in range(2):
            await until(lambda: {s[-1] for s in seen.values() if s} == {200} and load.answers["safe by frail"] > 0)
            frail.kill()
            await until(lambda: seen["frail"][-1] in (502, 503, 504) and load.answers["safe by legacy"] > 10)
            load.answers["safe by legacy"] = load.answers["safe by frail"] = 0
            await asyncio.to_thread(frail.start)
            await until(lambda: load.answers["safe by frail"] > 10)
        await until(lambda: seen["frail"][-1] == 200)
    await asyncio.gather(*asking)

    assert load.failures == []  # whoever asks other services
    assert set(seen["safe"]) == {200}
    assert set(seen["frail"]) > {200}
