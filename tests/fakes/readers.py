"""The requests in a stream of bytes as independent parsers read them: what goes upstream must look alike to all."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

import h11
import httptools
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParserPy
from aiohttp.streams import EMPTY_PAYLOAD


@dataclass(frozen=True)
class Read:
    """One request as a server behind fig would see it."""

    method: bytes
    target: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    is_complete: bool


def by_h11(data: bytes) -> list[Read]:
    """Raises h11.RemoteProtocolError where h11 refuses the stream."""
    found: list[Read] = []
    server = h11.Connection(h11.SERVER)
    if not data:
        return found  # to h11 it would be the end of the connection
    server.receive_data(data)
    while (event := server.next_event()) is not h11.NEED_DATA:
        assert isinstance(event, h11.Request), event
        body, is_complete = b"", False
        while not is_complete and (piece := server.next_event()) is not h11.NEED_DATA:
            if isinstance(piece, h11.Data):
                body += bytes(piece.data)
            else:
                assert isinstance(piece, h11.EndOfMessage), piece
                is_complete = True
        found.append(Read(event.method, event.target, tuple(event.headers), body, is_complete))
        if not is_complete:
            break
        server.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
        server.send(h11.EndOfMessage())
        if server.their_state is h11.MUST_CLOSE or server.our_state is h11.MUST_CLOSE:
            break
        server.start_next_cycle()
    return found


class _Collector:
    def __init__(self) -> None:
        self.found: list[Read] = []
        self.parser = httptools.HttpRequestParser(self)

    def on_message_begin(self) -> None:
        self._target = self._body = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._is_open = True

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self._head = tuple(self._fields)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.found.append(Read(self.parser.get_method(), self._target, self._head, self._body, True))


def by_httptools(data: bytes) -> list[Read]:
    """The complete requests. Raises httptools.HttpParserError where llhttp refuses the stream."""
    collector = _Collector()
    with contextlib.suppress(httptools.HttpParserUpgrade):  # a request that offers an upgrade ends what llhttp reads
        collector.parser.feed_data(data)
    return collector.found


def by_aiohttp(data: bytes) -> list[Read]:
    """The requests as aiohttp's parser in Python reads them, which is not llhttp's. Needs a running loop. Raises
    aiohttp.http_exceptions.HttpProcessingError where it refuses the stream."""
    loop = asyncio.get_running_loop()
    parser = HttpRequestParserPy(
        BaseProtocol(loop), loop, auto_decompress=False, max_field_size=65536, max_line_size=65536
    )
    messages, is_upgraded, rest = parser.feed_data(data)
    assert is_upgraded or not rest, rest
    found = []
    for message, payload in messages:
        body = b"".join(payload._buffer) if payload is not EMPTY_PAYLOAD else b""
        fields = tuple((name.lower(), value) for name, value in message.raw_headers)
        found.append(Read(message.method.encode(), message.path.encode(), fields, body, payload.is_eof()))
    return found
