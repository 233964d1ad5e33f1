"""What leaves together: small writes wait for the end of the loop's turn, and then go out one after the other.

Hot. A write wakes whoever waits at the other end, and every wake-up of a sleeping process is an interrupt to another
core. Where each of many ready connections is read, decided and written in turn, the other ends fall asleep in between
and each write wakes one again; when the writes of a turn follow each other, most find them awake, and the code of the
deciding stays in the caches besides. Measured at 64 connections: 9 of 54 us a request (docs/decisions/0040).
"""

from __future__ import annotations

import asyncio
from typing import Final

TOGETHER: Final = 32
"""So many at most: the first must not wait for a long turn's last."""
CROWD: Final = 4
"""So many sendings of one turn are few."""
SMALL: Final = 64 * 1024
"""Bytes. What is larger leaves at once: waiting would cost memory, and the wake-up costs little beside it."""


class Outbox:
    """The connections that have something to send when the loop's turn ends.

    Where few have, as in quiet hours, nothing is gained by waiting and the first byte leaves later: a quarter of what
    fig adds to an answer then. So a connection waits only in a crowd: in a turn that has brought many sendings already,
    or that follows one that did.
    """

    __slots__ = ("_due", "_in_turn", "is_crowded")

    def __init__(self, *, is_crowded: bool = False) -> None:
        """`is_crowded` for the first turn."""
        self._due: list[Sender] = []
        self._in_turn = 0
        """Sendings of this turn."""
        self.is_crowded = is_crowded

    def has_crowd(self) -> bool:
        """Whether what is to be sent now is to wait for the turn's end. Counts it."""
        self._in_turn = count = self._in_turn + 1
        if count == 1:
            asyncio.get_running_loop().call_soon(self._end_turn)
        return self.is_crowded or count > CROWD

    def add(self, sender: Sender) -> None:
        self._due.append(sender)
        if len(self._due) >= TOGETHER:
            self.leave()

    def _end_turn(self) -> None:
        self.is_crowded = self._in_turn > CROWD
        self._in_turn = 0
        self.leave()

    def leave(self) -> None:
        """Send everything that waits. A connection that cannot send ends, and costs the others nothing."""
        due, self._due = self._due, []
        for sender in due:
            data = sender.posted
            if data:  # nothing, where something else was written meanwhile and took it along
                sender.posted = b""
                try:
                    sender.transport.write(data)
                except Exception as exc:
                    what = {"message": "a connection could not send", "exception": exc, "transport": sender.transport}
                    asyncio.get_running_loop().call_exception_handler(what)
                    sender.transport.abort()


class Sender(asyncio.Protocol):
    """A connection that can post: what it sends keeps its order, however it is sent."""

    __slots__ = ("outbox", "posted", "transport")

    def __init__(self, outbox: Outbox) -> None:
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set before anyone can see it
        self.outbox = outbox
        self.posted = b""
        """What waits for the end of the turn: the other end has seen nothing of it."""

    def post(self, data: bytes) -> None:
        """Send with whatever else leaves in this turn of the loop."""
        if not self.outbox.has_crowd() or self.posted or len(data) > SMALL:
            self.write(data)
        else:
            self.posted = data
            self.outbox.add(self)

    def write(self, data: bytes) -> None:
        """Send now, after what was posted."""
        if self.posted:
            data = self.posted + data
            self.posted = b""
        self.transport.write(data)

    def send_posted(self) -> None:
        """For whoever ends the sending: what was posted goes first."""
        if self.posted:
            self.write(b"")

    def end_sending(self) -> None:
        """Nothing follows what was sent. The transport must be open, and able to end one half."""
        self.send_posted()
        try:
            self.transport.write_eof()
        except OSError:  # reset by the other end; asyncio's loop says so here first, and must not end who called for it
            self.transport.abort()

    @property
    def unsent(self) -> int:
        """Bytes that wait to be sent."""
        return len(self.posted) + self.transport.get_write_buffer_size()
