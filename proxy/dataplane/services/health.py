"""What health checks say about one endpoint, and when the next is due. Pure: time and chance are arguments.

Sending the checks is not here.
"""

from __future__ import annotations

from proxy.dataplane.services.jitter import sooner
from rules.service_care import HealthCheck
from rules.stages import MILLION

_FIRST = 1.0
"""Seconds within which an endpoint is checked first, spread by chance."""


class HealthRecord:
    """One endpoint's standing. It counts as well until a check says otherwise, so that a start or a reload refuses
    nobody; its first check alone decides, so that one that is down is not asked for long."""

    __slots__ = ("_spec", "_streak", "checks", "is_well")

    def __init__(self, spec: HealthCheck) -> None:
        self._spec = spec
        self.is_well = True
        self.checks = 0
        self._streak = 0
        """Checks in a row that contradict `is_well`."""

    def seen(self, good: bool) -> bool:
        """A check is over; whether `is_well` changed by it."""
        self.checks += 1
        if good == self.is_well:
            self._streak = 0
            return False
        self._streak += 1
        needed = self._spec.healthy if good else self._spec.unhealthy
        if self._streak < needed and self.checks > 1:
            return False
        self.is_well = good
        self._streak = 0
        return True

    def first_at(self, now: float, chance: int) -> float:
        """When it is checked first. `chance` in millionths."""
        return now + min(_FIRST, self._spec.every) * chance / MILLION

    def next_at(self, begun: float, chance: int) -> float:
        """When it is checked again after a check that began at `begun`."""
        return begun + sooner(self._spec.every, chance)
