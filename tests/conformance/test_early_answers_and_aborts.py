"""RFC 9112 sections 9.5 and 9.6, RFC 9110 section 9.2.2: answers that come while a request is still being sent."""

from __future__ import annotations

import asyncio

import pytest

from tests.conformance.cases import LAST, OK, Scripted, soon
from tests.conformance.messages import chunked, get, post, raw
from tests.fakes.planes import running, table, until
from tests.fakes.wires import Service, Wire

HEADS = {
    "by length": post("Content-Length: 1000000"),
    "in chunks": post("Transfer-Encoding: chunked", body="5\r\nhello\r\n"),
}


@pytest.mark.parametrize("start", HEADS.values(), ids=HEADS)
async def test_an_answer_before_the_requests_end_is_passed_on_and_ends_the_connection(start: bytes) -> None:
    """RFC 9112 9.6: what is still to come of the request is read for a while, and is never taken for the next one."""

    async def refuse(wire: Wire) -> None:
        await wire.head()
        wire.send(raw("HTTP/1.1 413 Content Too Large", "Content-Length: 2", body="no"))
        await wire.rest()

    async with Service(refuse) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(start)
        got = await client.message()
        client.send(get("X-Smuggled: 1") + b"x" * 100_000)

        assert (got.status, got.body, got.get("connection")) == (413, b"no", "close")
        assert await client.rest() == (b"", True)
        assert [f.status for f in await fig.finished()] == [413]


@pytest.mark.parametrize("start", HEADS.values(), ids=HEADS)
async def test_the_services_connection_carries_nothing_behind_half_a_request(start: bytes) -> None:
    """RFC 9112 9.3: a request that was not sent to its end leaves a connection that cannot be used."""
    served = Scripted(OK)

    async def refuse(wire: Wire) -> None:
        if service.connections == 1:
            await wire.head()
            wire.send(raw("HTTP/1.1 401 Unauthorized", "Content-Length: 0"))
            await wire.rest()
        else:
            await served.handler(wire)

    async with Service(refuse) as service, running(table({"legacy": service.url})) as fig:
        first, second = await fig.connect(), await fig.connect()
        first.send(start)
        assert (await first.message()).status == 401
        second.send(LAST)

        assert (await second.message()).body == b"last"
        assert service.connections == 2


async def test_an_answer_that_begins_early_and_ends_late_is_carried_while_the_request_goes_on() -> None:
    """RFC 9112 7.1: both directions are their own streams; a service may answer what it has so far."""

    async def echo(wire: Wire) -> None:
        await wire.head()
        wire.send(raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
        while (piece := await wire.some()) and piece != b"0\r\n\r\n":
            wire.send(piece)
        wire.send(b"0\r\n\r\n")
        await wire.some()

    async with Service(echo) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(post("Transfer-Encoding: chunked", body="1\r\na\r\n"))
        await client.head()
        assert await client.some() == b"1\r\na\r\n"
        client.send(b"1\r\nb\r\n")
        assert await client.some() == b"1\r\nb\r\n"
        client.send(b"0\r\n\r\n")
        assert await client.some() == b"0\r\n\r\n"


async def test_a_request_that_is_not_safe_to_repeat_is_sent_once() -> None:
    """RFC 9110 9.2.2: a proxy MUST NOT automatically retry requests that are not idempotent."""

    async def die(wire: Wire) -> None:
        await wire.message()
        wire.reset()

    async with Service(die) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(post("Content-Length: 5", body="hello"))

        assert (await client.message()).status == 502
        assert service.connections == 1


@pytest.mark.parametrize("bad", ["x\r\n", "3\nabc\n", "3\r\nabcX\r\n"])
async def test_a_body_that_goes_bad_is_refused_and_the_service_never_sees_its_end(bad: str) -> None:
    """RFC 9112 8: whoever has sent a part of a request that cannot be completed closes."""
    async with Scripted(OK) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(chunked("5\r\nhello\r\n"))
        await until(lambda: service.streams and b"hello" in service.streams[0], "the first chunk")
        client.send(bad.encode() + b"0\r\n\r\n" + get())
        got = await client.message()

        assert (got.status, got.get("connection")) == (400, "close")
        assert await client.rest() == (b"", True)
        await until(lambda: service.ended, "the end of the service's connection")
        assert not service.streams[0].endswith(b"0\r\n\r\n")


async def test_a_client_that_resets_in_the_middle_of_an_answer_frees_its_service() -> None:
    """RFC 9112 9.5: a client may close at any time."""
    ended = asyncio.Event()

    async def endless(wire: Wire) -> None:
        await wire.head()
        wire.send(raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body="5\r\nhello\r\n"))
        assert await wire.some() == b""
        ended.set()

    async with Service(endless) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(get())
        await client.some()
        await soon()
        client.reset()

        async with asyncio.timeout(5):
            await ended.wait()
