"""Whether legacy may be asked again just now. Pure: the time is an argument.

Asking again is a favour that legacy does to whoever replaces it, so it ends at the first sign of trouble: at most
AT_ONCE further requests are under way, and a failure, a refusal or a slow answer buys legacy a pause that doubles with
every one that follows, and ends with the first good answer after it.
"""

from __future__ import annotations

from dataclasses import dataclass

AT_ONCE = 2
"""Samples under way per service; each has one request to legacy under way at a time."""
SLOW = 1.0
"""Seconds from the request to the answer's head, from which on legacy counts as busy."""
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


@dataclass(slots=True)
class Manners:
    """What is known of one legacy service."""

    busy: int = 0
    _pause: float = 0.0
    _until: float = float("-inf")

    def may_ask(self, now: float) -> bool:
        """Whether one more sample may begin. `now` is in seconds, of any clock that does not go back."""
        return self.busy < AT_ONCE and now >= self._until

    def saw(self, status: int, seconds: float, now: float) -> None:
        """Legacy answered with this status after so many seconds; 0 is no answer."""
        if status == 0 or status >= 500 or status == 429 or seconds > SLOW:
            self._pause = min(LONGEST_PAUSE, self._pause * 2 or FIRST_PAUSE)
            self._until = now + self._pause
        elif now >= self._until:
            self._pause = 0.0
