"""A client's TLS handshake: from a connection that was accepted to a client connection that speaks through it.

The TLS is the loop's (OpenSSL by way of uvloop), begun by hand on a plain connection, because a server of the loop's
own would neither say why handshakes fail nor let anyone see what waits to be sent below TLS. It is begun when the first
bytes are there: who speaks plain HTTP is answered in plain HTTP.
"""

from __future__ import annotations

import asyncio
import ssl
import string
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from proxy.dataplane.refusals import Refusal

if TYPE_CHECKING:
    from proxy.dataplane.client import ClientConnection
    from proxy.dataplane.plane import Plane

PATIENCE = 10.0
"""Seconds that a handshake may take, as many as a request's head."""
GOODBYE = 24 * 3600.0
"""Seconds until the loop would cut a connection that is being closed; the sweep decides that, by what still moves."""

_LETTERS: Final = tuple(letter.encode("ascii") for letter in string.ascii_letters)
"""How every registered method begins (RFC 9110 16.1), and no TLS record: its first byte is below 32 (RFC 8446 5.1)."""

_REASONS = {
    "WRONG_VERSION_NUMBER": "not_tls",
    "UNSUPPORTED_PROTOCOL": "version",
    "VERSION_TOO_LOW": "version",
    "NO_SHARED_CIPHER": "cipher",
    "NO_SHARED_GROUP": "cipher",
}


def reason_of(exc: BaseException) -> str:
    """Why a client's handshake failed, as one of a few words."""
    if isinstance(exc, ssl.SSLError) and exc.reason is not None:
        if "_ALERT_" in exc.reason:  # the client's own words: it does not take our certificate, most often
            return "refused_by_client"
        return _REASONS.get(exc.reason, "other")
    if isinstance(exc, (TimeoutError, ConnectionAbortedError)):  # the latter says within TLS that the time is up
        return "timeout"
    return "client_left" if isinstance(exc, OSError) else "other"


class Handshakes:
    """Accepts clients of `plane` by TLS. `context` gives the context of the next handshake; `seen` gets the version of
    each that succeeded, `failed` the reason of each that did not."""

    def __init__(
        self,
        plane: Plane,
        context: Callable[[], ssl.SSLContext],
        seen: Callable[[str], None],
        failed: Callable[[str], None],
        patience: float = PATIENCE,
    ) -> None:
        self._plane = plane
        self._context = context
        self._seen = seen
        self._failed = failed
        self._patience = patience

    def accept(self) -> asyncio.Protocol:
        """The protocol of a connection that was accepted."""
        return _Arrival(self)

    def begin(self, transport: asyncio.Transport, arrival: _Arrival) -> None:
        """A handshake costs a thousand times what the refusal does that would follow it: far too many get neither."""
        plane = self._plane
        if len(plane.arriving) + len(plane.clients) > plane.limits.connections + plane.limits.connections // 8:
            transport.abort()
            self._failed("crowded")
            return
        task = asyncio.get_running_loop().create_task(self._shake(transport, arrival))
        plane.arriving.add(task)
        task.add_done_callback(plane.arriving.discard)

    async def _shake(self, below: asyncio.Transport, arrival: _Arrival) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        try:
            async with asyncio.timeout_at(until):
                await arrival.is_there
            if arrival.is_lost:
                self._failed("client_left")
                return
            if arrival.early.startswith(_LETTERS):
                self._answer_plainly(below, arrival)
                return
            loop.call_soon(_hand_over, below, arrival)  # runs when `start_tls` has begun, and before the handshake does
            transport = await loop.start_tls(
                below,
                arrival,
                self._context(),
                server_side=True,
                ssl_handshake_timeout=max(until - loop.time(), 0.001),
                ssl_shutdown_timeout=GOODBYE,
            )
        except asyncio.CancelledError:
            below.abort()
            raise
        except Exception as exc:  # whatever a stranger sends must not end more than the stranger's connection
            below.abort()
            self._failed(reason_of(exc))
            return
        assert transport is not None
        spoken = transport.get_extra_info("ssl_object")
        if spoken is None or arrival.is_lost:  # an end without an error is none to the loop
            below.abort()
            self._failed("client_left")
            return
        self._seen(spoken.version())
        # Little may wait, also where TLS adds places for it (its transport can do more than asyncio.Transport says).
        limits = self._plane.limits
        below.set_write_buffer_limits(high=limits.unsent)
        transport.set_read_buffer_limits(high=limits.unsent)  # type: ignore[attr-defined]
        client = arrival.client = self._plane.accept()
        client.below = below
        client.scheme = b"https"
        transport.set_protocol(client)
        client.connection_made(transport)
        if arrival.early:
            client.data_received(arrival.early)

    def _answer_plainly(self, below: asyncio.Transport, arrival: _Arrival) -> None:
        """Say that this port speaks TLS, as a client connection says whatever is wrong with a request: it reads on for
        a moment, so that the answer is not reset away."""
        self._failed("plain_http")
        client = self._plane.accept()
        below.set_protocol(client)
        below.resume_reading()
        client.connection_made(below)
        if not (client.close_after or below.is_closing()):  # there was no room, or nobody to answer
            refusal = Refusal(400, "plain_http", "this port speaks TLS, and the request came in plain HTTP; use https")
            client.refuse(refusal, head_only=arrival.early.startswith(b"HEAD "))


def _hand_over(below: asyncio.Transport, arrival: _Arrival) -> None:
    """Give TLS what came before it was there."""
    data, arrival.early = arrival.early, b""
    if data and not below.is_closing():
        tls = cast(asyncio.BufferedProtocol, below.get_protocol())
        memoryview(tls.get_buffer(len(data)))[: len(data)] = data
        tls.buffer_updated(len(data))


class _Arrival(asyncio.Protocol):
    """A connection until its handshake is over."""

    def __init__(self, handshakes: Handshakes) -> None:
        self._handshakes = handshakes
        self.client: ClientConnection | None = None
        """Who took over."""
        self.is_lost = False
        self.is_there: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the client has said something, or has gone."""
        self.early = b""
        """What came before anybody was there to take it: the handshake's beginning, and of the first request what
        asyncio delivers at once, for it came with the handshake's end."""
        self._below: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._below = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._handshakes.begin(self._below, self)

    def data_received(self, data: bytes) -> None:
        self.early += data
        if not self.is_there.done():
            self.is_there.set_result(None)
            if self._below is not None:
                self._below.pause_reading()  # one read's worth is enough to hold

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        if not self.is_there.done():
            self.is_there.set_result(None)
        if self.client is not None:  # the loop had said so to this object just before the client took over
            self.client.connection_lost(exc)
