"""Which routes have writes that only one side knows of: reads meanwhile say nothing about the sides."""

from __future__ import annotations

from collections import Counter


class Quiet:
    """Per route, the writes between grant and delivery. Coarser than DESIGN wants: a read's order key is not known to
    the proxy, so a write of any key unsettles every read of its route."""

    def __init__(self) -> None:
        self._busy: Counter[str] = Counter()
        self._since: dict[str, float] = {}

    def enter(self, route: str, count: int = 1) -> None:
        """A write is on its way to one side."""
        self._busy[route] += count

    def leave(self, route: str, now: float) -> None:
        """Both sides know of it, or neither will. `now` is in seconds since the epoch."""
        self._busy[route] -= 1
        self._since[route] = now

    def covers(self, route: str, started: float, now: float) -> bool:
        """Whether the sides knew of the same writes from `started` until `now` (seconds since the epoch)."""
        since = self._since.get(route, 0.0)
        if since > now:  # the clock was set back: from now on it can be told again
            since = self._since[route] = now
        return self._busy[route] <= 0 and since < started
