"""Many clients at once, each with one POST in flight: `python crowd.py PORT COUNT PATH`.

Connects all of them first, from several loopback addresses (one has ports for 28,000), then has all of them ask, and
prints a JSON object of what happened to how many: {"200": 12000}. An answer that is not the asker's own counts as
``another's``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from typing import cast

import uvloop

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.fakes.lively_service import allow_many_descriptors

SOURCES = 8
AT_ONCE = 500
"""Connections being opened at the same time."""
PATIENCE = 60.0
BODY = 1024


class Client(asyncio.Protocol):
    """One request on one connection; `done` says what came of it."""

    def __init__(self, number: int, path: str) -> None:
        body = f"order {number} ".encode().ljust(BODY, b".")
        head = f"POST {path} HTTP/1.1\r\nHost: shop\r\nContent-Length: {BODY}\r\n\r\n"
        self.body = body
        self.request = head.encode() + body
        self.done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.answer = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self) -> None:
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        head, blank, body = self.answer.partition(b"\r\n\r\n")
        if blank and (b" 200 " not in head[:15] or len(body) >= BODY):
            status = head.split(b" ")[1].decode()
            self.end(status if status != "200" or body == self.body else "another's")

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(type(exc).__name__ if exc is not None else "closed")

    def end(self, how: str) -> None:
        if not self.done.done():
            self.done.set_result(how)


async def main(port: int, count: int, path: str) -> Counter[str]:
    loop = asyncio.get_running_loop()
    room = asyncio.Semaphore(AT_ONCE)

    async def connect(number: int) -> Client:
        async with room:
            source = (f"127.0.0.{number % SOURCES + 1}", 0)
            _, client = await loop.create_connection(lambda: Client(number, path), "127.0.0.1", port, local_addr=source)
            return client

    made = await asyncio.gather(*(connect(number) for number in range(count)), return_exceptions=True)
    clients = [client for client in made if isinstance(client, Client)]
    seen = Counter(type(client).__name__ for client in made if not isinstance(client, Client))
    for client in clients:
        client.ask()
    done, waiting = await asyncio.wait([client.done for client in clients], timeout=PATIENCE)
    seen.update(future.result() for future in done)
    seen.update({"no answer": len(waiting)} if waiting else {})
    return seen


if __name__ == "__main__":
    allow_many_descriptors()
    print(json.dumps(uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))))
