"""Load on a real `fig serve` while routes move, and a drain: no request fails because of fig."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import httpx
import pytest

from tests.fakes.plain_service import plain_service
from tests.fakes.served import PATIENCE, Served, eventually, serving

RULES = """
version: 1
services:
  legacy: {{url: "{legacy}"}}
  shop: {{url: "{shop}"}}
legacy: legacy
routes:
  - name: who
    match: {{path: /who}}
    candidate: shop
    stage: canary
    share: 50%
    unit: {{header: x-customer}}
    shadow: {{sample: 20%}}
"""
CLIENTS = 12


@dataclass
class Load:
    """What the clients saw."""

    port: int
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    stop: bool = False

    async def client(self, number: int) -> None:
        """One customer on one kept-alive connection, request after request."""
        connector = aiohttp.TCPConnector(limit=1)
        async with aiohttp.ClientSession(connector=connector, headers={"x-customer": f"c{number}"}) as session:
            while not self.stop:
                try:
                    async with session.get(f"http://127.0.0.1:{self.port}/who") as answer:
                        text = await answer.text()
                        if answer.status == 200:
                            self.answers[text] += 1
                        else:
                            self.failures.append(f"{answer.status} {text}")
                except aiohttp.ClientConnectorError:
                    if not self.stop:
                        self.failures.append("refused")
                    await asyncio.sleep(0.02)
                except aiohttp.ClientError as exc:
                    self.failures.append(type(exc).__name__)
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def loaded(fig: Served) -> AsyncIterator[Load]:
    """Clients that ask on and on while the block runs."""
    load = Load(fig.port)
    clients = [asyncio.create_task(load.client(n)) for n in range(CLIENTS)]
    try:
        await until(lambda: sum(load.answers.values()) > 50)
        yield load
        seen = sum(load.answers.values())
        await until(lambda: sum(load.answers.values()) > seen + 50)
    finally:
        load.stop = True
        await asyncio.gather(*clients)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
def fig(tmp_path: Path) -> Iterator[Served]:
    with plain_service("legacy") as legacy, plain_service("shop") as shop:
        (tmp_path / "fig.yaml").write_text(RULES.format(legacy=legacy.url, shop=shop.url))
        with serving(tmp_path) as served:
            eventually(served.ready, "fig ready")
            yield served


async def post(fig: Served, path: str, body: dict[str, object] | None = None) -> httpx.Response:
    return await asyncio.to_thread(lambda: fig.admin.post(path, json=body or {}))


async def test_moves_fail_no_request_and_a_rollback_empties_the_candidate_when_it_returns(fig: Served) -> None:
    async with loaded(fig) as load:
        for _ in range(5):
            assert (await post(fig, "/api/routes/who/rollback")).status_code == 200
            await asyncio.sleep(0.05)  # what was under way when the command returned
            before = load.answers["shop"]
            await asyncio.sleep(0.2)
            assert load.answers["shop"] == before
            answer = await post(fig, "/api/routes/who/stage", {"stage": "canary", "share": "50%"})
            assert answer.status_code == 200, answer.text
            await until(lambda before=before: load.answers["shop"] > before)
    assert load.failures == []


async def test_a_drain_completes_what_is_under_way_and_exits_0(fig: Served) -> None:
    async def ask() -> tuple[int, str, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{fig.port}/slow/1.5") as answer,
        ):
            return answer.status, await answer.text(), answer.headers.get("Connection", "")

    asked = [asyncio.create_task(ask()) for _ in range(8)]
    await asyncio.sleep(0.5)
    ended = asyncio.create_task(asyncio.to_thread(fig.end))
    assert await asyncio.gather(*asked) == [(200, "late", "close")] * 8
    assert await ended == 0
