"""When a request that is safe to repeat is sent again to the same service, and how much of that a service must bear.

Pure: time (monotonic seconds) and chance (millionths) are arguments.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from rules.action import Retries
from rules.stages import MILLION

WINDOW = 10
"""Seconds of traffic that a budget looks back on, as Finagle's does: long enough to be steady, short enough to follow
a service that goes down."""
RESERVE = 3
"""Retries a second that are allowed however little traffic there is, so that one failure among ten requests a minute
is still repaired."""
FIRST_DELAY = 0.025
LONGEST_DELAY = 0.25


def delay(number: int, chance: int) -> float:
    """Seconds to wait before retry `number` (from 1): doubling, and by chance up to half of it less.

    Chance keeps the clients of a service that was restarted from coming back all at once.
    """
    whole = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (number - 1))
    return whole * (1 - chance / (2 * MILLION))


class Budget:
    """Retries to one service: in WINDOW seconds at most `share` of the requests, and RESERVE a second."""

    __slots__ = ("_seconds",)

    def __init__(self) -> None:
        self._seconds: deque[list[int]] = deque()
        """[second, everything sent, retries among it], at most WINDOW of them."""

    def sent(self, count: int, now: float) -> None:
        """So many requests went to the service, retries included."""
        if count:
            self._second(now)[1] += count

    def spend(self, share: int, now: float) -> bool:
        """Whether one more retry is within the budget; then it is spent. `share` in millionths."""
        current = self._second(now)
        sent = sum(each[1] for each in self._seconds)
        retries = sum(each[2] for each in self._seconds)
        if retries + 1 > max(0, sent - retries) * share / MILLION + RESERVE * WINDOW:
            return False
        current[2] += 1
        return True

    def _second(self, now: float) -> list[int]:
        second = int(now)
        while self._seconds and self._seconds[0][0] <= second - WINDOW:
            self._seconds.popleft()
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0, 0])
        return self._seconds[-1]


class Retrying:
    """The retries of one exchange."""

    __slots__ = ("_spec", "failed", "made", "refused")

    def __init__(self, spec: Retries) -> None:
        self._spec = spec
        self.made = 0
        self.failed = 0
        """Retries that failed as well."""
        self.refused = False
        """Whether a retry was not made for want of budget."""

    def may_follow(self, event: str) -> bool:
        """Whether `event` (``connect``, ``reset``, ``timeout`` or a status) would be followed by another attempt."""
        return self.made < self._spec.attempts and event in self._spec.on

    def again(self, event: str, budget: Budget, now: float, until: float, roll: Callable[[], int]) -> float | None:
        """An attempt came to `event`: seconds to wait before another one; None where there is to be none.

        `until`: when the time for all attempts is over. `roll` gives the chance of `delay`.
        """
        if event not in self._spec.on:
            return None
        self.failed = self.made
        if self.made >= self._spec.attempts:
            return None
        pause = delay(self.made + 1, roll())
        if now + pause >= until:
            return None
        if not budget.spend(self._spec.budget, now):
            self.refused = True
            return None
        self.made += 1
        return pause

    def results(self, *, answered: bool) -> list[tuple[str, int]]:
        """How often each result of a retry came about. `answered`: whether the exchange had an answer in the end."""
        failed = self.failed if answered else self.made
        counts = (("answered", self.made - failed), ("failed", failed), ("over_budget", int(self.refused)))
        return [(result, count) for result, count in counts if count]
