"""How busy each service is with copies, and whether it takes connections at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shadow.retry import Policy

PER_SERVICE = 32
"""Copies of writes that one service is asked to take at once. Per service, so that one that hangs starves no other."""


@dataclass(slots=True)
class Pressure:
    """One service's deliveries."""

    busy: int = 0
    failures: int = 0
    """Connections that failed in a row."""
    until: float = 0.0
    """No further attempt before this time on the loop's clock."""

    def room(self, now: float) -> int:
        """How many copies may go now: one to try after failures, else what the limit leaves."""
        if now < self.until:
            return 0
        return max(0, (1 if self.failures else PER_SERVICE) - self.busy)

    def connected(self) -> None:
        self.failures = 0
        self.until = 0.0

    def refused(self, now: float, policy: Policy, chance: Callable[[], float]) -> None:
        """No connection. The whole service is left alone for a while: its copies need not find out one by one."""
        self.failures += 1
        self.until = max(self.until, now + min(policy.probe, policy.delay(self.failures, chance())))
