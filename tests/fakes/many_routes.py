"""Effective tables with as many routes as a test wants, and a link that keeps what is answered to control."""

from __future__ import annotations

import asyncio
from typing import Any

from proxy.link import SEND_LIMIT, Link
from proxy.wire import Record
from rules.document import Rules
from rules.effective import Effective

URL = "http://127.0.0.1:9"


def table(count: int, generation: int = 1, changed: int = -1, **changes: Any) -> Effective:
    """Routes area0, area1, ... in stage live with the candidate shop; the one numbered `changed` has `changes`."""
    routes: list[dict[str, Any]] = [
        {"name": f"area{n}", "match": {"path": f"/team{n % 7}/area{n}/**"}, "candidate": "shop", "stage": "live"}
        for n in range(count)
    ]
    if changed >= 0:
        routes[changed] |= changes
    services = {"legacy": {"url": URL}, "shop": {"url": URL}}
    rules = Rules.model_validate({"version": 1, "services": services, "legacy": "legacy", "routes": routes})
    return Effective(generation, rules)


class Answers(Link):
    """In place of the link to control."""

    def __init__(self) -> None:
        super().__init__(lambda *_: None)
        self.got: asyncio.Queue[Record] = asyncio.Queue()

    def send(self, record: Record, limit: int = SEND_LIMIT) -> bool:
        self.got.put_nowait(record)
        return True

    async def next(self) -> Record:
        return await asyncio.wait_for(self.got.get(), 20)
