"""The HTTP under services that answer JSON and can misbehave: a subclass says what each request gets, if anything.

`shadowing.Service` notes what it is asked and answers as it is told; `remembering.Remembering` applies writes, and says
which when it is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self


class Request(NamedTuple):
    """One that came whole."""

    method: str
    target: str
    headers: dict[str, str]
    """By names in lower case."""
    body: bytes


@dataclass
class SmallService:
    """Up on a port of its own until it goes down; it may come up again on the same one."""

    port: int = field(default=0, kw_only=True)
    _server: asyncio.Server | None = field(default=None, init=False)
    _serving: set[asyncio.Task[Any]] = field(default_factory=set, init=False)

    async def answer(self, request: Request) -> tuple[int, bytes] | None:
        """Status and JSON; None to end the connection without one."""
        raise NotImplementedError

    async def up(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def down(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving)

    async def __aenter__(self) -> Self:
        return await self.up()

    async def __aexit__(self, *_: object) -> None:
        await self.down()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while self._server is not None:
                answer = await self.answer(await _read(reader))
                if answer is None:
                    break
                status, said = answer
                head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                writer.write(head % (status, len(said)) + said)
                await writer.drain()
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Request:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines if x)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    method, target, _ = first.split()
    return Request(method, target, headers, body)
