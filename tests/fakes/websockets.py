"""WebSockets as bytes (RFC 6455): frames made by hand, right or wrong, and two servers; nothing here is of fig."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from tests.fakes.wires import Wire

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x37\xfa\x21\x3d"


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes | None = MASK, width: int = 0
) -> bytes:
    """One frame as a client sends it. `rsv`: the three reserved bits; `mask`: None leaves it out; `width`: bytes that
    the length takes (0, 2, 8), by default as few as hold it."""
    size = len(payload)
    width = width or (0 if size < 126 else 2 if size < 65536 else 8)
    short = {0: size, 2: 126, 8: 127}[width]
    extended = {0: b"", 2: struct.pack("!H", size & 0xFFFF), 8: struct.pack("!Q", size)}[width]
    head = bytes([fin << 7 | rsv << 4 | opcode, (mask is not None) << 7 | short]) + extended
    if mask is None:
        return head + payload
    repeated = mask * (size // 4 + 1)
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(repeated[:size], "big")
    return head + mask + masked.to_bytes(size, "big")


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """A close frame."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


def handshake(*lines: str, version: int = 13) -> bytes:
    """The request that asks for a WebSocket, with further header lines."""
    head = (
        *("GET /echo?a=b HTTP/1.1", "Host: shop.example", "Upgrade: websocket", "Connection: Upgrade"),
        *("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", f"Sec-WebSocket-Version: {version}", *lines),
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n"


@dataclass
class EchoServer:
    """aiohttp's WebSockets, answering each message with itself."""

    port: int = 0
    heads: list[list[tuple[str, str]]] = field(default_factory=list)
    """The header lines of each handshake, name in lower case, sorted."""

    async def _echo(self, request: web.Request) -> web.WebSocketResponse:
        self.heads.append(sorted((name.lower(), value) for name, value in request.headers.items()))
        socket = web.WebSocketResponse(protocols=("chat", "superchat"), max_msg_size=0, timeout=1.0)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[EchoServer]:
        app = web.Application()
        app.router.add_get("/echo", self._echo)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = int(runner.addresses[0][1])
        try:
            yield self
        finally:
            await runner.cleanup()


@dataclass(frozen=True)
class Step:
    """One thing that an end of a connection does: send, then wait for a moment; or end what it sends, or reset."""

    send: bytes = b""
    pause: float = 0.0
    end: str = ""
    """``finish`` (half-close), ``close``, ``reset`` or ``""``."""


@dataclass(frozen=True)
class Seen:
    """What one end saw of the other: the head's lines, what came behind it, and how it ended."""

    head: tuple[str, ...]
    data: bytes
    end: str
    """``end``, ``reset``, or ``open`` where it did not."""


_NOT_COMPARED = ("date:", "x-request-id:")


async def play(wire: Wire, steps: list[Step], patience: float = 1.0) -> Seen:
    """Do the steps while reading; then read on until the other end ends, or nothing comes for `patience` seconds."""
    received = bytearray()
    end = "open"

    async def read() -> None:
        nonlocal end
        try:
            while piece := await wire.reader.read(65536):
                received.extend(piece)
        except ConnectionError:
            end = "reset"
        else:
            end = "end"

    reading = asyncio.create_task(read())
    for step in steps:
        if wire.writer.transport.is_closing():
            break
        with contextlib.suppress(OSError):  # the other end was first
            if step.send:
                wire.send(step.send)
                await wire.writer.drain()
            await asyncio.sleep(step.pause)
            if step.end and not wire.writer.transport.is_closing():
                getattr(wire, step.end)()
    size = -1
    while not reading.done() and len(received) > size:
        size = len(received)
        await asyncio.wait([reading], timeout=patience)
    reading.cancel()
    wire.drop()
    head, _, data = bytes(received).partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    named = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines[1:])]
    alike = [f"{name}: {value.lower() if name == 'connection' else value}" for name, value in named]
    return Seen((lines[0], *sorted(line for line in alike if not line.startswith(_NOT_COMPARED))), data, end)
