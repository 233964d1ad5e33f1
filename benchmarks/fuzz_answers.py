"""A hostile service before clients that behave: what fig makes of mutated answers.

A client asks one thing after another, each with the case's tag; the service answers by a script that the case draws:
mutated bytes, floods, endless heads, bytes behind the end, unasked switches, resets. Whatever comes of it, a client
reads well-formed answers or a connection that ends, never another's bytes; and an answer that it got completely is one
that its service gave completely, as `strict_reading` reads that.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import cast

from benchmarks.fuzz_requests import PATIENCE, TAG, tag
from benchmarks.fuzz_scripts import Ending, Script, mutated, reset, script
from benchmarks.strict_reading import CUT, Message, read_answers, read_requests

_REMEMBERED = 4000
_IN_ONE_READ = 32_000
"""Bytes that arrive together when they were sent together."""
_ANSWERS = (
    b"HTTP/1.1 200 OK\r\nX-Tag: %(tag)b\r\nContent-Length: 19\r\n\r\n%(tag)b-body",
    b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\nConnection: close\r\n\r\n%(tag)b-body",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"e\r\n%(tag)b\r\n5;x=y\r\n-body\r\n0\r\nX-End: %(tag)b\r\n\r\n",
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: "%(tag)b"\r\n\r\n13\r\n%(tag)b-body\r\n0\r\n\r\n',
    b"HTTP/1.1 200 OK\r\nX-Tag: %(tag)b\r\n\r\n%(tag)b-body",
    b"HTTP/1.0 200 OK\r\nX-Tag: %(tag)b\r\n\r\n%(tag)b-body",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 14\r\n\r\n%(tag)b",
    b"HTTP/1.1 204 No Content\r\nX-Tag: %(tag)b\r\n\r\n",
    b'HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nETag: "%(tag)b"\r\n\r\n',
    b"HTTP/1.1 503 Busy\r\nContent-Length: 14\r\n\r\n%(tag)b",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: tag=%(tag)b\r\nSet-Cookie: b=c\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nX-Tag: %(tag)b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n%(tag)b",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n%(tag)b",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Tag: %(tag)b\r\n\r\n%(tag)b",
    b"HTTP/1.1 200 OK\r\nContent-Length: 98000\r\n\r\n%(many)b",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n17ed0\r\n%(many)b\r\n0\r\n\r\n",
)
_FLOODS = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3000,
    b"HTTP/1.1 100 Continue\r\n\r\n" * 3000,
    b"HTTP/1.1 200 OK\r\nX-Endless: " + b"a" * 200_000,
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 30_000,
    b"\r\n" * 50_000,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n" + b"a" * 10_000,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 100_000,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 20_000,
    b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999999999\r\n\r\n" + b"a" * 10_000,
)
_ASKED = (
    b"GET %(path)b HTTP/1.1\r\nHost: a\r\nX-Tag: %(tag)b\r\nCookie: tag=%(tag)b\r\n\r\n",
    b"GET %(path)b HTTP/1.1\r\nHost: a\r\nX-Tag: %(tag)b\r\n\r\n",
    b"HEAD %(path)b HTTP/1.1\r\nHost: a\r\nX-Tag: %(tag)b\r\n\r\n",
    b"POST %(path)b HTTP/1.1\r\nHost: a\r\nX-Tag: %(tag)b\r\nContent-Length: 14\r\n\r\n%(tag)b",
    b"PUT %(path)b HTTP/1.1\r\nHost: a\r\nX-Tag: %(tag)b\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"e\r\n%(tag)b\r\n0\r\n\r\n",
    b"GET %(path)b HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nX-Tag: %(tag)b\r\n\r\n",
    b"GET %(path)b HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Tag: %(tag)b\r\n\r\n",
)
_ENDINGS = (Ending.WAIT, Ending.WAIT, Ending.WAIT, Ending.HALF_CLOSE, Ending.CLOSE, Ending.RESET)


@dataclass
class Case:
    """One client, what it asks, and how each of its requests is answered. `script` is of the answer that is mutated."""

    number: int
    tag: bytes
    asked: tuple[bytes, ...]
    which: int
    """Which of the requests gets `script`; the others get `fair`."""
    script: Script
    fair: bytes
    said: list[tuple[int, bytes, bool]] = field(default_factory=list)
    """Request, what was said to it, and whether an orderly end followed."""
    faults: list[str] = field(default_factory=list)


def draw(number: int, seed: int) -> Case:
    """The case of that number: a function of both."""
    chance = random.Random(f"{seed}/answers/{number}")
    own = tag(chance)
    words = {b"tag": own, b"many": own * 7000}
    asked = tuple(
        chance.choice(_ASKED) % {b"path": b"%b/%b/%d" % (chance.choice((b"", b"/candidate")), own, index), **words}
        for index in range(chance.choice((1, 2, 2, 3)))
    )
    answer = chance.choice(_ANSWERS) % words
    shape = chance.random()
    if shape < 0.03:
        answer = chance.choice(_FLOODS) + chance.choice((b"", answer))
    elif shape < 0.15:  # whole answers behind the answer, as if somebody had asked for them
        answer += (chance.choice(_ANSWERS) % words) * chance.choice((1, 2))
    else:
        answer = mutated(answer, chance)
    which = chance.randrange(len(asked))
    sent = _without_late_bytes(script(answer, chance, _ENDINGS), asked[which].partition(b" ")[0])
    return Case(number, own, asked, which, sent, chance.choice(_ANSWERS[:4]) % words)


def _without_late_bytes(sent: Script, method: bytes) -> Script:
    """What stands behind a whole answer comes in one piece with its end. Later, on a connection that has been used
    again, nobody could tell it from the next answer (RFC 9112 9.2), so that would be no finding."""
    read = read_answers(sent.data, [method], has_ended=False).messages
    end = next((each.end for each in read if each.is_complete and each.status >= 200), len(sent.data))
    at = 0
    for number, (pause, piece) in enumerate(sent.pieces):
        if at + len(piece) >= end:
            last = sent.data[at:] if len(sent.data) - at < _IN_ONE_READ else sent.data[at:end]
            return Script((*sent.pieces[:number], (pause, last)), sent.ending)
        at += len(piece)
    return sent


class Answers:
    """The kind: runs cases against a worker on `port`; `serve` is the service's side."""

    def __init__(self) -> None:
        self.port = 0
        self.counts: Counter[str] = Counter()
        self.strays: list[str] = []
        self._cases: OrderedDict[bytes, Case] = OrderedDict()

    def draw(self, number: int, seed: int) -> Case:
        return draw(number, seed)

    def again(self, case: Case, sent: Script) -> Case:
        return Case(case.number, case.tag, case.asked, case.which, sent, case.fair)

    def case_of(self, request: Message) -> tuple[Case, int] | None:
        """Whose request that is, and which."""
        parts = request.start[1].split(b"/")
        case = self._cases.get(parts[-2]) if len(parts) > 2 else None
        return (case, int(parts[-1])) if case is not None else None

    # --- the client ------------------------------------------------------------------------------------------------

    async def run(self, case: Case) -> list[str]:
        self._cases[case.tag] = case
        while len(self._cases) > _REMEMBERED:
            self._cases.popitem(last=False)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
        received, was_reset, methods = b"", False, []
        try:
            for index, request in enumerate(case.asked):
                methods.append(request.partition(b" ")[0])
                writer.write(request)
                received, state = await self._answered(reader, received, methods)
                was_reset = state == "reset"
                if state == "silent":
                    case.faults.append(f"request {index} had no answer and no end within {PATIENCE:g} s")
                if state != "answered":
                    break
        finally:
            writer.close()
        case.faults += self._answers_are_whole(case, received, methods, has_ended=not was_reset)
        return case.faults

    async def _answered(self, reader: asyncio.StreamReader, received: bytes, methods: list[bytes]) -> tuple[bytes, str]:
        """All that came, and how it stands: answered, ended, reset, silent."""
        end = asyncio.get_running_loop().time() + PATIENCE
        while True:
            try:
                async with asyncio.timeout_at(end):
                    piece = await reader.read(2**18)
            except TimeoutError:
                return received, "silent"
            except ConnectionError:
                return received, "reset"
            if not piece:
                return received, "ended"
            received += piece
            reading = read_answers(received, methods, has_ended=False)
            if reading.messages and reading.messages[-1].status == 101:
                return received, "ended"  # a tunnel: whoever goes first ends it
            final = [message for message in reading.messages if message.status >= 200 and message.is_complete]
            if len(final) == len(methods) or reading.stopped not in ("", CUT):
                return received, "answered"

    def _answers_are_whole(self, case: Case, received: bytes, methods: list[bytes], *, has_ended: bool) -> list[str]:
        faults = []
        for found in set(TAG.findall(received)) - {case.tag}:
            if found in self._cases:
                faults.append(f"the client got {found!r}, which is another's")
        reading = read_answers(received, methods, has_ended=has_ended)
        if reading.stopped not in ("", CUT):
            faults.append(f"the answers break {reading.stopped}: {reading.rest[:300]!r}")
        if reading.rest and not reading.stopped and reading.messages[-1].status != 101:
            faults.append(f"more came than answers: {reading.rest[:300]!r}")
        index = -1
        for message in reading.messages:
            if message.status < 200:
                continue
            index += 1
            self.counts[f"answers {message.status}{'' if message.is_complete else ' cut'}"] += 1
            if not message.is_complete or message.all(b"server") == [b"fig"]:
                continue
            if not any(
                self._is_said(message, methods[index], raw, over) for which, raw, over in case.said if which == index
            ):
                said = [(raw[:300], over) for which, raw, over in case.said if which == index]
                faults.append(
                    f"answer {index} was never given so: {message.start} {message.body[:200]!r}; said {said!r}"
                )
        return faults

    def _is_said(self, got: Message, method: bytes, raw: bytes, is_over: bool) -> bool:
        """Whether `got` is what the service said, `raw`, in one reading of it."""
        for message in read_answers(raw, [method], has_ended=is_over).messages:
            if message.status >= 200:
                return message.is_complete and (message.status, message.body) == (got.status, got.body)
        return False

    # --- the service -----------------------------------------------------------------------------------------------

    def serve(self) -> asyncio.Protocol:
        return _Hostile(self)


class _Hostile(asyncio.Protocol):
    """Reads requests strictly, answers by their case's script."""

    def __init__(self, kind: Answers) -> None:
        self._kind = kind
        self._data = b""
        self._is_deaf = False
        self._is_over = False
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        self._data += data
        reading = read_requests(self._data, 1)
        if reading.stopped not in ("", CUT):
            self._kind.strays.append(f"fig sent what breaks {reading.stopped}: {self._data[:500]!r}")
        if not reading.messages or reading.stopped not in ("", CUT):
            return
        request = reading.messages[0]
        found = self._kind.case_of(request)
        if found is None:
            self.transport.abort()
            return
        case, index = found
        is_early = case.number % 7 == 0 and index == case.which
        if not (request.is_complete or is_early):
            return
        self._data = reading.rest
        self._is_deaf = is_early and not request.is_complete
        sent = case.script if index == case.which else Script(((0.0, case.fair),), Ending.WAIT)
        if sent.ending is not Ending.WAIT:
            self._is_deaf = True
        task = asyncio.get_running_loop().create_task(self._answer(case, index, sent))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, case: Case, index: int, sent: Script) -> None:
        at = len(case.said)
        is_end = sent.ending in (Ending.HALF_CLOSE, Ending.CLOSE)
        case.said.append((index, sent.data, is_end))
        for pause, piece in sent.pieces:
            if pause:
                await asyncio.sleep(pause)
            if self._is_over or self.transport.is_closing():
                return
            self.transport.write(piece)
        if b"connection: close" in sent.data.lower() and sent.ending is Ending.WAIT:
            is_end = True
            case.said[at] = (index, sent.data, True)
        if sent.ending is Ending.RESET:
            reset(self.transport)
        elif sent.ending is Ending.HALF_CLOSE:
            self._is_over = True
            with contextlib.suppress(OSError):  # fig was first
                self.transport.write_eof()
        elif is_end:
            self.transport.close()
