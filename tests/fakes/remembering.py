"""A service that remembers which writes it applied and says so when it is asked, and that can fail around applying."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass
class Remembering:
    """Applies each write whenever it comes (nothing deduplicates); `GET` of its path tells the last key and all lines.

    `behave` gets the number of the write (from 1): ``apply`` answers 201, ``apply then break`` and ``break`` end the
    connection, ``apply then hang`` and ``hang`` never answer.
    """

    behave: Callable[[int], str] = lambda number: "apply"
    answers: Callable[[], int] = lambda: 200
    """The status of answers to GET; 200 is turned into 404 where nothing was applied."""
    pause: float = 0.0
    """Seconds that a write takes before it is applied, whether its sender is still there or not."""
    applied: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Path -> (idempotency key, body), in order."""
    copies: int = 0
    """Writes that were marked as copies."""
    writes: int = 0
    questions: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """(target, headers in lower case) of every GET."""
    port: int = 0
    _server: asyncio.Server | None = None
    _serving: set[asyncio.Task[Any]] = field(default_factory=set)

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

    def bodies(self, path: str) -> list[str]:
        return [body for _, body in self.applied.get(path, [])]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while self._server is not None:
                first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines if x)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                method, target, _ = first.split()
                status = self._told(target, headers) if method == "GET" else await self._written(target, headers, body)
                if not status:
                    break
                known = self.applied.get(target, [])
                said = json.dumps({"last_key": known[-1][0] if known else None, "count": len(known)}).encode()
                head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                writer.write(head % (status, len(said)) + said)
                await writer.drain()
        writer.close()

    def _told(self, target: str, headers: dict[str, str]) -> int:
        self.questions.append((target, headers))
        status = self.answers()
        return 404 if status == 200 and target not in self.applied else status

    async def _written(self, target: str, headers: dict[str, str], body: bytes) -> int:
        self.writes += 1
        self.copies += "x-fig-copy" in headers
        behaviour = self.behave(self.writes)
        if self.pause:
            await asyncio.sleep(self.pause)
        if "apply" in behaviour:
            self.applied.setdefault(target, []).append((headers.get("idempotency-key", ""), body.decode()))
        if "hang" in behaviour:
            await asyncio.sleep(3600)
        return 201 if behaviour == "apply" else 0
