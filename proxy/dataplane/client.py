"""A client's connection: bytes into requests, one exchange at a time, in order.

Hot. Pipelined requests wait in a bounded buffer; a connection whose request could not be trusted is closed after its
answer, reading on for a moment so that the answer is not reset away (RFC 9112 9.6).
"""

from __future__ import annotations

import asyncio
import ipaddress
from typing import TYPE_CHECKING, cast

from proxy.dataplane.answers import own_answer
from proxy.dataplane.bodies import BodyReader, ChunkedBody, LengthBody
from proxy.dataplane.exchange import Exchange
from proxy.dataplane.heads import CHUNKED, RequestHead, forwarded_block, parse_request
from proxy.dataplane.refusals import Refusal

if TYPE_CHECKING:
    from proxy.dataplane.plane import Plane

_NEVER = float("inf")


def canonical_address(text: str) -> str:
    """The canonical text of an address; IPv4-mapped IPv6 becomes IPv4, so that one client has one name."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


class ClientConnection(asyncio.Protocol):
    """One client. Between exchanges it collects a head, during one it feeds the body, in a tunnel it only passes on."""

    __slots__ = (
        "_block", "_block_host", "_body", "_buffer", "_lingering", "_parsing", "_tunnel", "address", "close_after",
        "deadline", "eof", "exchange", "idle_since", "plane", "reading_paused", "transport",
    )  # fmt: skip

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set before anyone can see it
        self.address = ""
        self.exchange: Exchange | None = None
        self.close_after = False
        self.reading_paused = False
        self.eof = False
        self.deadline = _NEVER
        """When patience with this client ends, while no exchange runs."""
        self.idle_since = 0.0
        self._buffer = b""
        self._body: BodyReader | None = None
        self._tunnel = False
        self._lingering = False
        self._parsing = False
        self._block = b""
        self._block_host = b""

    # --- from the loop -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        plane = self.plane
        transport.set_write_buffer_limits(high=plane.limits.buffer)
        peer = transport.get_extra_info("peername")
        self.address = canonical_address(peer[0]) if isinstance(peer, tuple) else "unknown"
        self.idle_since = plane.now()
        self.deadline = self.idle_since + plane.limits.keep_alive
        plane.clients.add(self)

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            if not self._lingering:
                self._read_requests(self._buffer + data if self._buffer else data)
        elif self._tunnel:
            exchange.tunnel_to_service(data)
        elif self._body is not None:
            self._read_body(exchange, self._body, data)
        else:
            self._keep(data)

    def eof_received(self) -> bool:
        """The client will send nothing more; it may still read (half-close)."""
        self.eof = True
        if self.exchange is None:
            return False
        self.close_after = True
        if self._tunnel:
            return False
        if self._body is not None:
            self.exchange.client_lost()  # the body will never be complete
            return False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.plane.clients.discard(self)
        exchange = self.exchange
        self.exchange = None
        self._buffer = b""
        if exchange is not None:
            exchange.client_lost()

    def pause_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.pause_service()

    def resume_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.resume_service()

    # --- requests ----------------------------------------------------------------------------------------------------

    def _read_requests(self, data: bytes) -> None:
        """Every request that is complete enough to begin; stops at the first that has to wait."""
        self._buffer = b""
        self._parsing = True
        try:
            while data and self.exchange is None and not self.close_after:
                data = self._read_request(data)
        finally:
            self._parsing = False
        if data:
            self._keep(data)

    def _read_request(self, data: bytes) -> bytes:
        """Begin one request; returns what stands behind its head and body. Keeps an unfinished head."""
        plane = self.plane
        limits = plane.limits
        now = plane.now()
        while data.startswith(b"\r\n"):
            data = data[2:]  # RFC 9112 2.2: empty lines before a request line are skipped
        end = data.find(b"\r\n\r\n")
        if end < 0 or end > limits.head:
            if len(data) > limits.head:
                self._refuse(Refusal(431, "head_size", f"the request's head is larger than {limits.head} bytes"))
            elif len(data) > limits.target and b"\r\n" not in data[: limits.target]:
                self._refuse(Refusal(414, "target_size", f"the request line is longer than {limits.target} bytes"))
            else:
                if self.deadline > now + limits.head_seconds:
                    self.deadline = now + limits.head_seconds
                self._buffer = data
            return b""
        try:
            head = parse_request(data[:end], self.address)
            choice = plane.table.decide(head, plane.fresh_unit)
        except Refusal as refusal:
            self._refuse(refusal)
            return b""
        rest = data[end + 4 :]
        self.deadline = _NEVER
        exchange = self.exchange = Exchange(plane, self, head, choice, now)
        if head.close or plane.draining:
            self.close_after = True
        length = head.length
        try:
            if length == 0:
                exchange.begin()
                return rest
            self._body = ChunkedBody() if length == CHUNKED else LengthBody(length)
            exchange.begin()
        except Refusal as refusal:
            exchange.refuse(refusal)
            return b""
        return self._read_body(exchange, self._body, rest) if rest and self.exchange is exchange else b""

    def _read_body(self, exchange: Exchange, body: BodyReader, data: bytes) -> bytes:
        """Feed the body; what stands behind it is kept (from the loop) or returned (while parsing)."""
        try:
            payload, rest, done = body.feed(data)
            if payload:
                exchange.request_data(payload)
            if done and not exchange.over:
                self._body = None
                exchange.request_end(body.trailers)
        except Refusal as refusal:
            exchange.refuse(refusal)
            return b""
        if rest and not self._parsing:
            self._keep(rest)
            return b""
        return rest

    def _keep(self, data: bytes) -> None:
        """Hold bytes of a later request; stop reading when they become many."""
        if self.close_after or self._lingering:
            return  # nothing behind the last exchange is answered
        self._buffer += data
        if len(self._buffer) > self.plane.limits.buffer:
            self.pause_reading()

    def _refuse(self, refusal: Refusal) -> None:
        """A request without a route: fig answers and closes."""
        request_id = self.plane.ids.trace_id().decode("ascii")
        self.write(own_answer(refusal, request_id, close=True))
        self.plane.observer.refused(refusal, self.address, request_id)
        self.close_after = True
        self._linger()

    # --- from the exchange -------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def ends_after(self, exchange: Exchange) -> bool:
        """Whether the connection closes when this exchange is over."""
        if self.plane.draining or not exchange.request_done:
            self.close_after = True
        return self.close_after

    def forwarded(self, head: RequestHead, host: bytes) -> bytes:
        """The X-Forwarded-* lines; the same for every request of a connection unless it brings a chain of its own."""
        if head.chain:
            return forwarded_block(head, self.plane.scheme, host)
        if host != self._block_host:
            self._block = forwarded_block(head, self.plane.scheme, host)
            self._block_host = host
        return self._block

    def pause_reading(self) -> None:
        if not self.reading_paused and not self.transport.is_closing():
            self.reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self.reading_paused and not self.transport.is_closing():
            self.reading_paused = False
            self.transport.resume_reading()

    def open_tunnel(self, exchange: Exchange) -> None:
        """Both ends agreed to another protocol; what the client already sent of it goes first."""
        self._tunnel = True
        if self._buffer:
            exchange.tunnel_to_service(self._buffer)
            self._buffer = b""
        self.resume_reading()

    def exchange_over(self, *, complete: bool) -> None:
        """The exchange has ended and its answer is written; on to the next request, or to the end."""
        self.exchange = None
        self._body = None
        if self.close_after or self.eof or self._tunnel:
            if complete:
                self.transport.close()
            else:
                self._linger()
            return
        self.resume_reading()
        self.idle_since = self.plane.now()
        self.deadline = self.idle_since + self.plane.limits.keep_alive
        if self._buffer and not self._parsing:
            self._read_requests(self._buffer)

    def cut(self) -> None:
        """An answer ended too early: close, so that the client can tell."""
        self.exchange = None
        self._body = None
        self.transport.close()

    def _linger(self) -> None:
        """Close, but read on for a moment: bytes that arrive at a closed socket would reset the answer away."""
        self.exchange = None
        self._body = None
        self._buffer = b""
        self._lingering = True
        self.resume_reading()
        if self.transport.is_closing():
            return
        if self.eof:
            self.transport.close()
            return
        self.transport.write_eof()
        self.deadline = self.plane.now() + self.plane.limits.linger

    # --- from the sweep ----------------------------------------------------------------------------------------------

    def timed_out(self) -> None:
        """`deadline` passed while no exchange ran."""
        self.deadline = _NEVER
        if self._buffer and not self._lingering:
            self._refuse(Refusal(408, "head_timeout", "the request's head did not arrive in time"))
        elif self._lingering:
            self.transport.abort()
        else:
            self.transport.close()

    @property
    def is_idle(self) -> bool:
        """Between exchanges, nothing received of a next one."""
        return self.exchange is None and not self._buffer
