"""Clients of every kind that ask on and on, and note what happened: to be run while something happens to fig.

Each kind is one loop. `answers` counts what was right by kind, `failures` says of everything else what it was; a test
asserts about both. Raw streams, so that a reset, an early end and a wrong answer are told apart and nothing is retried.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from tests.fakes.websockets import TEXT, frame
from tests.fakes.wires import Message, Wire

PATIENCE = 30.0
"""Seconds after which an answer that does not come is a failure."""
CLIENTS = 3
"""Of every kind."""
PAUSE = 0.05
"""Seconds between two requests of a client: it is not how many that tells, but that all kinds are always under way."""
PIECES = 5
"""Of a chunked upload."""


class FailedError(Exception):
    """What a client got in place of its answer."""


async def answered(wire: Wire) -> Message:
    """The next answer. Raises FailedError for anything but a whole 200."""
    got = await wire.message()
    if got.status != 200 or not got.is_complete:
        raise FailedError(f"{got.start}: {got.body!r}{'' if got.is_complete else ', cut'}")
    return got


@dataclass
class Traffic:
    """`judge` is given every answer to GET /who, and says what it counts as."""

    port: int
    judge: Callable[[Message], str] = lambda got: got.body.decode()
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    stop: bool = False

    async def gets(self, wire: Wire, pause: float = PAUSE) -> bool:
        """One request; whether the connection can be used again."""
        wire.send(b"GET /who HTTP/1.1\r\nHost: shop\r\n\r\n")
        got = await answered(wire)
        self.answers[self.judge(got)] += 1
        await asyncio.sleep(pause)
        return got.get("connection") != "close"

    async def asks_now_and_then(self, wire: Wire) -> bool:
        """One whose connection is idle most of the time: closing that at the wrong moment would reset a request."""
        return await self.gets(wire, 0.4)

    async def connects(self, wire: Wire) -> bool:
        """A client that connects for every request."""
        await self.gets(wire)
        return False

    async def uploads(self, wire: Wire) -> bool:
        """In chunks, with pauses."""
        wire.send(b"POST /upload HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n")
        digest = hashlib.sha256()
        for _ in range(PIECES):
            piece = os.urandom(3000)
            digest.update(piece)
            wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await wire.writer.drain()
            await asyncio.sleep(PAUSE)
        wire.send(b"0\r\n\r\n")
        got = await answered(wire)
        if got.body.split()[1:] != [b"%d" % (3000 * PIECES), digest.hexdigest().encode()]:
            raise FailedError(f"another upload's answer: {got.body!r}")
        self.answers["upload"] += 1
        return got.get("connection") != "close"

    async def listens(self, wire: Wire) -> bool:
        """To server-sent events, all from one service and none missing."""
        wire.send(b"GET /events/25 HTTP/1.1\r\nHost: shop\r\n\r\n")
        got = await answered(wire)
        name = got.body.split()[1]
        if got.body != b"".join(b"data: %b %d\n\n" % (name, number) for number in range(25)):
            raise FailedError(f"events are missing: {got.body!r}")
        self.answers["events"] += 1
        return got.get("connection") != "close"

    async def talks(self, wire: Wire) -> bool:
        """Over one WebSocket, as long as the traffic lasts."""
        wire.send(
            b"GET /socket HTTP/1.1\r\nHost: shop\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        got = await wire.message()
        if got.status != 101:
            raise FailedError(f"{got.start} in place of 101")
        self.answers["sockets"] += 1
        while not self.stop:
            text = os.urandom(8).hex().encode()
            plain = frame(TEXT, text, mask=None)
            wire.send(frame(TEXT, text))
            if await asyncio.wait_for(wire.reader.readexactly(len(plain)), PATIENCE) != plain:
                raise FailedError("another echo")
            self.answers["echoes"] += 1
            await asyncio.sleep(PAUSE)
        return False

    async def client(self, kind: Callable[[Wire], Awaitable[bool]]) -> None:
        """Of one kind, until the traffic is stopped."""
        wire: Wire | None = None
        while not self.stop:
            try:
                wire = wire or await asyncio.wait_for(Wire.to(self.port), PATIENCE)
                if await asyncio.wait_for(kind(wire), None if kind == self.talks else PATIENCE):
                    continue
            except (
                OSError,
                EOFError,
                FailedError,
                TimeoutError,
                AssertionError,
            ) as exc:
                self.failures.append(f"{kind.__name__}: {type(exc).__name__} {exc}")
                await asyncio.sleep(0.02)
            if wire is not None:
                wire.close()
            wire = None
        if wire is not None:
            wire.close()


@contextlib.asynccontextmanager
async def traffic(
    port: int, judge: Callable[[Message], str] | None = None, clients: int = CLIENTS
) -> AsyncIterator[Traffic]:
    """`clients` of every kind while the block runs; when it begins, each kind has had an answer."""
    load = Traffic(port) if judge is None else Traffic(port, judge)
    kinds = [load.gets, load.asks_now_and_then, load.connects, load.uploads, load.listens, load.talks]
    tasks = [asyncio.create_task(load.client(kind)) for kind in kinds for _ in range(clients)]
    try:
        await until(lambda: all(load.answers[kind] for kind in ("upload", "events", "echoes")))
        yield load
        seen = load.answers.copy()
        await until(lambda: all(load.answers[kind] > seen[kind] for kind in ("upload", "events", "echoes")))
    finally:
        load.stop = True
        await asyncio.wait(tasks)
    for task in tasks:
        task.result()


async def until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0.003)
