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

from tests.fakes.lively_service import framed

PATIENCE = 30.0
"""Seconds after which an answer that does not come is a failure."""
CLIENTS = 3
"""Of every kind."""
PIECES = 5
"""Of a chunked upload."""


class FailedError(Exception):
    """What a client got in place of its answer."""


@dataclass(slots=True)
class Connection:
    """One client's connection, opened anew when the last answer said that it ends."""

    port: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def to(cls, port: int) -> Connection:
        return cls(port, *await asyncio.open_connection("127.0.0.1", port))

    async def head(self) -> tuple[int, dict[str, str]]:
        data = await self.reader.readuntil(b"\r\n\r\n")
        line, *lines = data.decode("latin-1").split("\r\n")[:-2]
        return int(line.split(" ")[1]), {n.lower(): v.strip() for n, _, v in (each.partition(":") for each in lines)}

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Raises FailedError for anything but 200."""
        status, fields = await self.head()
        if fields.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                body += await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readexactly(2)
        else:
            body = await self.reader.readexactly(int(fields.get("content-length", "0")))
        if status != 200:
            raise FailedError(f"{status} {body!r}")
        return status, fields, body


@dataclass
class Traffic:
    """`judge` is given the fields and the body of every answer to GET /who, and says what it counts as."""

    port: int
    judge: Callable[[dict[str, str], bytes], str] = lambda _, body: body.decode()
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    stop: bool = False

    async def gets(self, connection: Connection, pause: float = 0.02) -> bool:
        """One request; whether the connection can be used again."""
        connection.writer.write(b"GET /who HTTP/1.1\r\nHost: shop\r\n\r\n")
        _, fields, body = await connection.answer()
        self.answers[self.judge(fields, body)] += 1
        await asyncio.sleep(pause)
        return fields.get("connection") != "close"

    async def asks_now_and_then(self, connection: Connection) -> bool:
        """One whose connection is idle most of the time: closing that at the wrong moment would reset a request."""
        return await self.gets(connection, 0.4)

    async def connects(self, connection: Connection) -> bool:
        """A client that connects for every request."""
        await self.gets(connection)
        return False

    async def uploads(self, connection: Connection) -> bool:
        """In chunks, with pauses."""
        connection.writer.write(b"POST /upload HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n")
        digest = hashlib.sha256()
        for _ in range(PIECES):
            piece = os.urandom(3000)
            digest.update(piece)
            connection.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await connection.writer.drain()
            await asyncio.sleep(0.02)
        connection.writer.write(b"0\r\n\r\n")
        _, fields, body = await connection.answer()
        if body.split()[1:] != [b"%d" % (3000 * PIECES), digest.hexdigest().encode()]:
            raise FailedError(f"another upload's answer: {body!r}")
        self.answers["upload"] += 1
        return fields.get("connection") != "close"

    async def listens(self, connection: Connection) -> bool:
        """To server-sent events, all from one service and none missing."""
        connection.writer.write(b"GET /events/25 HTTP/1.1\r\nHost: shop\r\n\r\n")
        _, fields, body = await connection.answer()
        name = body.split()[1]
        if body != b"".join(b"data: %b %d\n\n" % (name, number) for number in range(25)):
            raise FailedError(f"events are missing: {body!r}")
        self.answers["events"] += 1
        return fields.get("connection") != "close"

    async def talks(self, connection: Connection) -> bool:
        """Over one WebSocket, as long as the traffic lasts."""
        connection.writer.write(
            b"GET /socket HTTP/1.1\r\nHost: shop\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        status, _ = await connection.head()
        if status != 101:
            raise FailedError(f"{status} in place of 101")
        self.answers["sockets"] += 1
        while not self.stop:
            text = os.urandom(8).hex().encode()
            plain = framed(text)
            connection.writer.write(bytes((plain[0], plain[1] | 0x80, 0, 0, 0, 0)) + text)  # a mask of zeros
            if await asyncio.wait_for(connection.reader.readexactly(len(plain)), PATIENCE) != plain:
                raise FailedError("another echo")
            self.answers["echoes"] += 1
            await asyncio.sleep(0.02)
        return False

    async def client(self, kind: Callable[[Connection], Awaitable[bool]]) -> None:
        """Of one kind, until the traffic is stopped."""
        connection: Connection | None = None
        while not self.stop:
            try:
                connection = connection or await asyncio.wait_for(Connection.to(self.port), PATIENCE)
                if await asyncio.wait_for(kind(connection), None if kind == self.talks else PATIENCE):
                    continue
            except (OSError, EOFError, FailedError, TimeoutError) as exc:
                self.failures.append(f"{kind.__name__}: {type(exc).__name__} {exc}")
                await asyncio.sleep(0.02)
            if connection is not None:
                connection.writer.close()
            connection = None
        if connection is not None:
            connection.writer.close()


@contextlib.asynccontextmanager
async def traffic(
    port: int, judge: Callable[[dict[str, str], bytes], str] | None = None, clients: int = CLIENTS
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
