"""Mutated requests, mutated answers: nothing raises, nothing hangs, no client gets another one's bytes.

The mutations are drawn from fixed seeds, so that what fails once fails again.
"""

from __future__ import annotations

import asyncio
import random
import re

import pytest

from proxy.dataplane.ports import Limits
from tests.fakes.planes import Fig, running, table
from tests.fakes.readers import by_h11
from tests.fakes.wires import Service, Wire

LIMITS = Limits(head_seconds=0.2, keep_alive=0.2, linger=0.1, stall=0.2)
REQUESTS = (
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Tag: %s\r\nAccept: */*\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nX-Tag: %s\r\nContent-Length: 5\r\n\r\nhello",
    b"PUT / HTTP/1.1\r\nHost: a\r\nX-Tag: %s\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Tag: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"HEAD / HTTP/1.0\r\nX-Tag: %s\r\nConnection: keep-alive\r\n\r\n",
)
ANSWERS = (
    b"HTTP/1.1 200 OK\r\nX-Tag: %s\r\nContent-Length: 16\r\n\r\n[%b]",
    b"HTTP/1.1 200 OK\r\nX-Tag: %s\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n[%b]\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-Tag: %s\r\n\r\n[%b]",
    b"HTTP/1.1 103 Early Hints\r\nX-Tag: %s\r\n\r\nHTTP/1.1 204 No Content\r\nX-Body: [%b]\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nX-Tag: %s\r\nUpgrade: websocket\r\n\r\n[%b]",
)
SPICES = (
    *(b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b"\x00", b"\xff", b":", b",", b";", b"0", b"-1", b"0x", b"_"),
    *(
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"Expect: 100-continue\r\n",
    ),
)
TAG = re.compile(rb"<[a-z]{12}>")


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The data with up to three bytes or pieces cut, doubled, replaced or put in."""
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        at, length = chance.randrange(len(data) + 1), chance.randrange(6)
        match chance.randrange(4):
            case 0:
                data = data[:at] + data[at + length :]
            case 1:
                data = data[:at] + data[at : at + length] + data[at:]
            case 2:
                data = data[:at] + bytes((chance.randrange(256),)) + data[at + 1 :]
            case _:
                data = data[:at] + chance.choice(SPICES) + data[at:]
    return data


def hostile(chance: random.Random, streams: list[bytes]) -> Service:
    """Answers with the tag of the request before it, well, badly or in pieces; then goes on or leaves.

    What each connection brought is kept in `streams`.
    """

    async def handle(wire: Wire) -> None:
        number = len(streams)
        streams.append(b"")
        while data := await wire.some():
            streams[number] += data
            found = TAG.search(data)
            tag = found[0] if found else b"<nobodysbytes>"
            raw = mutated(chance.choice(ANSWERS) % (tag, tag), chance)
            cut = chance.randrange(len(raw) + 1)
            wire.send(raw[:cut])
            await asyncio.sleep(0)
            wire.send(raw[cut:])
            match chance.randrange(8):
                case 0:
                    return
                case 1:
                    wire.reset()
                    return

    return Service(handle)


def is_in_tunnel(fig: Fig, client: Wire) -> bool:
    """Only what both ends agreed to has no deadline."""
    address = client.writer.get_extra_info("sockname")
    return any(c._tunnel for c in fig.plane.clients if c.transport.get_extra_info("peername") == address)


async def attack(fig: Fig, tag: bytes, others: set[bytes], chance: random.Random) -> None:
    """A client with a tag of its own; whatever it gets, none of the others' is in it."""
    client = await fig.connect()
    try:
        for _ in range(chance.randrange(1, 4)):
            raw = mutated(chance.choice(REQUESTS) % tag, chance)
            cut = chance.randrange(len(raw) + 1)
            client.send(raw[:cut])
            await asyncio.sleep(0)
            client.send(raw[cut:])
        if chance.randrange(4) == 0:
            client.reset()
            return
        if chance.randrange(2) == 0:
            client.finish()
        got, ended = b"", False
        while not ended:
            try:
                async with asyncio.timeout(1):
                    piece = await client.some()
            except TimeoutError:
                assert is_in_tunnel(fig, client), f"nothing ends this: {got!r}"
                client.finish()
                continue
            got += piece
            ended = not piece
    except ConnectionError:
        return
    finally:
        client.drop()
    assert not others & set(TAG.findall(got)) - {tag}, got


@pytest.mark.parametrize("seed", range(2))
async def test_hostile_clients_and_services_break_nothing_and_see_nothing_of_each_other(seed: int) -> None:
    chance = random.Random(seed)
    streams: list[bytes] = []
    async with hostile(chance, streams) as legacy:
        spec = {
            "url": legacy.url,
            "timeout": "200ms",
            "idle_timeout": "200ms",
            "connect_timeout": "1s",
            "max_connections": 4,
        }
        async with running(table({"legacy": spec}), limits=LIMITS) as fig:
            tags = [b"<%b>" % bytes(chance.choices(range(0x61, 0x7B), k=12)) for _ in range(60)]
            for batch in range(0, len(tags), 10):
                await asyncio.gather(*(attack(fig, tag, set(tags), chance) for tag in tags[batch : batch + 10]))

            begun = len(fig.notes.finished_all) + len(fig.notes.refusals)
            assert begun > 30
    for stream in streams:
        if b"\r\nUpgrade: " not in stream:  # behind an upgrade come the bytes of a tunnel
            by_h11(stream)  # whatever came in, what went on can be read
