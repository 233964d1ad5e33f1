"""A worker as control sees it: says hello, answers Prepare and Load, and sends what a test gives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from proxy.link import Caller, Link
from proxy.rows import ROW
from proxy.wire import Hello, Load, Loaded, Prepare, Prepared, Record, Rows


class WorkerLink:
    """`answer` says what becomes of a Load: ``loaded``, ``silent``, or else the problem that is reported."""

    def __init__(self, state: Path, number: int, answer: str = "loaded") -> None:
        self.answer = answer
        self.generation = 0
        self.loads: list[int] = []
        self.prepared: list[str] = []
        self._number = number
        self._heard = asyncio.Event()
        self._caller = Caller(state / "control.sock", self._opened, self._take)

    def start(self) -> None:
        self._caller.start()

    async def stop(self) -> None:
        await self._caller.stop()

    def send(self, record: Record) -> None:
        assert self._caller.send(record), "the link is down"

    async def told(self) -> None:
        """Wait until control has told of any table."""
        async with asyncio.timeout(45):
            while not self.loads:
                self._heard.clear()
                await self._heard.wait()

    async def at(self, generation: int) -> None:
        """Wait until control has told of that generation."""
        async with asyncio.timeout(45):
            while self.generation < generation:
                self._heard.clear()
                await self._heard.wait()

    def _opened(self, link: Link) -> None:
        link.send(Hello("worker", self._number, 4242, self.generation))

    def _take(self, link: Link, record: Record) -> None:
        if isinstance(record, Prepare):
            self.prepared.append(record.rules)
            if self.answer != "silent":
                link.send(Prepared(record.rules))
            return
        assert isinstance(record, Load)
        self.loads.append(record.generation)
        if self.answer == "loaded":
            self.generation = record.generation
            link.send(Loaded(record.generation))
        elif self.answer != "silent":
            link.send(Loaded(record.generation, self.answer))
        self._heard.set()


@asynccontextmanager
async def workers(state: Path, *answers: str) -> AsyncIterator[list[WorkerLink]]:
    """One connected worker per answer."""
    links = [WorkerLink(state, number, answer) for number, answer in enumerate(answers)]
    for link in links:
        link.start()
    try:
        yield links
    finally:
        for link in links:
            await link.stop()


def rows(route: str, generation: int, exchanges: Iterable[tuple[float, int, float, int, int]]) -> Rows:
    """From (clock, unit hash, seconds, side 0 or 1, index into FAILURES)."""
    found = [
        (clock, unit, seconds, side, 5 if failure else 2, failure, 0)
        for clock, unit, seconds, side, failure in exchanges
    ]
    return Rows(route, generation, np.array(found, ROW).tobytes())
