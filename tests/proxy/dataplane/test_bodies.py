"""Bodies: their end does not depend on how they are cut into reads."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.bodies import BodyReader, ChunkedBody, EndlessBody, LengthBody, chunk, last_chunk
from proxy.dataplane.refusals import Refusal

WHOLE = b'3\r\nabc\r\n0a;x=y;z="q"\r\n0123456789\r\n1 ; b\r\n!\r\n000\r\nX-Sum: 7 \r\nTE: x\r\nY:2\r\n\r\n'
PAYLOAD = b"abc0123456789!"
NEXT = b"GET / HTTP/1.1\r\n"


def read(body: BodyReader, pieces: list[bytes]) -> tuple[bytes, bytes, bool]:
    """Payload, rest and whether the end was reached, after feeding the pieces as long as they are wanted."""
    payload = b""
    for number, piece in enumerate(pieces):
        got, rest, done = body.feed(piece)
        payload += got
        if done:
            return payload, rest + b"".join(pieces[number + 1 :]), True
        assert rest == b""
    return payload, b"", False


@given(cuts=st.sets(st.integers(1, len(WHOLE + NEXT) - 1)))
def test_a_chunked_body_is_the_same_however_it_is_cut(cuts: set[int]) -> None:
    data = WHOLE + NEXT
    edges = [0, *sorted(cuts), len(data)]
    body = ChunkedBody()

    assert read(body, [data[a:b] for a, b in pairwise(edges)]) == (PAYLOAD, NEXT, True)
    assert body.trailers == (b"X-Sum: 7\r\n", b"Y: 2\r\n")


def test_a_chunked_body_in_single_bytes_is_the_whole() -> None:
    assert read(ChunkedBody(), [bytes((b,)) for b in WHOLE + NEXT]) == (PAYLOAD, NEXT, True)


@given(payload=st.lists(st.binary(max_size=40)), trailers=st.lists(st.sampled_from((b"A: 1\r\n", b"B: 2\r\n"))))
def test_what_is_written_in_chunks_is_read_back(payload: list[bytes], trailers: list[bytes]) -> None:
    body = ChunkedBody()

    wire = b"".join(map(chunk, payload)) + last_chunk(tuple(trailers))

    assert read(body, [wire]) == (b"".join(payload), b"", True)
    assert body.trailers == tuple(trailers)


@given(size=st.integers(1, 30), cuts=st.sets(st.integers(1, 39)))
def test_a_body_of_known_length_is_the_same_however_it_is_cut(size: int, cuts: set[int]) -> None:
    data = bytes(range(40))
    edges = [0, *sorted(cuts), 40]

    assert read(LengthBody(size), [data[a:b] for a, b in pairwise(edges)]) == (
        data[:size],
        data[size:],
        True,
    )


def test_an_endless_body_never_ends_by_itself() -> None:
    assert read(EndlessBody(), [b"a", b"", b"b"]) == (b"ab", b"", False)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"0x5\r\nabcde\r\n", "chunk_size"),
        (b"5_0\r\n", "chunk_size"),
        (b"-1\r\n", "chunk_size"),
        (b"+1\r\n", "chunk_size"),
        (b" 1\r\n", "chunk_size"),
        (b"1 \r\n", "chunk_size"),
        (b"\r\n", "chunk_size"),
        (b"g\r\n", "chunk_size"),
        (b";x\r\n", "chunk_size"),
        (b"1;\x00\r\n", "chunk_size"),
        (b"1;a\nb\r\n", "chunk_size"),
        (b"1\na\r\n", "chunk_size"),
        (b"1\ra\r\n", "chunk_size"),
        (b"1\ra", "chunk_size"),
        (b"\xb2\r\n", "chunk_size"),
        (b"f" * 16 + b"\r\n", "chunk_size"),
        (b"1;" + b"x" * 300 + b"\r\n", "chunk_size"),
        (b"1;" + b"x" * 300, "chunk_size"),
        (b"1\r\nab\r\n", "chunk_end"),
        (b"1\r\na\n0\r\n\r\n", "chunk_end"),
        (b"1\r\na\rx", "chunk_end"),
        (b"0\r\nno colon\r\n\r\n", "trailers"),
        (b"0\r\n folded: 1\r\n\r\n", "trailers"),
        (b"0\r\nA : 1\r\n\r\n", "trailers"),
        (b"0\r\nA: \x00\r\n\r\n", "trailers"),
        (b"0\r\nA: 1\nB: 2\r\n\r\n", "trailers"),
        (b"0\r\n\n", "trailers"),
        (b"0\r\nA: 1\n\n", "trailers"),
        (b"0\r\nA: 1\r\r", "trailers"),
        (b"0\r\nA: " + b"x" * 9000 + b"\r\n\r\n", "trailers"),
        (b"0\r\nA: " + b"x" * 9000, "trailers"),
    ],
)
def test_chunks_that_two_servers_could_read_differently_are_refused(data: bytes, reason: str) -> None:
    for pieces in ([data], [bytes((b,)) for b in data]):
        with pytest.raises(Refusal) as caught:
            read(ChunkedBody(), pieces)
        assert (caught.value.status, caught.value.reason) == (400, reason)


@pytest.mark.parametrize(
    "name",
    ["Content-Length", "Transfer-Encoding", "Host", "Cookie", "Set-Cookie", "Authorization", "Connection", "Trailer",
     "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id", "Traceparent", "Idempotency-Key",
     "Keep-Alive", "Proxy-Authorization", "Cache-Control", "Location"],
)  # fmt: skip
def test_a_trailer_cannot_bring_what_only_a_head_may_say(name: str) -> None:
    body = ChunkedBody()

    read(body, [f"0\r\n{name}: 1\r\nX-Ok: 2\r\n\r\n".encode()])

    assert body.trailers == (b"X-Ok: 2\r\n",)


@given(st.binary(max_size=60), st.integers(1, 10))
def test_any_bytes_are_a_body_or_a_refusal(data: bytes, size: int) -> None:
    body = ChunkedBody()
    try:
        for at in range(0, len(data), size):
            if body.feed(data[at : at + size])[2]:
                break
    except Refusal as refusal:
        assert refusal.status == 400
