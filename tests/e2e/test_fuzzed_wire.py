"""A short slice of `make fuzz`, and that it finds what it is there to find."""

from __future__ import annotations

import pytest

from benchmarks.fuzz_answers import Answers
from benchmarks.fuzz_requests import Requests
from benchmarks.fuzz_wire import Kind, fuzz
from benchmarks.strict_reading import CUT, read_answers, read_requests

CASES = 400


@pytest.mark.parametrize("kind", [Requests(), Answers()], ids=["requests", "answers"])
async def test_mutated_requests_and_answers_leave_a_real_worker_well(kind: Kind) -> None:
    outcome = await fuzz(kind, 40.0, seed=20, most=CASES)

    assert outcome.findings == []
    assert outcome.cases == CASES
    assert outcome.counts["answers 200"] > 50


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
