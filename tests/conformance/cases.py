"""Cases of the conformance list: what RFC 9110 or 9112 asks of an intermediary, and how it is seen on the wire.

Each is run through a real data plane between a client and a service that are both bare sockets: bytes are sent as they
stand in the case, and what comes out at the other end is compared byte for byte, without the lines that fig adds to
every message (`messages.OWN_OF_REQUESTS`). Behind the case's request the client sends `LAST` over the same connection:
that it is answered, and as itself, proves that nobody lost count of the bytes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import h11
import pytest

from proxy.dataplane.ports import Limits
from tests.conformance.messages import OWN_OF_ANSWERS, OWN_OF_REQUESTS, get, ok, raw, without
from tests.fakes.planes import Fig, running, table
from tests.fakes.readers import by_h11
from tests.fakes.wires import Service, Wire

LAST = raw("GET /last HTTP/1.1", "Host: last", "Connection: close")
OK = ok("Content-Length: 2", body="ok")
_LAST_OK = ok("Content-Length: 4", body="last")
_LIMITS = Limits(linger=0.05)


class Scripted(Service):
    """Keeps the bytes of every connection, and answers each request that h11 finds complete in them with the script's
    next answer. `ends`: it closes behind that. A request for /last is always answered as such."""

    def __init__(self, *script: bytes, ends: bool = False) -> None:
        super().__init__(self._serve)
        self.script = list(script)
        self.ends = ends
        self.streams: list[bytes] = []

    async def _serve(self, wire: Wire) -> None:
        number = len(self.streams)
        self.streams.append(b"")
        answered = 0
        while data := await wire.some():
            self.streams[number] += data
            complete = [request for request in by_h11(self.streams[number]) if request.is_complete]
            for request in complete[answered:]:
                answered += 1
                if request.target == b"/last":
                    wire.send(_LAST_OK)
                    continue
                wire.send(self.script.pop(0) if len(self.script) > 1 else self.script[0])
                if self.ends:
                    return

    @property
    def heard(self) -> bytes:
        """Everything that came, up to the request for /last."""
        return b"".join(self.streams).partition(b"GET /last ")[0]


class Case(Protocol):
    section: str
    sentence: str

    async def check(self) -> None:
        """Fails where fig does otherwise."""


def conformance(*cases: Case) -> Callable[[Callable[..., Any]], Any]:
    """Parametrizes a test with `case`, each named after what it asks."""
    return pytest.mark.parametrize("case", cases, ids=[f"{case.section} {case.sentence}" for case in cases])


async def _talk(fig: Fig, sent: bytes) -> tuple[bytes, bool]:
    """What a client gets until its connection ends, and whether the end was orderly."""
    client = await fig.connect()
    client.send(sent)
    return await client.rest()


def read_answer(data: bytes, method: bytes = b"GET") -> tuple[h11.Response, bytes, bytes]:
    """fig's answer as h11 reads it, its body, and what stands behind it."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    answer = client.next_event()
    assert isinstance(answer, h11.Response), (answer, data)
    body = b""
    while isinstance(piece := client.next_event(), h11.Data):
        body += bytes(piece.data)
    if piece is h11.NEED_DATA:
        client.receive_data(b"")
        piece = client.next_event()
    assert isinstance(piece, h11.EndOfMessage), piece
    return answer, body, client.trailing_data[0]


@dataclass(frozen=True)
class Refused:
    """fig answers by itself, closes, counts why, and the service hears of no complete request."""

    section: str
    sentence: str
    request: bytes
    status: int
    reason: str
    limits: Limits = _LIMITS

    async def check(self) -> None:
        async with Scripted(OK) as service, running(table({"legacy": service.url}), limits=self.limits) as fig:
            got, orderly = await _talk(fig, self.request + LAST)

            method = self.request.lstrip(b"\r\n").partition(b" ")[0]
            answer, body, behind = read_answer(got, b"HEAD" if method == b"HEAD" else b"GET")
            fields = dict(answer.headers)
            assert (answer.status_code, fields.get(b"connection"), behind, orderly) == (
                self.status,
                b"close",
                b"",
                True,
            )
            assert [*fig.notes.refusals, *(f.exchange.refused for f in fig.notes.finished_all)] == [self.reason]
            if method != b"HEAD":
                assert json.loads(body)["status"] == self.status
            for stream in service.streams:
                assert not any(request.is_complete for request in by_h11(stream))


@dataclass(frozen=True)
class Forwarded:
    """The request arrives at the service as these bytes."""

    section: str
    sentence: str
    request: bytes
    arrives: bytes
    keep: tuple[str, ...] = ()
    """Names of fig's own fields that stand in `arrives`."""
    last: bool = False
    """Whether the request is the last one of its connection."""

    async def check(self) -> None:
        own = tuple(name for name in OWN_OF_REQUESTS if name not in self.keep)
        async with Scripted(OK) as service, running(table({"legacy": service.url}), limits=_LIMITS) as fig:
            got, orderly = await _talk(fig, self.request + LAST)

            assert without(service.heard, own) == self.arrives
            assert orderly
            assert got.endswith(b"ok" if self.last else b"last"), got


@dataclass(frozen=True)
class Returned:
    """What the service answers comes to the client as these bytes."""

    section: str
    sentence: str
    answer: bytes
    returns: bytes
    request: bytes = get()
    keep: tuple[str, ...] = ()
    """Names of fig's own fields that stand in `returns`."""
    last: bool = False
    """Whether the client's connection ends behind it."""
    ends: bool = False
    """Whether the service closes its connection behind the answer."""

    async def check(self) -> None:
        own = tuple(name for name in OWN_OF_ANSWERS if name not in self.keep)
        async with (
            Scripted(self.answer, ends=self.ends) as service,
            running(table({"legacy": service.url}), limits=_LIMITS) as fig,
        ):
            got, orderly = await _talk(fig, self.request + LAST)

            assert orderly
            if not self.last:
                got, _, behind = got.rpartition(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n")
                assert behind.endswith(b"\r\n\r\nlast")
            interim = []
            while got.startswith(b"HTTP/1.1 1"):
                head, _, got = got.partition(b"\r\n\r\n")
                interim.append(head + b"\r\n\r\n")
            assert b"".join((*interim, without(got, own))) == self.returns


@dataclass(frozen=True)
class Untrusted:
    """The service's answer cannot be passed on: the client gets 502 at once, and the service's connection is done."""

    section: str
    sentence: str
    answer: bytes
    request: bytes = get()
    ends: bool = False

    async def check(self) -> None:
        async with (
            Scripted(self.answer, ends=self.ends) as service,
            running(table({"legacy": service.url}), limits=_LIMITS) as fig,
        ):
            client = await fig.connect()
            client.send(self.request)
            got = await client.message()
            while got.status < 200:
                got = await client.message()
            assert got.status == 502
            assert [(f.failure, f.exchange.refused) for f in await fig.finished()] == [("malformed", "malformed")]
            client.send(LAST)
            assert (await client.message()).body == b"last"
            assert service.connections == 2


@dataclass(frozen=True)
class Cut:
    """The answer breaks off in the middle. The client gets what was good of it, and can tell that it is not all."""

    section: str
    sentence: str
    answer: bytes
    returns: bytes
    request: bytes = get()
    ends: bool = False
    orderly: bool = True
    """Whether the framing tells; where it does not, a reset must."""

    async def check(self) -> None:
        async with (
            Scripted(self.answer, ends=self.ends) as service,
            running(table({"legacy": service.url}), limits=_LIMITS) as fig,
        ):
            got, orderly = await _talk(fig, self.request + LAST)

            got = without(got, OWN_OF_ANSWERS)
            # How much of the good part is passed on depends on how it was cut into segments; its head always is.
            assert got.partition(b"\r\n\r\n")[0] == self.returns.partition(b"\r\n\r\n")[0]
            assert self.returns.startswith(got)
            assert orderly == self.orderly
            assert len(await fig.finished()) == 1


async def soon() -> None:
    """Time for what was sent to arrive; nothing is asserted to come within it."""
    await asyncio.sleep(0.02)
