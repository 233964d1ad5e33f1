"""Upgrades: bytes both ways until both ends have ended, and nothing that carries requests past the table."""

from __future__ import annotations

import asyncio

import pytest

from proxy.dataplane.ports import Limits
from tests.fakes.planes import running, table, until
from tests.fakes.wires import Answering, Service, Wire, answer

HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


async def echo(wire: Wire) -> None:
    """Accepts, echoes until the client ends, says goodbye."""
    request = await wire.message()
    assert (request.get("upgrade"), request.get("connection")) == ("websocket", "Upgrade")
    wire.send(SWITCHED + b"hello")
    while data := await wire.some():
        wire.send(data)
    wire.send(b"bye")


async def test_a_websocket_passes_both_ways_and_its_end_is_no_failure() -> None:
    async with Service(echo) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(HANDSHAKE + b"early")
        got = await client.message()
        assert (got.status, got.get("upgrade"), got.get("connection")) == (101, "websocket", "Upgrade")
        assert got.get("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert await client.reader.readexactly(10) == b"helloearly"
        client.send(b"\x00\xff\r\n\r\n")
        assert await client.reader.readexactly(6) == b"\x00\xff\r\n\r\n"
        client.finish()

        assert await client.rest() == (b"bye", True)
        assert [(f.status, f.failure) for f in await fig.finished()] == [(101, "")]


async def test_what_was_sent_last_arrives_though_the_sender_is_gone() -> None:
    got = b""

    async def listen(wire: Wire) -> None:
        nonlocal got
        await wire.message()
        wire.send(SWITCHED)
        await asyncio.sleep(0.05)
        got, _ = await wire.rest()

    async with Service(listen) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(HANDSHAKE)
        await client.message()
        client.send(b"x" * 200_000)
        client.close()

        await until(lambda: legacy.ended, "the end at the service")
        assert len(got) == 200_000


@pytest.mark.parametrize("ends", ["close", "reset"])
async def test_a_service_that_ends_a_tunnel_ends_it_at_the_client(ends: str) -> None:
    gate = asyncio.Event()

    async def leave(wire: Wire) -> None:
        await wire.message()
        wire.send(SWITCHED + b"last words")
        await gate.wait()
        getattr(wire, ends)()

    async with Service(leave) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(HANDSHAKE)
        await client.message()
        assert await client.reader.readexactly(10) == b"last words"
        gate.set()
        assert await client.rest() == (b"", True)
        client.close()

        assert [(f.status, f.failure) for f in await fig.finished()] == [(101, "")]


async def test_a_client_that_is_gone_ends_its_tunnel() -> None:
    async with Service(echo) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(HANDSHAKE)
        await client.message()
        client.reset()

        await until(lambda: legacy.ended, "the end at the service")
        assert [f.failure for f in await fig.finished()] == [""]


async def test_a_half_that_stays_open_for_nothing_is_closed_in_the_end() -> None:
    async def deaf(wire: Wire) -> None:
        await wire.message()
        wire.send(SWITCHED)
        await wire.rest()
        await asyncio.sleep(5)

    service = {"url": "", "idle_timeout": "100ms"}
    async with (
        Service(deaf) as legacy,
        running(table({"legacy": service | {"url": legacy.url}}), limits=Limits(stall=0.1)) as fig,
    ):
        client = await fig.connect()
        client.send(HANDSHAKE)
        await client.message()
        await asyncio.sleep(0.2)  # a tunnel may be silent for longer than an answer
        assert fig.notes.finished_all == []
        client.finish()

        assert await client.rest() == (b"", True)
        assert len(await fig.finished()) == 1


async def test_a_tunnel_holds_back_in_both_directions() -> None:
    async def stalled(wire: Wire) -> None:
        await wire.message()
        wire.writer.transport.pause_reading()
        wire.send(SWITCHED)
        wire.send(bytes(64 * 2**20))
        await asyncio.sleep(5)

    async with Service(stalled) as legacy, running(table({"legacy": legacy.url}), limits=Limits(stall=0.1)) as fig:
        client = await fig.connect()
        client.send(HANDSHAKE)
        await client.head()
        client.writer.transport.pause_reading()
        client.send(bytes(64 * 2**20))
        (ours,) = fig.plane.clients
        await until(lambda: ours.reading_paused and ours.writing_paused, "both directions to be held back")
        await asyncio.sleep(0.1)

        assert ours.exchange is not None
        assert ours.exchange.connection is not None
        assert ours.transport.get_write_buffer_size() < 2**20
        assert ours.exchange.connection.transport.get_write_buffer_size() < 2**20


async def test_a_service_may_decline() -> None:
    async with (
        Answering(lambda _: answer(b"no", "426 Upgrade Required")) as legacy,
        running(table({"legacy": legacy.url})) as fig,
    ):
        client = await fig.connect()
        for _ in range(2):
            client.send(HANDSHAKE)
            assert (await client.message()).status == 426


@pytest.mark.parametrize("protocol", [b"h2c", b"HTTP/2.0", b"TLS/1.0"])
async def test_no_protocol_that_hides_requests_is_asked_for(protocol: bytes) -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\n" % protocol)
        await client.message()

        assert legacy.requests[0].get("upgrade") is None
        assert legacy.requests[0].get("connection") is None


async def test_a_service_cannot_switch_to_what_was_not_asked_for() -> None:
    raw = SWITCHED.replace(b"Upgrade: websocket", b"Upgrade: h2c")
    async with Answering(lambda _: raw) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(HANDSHAKE)

        assert (await client.message()).status == 502


async def test_a_service_cannot_switch_in_the_middle_of_a_body() -> None:
    async def hasty(wire: Wire) -> None:
        await wire.head()
        wire.send(SWITCHED)
        await wire.some()

    async with Service(hasty) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(HANDSHAKE.replace(b"GET", b"POST").replace(b"Host: a", b"Host: a\r\nContent-Length: 100"))

        assert (await client.message()).status == 502


async def test_a_reload_leaves_a_tunnel_as_it_is() -> None:
    async with Service(echo) as legacy, Answering() as other, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(HANDSHAKE)
        await client.message()
        await client.reader.readexactly(5)
        fig.plane.load(table({"legacy": other.url}, generation=2))
        client.send(b"still there")

        assert await client.reader.readexactly(11) == b"still there"
