"""A tunnel: after 101, bytes that nobody here understands pass both ways until both ends have ended (RFC 9110 7.8)."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from proxy.dataplane.canonical import switched_head

if TYPE_CHECKING:
    from proxy.dataplane.client import ClientConnection
    from proxy.dataplane.exchange import Exchange
    from proxy.dataplane.heads import AnswerHead
    from proxy.dataplane.services.connection import ServiceConnection

_NEVER = float("inf")
_PROBES = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)


def join(exchange: Exchange, head: AnswerHead, rest: bytes) -> None:
    """Answer with 101, and let what the service has already said of the other protocol follow."""
    client, connection = exchange.client, exchange.connection
    assert connection is not None
    client.write(switched_head(head, exchange.head))
    connection.tunnel = tunnel = Tunnel(exchange, client, connection)
    if rest:
        tunnel.to_client(rest)
    client.open_tunnel(tunnel)


class Tunnel:
    """Two connections joined. Its exchange has no deadline (a tunnel may be silent for hours) until one half has ended;
    that both ends are alive is for the kernel to find out."""

    __slots__ = ("_may_half_close", "client", "connection", "exchange")

    def __init__(self, exchange: Exchange, client: ClientConnection, connection: ServiceConnection) -> None:
        self.exchange = exchange
        self.client = client
        self.connection = connection
        self._may_half_close = client.transport.can_write_eof() and connection.transport.can_write_eof()
        """Over TLS an end is the end of both halves: the loop's TLS closes as soon as it is told goodbye."""
        keep_probing(client.transport)
        keep_probing(connection.transport)

    def to_client(self, data: bytes) -> None:
        self.exchange.bytes_out += len(data)
        self._moved()
        self.client.write(data)

    def to_service(self, data: bytes) -> None:
        self.exchange.bytes_in += len(data)
        self._moved()
        self.connection.write(data)

    def _moved(self) -> None:
        if self.exchange.deadline != _NEVER:
            self._set_deadline()

    def _set_deadline(self) -> None:
        """The half that is left may take its time, but not for ever."""
        exchange = self.exchange
        exchange.deadline = exchange.plane.now() + exchange.service.spec.idle_timeout

    def client_ended(self) -> None:
        """The client sends nothing more; the service is told, and may go on."""
        if self.connection.eof or not self.connection.is_open or not self._may_half_close:
            self.close()
        else:
            self.connection.end_sending()
            self._set_deadline()

    def service_ended(self) -> None:
        """The service sends nothing more; the client is told, and may go on."""
        if self.client.eof or self.client.transport.is_closing() or not self._may_half_close:
            self.close()
        else:
            self.client.end_sending()
            self._set_deadline()

    def close(self) -> None:
        """Both halves have ended, or one end is gone: what is still to be sent is sent, and both are closed."""
        if not self.exchange.over:
            self.connection.let_go()
            self.exchange.tunnel_over()


def keep_probing(transport: asyncio.Transport) -> None:
    """Let the kernel find out, within about two minutes, that the other end of a silent connection is gone."""
    raw = transport.get_extra_info("socket")
    for level, option, value in _PROBES:
        raw.setsockopt(level, option, value)
