"""How busy each service is with copies, whether it takes connections at all, and whether it fails all that it gets.

That is the breaker of deliveries: a service that is down behind a proxy answers 503 to everything, and copies must not
die of that one by one. While it is open, one copy at a time finds out, and what it finds counts against no copy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from shadow.delivery.retry import Policy

PER_SERVICE = 32
"""Copies of writes that one service is asked to take at once. Per service, so that one that hangs starves no other."""
UNDER_WAY = 96
"""Copies of one service at once with those that it has answered and the journal has not recorded yet: a slow disk keeps
no service waiting, and of what it answers no more is in memory than that."""

OPENS_AFTER = 20
"""Failed answers in a row, of several copies: one write that a service cannot digest is a matter of its own."""
OPENS_FOR = 5
"""Copies that must be among them."""


@dataclass(slots=True)
class Pressure:
    """One service's deliveries."""

    busy: int = 0
    """Copies that it is asked to take, or is about to be."""
    recording: int = 0
    """Copies that it has answered, whose end the journal has still to take."""
    failures: int = 0
    """Connections that failed in a row."""
    until: float = 0.0
    """No further attempt before this time on the loop's clock."""
    failed: int = 0
    """Attempts in a row that were sent and failed."""
    failed_copies: set[int] = field(default_factory=set)
    """Sequences of their copies; no more of them than matter."""

    @property
    def is_open(self) -> bool:
        """Whether the service fails all that it gets."""
        return self.failed >= OPENS_AFTER and len(self.failed_copies) >= OPENS_FOR

    def room(self, now: float) -> int:
        """How many copies may go now: one to try after failures, else what the limit leaves."""
        if now < self.until:
            return 0
        if self.failures or self.is_open:
            return max(0, 1 - self.busy)
        return max(0, min(PER_SERVICE - self.busy, UNDER_WAY - self.busy - self.recording))

    def connected(self) -> None:
        """Something was sent. The pause of an open breaker goes on."""
        self.failures = 0
        if not self.is_open:
            self.until = 0.0

    def answered(self) -> None:
        """One of its copies came through."""
        self.failed = 0
        self.failed_copies.clear()
        self.until = 0.0

    def fails(self, sequence: int, now: float, policy: Policy, chance: Callable[[], float]) -> None:
        """A copy was sent and failed. An open breaker then leaves the service alone for a while."""
        self.failed += 1
        if len(self.failed_copies) < OPENS_FOR:
            self.failed_copies.add(sequence)
        if self.is_open:
            self.until = max(self.until, now + policy.delay(self.failed - OPENS_AFTER, chance()))

    @property
    def held_back(self) -> str:
        """Why its copies are tried one at a time: ``connections`` or ``failing``; ``""`` where they are not."""
        if self.is_open:
            return "failing"
        return "connections" if self.failures else ""

    def refused(self, now: float, policy: Policy, chance: Callable[[], float]) -> None:
        """No connection. The whole service is left alone for a while: its copies need not find out one by one."""
        self.failures += 1
        self.until = max(self.until, now + min(policy.probe, policy.delay(self.failures, chance())))


class Place:
    """What one copy takes of its service's room, given back in two steps."""

    __slots__ = ("_answered", "_pressure")

    def __init__(self, pressure: Pressure) -> None:
        self._pressure = pressure
        self._answered = False
        pressure.busy += 1

    def answered(self) -> None:
        """The service has nothing more to do with it."""
        if not self._answered:
            self._answered = True
            self._pressure.busy -= 1
            self._pressure.recording += 1

    def leave(self) -> None:
        """Once, whatever happened."""
        if self._answered:
            self._pressure.recording -= 1
        else:
            self._pressure.busy -= 1
