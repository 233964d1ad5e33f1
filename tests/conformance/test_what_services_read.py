"""The promise behind the list: whatever reaches a service is read alike by every server that could stand there.

Requests, valid and nearly valid, go through a data plane over real sockets. What came out is read by httptools
(llhttp), h11 and aiohttp's own parser, none of which fig uses: they must find the same requests, and fig must have
answered as many. A request that was forwarded must also say what its client said, as h11 reads the client.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import h11
import pytest
import uvloop
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.dataplane.ports import Limits
from tests.conformance.cases import Scripted
from tests.conformance.messages import OWN_OF_REQUESTS, ok, raw
from tests.fakes.planes import running, table
from tests.fakes.readers import Read, by_aiohttp, by_h11, by_httptools

OK = ok("Content-Length: 0")
TOKENS = st.text("!#$%&'*+-.^_`|~09AZaz", min_size=1, max_size=6).map(str.encode)
KNOWN_METHODS = (b"GET", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"HEAD")
"""Those that all three readers take; httptools knows few others."""
METHODS = st.sampled_from(KNOWN_METHODS)
TARGETS = st.one_of(
    st.text("ab/.%2e5C?&=;:@~+,!$'()*", max_size=14).map(lambda t: b"/" + t.encode()),
    st.binary(max_size=8).map(lambda b: b"/?" + b),
    st.sampled_from(
        (b"*", b"http://a/x", b"HTTP://A", b"a:1", b"//a", b"/a%zz", b"/%00", b"/a%2f..%2fb", b"/\xc3\xa9")
    ),
)
VERSIONS = st.sampled_from((b"HTTP/1.1",) * 6 + (b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1"))
NAMES = st.one_of(
    TOKENS,
    st.sampled_from((b"Connection", b"Cookie", b"X-Forwarded-For", b"X-Real-IP", b"Upgrade", b"Expect", b"TE",
                     b"traceparent", b"X-Request-Id", b"Idempotency-Key", b"Via", b"Max-Forwards", b"Trailer",
                     b"Content_Length", b"Transfer_Encoding", b"Accept-Encoding", b"Content-Encoding")),
)  # fmt: skip
VALUES = st.one_of(
    st.text(" \t!\"#(),;=abz019", max_size=10).map(str.encode),
    st.binary(max_size=8),
    st.sampled_from((b"close", b"keep-alive", b"chunked", b"5", b"100-continue", b"host, content-length", b"websocket",
                     b"transfer-encoding", b"gzip", b"trailers", b"", b"a=1; b=2")),
)  # fmt: skip
BLANKS = st.sampled_from((b"", b" ", b" ", b" ", b"\t", b"  "))
FIELDS = st.builds(
    lambda name, before, value, after: name + b":" + before + value + after, NAMES, BLANKS, VALUES, BLANKS
)
ODD_LINES = st.sampled_from(
    (b"Host: b", b"X : 1", b" folded", b"NoColon", b": 1", b"X: a\rb", b"X: a\nY: b", b"X: \x00", b"Via: 1.1 fig",
     b"Transfer-Encoding: gzip, chunked", b"Content-Length: 0, 0", b"Transfer-Encoding:chunked ")
)  # fmt: skip
PIECES = st.binary(min_size=1, max_size=12)
SIZE_ENDS = st.sampled_from((b"",) * 8 + (b";a", b';a="b"', b" ;a", b";", b" ", b"\n"))


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A framing line and a body that mostly agree."""
    kind = draw(st.sampled_from(("none", "length", "length", "chunks", "chunks", "wrong", "both")))
    if kind == "none":
        return b"", b""
    content = draw(PIECES)
    if kind in ("length", "wrong", "both"):
        size = len(content) + (draw(st.sampled_from((-1, 1))) if kind == "wrong" else 0)
        line = b"Content-Length: %d\r\n" % size
        return (line + b"Transfer-Encoding: chunked\r\n" if kind == "both" else line), content
    chunks = b"".join(
        b"%x%b\r\n%b\r\n" % (len(piece), draw(SIZE_ENDS), piece) for piece in draw(st.lists(PIECES, max_size=3))
    )
    trailers = draw(st.sampled_from((b"", b"", b"", b"X-Sum: 1\r\n", b"Host: b\r\n", b"X : 1\r\n")))
    return b"Transfer-Encoding: chunked\r\n", chunks + b"0\r\n" + trailers + b"\r\n"


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    start = b"%b %b %b\r\n" % (
        draw(st.one_of(METHODS, METHODS, METHODS, TOKENS.map(bytes.upper))),
        draw(TARGETS),
        draw(VERSIONS),
    )
    lines = draw(st.lists(st.one_of(FIELDS, FIELDS, FIELDS, ODD_LINES), max_size=4))
    framing, body = draw(bodies())
    host = draw(st.sampled_from((b"Host: a\r\n",) * 8 + (b"host:a\r\n", b"Host: A:80\r\n", b"", b"Host:\r\n")))
    return start + host + b"".join(line + b"\r\n" for line in lines) + framing + b"\r\n" + body


async def _put_through(sent: bytes) -> tuple[list[list[Read]], int]:
    """The requests on each service connection as all three read them, and how many of fig's were answered."""
    async with Scripted(OK) as service:
        spec = {"url": service.url, "timeout": "200ms", "idle_timeout": "200ms"}
        async with running(table({"legacy": spec}), limits=Limits(linger=0.01)) as fig:
            client = await fig.connect()
            client.send(sent)
            await asyncio.sleep(0)
            client.finish()
            await client.rest()
            answered = sum(finished.status == 200 for finished in fig.notes.finished_all)
        streams = []
        for stream in filter(None, service.streams):
            begun = by_h11(stream)
            read = [request for request in begun if request.is_complete]
            if not any(name == b"upgrade" for request in read for name, _ in request.fields):
                # Behind an offer httptools and aiohttp stop: another protocol may follow.
                assert read == [request for request in by_aiohttp(stream) if request.is_complete], stream
                if all(request.method in KNOWN_METHODS for request in begun):  # llhttp refuses others at their head
                    assert read == by_httptools(stream), stream
            streams.append(read)
        return streams, answered


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner


BODY_TAKES_A_LETTER = raw("GET / HTTP/1.1", "Host: a", "Content-Length: 2", body="\0")
"""Behind itself: the G of the second goes with the first, and `ET` is a method as good as any."""


@settings(max_examples=200, deadline=None)
@given(sent=st.lists(requests(), min_size=1, max_size=3))
@example(sent=[BODY_TAKES_A_LETTER, BODY_TAKES_A_LETTER])
@example(sent=[raw("GET /a HTTP/1.1", "Host: a"), raw("POST /b HTTP/1.1", "Host: a", "Content-Length: 3", body="abc")])
def test_what_reaches_a_service_is_read_alike_by_httptools_h11_and_aiohttp(
    runner: asyncio.Runner, sent: list[bytes]
) -> None:
    streams, answered = runner.run(_put_through(b"".join(sent)))

    for read in streams:
        for request in read:
            names = [name for name, _ in request.fields]
            assert names.count(b"host") == 1
            assert not {b"content-length", b"transfer-encoding"} <= set(names)
            assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1
    assert sum(map(len, streams)) == answered  # each that a service sees as whole, fig saw so too


def _as_h11(sent: bytes) -> Read | None:
    with contextlib.suppress(h11.RemoteProtocolError):
        found = by_h11(sent)
        if len(found) == 1 and found[0].is_complete:
            return found[0]
    return None


_CHANGED = frozenset(name.encode() for name in OWN_OF_REQUESTS) | {b"host", b"content-length"}
_ENDS_HERE = (b"connection", b"te", b"upgrade", b"expect", b"x-real-ip", b"max-forwards", b"content_length",
              b"transfer_encoding")  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(sent=requests())
def test_a_service_reads_what_the_client_said(runner: asyncio.Runner, sent: bytes) -> None:
    """Method, content, and every field that does not end at this connection."""
    streams, _ = runner.run(_put_through(sent))
    if not streams or not streams[0]:
        return
    ours, theirs = streams[0][0], _as_h11(sent)
    if theirs is None:
        return  # h11 is stricter here and there, in what does no harm once it is written anew

    assert (ours.method, ours.body) == (theirs.method, theirs.body)
    options = {
        option.strip().lower() for name, value in theirs.fields if name == b"connection" for option in value.split(b",")
    }

    def lasting(read: Read) -> list[tuple[bytes, bytes]]:
        gone = {*_CHANGED, *_ENDS_HERE, *options}
        return [field for field in read.fields if field[0] not in gone or field[0] == b"transfer-encoding"]

    assert lasting(ours) == lasting(theirs)
