"""A short slice of `make fuzz`, and that it finds what it is there to find."""

from __future__ import annotations

import asyncio
import contextlib
from typing import cast

import pytest

from benchmarks.fuzz_answers import Answers
from benchmarks.fuzz_requests import Requests
from benchmarks.fuzz_scripts import Ending, Script
from benchmarks.fuzz_wire import Kind, fuzz
from benchmarks.strict_reading import CUT, read_answers, read_requests

CASES = 400


@pytest.mark.parametrize("kind", [Requests(), Answers()], ids=["requests", "answers"])
async def test_mutated_requests_and_answers_leave_a_real_worker_well(kind: Kind) -> None:
    outcome = await fuzz(kind, 40.0, seed=20, most=CASES)

    assert outcome.findings == []
    assert outcome.cases == CASES
    assert outcome.counts["answers 200"] > 50


async def test_another_clients_bytes_are_a_finding() -> None:
    first = b""
    serving: list[asyncio.Task[None]] = []

    async def leak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A proxy that gives everyone what the first client sent."""
        nonlocal first
        serving.append(cast(asyncio.Task[None], asyncio.current_task()))
        with contextlib.suppress(asyncio.IncompleteReadError):
            first = first or await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(first) + first)
            await reader.read()  # to its end, lest what is unread reset the answer away
        writer.close()
        await writer.wait_closed()

    kind = Requests()
    async with await asyncio.start_server(leak, "127.0.0.1", 0) as server:
        kind.port = server.sockets[0].getsockname()[1]
        sent = [Script(kind.draw(number, seed=1).script.pieces, Ending.HALF_CLOSE) for number in range(8)]
        faults = [await kind.run(kind.again(kind.draw(number, seed=1), sent[number])) for number in range(8)]
        await asyncio.gather(*serving)

    assert not any("another's" in fault for fault in faults[0])
    assert any("another's" in fault for found in faults[1:] for fault in found)


@pytest.mark.parametrize(
    ("forwarded", "is_found"),
    [
        (b"POST /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %s\r\nContent-Length: 2\r\n\r\nhi", False),
        (b"POST /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %s\r\nContent-Length: 1\r\n\r\nh", True),
        (b"POST /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %s\r\nContent-Length: 2\r\n\r\nh", False),  # cut
        (b"POST /b HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %s\r\nContent-Length: 2\r\n\r\nhi", True),
        (b"GET /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %s\r\n\r\n", True),
        (b"POST /a HTTP/1.1\r\nHost: a\r\nX: y\r\nX-Forwarded-For: %s\r\nContent-Length: 2\r\n\r\nhi", True),
    ],
)
def test_a_service_may_read_nothing_but_what_its_client_sent(forwarded: bytes, is_found: bool) -> None:
    kind = Requests()
    sent = Script(((0.0, b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"),), Ending.CLOSE)
    case = kind.again(kind.draw(1, seed=1), sent)
    address = kind.expect(case)

    kind.read(read_requests(forwarded % address.encode()).messages[0])

    assert bool(case.faults) == is_found


def test_a_request_that_must_not_be_repeated_is_a_finding_when_it_comes_twice() -> None:
    for method, is_found in ((b"GET", False), (b"POST", True)):
        kind = Requests()
        sent = Script(((0.0, method + b" /a HTTP/1.1\r\nHost: a\r\n\r\n"),), Ending.CLOSE)
        case = kind.again(kind.draw(1, seed=1), sent)
        chain = b"X-Forwarded-For: %b\r\n\r\n" % kind.expect(case).encode()
        message = read_requests(method + b" /a HTTP/1.1\r\nHost: a\r\n" + chain).messages[0]

        kind.read(message)
        assert case.faults == []
        kind.read(message)
        assert bool(case.faults) == is_found


def test_the_strict_reading_stops_at_what_two_servers_could_read_differently() -> None:
    fine = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"

    for broken, why in (
        (b"GET / HTTP/1.1\nHost: a\r\n\r\n", "the first line"),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "a header line"),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "the length"),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "the framing"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", "a chunk's size"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", "a chunk's end"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n a: b\r\n\r\n", "a trailer"),
        (b"PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\nhi", CUT),
    ):
        reading = read_requests(fine + broken)
        assert (reading.messages[0].body, reading.stopped) == (b"hi", why)
        assert not any(message.is_complete for message in reading.messages[1:])


def test_the_strict_reading_knows_which_answers_have_a_body() -> None:
    stream = (
        b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"  # to HEAD
        b"HTTP/1.1 204 None\r\n\r\nHTTP/1.1 200 OK\r\n\r\nto the end"
    )

    ended = read_answers(stream, [b"HEAD", b"GET", b"GET"], has_ended=True)
    cut = read_answers(stream, [b"HEAD", b"GET", b"GET"], has_ended=False)

    assert [message.body for message in ended.messages] == [b"", b"", b"", b"to the end"]
    assert (ended.stopped, cut.stopped) == ("", CUT)
