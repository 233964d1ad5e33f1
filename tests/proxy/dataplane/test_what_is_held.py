"""What fig has read from one end and not yet written to the other: 256 KB at most in each direction, on the loop that
it runs on. Looked at in every turn of the loop, while one end stalls and while it then reads on slowly."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.fakes.planes import Fig, running, table, until
from tests.fakes.wires import Service, Wire, answer

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])  # asyncio's own reads 256 KB at once, uvloop 250 KB

MOST = 256 * 1024
MB = 2**20
SIZE = 20
"""Megabytes of a body: more than the kernel takes on its way."""


class Direction:
    """The most that fig held of one direction in any turn of the loop so far."""

    def __init__(self) -> None:
        self.most = 0

    def see(self, *sizes: int) -> None:
        self.most = max(self.most, sum(sizes))


@contextlib.asynccontextmanager
async def watched(fig: Fig) -> AsyncIterator[tuple[Direction, Direction]]:
    """What is held of requests and of answers, of the first client, until the block ends."""
    requests, answers = Direction(), Direction()

    async def watch() -> None:
        while True:
            for client in list(fig.plane.clients):
                answers.see(client.unsent)
                exchange = client.exchange
                if exchange is not None:
                    connection = exchange.connection
                    kept = 0 if exchange.spent else len(exchange._body)
                    requests.see(len(client._buffer), kept if connection is None else connection.unsent)
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    try:
        yield requests, answers
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def framed(chunked: bool) -> tuple[bytes, bytes, bytes]:
    """The header that frames a body of SIZE megabytes, each megabyte of it, and its end."""
    piece = bytes(MB)
    if chunked:
        return b"Transfer-Encoding: chunked", b"%x\r\n%b\r\n" % (MB, piece), b"0\r\n\r\n"
    return b"Content-Length: %d" % (SIZE * MB), piece, b""


@pytest.mark.parametrize("chunked", [False, True])
async def test_of_an_answer_to_a_reader_that_stalls_no_more_than_256_kb_are_held(chunked: bool) -> None:
    header, piece, end = framed(chunked)

    async def large(wire: Wire) -> None:
        await wire.message()
        wire.send(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % header)
        for _ in range(SIZE):
            wire.send(piece)
            await wire.writer.drain()
        wire.send(end)

    async with Service(large) as legacy, running(table({"legacy": legacy.url})) as fig, watched(fig) as (_, answers):
        client = await fig.connect()
        client.writer.transport.pause_reading()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: any(c.writing_paused for c in fig.plane.clients), "a client that does not keep up")
        await asyncio.sleep(0.1)
        client.writer.transport.resume_reading()
        message = await client.message()

        assert len(message.body) == SIZE * MB
        assert 0 < answers.most <= MOST


@pytest.mark.parametrize("method", [b"POST", b"PUT"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_of_a_body_to_a_service_that_stalls_no_more_than_256_kb_are_held(chunked: bool, method: bytes) -> None:
    header, piece, end = framed(chunked)

    async def slow(wire: Wire) -> None:
        wire.writer.transport.pause_reading()
        await until(lambda: any(c.reading_paused for c in fig.plane.clients), "a service that does not keep up")
        await asyncio.sleep(0.1)
        wire.writer.transport.resume_reading()
        message = await wire.message()
        wire.send(answer(b"%d" % len(message.body)))
        await wire.some()

    async with Service(slow) as legacy, running(table({"legacy": legacy.url})) as fig, watched(fig) as (requests, _):
        client = await fig.connect()
        client.send(b"%b / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % (method, header))
        for _ in range(SIZE):
            client.send(piece)
            await client.writer.drain()
        client.send(end)

        assert (await client.message()).body == b"%d" % (SIZE * MB)
        assert 0 < requests.most <= MOST
