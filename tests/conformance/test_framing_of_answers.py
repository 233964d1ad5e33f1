"""RFC 9112 sections 4, 6 and 7, answers: where a service's answer ends, and what is not passed on as one."""

from __future__ import annotations

import asyncio

import pytest

from tests.conformance.cases import LAST, Case, Cut, Returned, Scripted, Untrusted, conformance
from tests.conformance.messages import get, ok, raw, without
from tests.fakes.planes import running, table
from tests.fakes.wires import Service, Wire

HELLO = ok("Content-Length: 5", body="hello")
CHUNKED_HELLO = ok("Transfer-Encoding: chunked", body="5\r\nhello\r\n0\r\n\r\n")
HTTP_1_0 = raw("GET / HTTP/1.0", "Host: a")


def coded(*chunks: str) -> bytes:
    return ok("Transfer-Encoding: chunked", body="".join(chunks))


@conformance(
    Returned("9112 4", "status and reason are passed on", raw("HTTP/1.1 299 Odd \xe9", "Content-Length: 0"),
             raw("HTTP/1.1 299 Odd \xe9", "Content-Length: 0")),
    Returned("9112 4", "a reason may be empty", raw("HTTP/1.1 200 ", "Content-Length: 0"),
             raw("HTTP/1.1 200 ", "Content-Length: 0")),
    Returned("9112 4", "the blank before it may be missing; it is sent", raw("HTTP/1.1 200", "Content-Length: 0"),
             raw("HTTP/1.1 200 ", "Content-Length: 0")),
    Returned("9110 15", "an unknown status is passed on", raw("HTTP/1.1 799 Odd", "Content-Length: 0"),
             raw("HTTP/1.1 799 Odd", "Content-Length: 0")),
    Returned("9110 2.5", "fig answers with its own version", raw("HTTP/1.0 200 OK", "Content-Length: 5", body="hello"),
             HELLO),
    Returned("9110 2.5", "a higher minor version is read as 1.1",
             raw("HTTP/1.2 200 OK", "Content-Length: 5", body="hello"), HELLO),
    Untrusted("9112 4", "no other major version", raw("HTTP/2.0 200 OK", "Content-Length: 0")),
    Untrusted("9112 4", "no other protocol", raw("ICY 200 OK", "Content-Length: 0")),
    Untrusted("9112 4", "no status of two digits", raw("HTTP/1.1 20 OK", "Content-Length: 0")),
    Untrusted("9112 4", "none of four", raw("HTTP/1.1 2000 OK", "Content-Length: 0")),
    Untrusted("9112 4", "none below 100", raw("HTTP/1.1 099 OK", "Content-Length: 0")),
    Untrusted("9112 4", "no word", raw("HTTP/1.1 abc OK", "Content-Length: 0")),
    Untrusted("9112 4", "no second blank", raw("HTTP/1.1  200 OK", "Content-Length: 0")),
    Untrusted("9112 4", "no bare CR in the reason", raw("HTTP/1.1 200 O\rK", "Content-Length: 0")),
    Untrusted("9112 4", "no HTTP/0.9", b"<html>hello</html>\r\n\r\n"),
    Untrusted("9112 2.2", "no bare LF", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    Untrusted("9112 2.2", "no bare LF behind a field", b"HTTP/1.1 200 OK\r\nContent-Length: 0\n\n"),
    Untrusted("9112 5.1", "no blank before a colon", ok("X : 1", "Content-Length: 0")),
    Untrusted("9112 5.2", "no folded line", ok("X: 1", " folded: 2", "Content-Length: 0")),
    Untrusted("9112 5", "no line without a colon", ok("NoColon", "Content-Length: 0")),
    Untrusted("9110 5.5", "no NUL in a value", ok("X: a\x00b", "Content-Length: 0")),
    Untrusted("9112 11.1", "no LF in a value: it would split the answer",
              b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\nX: 2\r\nContent-Length: 0\r\n\r\n"),
)  # fmt: skip
async def test_heads_of_answers(case: Case) -> None:
    await case.check()


@conformance(
    Returned("9112 6.2", "Content-Length says how many bytes follow", HELLO, HELLO),
    Returned("9112 6.2", "none is an answer too", ok("Content-Length: 0"), ok("Content-Length: 0")),
    Returned("9112 6.3", "equal lengths are one", ok("Content-Length: 5", "Content-Length: 5", body="hello"), HELLO),
    Returned("9112 6.3", "also in a list", ok("Content-Length: 5, 5", body="hello"), HELLO),
    Returned("9110 8.6", "leading zeros are written out", ok("Content-Length: 005", body="hello"), HELLO),
    Untrusted("9112 6.3", "different ones are nobody's", ok("Content-Length: 5", "Content-Length: 6", body="hello!")),
    Untrusted("9112 6.3", "also in a list", ok("Content-Length: 5, 6", body="hello!")),
    Untrusted("9112 6.3", "no negative one", ok("Content-Length: -5", body="hello")),
    Untrusted("9112 6.3", "no sign", ok("Content-Length: +5", body="hello")),
    Untrusted("9112 6.3", "no word", ok("Content-Length: five", body="hello")),
    Untrusted("9112 6.3", "not nothing", ok("Content-Length:", body="hello")),
    Untrusted("9112 6.3", "none that overflows", ok("Content-Length: 99999999999999999999", body="hello")),
    Untrusted("9112 6.3", "none beside chunks",
              ok("Content-Length: 5", "Transfer-Encoding: chunked", body="5\r\nhello\r\n0\r\n\r\n")),
    Untrusted("9112 6.3", "in the other order too",
              ok("Transfer-Encoding: chunked", "Content-Length: 5", body="5\r\nhello\r\n0\r\n\r\n")),
    Untrusted("9112 6.1", "no coding that was not asked for", ok("Transfer-Encoding: gzip, chunked")),
    Untrusted("9112 6.1", "nor without chunked", ok("Transfer-Encoding: gzip")),
    Untrusted("9112 6.1", "nor two lines of it", ok("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")),
    Untrusted("9112 6.1", "no chunks from HTTP/1.0",
              raw("HTTP/1.0 200 OK", "Transfer-Encoding: chunked", body="0\r\n\r\n")),
    Returned("9112 7.1", "chunks are passed on as chunks", CHUNKED_HELLO, CHUNKED_HELLO),
    Returned("9112 7", "the coding's name knows no case", ok("Transfer-Encoding: Chunked", body="0\r\n\r\n"),
             coded("0\r\n\r\n")),
    Returned("9112 7.1.1", "their extensions are not", coded("5;a=b\r\nhello\r\n", "0;c\r\n\r\n"), CHUNKED_HELLO),
    Returned("9112 6.3", "without framing the connection's end is the answer's; a client of 1.1 gets chunks",
             ok(body="hello"), CHUNKED_HELLO, ends=True),
    Returned("9112 6.1", "a client of 1.0 gets no chunks, but the end of its connection", CHUNKED_HELLO,
             ok("Connection: close", body="hello"), request=HTTP_1_0, last=True),
    Returned("9112 6.3", "also where the service ends its own", ok(body="hello"), ok("Connection: close", body="hello"),
             request=HTTP_1_0, last=True, ends=True),
    Returned("9112 6.2", "with a length it may count", HELLO, ok("Content-Length: 5", "Connection: close",
             body="hello"), request=HTTP_1_0, last=True),
)  # fmt: skip
async def test_bodies_of_answers(case: Case) -> None:
    await case.check()


@conformance(
    Cut("9112 8", "fewer bytes than the length says are not all", ok("Content-Length: 9", body="hello"),
        ok("Content-Length: 9", body="hello"), ends=True),
    Cut("9112 8", "chunks without the last one are not all", coded("5\r\nhello\r\n"), coded("5\r\nhello\r\n"),
        ends=True),
    Cut("9112 8", "nor half a chunk", coded("5\r\nhel"), coded("3\r\nhel\r\n"), ends=True),
    Cut("9112 8", "a client of 1.0 learns it by a reset", coded("5\r\nhello\r\n"), ok("Connection: close",
        body="hello"), request=HTTP_1_0, ends=True, orderly=False),
    Cut("9112 7.1", "a bad size in the middle ends it", coded("5\r\nhello\r\n", "x\r\nboo\r\n"),
        coded("5\r\nhello\r\n")),
    Cut("9112 7.1", "a chunk of the wrong length ends it", coded("5\r\nhello!!\r\n"), coded("5\r\nhello\r\n")),
    Cut("9112 7.1", "a bare LF behind a size ends it", coded("5\r\nhello\r\n", "3\nboo\r\n"), coded("5\r\nhello\r\n")),
    Cut("9112 7.1.1", "a malformed extension ends it", coded("5\r\nhello\r\n", "3;\r\nboo\r\n"),
        coded("5\r\nhello\r\n")),
    Cut("9112 7.1.2", "a malformed trailer ends it", coded("5\r\nhello\r\n", "0\r\nX : 1\r\n\r\n"),
        coded("5\r\nhello\r\n")),
)  # fmt: skip
async def test_answers_that_break_off(case: Case) -> None:
    await case.check()


@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked", "X: no framing"])
async def test_bytes_behind_an_answer_are_no_answer_to_the_next_request(framing: str) -> None:
    """RFC 9112 9.3 and 11.2: a client must discard what comes behind the end; it would be answered to somebody else."""
    body = "5\r\nhello\r\n0\r\n\r\n" if "chunked" in framing else "hello"
    poison = ok("Content-Length: 6", body="poison")
    async with (
        Scripted(ok(framing, body=body) + poison, ends="no framing" in framing) as service,
        running(table({"legacy": service.url})) as fig,
    ):
        client = await fig.connect()
        client.send(get())
        first = await client.message()
        client.send(LAST)

        assert first.body.startswith(b"hello")
        assert (await client.message()).body == b"last"


async def test_bytes_that_nobody_asked_for_answer_nobody() -> None:
    """RFC 9112 9.3: an answer that comes before its request must not be taken for one."""
    spoken = asyncio.Event()

    async def speak_first(wire: Wire) -> None:
        await wire.head()
        wire.send(ok("Content-Length: 5", body="first"))
        await asyncio.sleep(0.02)
        wire.send(ok("Content-Length: 6", body="poison"))
        await asyncio.sleep(0.02)
        spoken.set()
        while await wire.head():
            wire.send(ok("Content-Length: 4", body="mine"))

    async with Service(speak_first) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(get())
        assert (await client.message()).body == b"first"
        await spoken.wait()
        service.handler = Scripted(ok("Content-Length: 4", body="mine")).handler
        client.send(get())

        assert (await client.message()).body == b"mine"
        assert service.connections == 2


async def test_an_answer_in_single_bytes_is_the_same_answer() -> None:
    """RFC 9112 2.2: segments mean nothing."""
    whole = coded("5\r\nhello\r\n", "3;a=b\r\nboo\r\n", "0\r\nX-Sum: 1\r\n\r\n")

    async def drip(wire: Wire) -> None:
        await wire.head()
        for byte in whole:
            wire.send(bytes((byte,)))
            await asyncio.sleep(0)
        await wire.some()

    async with Service(drip) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(get())
        got = await client.message()

        assert (got.body, got.trailers, got.is_complete) == (b"helloboo", ("X-Sum: 1",), True)


async def test_events_are_passed_on_as_they_come() -> None:
    """RFC 9110 7.6: an intermediary does not delay what it forwards; server-sent events live on it."""
    received = asyncio.Event()

    async def stream(wire: Wire) -> None:
        await wire.head()
        wire.send(ok("Content-Type: text/event-stream", "Transfer-Encoding: chunked", body="9\r\ndata: 1\n\n\r\n"))
        await received.wait()
        wire.send(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")

    async with Service(stream) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(get())
        await client.head()
        assert await client.some() == b"9\r\ndata: 1\n\n\r\n"
        received.set()
        assert without(await client.some(), ()) == b"9\r\ndata: 2\n\n\r\n0\r\n\r\n"
