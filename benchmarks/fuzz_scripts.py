"""What a hostile end of a connection sends, and how: bytes in pieces, pauses between them, and a way to end.

Everything is drawn from the chance that is given, so a case is its number and the run's seed.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

SPICES = (
    b"\r", b"\n", b"\r\n", b"\n\n", b"\r\n\r\n", b"\r\r\n", b" ", b"\t", b"\x00", b"\x0b", b"\x7f", b"\x85", b"\xa0",
    b"\xff", b":", b",", b";", b"=", b'"', b"/", b"%", b"?", b"#", b"*", b"0", b"1", b"-1", b"0x", b"_", b"+",
    b"ffffffff", b"\r\n ", b"0\r\n\r\n", b"5\r\n", b"5\r\nhello\r\n", b"1\r\n", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0",
    b"GET / HTTP/1.1\r\n", b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"Content-Length: 99999999999\r\n",
    b"Content-Length : 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"Connection: Content-Length\r\n", b"Expect: 100-continue\r\n",
    b"Host: b\r\n", b"X: y\r\n", b" folded\r\n", b"X-Forwarded-For: 9.9.9.9\r\n", b"X-Request-Id: 1\r\n",
    b"Trailer: X\r\n", b"TE: trailers\r\n", b"Upgrade: h2c\r\n",
)  # fmt: skip
_GIANTS = (8_000, 20_000, 70_000, 140_000)
"""Bytes of a line that goes on and on: below and above what fig takes of a request line, a head, an answer's head."""


class Ending(Enum):
    """What the sender does when it has sent everything."""

    WAIT = "wait"
    HALF_CLOSE = "half-close"
    CLOSE = "close"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Script:
    """Pieces of bytes, each with the seconds to wait before it is sent; then the ending."""

    pieces: tuple[tuple[float, bytes], ...]
    ending: Ending

    @property
    def data(self) -> bytes:
        return b"".join(piece for _, piece in self.pieces)

    @property
    def seconds(self) -> float:
        return sum(pause for pause, _ in self.pieces)


def _spice(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(SPICES) + data[at + chance.choice((0, 0, 0, 1, 2)) :]


def _spice_a_line(data: bytes, chance: random.Random) -> bytes:
    """At the end of a line or the beginning of the next, where it can be a line of its own."""
    ends = [found.end() for found in re.finditer(b"\r\n", data)] or [0]
    at = chance.choice(ends)
    return data[:at] + chance.choice(SPICES) + data[at:]


def _byte(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at + chance.choice((1, 2, 5, 20)) :]


def _truncate(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _repeat(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at : at + chance.choice((5, 20, 60))] * chance.choice((2, 2, 3, 30)) + data[at:]


def _double_a_line(data: bytes, chance: random.Random) -> bytes:
    lines = data.split(b"\r\n")
    at = chance.randrange(len(lines))
    lines.insert(chance.randrange(len(lines) + 1), lines[at])
    return b"\r\n".join(lines)


def _swap_lines(data: bytes, chance: random.Random) -> bytes:
    lines = data.split(b"\r\n")
    first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\r\n".join(lines)


def _number(data: bytes, chance: random.Random) -> bytes:
    numbers = list(re.finditer(rb"\b[0-9a-f]{1,6}\b", data))
    if not numbers:
        return data
    found = chance.choice(numbers)
    other = chance.choice((b"0", b"1", b"4", b"6", b"7f", b"100", b"ffff", b"10000000", b"1" * 30, b"-5", b"05", b"5 "))
    return data[: found.start()] + other + data[found.end() :]


def _bare_endings(data: bytes, chance: random.Random) -> bytes:
    return data.replace(b"\r\n", chance.choice((b"\n", b"\r")), chance.randrange(1, 5))


def _giant(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return (
        data[:at] + chance.choice((b"a", b"a", b"\r\n", b"X: y\r\n", b"0", b" ")) * chance.choice(_GIANTS) + data[at:]
    )


_MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_spice, _spice, _spice, _spice_a_line, _spice_a_line, _spice_a_line, _byte, _byte, _cut, _cut, _truncate),
    *(_repeat, _double_a_line, _swap_lines, _number, _number, _bare_endings),
)


def mutated(data: bytes, chance: random.Random, least: int = 0) -> bytes:
    """The data with `least` to five mutations; rarely something very long in it."""
    for _ in range(max(least, chance.choice((0, 1, 1, 1, 2, 2, 3, 5)))):
        data = chance.choice(_MUTATIONS)(data, chance)
    return _giant(data, chance) if chance.random() < 0.01 else data


def script(data: bytes, chance: random.Random, endings: tuple[Ending, ...]) -> Script:
    """How the data is sent: whole, cut at a few places, or byte for byte; at once or slowly."""
    shape = chance.random()
    if shape < 0.5 or len(data) < 2:
        cuts: list[int] = []
    elif shape < 0.95 or len(data) > 400:
        cuts = sorted(chance.sample(range(1, len(data)), min(len(data) - 1, chance.choice((1, 1, 2, 3, 8)))))
    else:
        cuts = list(range(1, len(data)))
    slow = chance.random() < 0.2 and len(cuts) < 10
    pauses = [0.0] + [chance.choice((0.001, 0.01, 0.03)) if slow else 0.0 for _ in cuts]
    pieces = tuple(
        (pause, data[start:end]) for pause, start, end in zip(pauses, [0, *cuts], [*cuts, len(data)], strict=True)
    )
    return Script(pieces, chance.choice(endings))


def reset(transport: asyncio.Transport) -> None:
    """End a connection so that the other end gets a reset."""
    raw = transport.get_extra_info("socket")
    if raw is not None and not transport.is_closing():
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
