"""When to post again. Pure; chance is an argument.

Waits have "full jitter" (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): anything from nothing
to a bound that doubles, so that many who failed together do not come back together.
"""

from __future__ import annotations

from dataclasses import dataclass

LONGEST = 60.0
"""Seconds that any wait takes at most, whatever the receiver asks for."""
MOST = 64 * 1024
"""Bytes of an answer that are read."""
_LATER = frozenset((408, 425, 429))
"""RFC 9110 section 15.5.9, RFC 8470, RFC 6585: the same request may succeed later."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt came to."""

    status: int | None = None
    """Of the answer; None when there was none."""
    body: bytes = b""
    problem: str = ""
    """Why there was none: fit for every screen."""
    retry_after: float | None = None
    """Seconds that the receiver asked fig to wait (RFC 9110 section 10.2.3)."""

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def worth_another(self) -> bool:
        """Whether the same request may fare better later."""
        return self.status is None or self.status in _LATER or self.status >= 500

    def __str__(self) -> str:
        return self.problem if self.status is None else f"status {self.status}"


def wait(attempts: int, backoff: float, outcome: Outcome, chance: float) -> float:
    """Seconds until the next attempt, after `attempts` of them (1 or more). `chance`: 0 to 1, drawn evenly."""
    longest = min(backoff * 2.0 ** (attempts - 1), LONGEST)
    return min(max(chance * longest, outcome.retry_after or 0.0), LONGEST)
