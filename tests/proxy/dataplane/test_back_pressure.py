"""A slow end never makes fig hold more than a little, and a stalled one is given up."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from pathlib import Path

import pytest

from proxy.dataplane.ports import Limits
from tests.fakes.planes import Fig, running, table, until
from tests.fakes.wires import Answering, Service, Wire, answer

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
MB = 2**20
PIECE = bytes(MB)
HELD = 512 * 1024
"""Bytes that fig may hold in one direction: its limit of 64 KB and what one read of the loop may add to it."""


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def held(fig: Fig) -> int:
    """The most that waits in one direction of one connection."""
    sizes = [0]
    for client in fig.plane.clients:
        sizes.append(client.transport.get_write_buffer_size())
        sizes.append(len(client._buffer))
        if client.exchange is not None:
            sizes.append(len(client.exchange._body))
            if client.exchange.connection is not None:
                sizes.append(client.exchange.connection.transport.get_write_buffer_size())
    return max(sizes)


async def test_a_download_to_a_reader_that_stalls_stays_at_the_service() -> None:
    size = 200

    async def large(wire: Wire) -> None:
        await wire.message()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (size * MB))
        for _ in range(size):
            wire.send(PIECE)
            await wire.writer.drain()

    async with Service(large) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        before = resident()
        client.writer.transport.pause_reading()
        client.send(GET)
        await until(lambda: any(c.writing_paused for c in fig.plane.clients), "a client that does not keep up")
        await asyncio.sleep(0.2)

        assert held(fig) <= HELD
        assert resident() - before < 16 * MB
        client.writer.transport.resume_reading()
        await client.head()
        left = size * MB
        while left:
            left -= len(await client.some(MB))
            assert held(fig) <= HELD
        assert resident() - before < 16 * MB


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_upload_to_a_service_that_stalls_stays_at_the_client(chunked: bool) -> None:
    size = 200
    gate = asyncio.Event()

    async def slow(wire: Wire) -> None:
        await wire.head()
        wire.writer.transport.pause_reading()
        await gate.wait()
        wire.writer.transport.resume_reading()
        got = 0
        while got < size * MB:
            got += len(await wire.some(MB))
        wire.send(answer(b"all there"))
        await wire.some()

    async with Service(slow) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        before = resident()
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (size * MB)
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % framing)

        async def upload() -> None:
            for _ in range(size):
                client.send(b"%x\r\n%b\r\n" % (MB, PIECE) if chunked else PIECE)
                await client.writer.drain()
            client.send(b"0\r\n\r\n" if chunked else b"")

        sending = asyncio.create_task(upload())
        await until(lambda: any(c.reading_paused for c in fig.plane.clients), "a service that does not keep up")
        await asyncio.sleep(0.2)
        assert held(fig) <= HELD
        assert resident() - before < 16 * MB
        gate.set()
        while not sending.done():
            assert held(fig) <= HELD
            await asyncio.sleep(0.02)

        assert (await client.message()).body == b"all there"
        assert resident() - before < 16 * MB


async def test_a_body_that_comes_before_its_connection_is_held_back_too() -> None:
    """The service takes the connection late and stalls: what came before must not lift the pause that follows."""

    async def stalled(wire: Wire) -> None:
        wire.writer.transport.pause_reading()
        await asyncio.sleep(5)

    async with (
        Service(stalled) as legacy,
        running(table({"legacy": legacy.url}), limits=Limits(unsent=1024)) as fig,
    ):
        client = await fig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (100 * MB))

        async def upload() -> None:
            for _ in range(100):
                client.send(PIECE)
                await client.writer.drain()

        sending = asyncio.create_task(upload())
        await until(lambda: any(c.reading_paused for c in fig.plane.clients), "a service that does not keep up")
        await asyncio.sleep(0.2)

        assert held(fig) <= HELD
        sending.cancel()


async def test_many_pipelined_requests_of_a_client_that_does_not_read_wait_their_turn() -> None:
    async with Answering(lambda _: answer(bytes(60_000))) as legacy, running(table({"legacy": legacy.url})) as fig:
        count = 1000
        client = await fig.connect()
        client.writer.transport.pause_reading()
        client.send(GET * count)
        await until(lambda: any(c.writing_paused for c in fig.plane.clients), "a client that does not keep up")
        await asyncio.sleep(0.2)
        assert held(fig) <= HELD
        assert len(legacy.requests) < count
        client.writer.transport.resume_reading()

        for _ in range(count):
            assert len((await client.message()).body) == 60_000


async def test_a_reader_that_takes_nothing_is_given_up_on_its_own_account() -> None:
    async def large(wire: Wire) -> None:
        await wire.message()
        wire.send(answer(bytes(64 * MB)))
        await wire.some()

    service = {"url": "", "idle_timeout": "100ms"}
    async with (
        Service(large) as legacy,
        running(table({"legacy": service | {"url": legacy.url}}), limits=Limits(stall=0.1)) as fig,
    ):
        client = await fig.connect()
        client.writer.transport.pause_reading()
        client.send(GET)

        (done,) = await fig.finished()
        assert (done.status, done.failure) == (200, "client")
        await until(lambda: not fig.plane.clients, "the end of the client")
        await until(lambda: legacy.ended, "the end of the service's connection")


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_many_pipelined_requests_that_find_no_room_do_not_fill_memory_with_refusals() -> None:
    async def silent(wire: Wire) -> None:
        while await wire.some():
            pass

    async with Service(silent) as legacy:
        spec = {"url": legacy.url, "max_connections": 1, "max_pending": 0}
        async with running(table({"legacy": spec})) as fig:
            first = await fig.connect()
            first.send(GET)
            await until(lambda: legacy.connections, "the only connection taken")
            client = await fig.connect()
            # The kernel would take ten megabytes of refusals for it, which takes as long as fig needs to write them.
            client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            client.writer.transport.pause_reading()
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 60_000)
            await until(lambda: any(c.writing_paused for c in fig.plane.clients), "a client that does not keep up")
            await asyncio.sleep(0.2)

            assert held(fig) <= HELD


@pytest.mark.parametrize("half_closed", [False, True])
async def test_a_reader_that_takes_nothing_of_its_last_answer_is_given_up(half_closed: bool) -> None:
    whole = answer(bytes(16 * MB))
    async with (
        Answering(lambda _: whole) as legacy,
        running(table({"legacy": legacy.url}), limits=Limits(stall=0.1, linger=0.1, unsent=32 * MB)) as fig,
    ):
        client = await fig.connect()
        client.writer.transport.pause_reading()
        client.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        if half_closed:
            client.finish()
        await fig.finished()

        await until(lambda: not fig.plane.clients, "the end of the client")


async def test_a_slow_reader_gets_the_whole_of_its_last_answer() -> None:
    whole = answer(bytes(16 * MB))
    async with (
        Answering(lambda _: whole) as legacy,
        running(table({"legacy": legacy.url}), limits=Limits(stall=0.3, linger=0.05, unsent=32 * MB)) as fig,
    ):
        client = await fig.connect()
        client.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await client.head()
        got = 0
        while got < 16 * MB:
            await asyncio.sleep(0.02)
            got += len(await client.some(MB))

        assert await client.rest() == (b"", True)


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_a_gigabyte_passes_in_little_memory() -> None:
    size = 1024

    async def large(wire: Wire) -> None:
        await wire.message()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(size):
            wire.send(b"%x\r\n%b\r\n" % (MB, PIECE))
            await wire.writer.drain()
        wire.send(b"0\r\n\r\n")

    async with Service(large) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        gc.collect()
        before = resident()
        client.send(GET)
        await client.head()
        tail = b""
        got = 0
        while not tail.endswith(b"\r\n0\r\n\r\n"):
            piece = await client.some(MB)
            tail = (tail + piece)[-7:]
            got += len(piece)

        assert got > size * MB
        assert resident() - before < 16 * MB
        assert (await fig.finished())[0].exchange.bytes_out == size * MB
