"""One connection to a service: bytes into events for the exchange that holds it, which decides what they mean.

Hot.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, cast

from proxy.dataplane.bodies import BodyReader, ChunkedBody, EndlessBody, LengthBody
from proxy.dataplane.failing import service_failed, service_lost
from proxy.dataplane.heads import CHUNKED, ENDLESS, parse_answer
from proxy.dataplane.hop_by_hop import is_asked
from proxy.dataplane.refusals import Refusal, malformed
from proxy.dataplane.sending import Sender
from proxy.dataplane.services import tls

if TYPE_CHECKING:
    from proxy.dataplane.exchange import Exchange
    from proxy.dataplane.services.pool import Pool
    from proxy.dataplane.tunnel import Tunnel


_MOST_INTERIM = 32
"""Interim answers to one request. A service that sends more never comes to the point."""


class ServiceConnection(Sender):
    """One connection to a service. `exchange` is whoever waits for its answer, None while it is idle."""

    __slots__ = (
        "_buffer",
        "_close",
        "_reader",
        "address",
        "counted",
        "eof",
        "exchange",
        "heard",
        "idle_since",
        "interim",
        "is_lost",
        "paused",
        "pool",
        "reused",
        "tunnel",
        "until",
        "writing_paused",
    )

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool.outbox)
        self.pool = pool
        self.exchange: Exchange | None = None
        self.reused = False
        self.address = ""
        """Of the service's other end, as its host's name was looked up."""
        self.until = -float("inf")
        """When it has become too old for another request; monotonic seconds."""
        self.idle_since = 0.0
        self.tunnel: Tunnel | None = None
        self.eof = False
        self.heard = False
        """Whether a part of an answer's head, or an interim answer, has come for the exchange."""
        self.interim = 0
        """How many interim answers have come for the exchange."""
        self.paused = False
        self.writing_paused = False
        self.counted = False
        """Whether the pool counts it as open by itself, no longer as one that is being opened."""
        self.is_lost = False
        self._buffer = b""
        self._reader: BodyReader | None = None
        self._close = False

    @property
    def is_open(self) -> bool:
        return not self.transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        transport.set_write_buffer_limits(high=self.pool.limits.unsent)

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            self.transport.abort()  # bytes that nobody asked for: whose answer would they be?
            return
        if self.posted:
            service_lost(exchange)  # nor has the service been asked yet: another connection will be
            return
        if self.tunnel is not None:
            self.tunnel.to_client(data)
            return
        try:
            if self._reader is None:
                self._read_head(exchange, data)
            else:
                self._read_body(exchange, self._reader, data)
        except Refusal as exc:
            service_failed(exchange, "malformed", exc.message)

    def _read_head(self, exchange: Exchange, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > self.pool.limits.answer_head:
                    raise malformed("answer_head", "the answer's head is too large")
                if data.count(b"\n") != data.count(b"\r\n"):
                    raise malformed("line_end", "a line of the answer does not end in CRLF")  # RFC 9112 2.2
                self._buffer = data
                self.heard = True
                return
            head = parse_answer(data[:end], exchange.head.method)
            data = data[end + 4 :]
            if head.status >= 200:
                break
            self.heard = True
            self.interim += 1
            if self.interim > _MOST_INTERIM:
                raise malformed("interim", "the service sends too many interim answers")
            if head.status == 101:
                if self.pool.watch is not None:
                    self.pool.watch.answered(exchange, self.pool, 101)
                if not (exchange.request_done and is_asked(head.upgrade, exchange.head.upgrade)):
                    raise malformed("upgrade", "the service switched protocols unasked")
                exchange.switched(head, data)
                return
            exchange.interim(head)
            if not data:
                return
        if self.pool.watch is not None:
            self.pool.watch.answered(exchange, self.pool, head.status)
        self._close = head.close
        length = head.length
        if length == 0:
            exchange.answer_whole(head, b"", reusable=not data and not head.close)
        elif length > 0 and len(data) >= length:
            # The common case: head and body in one read become one write.
            exchange.answer_whole(head, data[:length], reusable=len(data) == length and not head.close)
        else:
            reader: BodyReader
            if length == CHUNKED:
                reader = ChunkedBody()
            elif length == ENDLESS:
                reader = EndlessBody()
            else:
                reader = LengthBody(length)
            self._reader = reader
            exchange.answer_head(head)
            if data and self.exchange is exchange:
                self._read_body(exchange, reader, data)

    def _read_body(self, exchange: Exchange, reader: BodyReader, data: bytes) -> None:
        payload, rest, done = reader.feed(data)
        if payload:
            exchange.answer_data(payload)
        if done and self.exchange is exchange:
            exchange.answer_end(reader.trailers, reusable=not rest and not self._close)

    def eof_received(self) -> bool:
        """Whether to keep the other direction open: in a tunnel only."""
        self.eof = True
        if self.posted and self.exchange is not None:
            service_lost(self.exchange)
            return False
        if not self.is_open:
            return False  # it is told while fig closes by TLS, which must not be aborted in the middle of that
        if self.tunnel is None or self.exchange is None:
            self.transport.abort()  # closing would first wait for the service to take what is unsent
            return False
        self.tunnel.service_ended()
        return self.is_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        exchange = self.exchange
        if exchange is None:
            pass
        elif self.tunnel is not None:
            self.tunnel.close()
        elif isinstance(self._reader, EndlessBody) and exc is None and self.eof:
            # By TLS an end that was not announced (close_notify) is a cut, and no `eof` (RFC 9112 9.8).
            exchange.answer_end((), reusable=False)
        elif isinstance(exc, ssl.SSLError) and not self.reused:
            # In TLS 1.3 a service may refuse fig's certificate when for fig the handshake is over (RFC 8446 4.4.2.4).
            self.pool.service.world.contexts.tell(self.pool.service.name, exc)
            service_failed(exchange, "tls", tls.MESSAGE)
        else:
            service_lost(exchange)
        self.pool.lost(self)  # last: its place is for others only once it is known what its end means

    def pause_writing(self) -> None:
        self.writing_paused = True
        if self.exchange is not None:
            self.exchange.client.pause_reading()

    def resume_writing(self) -> None:
        self.writing_paused = False
        if self.exchange is not None:
            self.exchange.client.resume_reading()

    def pause_reading(self) -> None:
        if not self.paused and self.is_open:
            self.paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self.paused and self.is_open:
            self.paused = False
            self.transport.resume_reading()

    def release(self, *, reusable: bool) -> None:
        """The exchange is done with this connection."""
        self.exchange = None
        self._reader = None
        self._buffer = b""
        self.heard = False
        self.interim = 0
        self.resume_reading()
        # What is still unsent belongs to this exchange; the next one's back-pressure could not be told from its.
        if reusable and self.is_open and not self.unsent:
            self.pool.give_back(self)
        else:
            self._drop()

    def _drop(self) -> None:
        self.posted = b""
        if not self.is_lost:  # asyncio's transports cannot be aborted any more then
            self.transport.abort()

    def let_go(self) -> None:
        """The tunnel is over: close when everything is sent, or when the service does not take it for too long."""
        self.exchange = None
        self.resume_reading()
        if self.is_open:
            self.send_posted()
            self.transport.close()
            asyncio.get_running_loop().call_later(self.pool.limits.stall, self._drop)
