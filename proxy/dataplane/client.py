"""A client's connection: bytes into requests, one exchange at a time, in order.

Hot. Pipelined requests wait in a bounded buffer; a connection whose request could not be trusted is closed after its
answer. How a connection ends, goodbyes.py says.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from proxy.dataplane import forcing, goodbyes, own
from proxy.dataplane.addresses import canonical_address, come_by
from proxy.dataplane.answers import own_answer
from proxy.dataplane.beginnings import check_beginning, check_sizes, without_empty_lines
from proxy.dataplane.bodies import BodyReader, ChunkedBody, LengthBody
from proxy.dataplane.canonical import forwarded_block
from proxy.dataplane.exchange import Exchange
from proxy.dataplane.heads import CHUNKED, RequestHead, parse_request
from proxy.dataplane.refusals import Refusal
from proxy.dataplane.sending import Sender

if TYPE_CHECKING:
    from proxy.dataplane.plane import Plane
    from proxy.dataplane.tunnel import Tunnel

_NEVER = float("inf")
_IN_A_TURN: Final = 32
"""Pipelined requests of one client that are begun one after another; then others have their turn. Those that fig itself
answers are over at once, and 9,000 of them, which come in one read, would hold everybody up for half a second."""


class ClientConnection(Sender):
    """One client. Between exchanges it collects a head, during one it feeds the body, in a tunnel it only passes on."""

    __slots__ = (
        "_block", "_block_host", "_body", "_buffer", "_goes_on", "_parsing", "_tunnel", "_unsent", "address", "below",
        "close_after", "deadline", "eof", "exchange", "idle_since", "is_lingering", "plane", "reading_paused", "scheme",
        "writing_paused",
    )  # fmt: skip

    def __init__(self, plane: Plane) -> None:
        super().__init__(plane.outbox)
        self.plane = plane
        self.below: asyncio.Transport | None = None
        """What carries the TLS that the client speaks (proxy/dataplane/handshakes.py); None for plain HTTP."""
        self.scheme = b"http"
        """How the client came, where no trusted proxy says more."""
        self.address = ""
        self.exchange: Exchange | None = None
        self.close_after = False
        self.reading_paused = False
        self.writing_paused = False
        """Whether more waits to be sent than may; no further request is begun meanwhile."""
        self.eof = False
        self.is_lingering = False
        """Whether it is read from only so that its last answer is not reset away."""
        self.deadline = _NEVER
        """When patience with this client ends, while no exchange runs."""
        self.idle_since = 0.0
        self._buffer = b""
        self._body: BodyReader | None = None
        self._goes_on = False
        """Whether more of what was pipelined is looked at in the loop's next turn."""
        self._tunnel: Tunnel | None = None
        self._parsing = False
        self._unsent = 0
        """Bytes that waited to be sent when `is_stalled` was last asked; 0 for none."""
        self._block = b""
        self._block_host = b""

    # --- from the loop -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        plane = self.plane
        transport.set_write_buffer_limits(high=plane.limits.unsent)
        peer = transport.get_extra_info("peername")
        self.address = canonical_address(peer[0]) if isinstance(peer, tuple) else "unknown"
        self.idle_since = plane.now()
        self.deadline = self.idle_since + plane.limits.keep_alive
        plane.clients.add(self)
        if peer is None:  # reset before it was accepted: nobody can say whose its requests were, or be answered
            transport.abort()
        elif len(plane.clients) > plane.limits.connections:
            self._turn_away()

    def _turn_away(self) -> None:
        """One client more than there is room for is told so; those who then crowd where it is told are cut off."""
        limit = self.plane.limits.connections
        self.refuse(Refusal(503, "connections", "fig holds as many connections as it may", retry_after=1))
        if len(self.plane.clients) > limit + limit // 8 + 16:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            if not self.is_lingering:
                self._read_requests(self._buffer + data if self._buffer else data)
        elif self._tunnel is not None:
            self._tunnel.to_service(data)
        elif self._body is not None:
            self._read_body(exchange, self._body, data)
        else:
            self._keep(data)

    def eof_received(self) -> bool:
        """The client will send nothing more; it may still read (half-close), and what it asked for is answered."""
        self.eof = True
        exchange = self.exchange
        if self.below is not None:
            self._tls_ended(exchange)
        elif exchange is None:
            if not (self._buffer and (self.writing_paused or self._goes_on)):
                goodbyes.close(self)
        elif self._tunnel is not None:
            self._tunnel.client_ended()
        elif self._body is not None:
            exchange.client_lost()  # the body will never be complete
            goodbyes.close(self)
        else:
            goodbyes.half_closed(self, exchange)
        return self.below is None and not self.transport.is_closing()

    def _tls_ended(self, exchange: Exchange | None) -> None:
        """The client has closed its half (close_notify). The loop's TLS then ends ours: nobody is left to answer."""
        if self._tunnel is not None:
            self._tunnel.client_ended()
        elif exchange is not None:
            exchange.client_lost()
        goodbyes.close(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.plane.clients.discard(self)
        exchange = self.exchange
        self.exchange = None
        self.writing_paused = False
        self._buffer = b""
        self.posted = b""
        if exchange is not None:
            exchange.client_lost()

    def pause_writing(self) -> None:
        self.writing_paused = True
        if self.exchange is not None:
            self.exchange.pause_service()

    def resume_writing(self) -> None:
        self.writing_paused = False
        self._unsent = 0
        if self.exchange is not None:
            self.exchange.resume_service()
        elif not (self.is_lingering or self._parsing or self.transport.is_closing()):
            self._await_request()

    # --- requests ----------------------------------------------------------------------------------------------------

    def _read_requests(self, data: bytes) -> None:
        """Every request that is complete enough to begin; stops at the first that has to wait."""
        self._buffer = b""
        self._parsing = True
        left = _IN_A_TURN
        try:
            while data and left and self.exchange is None and not (self.close_after or self.writing_paused):
                data = self._read_request(data)
                left -= 1
        finally:
            self._parsing = False
        if data:
            self._keep(data)
            if not left and self.exchange is None and not (self._goes_on or self.writing_paused or self.close_after):
                self._goes_on = True
                asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        """The others had their turn."""
        self._goes_on = False
        if self.exchange is None and not (self.is_lingering or self.writing_paused or self.transport.is_closing()):
            self._await_request()

    def _read_request(self, data: bytes) -> bytes:
        """Begin one request; returns what stands behind its head and body. Keeps an unfinished head."""
        plane = self.plane
        limits = plane.limits
        now = plane.now()
        if data.startswith(b"\r\n"):
            data = without_empty_lines(data)
        end = data.find(b"\r\n\r\n")
        try:
            if end < 0 or end > limits.target:
                check_sizes(data, end, limits)
            if end < 0:
                check_beginning(data)
                if self.deadline == self.idle_since + limits.keep_alive:  # until now nothing had come
                    self.deadline = now + limits.head_seconds
                self._buffer = data
                return b""
            head = parse_request(data[:end], self.address)
            if self.below is not None:
                come_by(head, self.scheme)
            if plane.proxies is not None:
                plane.proxies.read(head)
            choice = plane.table.decide(head, plane.fresh_unit)
            if plane.table.force is not None:
                forcing.strip(head, plane.table.force)
        except Refusal as refusal:
            self.refuse(refusal, head_only=data.startswith(b"HEAD "))
            return b""
        rest = data[end + 4 :]
        self.deadline = _NEVER
        exchange = self.exchange = Exchange(plane, self, head, choice, now)
        if head.close or plane.draining:
            self.close_after = True
        length = head.length
        try:
            if length == 0:
                self._buffer = rest
                exchange.begin()
                return self._take_kept()
            self._body = ChunkedBody() if length == CHUNKED else LengthBody(length)
            exchange.begin()
        except Refusal as refusal:
            own.refuse(exchange, refusal)
            return b""
        return self._read_body(exchange, self._body, rest) if rest and self._carries(exchange) else b""

    def _carries(self, exchange: Exchange) -> bool:
        """Whether it is still this one's turn. A method, since mypy takes an attribute for what was last assigned to
        it, whatever was called in between, and what mypyc compiles relies on that."""
        return self.exchange is exchange

    def _read_body(self, exchange: Exchange, body: BodyReader, data: bytes) -> bytes:
        """Feed the body; what stands behind it is kept (from the loop) or returned (while parsing)."""
        try:
            payload, rest, done = body.feed(data)
            if payload:
                exchange.request_data(payload)
            if done and not exchange.over:
                self._body = None
                self._keep(rest)
                exchange.request_end(body.trailers)
        except Refusal as refusal:
            own.refuse(exchange, refusal)
            return b""
        return self._take_kept() if self._parsing else b""

    def _take_kept(self) -> bytes:
        """What came behind a request. It is kept while the request begins: fig itself may answer at once, and must know
        whether that answer is the last one of a client that sends no more (`ends_after`)."""
        kept, self._buffer = self._buffer, b""
        return kept

    def _keep(self, data: bytes) -> None:
        """Hold bytes of a later request; stop reading when they become many."""
        if self.close_after or self.is_lingering:
            return  # nothing behind the last exchange is answered
        self._buffer += data
        if len(self._buffer) > self.plane.limits.buffer:
            self.pause_reading()

    def refuse(self, refusal: Refusal, *, head_only: bool = False) -> None:
        """A request without a route: fig answers and closes."""
        request_id = self.plane.ids.trace_id().decode("ascii")
        self.write(own_answer(refusal, request_id, self.plane.wall(), close=True, head_only=head_only))
        self.plane.observer.refused(refusal, self.address, request_id)
        self.close_after = True
        goodbyes.linger(self)

    # --- from the exchange -------------------------------------------------------------------------------------------

    def ends_after(self, exchange: Exchange) -> bool:
        """Whether the connection closes when this exchange is over."""
        if self.plane.draining or not exchange.request_done or (self.eof and not self._buffer):
            self.close_after = True
        return self.close_after

    def forwarded(self, head: RequestHead, host: bytes) -> bytes:
        """The X-Forwarded-* lines; the same for every request of a connection unless a proxy says more."""
        if head.told is not None or head.scheme != self.scheme:
            return forwarded_block(head, host)
        if host != self._block_host:
            self._block = forwarded_block(head, host)
            self._block_host = host
        return self._block

    def pause_reading(self) -> None:
        if not (self.reading_paused or self.eof or self.transport.is_closing()):
            self.reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self.reading_paused and not self.transport.is_closing():
            self.reading_paused = False
            self.transport.resume_reading()

    def open_tunnel(self, tunnel: Tunnel) -> None:
        """Both ends agreed to another protocol; what the client already sent of it goes first."""
        self._tunnel = tunnel
        self.resume_reading()
        if self._buffer:
            tunnel.to_service(self._buffer)  # may pause the reading again
            self._buffer = b""
        if self.eof:
            tunnel.client_ended()

    def exchange_over(self) -> None:
        """The exchange has ended and its answer is written; on to the next request, or to the end."""
        self.exchange = None
        self._body = None
        if self.close_after:
            goodbyes.linger(self)
            return
        self._await_request()

    def _await_request(self) -> None:
        """Between exchanges: patience begins anew, and what was pipelined is looked at."""
        limits = self.plane.limits
        self.idle_since = self.plane.now()
        self.deadline = self.idle_since + (limits.stall if self.writing_paused else limits.keep_alive)
        self.resume_reading()
        if self._parsing or self.writing_paused:
            return
        if self._buffer:
            self._read_requests(self._buffer)
        if self.eof and self.exchange is None and not (self.writing_paused or self._goes_on):
            goodbyes.close(self)

    # --- towards its end (see goodbyes) ------------------------------------------------------------------------------

    def drop(self) -> None:
        """Nothing more that it has sent, or may yet send, is to be answered."""
        self.exchange = None
        self._body = None
        self._buffer = b""

    @property
    def unsent(self) -> int:
        """Bytes that wait to be sent, below TLS too."""
        waiting = len(self.posted) + self.transport.get_write_buffer_size()
        return waiting if self.below is None else waiting + self.below.get_write_buffer_size()

    def is_stalled(self) -> bool:
        """Whether the client took nothing of what waits for it since this was last asked. False the first time."""
        before, self._unsent = self._unsent, self.unsent
        return 0 < before <= self._unsent

    @property
    def is_idle(self) -> bool:
        """Between exchanges, nothing received of a next one."""
        return self.exchange is None and not self._buffer
