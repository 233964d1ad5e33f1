"""At most so many messages a minute. Pure; the time is an argument."""

from __future__ import annotations

from collections import deque


class Pace:
    """The last messages' times."""

    def __init__(self, per_minute: int) -> None:
        self._sent: deque[float] = deque(maxlen=per_minute)

    def wait(self, now: float) -> float:
        """Seconds until the next message may leave; 0 for at once. `now` is monotonic."""
        if self._sent.maxlen is None or len(self._sent) < self._sent.maxlen:
            return 0.0
        return max(self._sent[0] + 60.0 - now, 0.0)

    def sent(self, now: float) -> None:
        self._sent.append(now)
