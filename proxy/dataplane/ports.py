"""What the data plane needs of the world, as Protocols, and its limits. It imports rules and nothing else of fig."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from proxy.dataplane.exchange import Exchange
    from proxy.dataplane.recording import Recording
    from proxy.dataplane.refusals import Refusal


Labels = tuple[tuple[str, str], ...]
"""Of a figure: names and values, the values from a fixed set."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client or exchange may use, and all of one worker's together. Bytes and seconds."""

    connections: int = 20_000
    """Clients that one worker holds at once; one more gets 503 and its connection closed."""
    head: int = 64 * 1024
    """Bytes of a request's head; more is 431."""
    target: int = 16 * 1024
    """Bytes of a request line; more is 414."""
    answer_head: int = 128 * 1024
    head_seconds: float = 10.0
    """From a head's first byte to its last."""
    keep_alive: float = 75.0
    """An idle client connection is closed after this; nginx's default, so that clients expect it."""
    service_keep_alive: float = 20.0
    """An idle service connection is closed after this: shorter than the 60 to 75 s of common servers, so that fig
    closes first and a write does not meet a connection that the service is closing."""
    fresh: float = 1.0
    """A request that must not be repeated takes no service connection that was idle for longer than this."""
    linger: float = 2.0
    """How long unread bytes of a refused request are read and thrown away, so that the answer is not reset away."""
    half_closed: float = 1.0
    """How long a client that sends no more waits for its answer before it is asked whether it is there."""
    stall: float = 60.0
    """A client that takes nothing of its answer for this long is given up."""
    buffer: int = 64 * 1024
    """Bytes that may wait in one direction before the other end is told to stop."""
    unsent: int = 4 * 1024
    """Bytes that may wait for the kernel to take them before the other end is told to stop. Small, because what one
    read brings comes on top, 250 KB on uvloop: a direction then holds 256 KB at most."""
    capture: int = 1024 * 1024
    """Bytes of an answer kept for a copy's comparison."""
    event_body: int = 64 * 1024
    """Bytes of a body kept to look for an event's value in it. Small, because it is read while the loop waits."""
    journal_seconds: float = 5.0
    """How long a write waits for its intent to be durable, beyond the route's `settle`."""


class Observer(Protocol):
    """Told of everything that happened, after it happened; must not block and must not raise."""

    def finished(self, exchange: Exchange) -> None:
        """An exchange ended; its client has its answer, or is gone."""

    def refused(self, refusal: Refusal, client: str, request_id: str) -> None:
        """fig answered a request itself before it had a route."""

    def count(self, name: str, labels: Labels = (), amount: float = 1.0) -> None:
        """Something happened that only its number is wanted of."""


class Copies(Protocol):
    """Where copies go: the mirror of a read, the journal of a write."""

    def mirror(self, exchange: Exchange) -> None:
        """The exchange's client has its answer; copy it when there is room, drop and count it otherwise."""

    def intend(self, recording: Recording, body: bytes) -> bool:
        """Ask for a durable intent; answered by recording.granted or .denied, later. False: nobody to ask."""

    def withdraw(self, recording: Recording) -> None:
        """The write no longer waits for its intent; a grant that still comes is answered as 'never sent'."""

    def outcome(self, recording: Recording) -> None:
        """A granted write is over: its status, or none."""

    def gap(self, recording: Recording, reason: str) -> None:
        """A write was forwarded without a record of it."""
