"""Control running in the test's own loop on a rules file with one route, cart; and what a test asks of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from proxy.control.control import open_control
from proxy.control.told import Told
from proxy.publication import published
from proxy.settings import Address
from rules.effective import Effective
from tests.fakes.ports import free_port

RULES: dict[str, Any] = {
    "version": 1,
    "services": {"monolith": {"url": "http://127.0.0.1:9000"}, "shop": {"url": "http://127.0.0.1:9001"}},
    "legacy": "monolith",
    "routes": [
        {
            "name": "cart",
            "match": {"path": "/cart/**", "methods": ["GET"]},
            "candidate": "shop",
            "stage": "shadow",
            "unit": {"cookie": "unit"},
        }
    ],
}


def write(
    folder: Path,
    release: str = "",
    gates: dict[str, Any] | None = None,
    others: Sequence[dict[str, Any]] = (),
    **route: Any,
) -> None:
    """The rules file, its route cart changed by `route`, with `others` after it; replaced as editors do.

    `release` is the candidate's URL.
    """
    rules = {**RULES, "routes": [{**RULES["routes"][0], **route}, *others], "gates": gates or {}}
    if release:
        rules["services"] = {**RULES["services"], "shop": {"url": release}}
    (folder / "fig.yaml.new").write_text(yaml.safe_dump(rules))
    (folder / "fig.yaml.new").replace(folder / "fig.yaml")


class Running:
    """A running control."""

    def __init__(self, folder: Path, port: int) -> None:
        self.state = folder / "state"
        self.reload_asked = asyncio.Event()
        self.api = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False)

    async def until(self, true: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(45):
            while not await true():
                await asyncio.sleep(0.02)

    async def answers(self, path: str, status: int) -> httpx.Response:
        """The first answer with that status."""
        found: list[httpx.Response] = []

        async def look() -> bool:
            with contextlib.suppress(httpx.TransportError):
                found.append(await self.api.get(path))
            return bool(found) and found[-1].status_code == status

        await self.until(look)
        return found[-1]

    async def until_metric(self, line: str) -> None:
        async def look() -> bool:
            return line in (await self.api.get("/metrics")).text.splitlines()

        await self.until(look)

    async def change(self, action: str, **body: Any) -> httpx.Response:
        return await self.api.post(f"/api/routes/cart/{action}", json=body)

    async def status(self) -> dict[str, Any]:
        return dict((await self.api.get("/api/status")).json())

    async def route(self) -> dict[str, Any]:
        [route] = (await self.status())["routes"]
        return dict(route)

    def published(self) -> Effective:
        found = published(self.state)
        assert found is not None
        return found


@asynccontextmanager
async def control(folder: Path, count: int = 1, between: Callable[[], None] = lambda: None) -> AsyncIterator[Running]:
    """Control on folder/fig.yaml, expecting `count` workers; up when this is entered, gone when it is left.

    `between` is called when the rules are loaded and nothing runs yet.
    """
    port = free_port()
    told = Told(
        rules=folder / "fig.yaml",
        state=folder / "state",
        admin=Address("127.0.0.1", port),
        listen=Address("127.0.0.1", 8080),
        workers=count,
    )
    told.state.mkdir(exist_ok=True)
    running, ended = Running(folder, port), asyncio.Event()
    opened = await open_control(told)
    between()
    task = asyncio.create_task(opened.run(ended, running.reload_asked))
    try:
        await running.answers("/healthz", 200)
        yield running
    finally:
        await running.api.aclose()
        ended.set()
        await task
