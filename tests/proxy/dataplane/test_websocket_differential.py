"""WebSockets directly and through fig: the same script of bytes and pauses, the same bytes back, the same end.

fig does not read what passes in a tunnel, so frames that are wrong have to be as wrong behind it.
"""

from __future__ import annotations

import asyncio
import random
import struct
from dataclasses import replace

import pytest

from tests.fakes.planes import running, table
from tests.fakes.websockets import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    EchoServer,
    Seen,
    Step,
    close,
    frame,
    handshake,
    play,
)
from tests.fakes.wires import Service, Wire

SHORT = 0.3
"""Seconds without a byte after which an end counts as open."""
MESSAGES = {
    "nothing": [],
    "an empty text": [frame(TEXT)],
    "a text": [frame(TEXT, b"hello")],
    "a text of every length of length": [frame(TEXT, b"a" * size) for size in (125, 126, 127, 128, 65535, 65536)],
    "lengths that take more room than they need": [frame(TEXT, b"hi", width=2), frame(BINARY, b"hi", width=8)],
    "a binary of every byte": [frame(BINARY, bytes(range(256)) * 300)],
    "a megabyte": [frame(BINARY, random.Random(1).randbytes(2**20))],
    "a mask of zeros": [frame(TEXT, b"hello", mask=bytes(4))],
    "no mask": [frame(TEXT, b"hello", mask=None)],
    "unicode": [frame(TEXT, "κόσμε\U0001f600".encode())],
    "text that is no unicode": [frame(TEXT, b"\xce\xba\xed\xa0\x80")],
    "text whose character is cut by a fragment": [frame(TEXT, b"\xce", fin=False), frame(CONTINUATION, b"\xba")],
    "fragments": [frame(TEXT, b"a", fin=False), frame(CONTINUATION, b"b", fin=False), frame(CONTINUATION, b"c")],
    "empty fragments": [frame(TEXT, fin=False), frame(CONTINUATION, fin=False), frame(CONTINUATION)],
    "a ping between fragments": [frame(TEXT, b"a", fin=False), frame(PING, b"p"), frame(CONTINUATION, b"b")],
    "a continuation of nothing": [frame(CONTINUATION, b"a")],
    "a message within a message": [frame(TEXT, b"a", fin=False), frame(TEXT, b"b")],
    "a ping": [frame(PING)],
    "a ping of 125 bytes": [frame(PING, bytes(125))],
    "a ping that is too long": [frame(PING, bytes(126))],
    "a ping in fragments": [frame(PING, b"a", fin=False), frame(CONTINUATION, b"b")],
    "ten pings": [frame(PING, b"%d" % n) for n in range(10)],
    "a pong that nobody asked for": [frame(PONG, b"p"), frame(TEXT, b"on")],
    "reserved bit 1": [frame(TEXT, b"a", rsv=4)],
    "reserved bit 2": [frame(TEXT, b"a", rsv=2)],
    "reserved bit 3": [frame(PING, b"a", rsv=1)],
    "a reserved opcode": [frame(3, b"a")],
    "a reserved control opcode": [frame(11, b"a")],
    "a length of 2 to the 63": [bytes([0x82, 0xFF]) + struct.pack("!Q", 2**63) + b"mask"],
    "half a head": [frame(TEXT, b"hello")[:1]],
    "half a payload": [frame(TEXT, b"hello")[:8]],
    "what is no frame": [b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"],
}
CLOSES = {
    "without a code": close(None),
    **{f"with {n}": close(n, b"why") for n in (0, 999, 1000, 1001, 1003, 1005, 1006, 1011, 1014, 1016, 3000, 5000)},
    "with half a code": frame(CLOSE, b"\x03"),
    "with a reason of 123 bytes": close(1000, b"r" * 123),
    "with a reason that is no unicode": close(1000, b"\xff\xfe"),
    "with a reason that is too long": close(1000, b"r" * 124),
}  # fmt: skip


async def both(steps: list[Step], *, plays: int = 1) -> tuple[Seen, Seen]:
    """Directly, and through fig; `plays` of them at once through fig, which all have to be alike."""
    async with EchoServer().running() as server, running(table({"legacy": f"http://127.0.0.1:{server.port}"})) as fig:
        direct = await play(await Wire.to(server.port), steps, SHORT)
        wires = [await fig.connect() for _ in range(plays)]
        through = await asyncio.gather(*(play(wire, steps, SHORT) for wire in wires))
    assert len(set(through)) == 1
    return direct, through[0]


@pytest.mark.parametrize("name", MESSAGES)
async def test_messages_are_answered_as_directly(name: str) -> None:
    frames = MESSAGES[name]
    whole = handshake()
    sent_at_once = [Step(whole, 0.02), Step(b"".join(frames), 0.05), Step(close())]
    one_by_one = [Step(whole, 0.02), *(Step(each, 0.005) for each in frames), Step(close())]

    for steps in (sent_at_once, one_by_one):
        direct, through = await both(steps)
        # A server that has closed because of what it read resets whoever goes on sending, if that comes late enough.
        # Behind fig it is fig that is reset, and its client has an orderly end.
        assert through in (direct, replace(direct, end="end") if direct.end == "reset" else direct)


@pytest.mark.parametrize("name", CLOSES)
async def test_a_close_is_answered_as_directly(name: str) -> None:
    direct, through = await both([Step(handshake(), 0.02), Step(frame(TEXT, b"last")), Step(CLOSES[name])])

    assert through == direct


async def test_bytes_that_come_one_by_one_are_answered_as_directly() -> None:
    data = frame(TEXT, b"hello", fin=False) + frame(PING, b"p") + frame(CONTINUATION, b" world") + close(1000, b"bye")
    steps = [Step(handshake(), 0.02), *(Step(data[at : at + 1], 0.001) for at in range(len(data)))]

    direct, through = await both(steps, plays=20)

    assert through == direct
    assert through.data.startswith(frame(PONG, b"p", mask=None) + frame(TEXT, b"hello world", mask=None))


async def test_frames_that_come_with_the_handshake_are_answered_as_directly() -> None:
    direct, through = await both([Step(handshake() + frame(TEXT, b"early")), Step(b"", 0.05), Step(close())])

    assert through == direct
    assert frame(TEXT, b"early", mask=None) in through.data


@pytest.mark.parametrize(
    "lines",
    [
        ["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"],
        ["Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; server_max_window_bits=10"],
        ["Sec-WebSocket-Extensions: x-unknown, permessage-deflate", "Sec-WebSocket-Protocol: superchat, chat"],
        ["Sec-WebSocket-Protocol: chat", "Origin: https://shop.example", "Cookie: a=b", "User-Agent: x"],
        ["Sec-WebSocket-Protocol: unknown", "Origin: null"],
    ],
)
async def test_what_is_negotiated_is_between_the_two_ends(lines: list[str]) -> None:
    steps = [Step(handshake(*lines), 0.02), Step(frame(TEXT, b"hello" * 100), 0.02), Step(close())]
    server = EchoServer()
    async with server.running(), running(table({"legacy": f"http://127.0.0.1:{server.port}"})) as fig:
        direct = await play(await Wire.to(server.port), steps, SHORT)
        through = await play(await fig.connect(), steps, SHORT)

    assert through == direct
    seen_direct, seen_through = server.heads
    added = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id", "traceparent", "via")
    assert [line for line in seen_through if line[0] not in added] == seen_direct


@pytest.mark.parametrize("broken", ["Upgrade: websocket\r\n", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"])
async def test_a_handshake_that_the_server_refuses_is_refused_alike(broken: str) -> None:
    direct, through = await both([Step(handshake().replace(broken.encode(), b""), 0.05), Step(end="finish")])

    assert (through.head[0], through.data) == (direct.head[0], direct.data)


async def test_a_version_that_the_server_does_not_speak_is_refused_alike() -> None:
    direct, through = await both([Step(handshake(version=99), 0.05), Step(end="finish")])

    assert (through.head[0], through.data) == (direct.head[0], direct.data)


@pytest.mark.parametrize("seed", range(12))
async def test_drawn_scripts_are_answered_as_directly(seed: int) -> None:
    """Frames of every kind, some of them mutated, cut anywhere, with and without pauses."""
    chance = random.Random(seed)
    known = [data for frames in MESSAGES.values() for data in frames if len(data) < 70_000]
    data = b"".join(chance.choice(known) for _ in range(chance.randrange(1, 8)))
    if chance.random() < 0.5:
        at = chance.randrange(len(data) + 1)
        data = data[:at] + chance.randbytes(chance.randrange(4)) + data[at + chance.randrange(3) :]
    cuts = sorted(chance.sample(range(len(data) + 1), min(len(data), chance.randrange(10))))
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    steps = [
        Step(handshake(), 0.02),
        *(Step(each, chance.choice((0, 0, 0.005))) for each in pieces),
        Step(close(), 0.02),
    ]

    direct, through = await both([*steps, Step(end="finish")])

    assert (through.head, through.data) == (direct.head, direct.data)


async def test_tunnels_are_answered_alike_while_tables_are_loaded() -> None:
    chance = random.Random(7)
    texts = [chance.randbytes(chance.randrange(3000)) for _ in range(30)]
    steps = [Step(handshake(), 0.02), *(Step(frame(BINARY, text), 0.004) for text in texts), Step(close())]
    async with (
        EchoServer().running() as server,
        Service(_refuse) as other,
        running(table({"legacy": f"http://127.0.0.1:{server.port}"})) as fig,
    ):
        direct = await play(await Wire.to(server.port), steps, SHORT)
        tunnels = [asyncio.create_task(play(await fig.connect(), steps, SHORT)) for _ in range(20)]
        await asyncio.sleep(0.05)
        for generation in range(2, 30):
            fig.plane.load(table({"legacy": other.url}, generation=generation))
            await asyncio.sleep(0.003)
        through = await asyncio.gather(*tunnels)

    assert set(through) == {direct}


async def _refuse(wire: Wire) -> None:
    wire.reset()


class TestEndsOfRawTunnels:
    """What each end sees of how the other one goes, by a service that plays a script of its own."""

    SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-A: b\r\n\r\n"

    async def ends(self, client: list[Step], service: list[Step]) -> tuple[list[Seen], list[Seen]]:
        """What client and service saw, directly and through fig."""
        seen: list[Seen] = []

        async def serve(wire: Wire) -> None:
            await wire.head()
            seen.append(await play(wire, [Step(self.SWITCHED, 0.02), *service], SHORT))

        async with Service(serve) as legacy, running(table({"legacy": legacy.url})) as fig:
            direct = await play(await Wire.to(legacy.port), [Step(handshake(), 0.04), *client], SHORT)
            through = await play(await fig.connect(), [Step(handshake(), 0.04), *client], SHORT)
            async with asyncio.timeout(5):
                while len(seen) < 2:
                    await asyncio.sleep(0.01)
        first, second = (Seen((), each.data, each.end) for each in seen)
        return [direct, first], [through, second]

    @pytest.mark.parametrize(
        ("client", "service"),
        [
            ([Step(b"a", 0.05), Step(end="finish")], [Step(b"b", 0.02)]),
            ([Step(b"a", 0.05), Step(end="finish")], [Step(b"b", 0.3), Step(b"after", 0.02), Step(end="finish")]),
            ([Step(b"a", 0.2), Step(b"after", 0.02), Step(end="finish")], [Step(b"b", 0.05), Step(end="finish")]),
            ([Step(b"a", 0.02)], [Step(b"b" * 300_000, 0.05), Step(end="finish")]),
            ([Step(b"a" * 300_000, 0.05), Step(end="finish")], [Step(b"b", 0.02)]),
            ([], [Step(end="finish")]),
            ([Step(end="finish")], []),
            ([Step(b"\x00\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 0.05), Step(end="finish")], [Step(b"\r\n\r\n\xff", 0.05)]),
        ],
    )
    async def test_an_orderly_end_of_one_half_is_one_at_the_other_end(
        self, client: list[Step], service: list[Step]
    ) -> None:
        direct, through = await self.ends(client, service)

        assert through == direct
