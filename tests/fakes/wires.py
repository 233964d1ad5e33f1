"""Raw ends of HTTP/1.1 connections: what a test sends is sent byte for byte, what comes is read by the framing alone.

`Wire` is one connection from either end; `Service` listens and lets a test's handler do to each connection what it
likes. Nothing here is of fig, so that a mistake of fig's parsers is not made twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType

PATIENCE = 10.0
"""Seconds after which a read that nothing answers fails its test."""


@dataclass(frozen=True)
class Message:
    """A request or an answer as it stood on the wire."""

    start: str
    """The request line or the status line."""
    fields: tuple[tuple[str, str], ...]
    """Name in lower case, value."""
    body: bytes
    trailers: tuple[str, ...]
    is_complete: bool
    """False when the connection ended before the framing said so."""

    @property
    def status(self) -> int:
        return int(self.start.split(" ")[1])

    def all(self, name: str) -> list[str]:
        return [value for known, value in self.fields if known == name]

    def get(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) < 2, f"{name} is there {len(values)} times"
        return values[0] if values else None


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, port: int) -> Wire:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**20))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> bytes:
        """Up to and with the empty line; b"" when the connection ends first."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def message(self, *, bodiless: bool = False) -> Message:
        """The next request or answer. `bodiless` for the answer to HEAD."""
        head = await self.head()
        assert head, "the connection ended where a message was expected"
        start, *lines = head.decode("latin-1").split("\r\n")[:-2]
        fields = tuple((n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in lines))
        named = dict(fields)
        is_answer = start.startswith("HTTP/")
        status = int(start.split(" ")[1]) if is_answer else 0
        body, trailers, is_complete = b"", (), True
        if bodiless or (is_answer and (status < 200 or status in (204, 304))):
            pass
        elif named.get("transfer-encoding", "").lower() == "chunked":
            body, trailers, is_complete = await self._chunks()
        elif "content-length" in named:
            body, is_complete = await self._exactly(int(named["content-length"]))
        elif is_answer:
            body, is_complete = await self.rest()
        return Message(start, fields, body, trailers, is_complete)

    async def _exactly(self, size: int) -> tuple[bytes, bool]:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.reader.readexactly(size), True
        except asyncio.IncompleteReadError as exc:
            return exc.partial, False
        except ConnectionError:
            return b"", False

    async def _line(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return (await self.reader.readuntil(b"\r\n"))[:-2]

    async def _chunks(self) -> tuple[bytes, tuple[str, ...], bool]:
        body = b""
        try:
            while size := int(await self._line(), 16):
                piece, is_complete = await self._exactly(size)
                body += piece
                if not is_complete:
                    return body, (), False
                assert await self._line() == b""
            trailers = []
            while line := await self._line():
                trailers.append(line.decode("latin-1"))
        except (asyncio.IncompleteReadError, ConnectionError):
            return body, (), False
        return body, tuple(trailers), True

    async def rest(self) -> tuple[bytes, bool]:
        """Everything up to the end, and whether the end was orderly (no reset)."""
        data = b""
        try:
            async with asyncio.timeout(PATIENCE):
                while piece := await self.reader.read(65536):
                    data += piece
        except ConnectionError:
            return data, False
        return data, True

    async def some(self, size: int = 65536) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read(size)

    def finish(self) -> None:
        """Send no more, but go on reading (half-close)."""
        self.writer.write_eof()

    def close(self) -> None:
        self.writer.close()

    def drop(self) -> None:
        """Be done with it, whatever is unsent and whatever has happened to it."""
        with contextlib.suppress(AttributeError):  # asyncio's transports cannot be aborted twice
            self.writer.transport.abort()

    def reset(self) -> None:
        """Close so that the other end gets a reset instead of an end."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Handler = Callable[[Wire], Awaitable[None]]


class Service:
    """Listens on loopback and hands every connection to `handler`. Counts connections, keeps the requests read. With a
    `context` it speaks TLS."""

    def __init__(self, handler: Handler, context: ssl.SSLContext | None = None) -> None:
        self.handler = handler
        self.context = context
        self.connections = 0
        self.ended = 0
        """Connections whose handler is over."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._wires: list[Wire] = []

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        wire = Wire(reader, writer)
        self._wires.append(wire)
        try:
            await self.handler(wire)
        except (ConnectionError, AssertionError, asyncio.CancelledError):
            pass  # fig closed its end, or the test is over
        finally:
            self._tasks.discard(task)
            self.ended += 1
            writer.close()

    async def __aenter__(self) -> Service:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=2**20, ssl=self.context)
        self.port = int(self._server.sockets[0].getsockname()[1])
        self.url = f"{'http' if self.context is None else 'https'}://127.0.0.1:{self.port}"
        return self

    async def stop(self) -> None:
        """Take no more connections and end those that are open."""
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for wire in self._wires:
            wire.drop()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def answer(body: bytes = b"ok", status: str = "200 OK", *lines: str) -> bytes:
    """An answer with Content-Length."""
    head = "\r\n".join((f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}"))
    return head.encode("latin-1") + b"\r\n\r\n" + body


class Answering(Service):
    """A service that keeps connections alive and answers every request with what `reply` makes of it."""

    def __init__(
        self, reply: Callable[[Message], bytes] = lambda _: answer(), context: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(self._answer, context)
        self.reply = reply
        self.requests: list[Message] = []

    async def _answer(self, wire: Wire) -> None:
        while True:
            request = await wire.message()
            if not request.is_complete:
                return
            self.requests.append(request)
            wire.send(self.reply(request))
