"""Several endpoints of one service, each of which can fail, fall silent, be killed and come back on its port; and a
clock that a test can put forward."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

from tests.fakes.planes import Fig
from tests.fakes.wires import Message, Wire, answer

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"


class Clock:
    """Monotonic seconds that pass as they do, and in leaps."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead

    def forward(self, seconds: float) -> None:
        self.ahead += seconds


class Endpoint:
    """Answers every request with its name. `/healthz` is answered by `health`, everything else by `status`."""

    def __init__(self, name: str, host: str = "127.0.0.1", port: int = 0) -> None:
        self.name = name
        self.host = host
        self.port = port
        self.status = "200 OK"
        self.health = "200 OK"
        self.delay = 0.0
        """Seconds from a request to its answer; infinite for never."""
        self.requests: list[Message] = []
        """But for those of health checks."""
        self.checks = 0
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen, on the port that it had before."""
        self._server = await asyncio.start_server(self._connected, self.host, self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def kill(self) -> None:
        """Reset every connection and take no other."""
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        wire = Wire(reader, writer)
        try:
            while True:
                await self._answer(wire)
        except (ConnectionError, AssertionError, TimeoutError):
            wire.close()  # fig closed its end
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                wire.reset()
        finally:
            self._tasks.discard(task)

    async def _answer(self, wire: Wire) -> None:
        got = await wire.message()
        if got.start.split(" ")[1] == "/healthz":
            self.checks += 1
            wire.send(answer(b"", self.health))
            return
        self.requests.append(got)
        if self.delay:
            await asyncio.sleep(self.delay if self.delay != float("inf") else 3600)
        wire.send(answer(self.name.encode(), self.status))


@contextlib.asynccontextmanager
async def endpoints(count: int) -> AsyncIterator[list[Endpoint]]:
    """So many, listening, named a, b, c..."""
    several = [Endpoint(chr(ord("a") + number)) for number in range(count)]
    for each in several:
        await each.start()
    try:
        yield several
    finally:
        for each in several:
            await each.kill()


def service(several: list[Endpoint], **more: Any) -> dict[str, Any]:
    """The block of a service that has them."""
    return {"urls": [each.url for each in several], **more}


async def ask(fig: Fig, request: bytes = GET) -> Message:
    """One request over a connection of its own."""
    client = await fig.connect()
    client.send(request)
    got = await client.message()
    client.close()
    return got


@contextlib.contextmanager
def down() -> Iterator[str]:
    """The URL of a port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@contextlib.contextmanager
def deaf() -> Iterator[str]:
    """The URL of a port whose queue of connections is full, so that connecting does not end."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
