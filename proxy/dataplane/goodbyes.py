"""How a client's connection ends: closed once everything is sent, read from for a moment longer, cut so that the client
can tell, or given up on where it takes nothing, says nothing, or has long gone.

The connection itself (client.py) only says that it is to end. `limits` are those of the plane, in seconds.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Final

from proxy.dataplane.answers import CONTINUE
from proxy.dataplane.refusals import Refusal

if TYPE_CHECKING:
    from proxy.dataplane.client import ClientConnection
    from proxy.dataplane.exchange import Exchange

_NEVER: Final = float("inf")
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER, on, for no time: what closes then sends a reset."""


def close(client: ClientConnection) -> None:
    """Close once everything is sent; give up on a client that does not take it."""
    client.drop()
    client.close_after = True
    client.send_posted()
    client.transport.close()
    limits = client.plane.limits
    # TLS says goodbye, and then reads on until the client has said it too.
    client.deadline = client.plane.now() + (limits.stall if client.below is None else limits.linger)


def linger(client: ClientConnection) -> None:
    """Close, but read on for a moment: bytes that arrive at a closed socket would reset the answer away (RFC 9112
    9.6)."""
    client.drop()
    if client.transport.is_closing():
        return
    if client.eof or client.below is not None:  # closing TLS is lingering
        close(client)
        return
    client.is_lingering = True
    client.resume_reading()
    client.end_sending()
    client.deadline = client.plane.now() + client.plane.limits.linger


def cut(client: ClientConnection, *, reset: bool) -> None:
    """An answer ended too early: close so that the client can tell, by a reset where only that tells."""
    if reset and not client.transport.is_closing():
        client.drop()
        client.posted = b""
        client.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        client.transport.abort()
    else:
        close(client)


def timed_out(client: ClientConnection) -> None:
    """The client's `deadline` passed while no exchange ran."""
    limits = client.plane.limits
    if client.unsent:
        if client.is_stalled():
            client.transport.abort()
        client.deadline = client.plane.now() + limits.stall
        return
    client.deadline = _NEVER
    if client.is_lingering or client.transport.is_closing():
        client.transport.abort()
    elif client.is_idle:
        close(client)
    else:
        client.refuse(Refusal(408, "head_timeout", "the request's head did not arrive in time"))


# --- who has closed a half, or has gone? -----------------------------------------------------------------------------


def half_closed(client: ClientConnection, exchange: Exchange) -> None:
    """The client sends nothing more, and its request is complete. Where the answer takes long, the client is asked
    whether it is there (decision 0007)."""
    if not exchange.head.http10:
        asyncio.get_running_loop().call_later(client.plane.limits.half_closed, _ask_who_is_there, client, exchange)


def _ask_who_is_there(client: ClientConnection, exchange: Exchange) -> None:
    """Who has closed looks like who has closed a half, until something is written and comes back as a reset. RFC 9110
    15.2: whoever speaks HTTP/1.1 reads over a 100 that it did not expect."""
    if _waits_for(client, exchange):
        client.write(CONTINUE)
        _see_who_is_there(client, exchange)


def _see_who_is_there(client: ClientConnection, exchange: Exchange) -> None:
    """The loop reads no more behind the end, and would not see the reset before the next write."""
    if not _waits_for(client, exchange):
        return
    if client.transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        client.transport.abort()
    else:
        soon = client.plane.limits.half_closed / 4
        asyncio.get_running_loop().call_later(soon, _see_who_is_there, client, exchange)


def _waits_for(client: ClientConnection, exchange: Exchange) -> bool:
    """Whether nothing of this one's answer has come yet; 101 is an answer too."""
    return client.exchange is exchange and not exchange.answer and not client.transport.is_closing()
