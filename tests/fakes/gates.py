"""A service that answers when a test says so."""

from __future__ import annotations

import asyncio

from tests.fakes.wires import Message, Service, Wire, answer


class Gate:
    """Answers requests when it is told to, in the order in which they came, each with its ``X-Number``."""

    def __init__(self) -> None:
        self.held: list[tuple[Wire, Message]] = []
        self.service = Service(self._hold)
        self._done: dict[int, asyncio.Event] = {}

    async def _hold(self, wire: Wire) -> None:
        while (got := await wire.message()).is_complete:
            done = asyncio.Event()
            self._done[id(got)] = done
            self.held.append((wire, got))
            await done.wait()

    def let_one_go(self, status: str = "200 OK") -> None:
        wire, got = self.held.pop(0)
        wire.send(answer((got.get("x-number") or "").encode(), status))
        self._done.pop(id(got)).set()
