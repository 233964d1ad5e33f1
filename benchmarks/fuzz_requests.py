"""Hostile clients before a service that behaves: what fig makes of mutated requests.

Every client has an address of its own on loopback, which fig tells the service, and a tag in path, field, cookie and
body, which the service answers with. So each request that arrives is held against what its own client sent, as
`strict_reading` reads that, and each answer against its own request.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import cast

from benchmarks.fuzz_scripts import Ending, Script, mutated, reset, script
from benchmarks.strict_reading import CUT, Message, Reading, read_answers, read_requests
from tests.fakes.smuggling import Attempt, attempts

PATIENCE = 10.0
"""Seconds after a client's last byte by which its connection has to be over: more than all of fig's limits that can
apply to it, one after another."""
TAG = re.compile(rb"q[0-9a-f]{12}q")
_REMEMBERED = 4000
"""Cases whose requests may still arrive."""
_PLAIN_TARGET = re.compile(rb"(?:/[A-Za-z0-9_-]+)+(?:\?[A-Za-z0-9=&-]*)?")
_IDEMPOTENT = (b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE")
_ATTEMPTS = 5
"""At a request that may be repeated: the first, one on a stale connection, a retry, and both again by the fallback."""
_PLAIN_NAME = re.compile(rb"[a-z0-9-]+")
_NOT_FORWARDED = frozenset(
    (
        b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
        b"content-length", b"host", b"expect", b"via", b"max-forwards", b"x-real-ip", b"forwarded", b"x-request-id",
        b"traceparent", b"tracestate", b"x-fig-copy", b"proxy-authorization",
        b"proxy-authenticate", b"proxy-authentication-info", b"idempotency-key",
    )
)  # fmt: skip
"""What ends at fig, or is written anew."""


@dataclass
class Case:
    """One client: what it sends, what that says, and what came of it."""

    number: int
    tag: bytes
    script: Script
    reading: Reading
    arrived: Counter[int] = field(default_factory=Counter)
    """How often each of the reading's requests arrived. Their order tells nothing: one that a busy service read too
    late for fig's patience may come behind the next."""
    faults: list[str] = field(default_factory=list)


def tag(chance: random.Random) -> bytes:
    return b"q%012xq" % chance.getrandbits(48)


_SHAPES = (
    b"GET %(path)b HTTP/1.1\r\nHost: a\r\nX-Tag: %(tag)b\r\nCookie: tag=%(tag)b\r\n\r\n",
    b"HEAD %(path)b HTTP/1.1\r\nHost: a\r\nX-Tag: %(tag)b\r\nAccept: */*\r\n\r\n",
    b"POST %(path)b HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n%(tag)b-body\n",
    b"PUT %(path)b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"e\r\n%(tag)b\r\n5;x=y\r\n-body\r\n0\r\n\r\n",
    b"POST %(path)b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n"
    b"e\r\n%(tag)b\r\n0\r\nX-End: %(tag)b\r\n\r\n",
    b"PUT %(path)b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 14\r\n\r\n%(tag)b",
    b"GET %(path)b HTTP/1.0\r\nX-Tag: %(tag)b\r\n\r\n",
    b"POST %(path)b HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 14\r\n\r\n%(tag)b",
    b"GET http://a%(path)b?tag=%(tag)b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET %(path)b HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Tag: %(tag)b\r\n\r\n",
    b"DELETE %(path)b HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Tag: %(tag)b\r\n\r\n",
    b"POST %(path)b HTTP/1.1\r\nHost: a\r\nContent-Length: 98000\r\n\r\n%(many)b",
)
_AMBIGUOUS = (
    b"POST %(path)b HTTP/1.1\r\nHost: a\r\nContent-Length: 24\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"e\r\n%(tag)b\r\n0\r\n\r\n",
    b"POST %(path)b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"
    b"e\r\n%(tag)b\r\n0\r\n\r\n",
    b"POST %(path)b HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\nContent-Length: 14\r\n\r\n%(tag)b",
    b"POST %(path)b HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\nContent-Length: 0\r\n\r\n%(tag)b",
    b"POST %(path)b HTTP/1.1\r\nHost: a\r\nContent-Length : 14\r\n\r\n%(tag)b",
    b"POST %(path)b HTTP/1.1\r\nHost: a\r\nContent-Length: +14\r\n\r\n%(tag)b",
    b"POST %(path)b HTTP/1.1\nHost: a\nContent-Length: 14\n\n%(tag)b",
    b"POST %(path)b HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\ne\r\n%(tag)b\r\n0\r\n\r\n",
    b"POST %(path)b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"e\r\n%(tag)b\r\n0\r\n\r\n",
    b"POST %(path)b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0xe\r\n%(tag)b\r\n0\r\n\r\n",
    b"POST %(path)b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\ne\n%(tag)b\r\n0\r\n\r\n",
    b"GET %(path)b HTTP/1.1\r\nHost: a\r\nX: y\r\n folded: z\r\nX-Tag: %(tag)b\r\n\r\n",
)
"""What the strict reading stops at, so that none may reach the service."""
_PLACES = (b"", b"", b"", b"/candidate", b"/candidate", b"/small", b"/own")
_attempts: list[Attempt] = []


def draw(number: int, seed: int) -> Case:
    """The case of that number: a function of both."""
    chance = random.Random(f"{seed}/requests/{number}")
    own = tag(chance)
    if chance.random() < 0.25:
        if not _attempts:
            _attempts.extend(attempts())
        made = chance.choice(_attempts).data.replace(b"Host: a\r\n", b"Host: a\r\nX-Tag: %b\r\n" % own)
        data = mutated(made, chance) + b"GET /%b/behind HTTP/1.1\r\nHost: a\r\n\r\n" % own
    else:
        pieces = []
        for index in range(chance.choice((1, 1, 2, 3, 6))):
            path = b"%b/%b/%d" % (chance.choice(_PLACES), own, index)
            shapes = _AMBIGUOUS if chance.random() < 0.1 else _SHAPES
            pieces.append(chance.choice(shapes) % {b"path": path, b"tag": own, b"many": own * 7000})
        which = chance.randrange(len(pieces) + 1)
        if which < len(pieces):
            pieces[which] = mutated(pieces[which], chance, least=1)
        data = b"".join(pieces)
        if chance.random() < 0.1:
            data = mutated(data, chance)
        if chance.random() < 0.1:
            data += chance.choice(
                (
                    b"\r\n",
                    b"\x00",
                    b"garbage",
                    b"GET",
                    b"\r\n\r\n",
                    b"\x16\x03\x01\x02\x00\x01",
                    b"HTTP/1.1 200 OK\r\n\r\n",
                )
            )
    sent = script(data, chance, (Ending.WAIT, Ending.HALF_CLOSE, Ending.HALF_CLOSE, Ending.CLOSE, Ending.RESET))
    return Case(number, own, sent, read_requests(data))


class Requests:
    """The kind: runs cases against a worker on `port`; `serve` is the service's side."""

    def __init__(self) -> None:
        self.port = 0
        self.counts: Counter[str] = Counter()
        self._cases: OrderedDict[bytes, Case] = OrderedDict()
        self._runs = 0
        self.strays: list[str] = []
        """What is wrong with no case that is known."""

    def draw(self, number: int, seed: int) -> Case:
        return draw(number, seed)

    def again(self, case: Case, sent: Script) -> Case:
        """The same case with another script."""
        return Case(case.number, case.tag, sent, read_requests(sent.data))

    # --- the client ------------------------------------------------------------------------------------------------

    def expect(self, case: Case) -> str:
        """The address that the case's client has."""
        self._runs += 1
        address = f"127.{1 + self._runs // 62500 % 250}.{1 + self._runs // 250 % 250}.{1 + self._runs % 250}"
        self._cases[address.encode()] = case
        while len(self._cases) > _REMEMBERED:
            self._cases.popitem(last=False)
        return address

    async def run(self, case: Case) -> list[str]:
        """What was wrong; also what the service's side found meanwhile."""
        address = self.expect(case)
        client = _Client()
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: client, "127.0.0.1", self.port, local_addr=(address, 0))
        for pause, piece in case.script.pieces:
            if pause:
                await asyncio.sleep(pause)
            if client.transport.is_closing():
                break
            client.transport.write(piece)
        await self._end(case, client)
        received = bytes(client.received)
        case.faults += self._answers_are_its_own(case, received, client.was_reset)
        return case.faults

    async def _end(self, case: Case, client: _Client) -> None:
        ending = case.script.ending
        if ending is Ending.WAIT:
            await asyncio.wait([client.over], timeout=0.3)
            ending = Ending.HALF_CLOSE
        if client.transport.is_closing():
            pass
        elif ending is Ending.HALF_CLOSE:
            client.transport.write_eof()
        elif ending is Ending.CLOSE:
            await asyncio.sleep(0.005)
            client.transport.close()
        else:
            await asyncio.sleep(0.005)
            reset(client.transport)
        await asyncio.wait([client.over], timeout=PATIENCE)
        if not client.over.done():
            case.faults.append(f"the connection was not over {PATIENCE:g} s after its client's last byte")
            client.transport.abort()

    def _answers_are_its_own(self, case: Case, received: bytes, was_reset: bool) -> list[str]:
        faults = []
        for found in set(TAG.findall(received)) - {case.tag}:
            if found not in case.script.data:
                faults.append(f"the client got {found!r}, which is another's")
        methods = [message.start[0] for message in case.reading.messages]
        answers = read_answers(received, [*methods, b"GET"], has_ended=not was_reset)
        self.counts["requests read"] += len(methods)
        if answers.stopped not in ("", CUT):
            faults.append(f"the answers break {answers.stopped}: {answers.rest[:300]!r}")
        switched = bool(answers.messages) and answers.messages[-1].status == 101
        if answers.rest and not answers.stopped and not switched:
            faults.append(f"more came than answers: {answers.rest[:300]!r}")
        for message in answers.messages:
            self.counts[f"answers {message.status}"] += 1
            if message.status == 502:
                faults.append(f"the service behaves, and yet: {message.body!r}")
            ids, echoed = message.all(b"x-request-id"), message.all(b"x-echo-id")
            if echoed and ids != echoed and message.status >= 200:
                faults.append(f"the answer to request {echoed} came as that to {ids}")
        return faults

    # --- the service -----------------------------------------------------------------------------------------------

    def serve(self) -> asyncio.Protocol:
        return _Echo(self)

    def read(self, message: Message) -> None:
        """A request, as far as it came, was read by the service."""
        self.counts["requests forwarded"] += 1
        chains = message.all(b"x-forwarded-for")
        case = self._cases.get(chains[0].rpartition(b", ")[2]) if len(chains) == 1 else None
        if case is None:
            if chains != [b"127.0.0.1"]:  # not the probe's
                self.strays.append(f"a request of nobody: {message}")
            return
        for at, sent in enumerate(case.reading.messages):
            most = _ATTEMPTS if sent.start[0] in _IDEMPOTENT else 1
            if case.arrived[at] < most and _why_not_same(sent, message) is None:
                case.arrived[at] += 1
                return
        why = [_why_not_same(each, message) for each in case.reading.messages]
        case.faults.append(f"the service read what its client did not send (so often), {why}: {message}")


def _why_not_same(sent: Message, got: Message) -> str | None:
    """Why `got` is not what a service may read of the request `sent`."""
    if got.start[0] != sent.start[0]:
        return "method"
    if _PLAIN_TARGET.fullmatch(sent.start[1]) and got.start[1] != sent.start[1]:
        return "target"
    if got.is_complete and (not sent.is_complete or got.body != sent.body):
        return "body"
    if not sent.body.startswith(got.body):
        return "part of the body"
    named = {option.strip(b" \t").lower() for value in sent.all(b"connection") for option in value.split(b",")}
    kept, passed = _lasting(sent, named), _lasting(got, set())
    return None if kept == passed else f"fields {kept} {passed}"


def _lasting(message: Message, named: set[bytes]) -> list[tuple[bytes, bytes]]:
    """The lines that go from end to end, without those that Connection names; names like X_Forwarded_For aside."""
    ends_here = _NOT_FORWARDED | named
    return [
        line
        for line in message.lines
        if _PLAIN_NAME.fullmatch(line[0]) and line[0] not in ends_here and not line[0].startswith(b"x-forwarded-")
    ]


class _Client(asyncio.Protocol):
    """Takes whatever comes until the connection is over."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set before anyone can see it
        self.received = bytearray()
        self.was_reset = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.was_reset = exc is not None
        if not self.over.done():
            self.over.set_result(None)


class _Echo(asyncio.Protocol):
    """Reads strictly; answers with what it was asked, in one of many honest ways."""

    def __init__(self, kind: Requests) -> None:
        self._kind = kind
        self._data = b""
        self._switched = False
        self._continued = False
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._switched:
            self.transport.write(data)
            return
        self._data += data
        if self._task is None:
            self._look()

    def _look(self) -> None:
        reading = read_requests(self._data, 1)
        if reading.stopped not in ("", CUT):
            self._kind.strays.append(f"fig sent what breaks {reading.stopped}: {self._data[:500]!r}")
            self.transport.abort()
            return
        if not reading.messages:
            return
        message = reading.messages[0]
        if len(message.all(b"host")) != 1 or message.start[2] != b"1":
            self._kind.strays.append(f"fig sent a request that is not canonical: {message}")
        chance = random.Random(self._data)
        if message.is_complete:
            self._data = reading.rest
            self._kind.read(message)
            self._task = asyncio.get_running_loop().create_task(self._answer(message, chance))
        elif message.all(b"expect") and not self._continued:
            self._continued = True
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _answer(self, message: Message, chance: random.Random) -> None:
        self._continued = False
        if chance.random() < 0.1:
            await asyncio.sleep(chance.choice((0.001, 0.02)))
        self._task = None
        if self.transport.is_closing():
            return
        ids = message.all(b"x-request-id")
        said = b"%b %b %b %b" % (message.start[0], message.start[1], repr(message.lines).encode(), message.body)
        head = b'X-Echo-Id: %b\r\nETag: "%d"\r\n' % (ids[0] if ids else b"none", chance.randrange(999))
        way = chance.choice(("length", "length", "chunked", "hints", "end", "none", "busy", "upgrade"))
        is_end = way == "end" or chance.random() < 0.1
        if is_end:
            head += b"Connection: close\r\n"
        if way == "upgrade" and message.all(b"upgrade") == [b"websocket"]:
            self._switched = True
            self.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%b\r\n" % head
            )
            if self._data:
                self.transport.write(self._data)
            return
        if way == "hints":
            self.transport.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * chance.choice((1, 1, 30)))
        if way == "none":
            out = b"HTTP/1.1 %b\r\n%b\r\n" % (chance.choice((b"204 No Content", b"304 Not Modified")), head)
        elif message.start[0] == b"HEAD":
            out = b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n" % (head, len(said))
        elif way == "chunked":
            half = len(said) // 2
            out = b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (
                head, half, said[:half], len(said) - half, said[half:]
            )  # fmt: skip
        elif way == "end":
            out = b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (head, said)
        else:
            status = b"503 Busy" if way == "busy" else b"200 OK"
            out = b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, head, len(said), said)
        self.transport.write(out)
        if is_end:
            self.transport.close()
        elif self._data:
            self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._data and not self._switched and self._task is None:
            for message in read_requests(self._data).messages:
                self._kind.read(message)
