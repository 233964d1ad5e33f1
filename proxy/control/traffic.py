"""What the workers counted, summed: totals for /metrics and status, and the last seconds for people who watch.

Sums only, so workers that restart lose nothing that they had sent, and several machines could be added up. Bounded:
labels that a client could invent (methods, say) are folded, and series past a limit are counted instead of kept.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from canary import histogram
from proxy.wire import SideTally, Tally

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
SERIES_LIMIT = 10_000
"""Series of generic counts and gauges; what goes past it is dropped and counted."""
ROUTES_LIMIT = 1000
"""Routes with sums of their own; the first that have traffic have them, and those that `singled_out` names."""
OTHERS = "*"
"""Stands for all further routes; no route has that name."""
WINDOW = 10
"""Seconds of the recent figures."""

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class SideTraffic:
    """Sums of one route and side. Latencies count by bucket of canary.histogram."""

    requests: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(service, method, status class) -> answers."""
    failures: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    latency: Counter[int] = field(default_factory=Counter)
    inside: Counter[int] = field(default_factory=Counter)

    def add(self, tally: SideTally) -> None:
        for kind, count in tally.requests.items():
            method, _, status_class = kind.partition(" ")
            self.requests[tally.service, method if method in METHODS else "other", status_class] += count
        self.failures.update(tally.failures)
        self.seconds += tally.seconds
        self.latency.update(histogram.unpacked(tally.latency))
        self.inside.update(histogram.unpacked(tally.inside))

    @property
    def total(self) -> int:
        return self.requests.total()

    @property
    def errors(self) -> int:
        """Failures of every kind; a 5xx answer is one of kind ``status``."""
        return self.failures.total()


Key = tuple[str, str]
"""(route, side)."""


class Traffic:
    """Takes tallies, gives sums. `knows` says whether a route is in the running table; others are not kept."""

    def __init__(
        self,
        knows: Callable[[str], bool],
        clock: Callable[[], float],
        singled_out: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """`clock` is monotonic, in seconds."""
        self._knows = knows
        self._singled_out = singled_out
        self._routes: set[str] = set()
        self._clock = clock
        self._sides: dict[Key, SideTraffic] = {}
        self._recent: deque[tuple[int, dict[Key, SideTraffic]]] = deque(maxlen=WINDOW + 1)
        self._counts: dict[tuple[str, Labels], float] = {}
        self._gauges: dict[str, dict[tuple[str, Labels], float]] = {}
        self.dropped_series = 0

    def add(self, peer: str, tally: Tally) -> None:
        second = int(self._clock())
        if not self._recent or self._recent[-1][0] != second:
            self._recent.append((second, {}))
        recent = self._recent[-1][1]
        for side in tally.sides:
            if not self._knows(side.route):
                continue
            key = (self._own(side.route), side.side)
            self._sides.setdefault(key, SideTraffic()).add(side)
            recent.setdefault(key, SideTraffic()).add(side)
        for name, given, delta in tally.counts:
            labels = self._folded(given)
            if labels is None:
                continue
            series = (name, labels)
            if series in self._counts or len(self._counts) < SERIES_LIMIT:
                self._counts[series] = self._counts.get(series, 0.0) + delta
            else:
                self.dropped_series += 1
        if tally.gauges is None:
            return
        gauges: dict[tuple[str, Labels], float] = {}
        for name, given, value in tally.gauges:
            labels = self._folded(given)
            if labels is not None and (len(gauges) < SERIES_LIMIT or (name, labels) in gauges):
                gauges[name, labels] = gauges.get((name, labels), 0.0) + value
        self._gauges[peer] = gauges

    def _folded(self, labels: Labels) -> Labels | None:
        """With a route that has no sums of its own summed with its like; None of a route that is not in the table."""
        for at, (label, route) in enumerate(labels):
            if label == "route":
                if not self._knows(route):
                    return None
                own = self._own(route)
                return labels if own == route else (*labels[:at], (label, own), *labels[at + 1 :])
        return labels

    def _own(self, route: str) -> str:
        """The route that this one is summed under."""
        if route not in self._routes:
            if len(self._routes) >= ROUTES_LIMIT and not self._singled_out(route):
                return OTHERS
            self._routes.add(route)
        return route

    def forget_peer(self, peer: str) -> None:
        """A peer's gauges end with it; its counts stay."""
        self._gauges.pop(peer, None)

    @property
    def sides(self) -> Mapping[Key, SideTraffic]:
        return self._sides

    def recent(self, key: Key) -> SideTraffic:
        """Sums of the last WINDOW seconds."""
        earliest = int(self._clock()) - WINDOW
        total = SideTraffic()
        for second, sides in self._recent:
            if second > earliest and key in sides:
                one = sides[key]
                total.requests.update(one.requests)
                total.failures.update(one.failures)
                total.seconds += one.seconds
                total.latency.update(one.latency)
                total.inside.update(one.inside)
        return total

    def counts(self) -> Iterator[tuple[str, Labels, float]]:
        for (name, labels), value in self._counts.items():
            yield name, labels, value

    def gauges(self) -> Iterator[tuple[str, Labels, float]]:
        """Gauges summed over the peers that are connected."""
        sums: dict[tuple[str, Labels], float] = {}
        for of_peer in self._gauges.values():
            for series, value in of_peer.items():
                sums[series] = sums.get(series, 0.0) + value
        for (name, labels), value in sums.items():
            yield name, labels, value
