"""A service of the shop that mirroring.py measures with: prompt, slow like a monolith, hanging, or dripping.

    python -m benchmarks.mirroring_side PORT prompt|slow|hangs|drips

Its answer, some 4.9 KB of JSON, follows from the request's path alone, but for the moment at which it was made; so
does how long a slow one takes. It reads requests no further than the load writes them.
"""

from __future__ import annotations

import asyncio
import sys
import time
from functools import lru_cache
from typing import cast
from zlib import crc32

import msgspec
import uvloop

BROWSED = "/items/"
FASTEST, SPREAD = 0.004, 0.004
"""Seconds: a slow one takes 4 to 8 ms, a path always the same."""
PER_SECOND = 1
"""Bytes that a dripping one sends."""


@lru_cache(maxsize=4096)
def page(path: str) -> bytes:
    """What the path shows, without its end: the moment at which it was made comes last."""
    start = crc32(path.encode()) % 100_000
    items = [
        {"id": start + n, "name": f"Item {start + n}", "price": f"{(start * 7 + n) % 9000 / 100:.2f}", "stock": n % 9}
        for n in range(72)
    ]
    return msgspec.json.encode({"path": path, "items": items})[:-1]


def answer(path: str) -> bytes:
    """The whole answer, made now."""
    body = b'%b,"made":%.3f}' % (page(path), time.time())
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def seconds(path: str) -> float:
    """How long a slow one takes for the path."""
    return FASTEST + SPREAD * (crc32(path.encode()) % 1000) / 1000


class Side(asyncio.Protocol):
    """One connection."""

    def __init__(self, how: str) -> None:
        self._how = how
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        head, end, body = (self._held + data).partition(b"\r\n\r\n")
        length = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        if not end or len(body) < int(length or 0):
            self._held += data
            return
        self._held = b""
        path = head.split(b" ", 2)[1].decode()
        # Both sides are asked for one page by routes of several names.
        path = BROWSED + path.rpartition(BROWSED)[2]
        loop = asyncio.get_running_loop()
        if self._how == "prompt":
            self._transport.write(answer(path))
        elif self._how == "slow":
            loop.call_later(seconds(path), self._send, path)
        elif self._how == "drips":
            self._drip(answer(path))

    def _send(self, path: str) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer(path))

    def _drip(self, left: bytes) -> None:
        if left and not self._transport.is_closing():
            self._transport.write(left[:1])
            asyncio.get_running_loop().call_later(1 / PER_SECOND, self._drip, left[1:])


async def _serve(port: int, how: str) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Side(how), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), sys.argv[2]))
