"""Which keys have writes that only one side knows of: reads meanwhile say nothing about the sides.

A write without a key may have changed anything, so it unsettles its whole route; a read without one may show anything,
so any write of its route unsettles it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import MutableMapping
from typing import TypeVar

KEYS = 100_000
"""Keys of which it is remembered when they became quiet; of more, the oldest are remembered together, per route."""

_Key = tuple[str, bytes]
Each = TypeVar("Each", str, _Key)


class Quiet:
    """Per route and order key, the writes between grant and delivery. Keys are keyed hashes; ``b""`` is none."""

    def __init__(self, keys: int = KEYS) -> None:
        self._most = keys
        self._busy: Counter[_Key] = Counter()
        """Without a key: writes that have none, and copies that a predecessor left, whose keys nobody has looked up."""
        self._of_route: Counter[str] = Counter()
        self._since: OrderedDict[_Key, float] = OrderedDict()
        """When each key became quiet last, in seconds since the epoch, in that order."""
        self._route_since: dict[str, float] = {}
        self._forgotten: dict[str, float] = {}
        """When the latest key of the route became quiet that is not in `_since` any more."""

    def enter(self, route: str, count: int = 1, key: bytes = b"") -> None:
        """Writes are on their way to one side."""
        self._busy[route, key] += count
        self._of_route[route] += count

    def leave(self, route: str, now: float, key: bytes = b"") -> None:
        """Both sides know of it, or neither will. `now` is in seconds since the epoch."""
        entered = (route, key) if self._busy[route, key] > 0 else (route, b"")
        if self._busy[entered] > 0:
            self._busy[entered] -= 1
            self._of_route[route] -= 1
            if not self._busy[entered]:
                del self._busy[entered]
        self._route_since[route] = now
        self._since[route, key] = now
        self._since.move_to_end((route, key))
        if len(self._since) > self._most:
            (oldest, _), at = self._since.popitem(last=False)
            self._forgotten[oldest] = max(at, self._forgotten.get(oldest, 0.0))

    def covers(self, route: str, started: float, now: float, key: bytes = b"") -> bool:
        """Whether the sides knew of the same writes, as far as `key` is concerned, from `started` until `now`.

        Both are in seconds since the epoch.
        """
        if not key:
            busy, since = self._of_route[route], self._when(self._route_since, route, now)
        else:
            # A later write of the key decides, and one without a key may have been of any.
            keys = ((route, key), (route, b""))
            busy = sum(self._busy[each] for each in keys)
            since = max(self._when(self._since, each, now) for each in keys)
            since = max(since, self._when(self._forgotten, route, now))
        return busy <= 0 and since < started

    @staticmethod
    def _when(times: MutableMapping[Each, float], each: Each, now: float) -> float:
        """When it became quiet; 0 where it never was anything else."""
        since = times.get(each, 0.0)
        if since > now:  # the clock was set back: from now on it can be told again
            since = times[each] = now
        return since
