"""The circuit breaker of one service on one side: whether a request may go there, by what became of others.

::

               a failure that makes the rule hold
    closed  ---------------------------------------->  open
      ^                                              |    ^
      | `probes` successes        `open_for` is over |    | a failure: twice as long
      |                                              v    |
      +-------------------------------------------  half_open

Pure: monotonic seconds are an argument. Whoever asks `admit` and gets a ticket owes exactly one of `succeeded`,
`failed` and `abandoned` with that ticket. What fig refuses by itself (no room, the breaker's own 503, a request that
the rules cannot carry) is no result of the service: without a ticket nothing is owed, with one it is `abandoned`.

The pattern is Nygard's (Release It!, chapter "Stability Patterns"); that only so many requests try a half-open one is
resilience4j's permittedNumberOfCallsInHalfOpenState (its documentation, page "CircuitBreaker").
"""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

from rules.service_care import CircuitBreaker

State = Literal["closed", "open", "half_open"]
SLOTS = 10
"""Parts of `over` that are counted apart: what `rate` looks back on is right to a tenth of it."""


class Breaker:
    """One circuit breaker. Hot where a service has one: while closed a request costs two calls and no allocation."""

    __slots__ = (
        "_openings", "_period", "_probing", "_row", "_spec", "_successes", "_until", "_window", "opened", "refused",
        "state",
    )  # fmt: skip

    def __init__(self, spec: CircuitBreaker) -> None:
        self._spec = spec
        self.state: State = "closed"
        """As of the last call: an open one whose time is over becomes half open when the next request asks."""
        self.opened = 0
        """How often it opened, after half open too."""
        self.refused = 0
        """How many requests it did not admit."""
        self._period = 1
        """Grows with every change of `state`. A ticket is the period that its request was admitted in: what a request
        of an earlier one comes to says nothing about now."""
        self._row = 0
        """Failures since the last success, while closed."""
        self._window = _Window(spec.over) if spec.rate is not None else None
        self._openings = 0
        """Since it was closed last."""
        self._until = 0.0
        """When it becomes half open, while open."""
        self._probing = 0
        self._successes = 0

    def admit(self, now: float) -> int:
        """A ticket (true), or 0: the service is not asked."""
        if self.state == "closed":
            return self._period
        if self.state == "open" and now >= self._until:
            self._become("half_open")
        if self.state == "half_open" and self._probing + self._successes < self._spec.probes:
            self._probing += 1
            return self._period
        self.refused += 1
        return 0

    def succeeded(self, ticket: int, now: float) -> None:
        """The service answered, and not with 5xx."""
        if ticket != self._period:
            return
        if self.state == "closed":
            self._row = 0
            if self._window is not None:
                self._window.count(now, 0)
            return
        self._probing -= 1
        self._successes += 1
        if self._successes >= self._spec.probes:
            self._become("closed")

    def failed(self, ticket: int, now: float) -> None:
        """It answered with 5xx, or not at all: no connection, a reset, a timeout, no HTTP."""
        if ticket != self._period:
            return
        if self.state == "closed":
            self._row += 1
            window = self._window
            if window is not None:
                window.count(now, 1)
            if not self._rule_holds():
                return
        self._open(now)

    def abandoned(self, ticket: int) -> None:
        """Nobody knows what would have become of it: the client left, or fig ended it. A probe's place is free again;
        nothing else changes."""
        if ticket == self._period and self.state == "half_open":
            self._probing -= 1

    def retry_after(self, now: float) -> int:
        """Whole seconds after which asking again makes sense, at least 1: what Retry-After says (RFC 9110 10.2.3)."""
        return max(1, math.ceil(self._until - now)) if self.state == "open" else 1

    def _rule_holds(self) -> bool:
        spec, window = self._spec, self._window
        if spec.in_a_row is not None and self._row >= spec.in_a_row:
            return True
        if window is None or spec.rate is None or window.requests < spec.at_least:
            return False
        return window.failures >= spec.rate * window.requests

    def _open(self, now: float) -> None:
        self._until = now + min(self._spec.longest, self._spec.open_for * 2.0 ** min(self._openings, 60))
        self._openings += 1
        self.opened += 1
        self._become("open")

    def _become(self, state: State) -> None:
        self.state = state
        self._period += 1
        self._probing = self._successes = self._row = 0
        if state == "closed":
            self._openings = 0
            if self._window is not None:
                self._window.clear()


class _Window:
    """Requests and failures of the last `over` seconds, in SLOTS parts; the youngest part is not yet over."""

    __slots__ = ("_slots", "_width", "failures", "requests")

    def __init__(self, over: float) -> None:
        self._width = over / SLOTS
        self._slots: deque[list[int]] = deque()
        """[number since the clock's zero, requests, failures], at most SLOTS of them, oldest first."""
        self.requests = 0
        self.failures = 0

    def count(self, now: float, failures: int) -> None:
        """One request more, and `failures` (0 or 1) of them."""
        number = int(now / self._width)
        slots = self._slots
        if not slots or slots[-1][0] != number:
            slots.append([number, 0, 0])
            while slots[0][0] <= number - SLOTS:
                _, requests, failed = slots.popleft()
                self.requests -= requests
                self.failures -= failed
        slots[-1][1] += 1
        slots[-1][2] += failures
        self.requests += 1
        self.failures += failures

    def clear(self) -> None:
        self._slots.clear()
        self.requests = self.failures = 0
