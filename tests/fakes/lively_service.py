"""A service that holds many requests at once, streams, and speaks WebSocket: `python lively_service.py NAME PORT`.

Raw protocols on uvloop, so that 12,000 clients cost little; nothing of fig is in it. Prints ``up`` when it listens.

GET /who             its name
GET /events/N        N server-sent events, one every 20 ms, chunked
GET /peak            the most requests that were ever waiting at the same time
GET with Upgrade     a WebSocket that echoes short text frames
POST /together/N     answered with its own body, once N such requests are waiting
POST anything else   the body's size and SHA-256
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import uvloop

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
EVENT_EVERY = 0.02


def allow_many_descriptors() -> None:
    """Raise the soft limit to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Shared:
    """What the connections of one service share."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.waiting: list[tuple[Connection, bytes]] = []
        self.peak = 0


def framed(payload: bytes) -> bytes:
    """A short, unmasked text frame (RFC 6455 5.2)."""
    return bytes((0x81, len(payload))) + payload


class Connection(asyncio.Protocol):
    """One connection: requests in, answers out, one at a time."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.transport: asyncio.Transport
        self.buffer = bytearray()
        self.is_websocket = False
        self.streams: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.is_websocket:
            self.echo()
            return
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            line, *lines = bytes(self.buffer[:end]).split(b"\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (each.partition(b":") for each in lines)}
            found = self.body(end + 4, fields)
            if found is None:
                return
            body, rest = found
            del self.buffer[:rest]
            self.take(line, fields, body)

    def body(self, start: int, fields: Mapping[bytes, bytes]) -> tuple[bytes, int] | None:
        """The body and where it ends; None while it is not whole."""
        if b"transfer-encoding" not in fields:
            size = int(fields.get(b"content-length", b"0"))
            end = start + size
            return (bytes(self.buffer[start:end]), end) if len(self.buffer) >= end else None
        pieces = []
        while (end := self.buffer.find(b"\r\n", start)) >= 0:
            size = int(self.buffer[start:end], 16)
            start = end + 2 + size + 2
            if len(self.buffer) < start:
                return None
            if size == 0:
                return b"".join(pieces), start
            pieces.append(bytes(self.buffer[end + 2 : start - 2]))
        return None

    def take(self, line: bytes, fields: Mapping[bytes, bytes], body: bytes) -> None:
        method, path, _ = line.split(b" ")
        if b"sec-websocket-key" in fields:
            accept = base64.b64encode(hashlib.sha1(fields[b"sec-websocket-key"] + _GUID).digest())
            switched = (
                b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n"
            )
            self.is_websocket = True
            self.transport.write(switched % accept)
        elif path.startswith(b"/together/"):
            self.wait_for_others(int(path.rpartition(b"/")[2]), body)
        elif path.startswith(b"/events/"):
            task = asyncio.ensure_future(self.stream(int(path.rpartition(b"/")[2])))
            self.streams.add(task)
            task.add_done_callback(self.streams.discard)
        elif method == b"POST":
            self.answer(b"%b %d %b" % (self.shared.name, len(body), hashlib.sha256(body).hexdigest().encode()))
        elif path == b"/peak":
            self.answer(b"%d" % self.shared.peak)
        else:
            self.answer(self.shared.name)

    def answer(self, body: bytes) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    def wait_for_others(self, count: int, body: bytes) -> None:
        waiting = self.shared.waiting
        waiting.append((self, body))
        self.shared.peak = max(self.shared.peak, len(waiting))
        if len(waiting) >= count:
            for connection, its_body in waiting:
                connection.answer(its_body)
            waiting.clear()

    async def stream(self, count: int) -> None:
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for number in range(count):
            event = b"data: %b %d\n\n" % (self.shared.name, number)
            self.transport.write(b"%x\r\n%b\r\n" % (len(event), event))
            await asyncio.sleep(EVENT_EVERY)
        self.transport.write(b"0\r\n\r\n")

    def echo(self) -> None:
        """Every short masked frame that is whole, without its mask."""
        while len(self.buffer) >= 6 and len(self.buffer) >= 6 + (size := self.buffer[1] & 0x7F):
            mask = self.buffer[2:6]
            payload = bytes(byte ^ mask[n % 4] for n, byte in enumerate(self.buffer[6 : 6 + size]))
            del self.buffer[: 6 + size]
            self.transport.write(framed(payload))

    def connection_lost(self, exc: Exception | None) -> None:
        for task in self.streams:
            task.cancel()


class LivelyService:
    """The program, running; it can be killed and started again on its port."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, __file__, self.name, str(self.port)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "up\n"

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def lively_service(name: str, port: int) -> Iterator[LivelyService]:
    """The service as a process of its own, until the block ends."""
    service = LivelyService(name, port)
    try:
        yield service
    finally:
        service.kill()


async def main(name: str, port: int) -> None:
    shared = Shared(name.encode())
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(shared), "127.0.0.1", port, backlog=4096, reuse_address=True
    )
    print("up", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    allow_many_descriptors()
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
