"""RFC 9112 section 9: how long connections live, and in which order their answers come."""

from __future__ import annotations

import asyncio

import pytest

from proxy.dataplane.ports import Limits
from tests.conformance.cases import LAST, OK, Case, Forwarded, Returned, Scripted, conformance, soon
from tests.conformance.messages import get, ok, post, raw
from tests.fakes.planes import running, table, until
from tests.fakes.wires import Answering, Service, Wire, answer

GET_1_0 = raw("GET / HTTP/1.0", "Host: a")
KEPT_1_0 = raw("GET / HTTP/1.0", "Host: a", "Connection: keep-alive")
CLOSED = ok("Content-Length: 2", "Connection: close", body="ok")
KEPT = ok("Content-Length: 2", "Connection: keep-alive", body="ok")


@conformance(
    Returned("9112 9.3", "connections of 1.1 persist", OK, OK),
    Returned("9112 9.6", "close asks for the end, and is told it", OK, CLOSED, request=get("Connection: close"),
             last=True),
    Returned("9112 9.6", "in whatever case", OK, CLOSED, request=get("connection: CLOSE"), last=True),
    Returned("9112 9.6", "among other options", OK, CLOSED, request=get("Connection: x , close"), last=True),
    Returned("9112 9.6", "in whichever line", OK, CLOSED, request=get("Connection: x", "Connection: close"), last=True),
    Returned("9112 9.3", "close wins over keep-alive", OK, CLOSED, request=get("Connection: keep-alive, close"),
             last=True),
    Returned("9112 9.3", "keep-alive says nothing new in 1.1", OK, OK, request=get("Connection: keep-alive")),
    Returned("9112 9.3", "connections of 1.0 end", OK, CLOSED, request=GET_1_0, last=True),
    Returned("9112 9.3", "unless keep-alive is asked for, and told", OK, KEPT, request=KEPT_1_0),
    Returned("9112 C.2.2", "not in Proxy-Connection, which some send", OK, CLOSED,
             request=raw("GET / HTTP/1.0", "Host: a", "Proxy-Connection: keep-alive"), last=True),
    Returned("9112 9.6", "a service that closes ends its own connection only",
             ok("Content-Length: 2", "Connection: close", body="ok"), OK, ends=True),
    Returned("9112 9.3", "so does one of 1.0", raw("HTTP/1.0 200 OK", "Content-Length: 2", body="ok"), OK, ends=True),
    Forwarded("9112 9.3", "the service's connection persists whatever the client's does", GET_1_0, get(), last=True),
    Forwarded("9112 9.6", "close is not passed on", get("Connection: close"), get(), last=True),
)  # fmt: skip
async def test_who_closes(case: Case) -> None:
    await case.check()


@pytest.mark.parametrize("cut", [False, True], ids=["in one segment", "in many"])
async def test_pipelined_requests_are_answered_in_their_order(cut: bool) -> None:
    """RFC 9112 9.3.2."""

    async def slow_first(wire: Wire) -> None:
        while True:
            request = await wire.message()
            if "/0" in request.start:
                await asyncio.sleep(0.02)
            wire.send(answer(request.start.encode() + request.body))

    sent = b"".join(
        raw(f"POST /{n} HTTP/1.1", "Host: a", f"Content-Length: {n}", body="x" * n)
        if n % 2
        else raw(f"PUT /{n} HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", body=f"1\r\n{n % 10}\r\n0\r\n\r\n")
        for n in range(20)
    )
    async with Service(slow_first) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        if cut:
            for start in range(0, len(sent), 7):
                client.send(sent[start : start + 7])
                await asyncio.sleep(0)
        else:
            client.send(sent)
        for n in range(20):
            body = (await client.message()).body.decode()
            expected = f"POST /{n} HTTP/1.1" + "x" * n if n % 2 else f"PUT /{n} HTTP/1.1{n % 10}"
            assert body == expected


async def test_what_is_pipelined_is_held_up_to_a_limit() -> None:
    """RFC 9112 9.3.2 lets clients pipeline; nothing lets them fill a server's memory with it."""
    go = asyncio.Event()

    async def wait(wire: Wire) -> None:
        while await wire.head():
            await go.wait()
            wire.send(OK)

    async with Service(wait) as service, running(table({"legacy": service.url}), limits=Limits(buffer=4096)) as fig:
        client = await fig.connect()
        client.send(get("X: " + "v" * 1000) * 500)
        await soon()
        connection = next(iter(fig.plane.clients))
        assert len(connection._buffer) < 4096 + 2 * 262_144  # what one read may bring, and one that was on its way
        go.set()
        for _ in range(500):
            assert (await client.message()).status == 200


async def test_a_client_that_sends_no_more_still_gets_its_answers() -> None:
    """RFC 9112 9.6: half-closed is not closed."""
    async with Scripted(OK) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(get() + get())
        client.finish()
        got, orderly = await client.rest()

        assert (got.count(b"HTTP/1.1 200 OK"), orderly) == (2, True)
        assert b"Connection: close" in got.rpartition(b"HTTP/1.1")[2]


async def test_a_client_that_sends_no_more_and_waits_long_is_asked_whether_it_is_there() -> None:
    """RFC 9110 15.2: whoever speaks HTTP/1.1 reads over a 100 that it did not expect; one that is gone resets it."""
    asked = asyncio.Event()

    async def late(wire: Wire) -> None:
        await wire.head()
        await asked.wait()
        wire.send(OK)

    limits = Limits(half_closed=0.02)
    async with Service(late) as service, running(table({"legacy": service.url}), limits=limits) as fig:
        client = await fig.connect()
        client.send(get())
        client.finish()
        assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        asked.set()
        assert (await client.message()).status == 200
        assert await client.rest() == (b"", True)


async def test_a_client_of_http_1_0_that_sends_no_more_gets_its_answer_alone() -> None:
    """RFC 9110 15.2: no 1xx to HTTP/1.0."""

    async def late(wire: Wire) -> None:
        await wire.head()
        await asyncio.sleep(0.2)
        wire.send(OK)

    limits = Limits(half_closed=0.02)
    async with Service(late) as service, running(table({"legacy": service.url}), limits=limits) as fig:
        client = await fig.connect()
        client.send(GET_1_0)
        client.finish()
        assert (await client.message()).status == 200


async def test_a_client_that_closes_cancels_what_it_asked_for() -> None:
    """RFC 9112 9.5: its end looks like that of one that still reads, until something is written to it."""
    ended = asyncio.Event()

    async def never(wire: Wire) -> None:
        await wire.head()
        assert await wire.some() == b""
        ended.set()

    limits = Limits(half_closed=0.02)
    async with Service(never) as service, running(table({"legacy": service.url}), limits=limits) as fig:
        client = await fig.connect()
        client.send(get())
        await until(lambda: service.connections, "the request")
        await soon()
        client.close()

        async with asyncio.timeout(5):
            await ended.wait()
        assert [f.failure for f in await fig.finished()] == ["client"]


async def test_a_client_that_leaves_cancels_what_it_asked_for() -> None:
    """RFC 9112 9.5: nobody is left to answer; the service is told by the end of its connection."""
    ended = asyncio.Event()

    async def never(wire: Wire) -> None:
        await wire.head()
        assert await wire.some() == b""
        ended.set()

    async with Service(never) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(get())
        await until(lambda: service.connections, "the request")
        await soon()
        client.reset()

        async with asyncio.timeout(5):
            await ended.wait()
        assert [f.failure for f in await fig.finished()] == ["client"]


async def test_a_body_that_breaks_off_reaches_no_service_as_a_whole_one() -> None:
    """RFC 9112 8: an incomplete request is not processed."""
    for start in (post("Content-Length: 9", body="hello"), post("Transfer-Encoding: chunked", body="5\r\nhello\r\n")):
        async with Scripted(OK) as service, running(table({"legacy": service.url})) as fig:
            client = await fig.connect()
            client.send(start)
            await until(lambda service=service: service.streams and b"hello" in service.streams[0], "the body's start")
            client.finish()

            assert await client.rest() == (b"", True)
            await until(lambda service=service: service.ended, "the end of the service's connection")
            assert not service.streams[0].endswith(b"0\r\n\r\n")
            assert [f.failure for f in await fig.finished()] == ["client"]


async def test_a_refusal_is_not_reset_away() -> None:
    """RFC 9112 9.6: a server reads on for a while, so that its last answer arrives."""
    async with Scripted(OK) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(post("Content-Length: 5", "Content-Length: 6"))
        for _ in range(20):
            client.send(b"x" * 10_000)
            await asyncio.sleep(0)

        assert (await client.message()).status == 400
        assert await client.rest() == (b"", True)


async def test_a_connection_that_the_service_closed_while_it_was_idle_costs_no_answer() -> None:
    """RFC 9112 9.3.1: a request on a connection that was just closed is sent again, where that is safe."""
    async with Answering() as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(get())
        await client.message()
        for wire in service._wires:
            wire.close()
        client.send(get() + LAST)

        assert (await client.message()).status == 200
        assert (await client.message()).status == 200
