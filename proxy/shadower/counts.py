"""What the shadower counts, until control takes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from proxy.wire import Record, Tally
from shadow.certifying.strata import Apart
from shadow.journal.writes import Standing

Labels = tuple[tuple[str, str], ...]
Gauge = tuple[str, Labels, float]


class Counts:
    """Sums since the last Tally that was sent. Label values come from the rules file and from fixed sets only."""

    def __init__(self) -> None:
        self.apart = Apart()
        """Requests that were captured and have no pair."""
        self._sums: Counter[tuple[str, Labels]] = Counter()

    def add(self, name: str, amount: int = 1, **labels: str) -> None:
        self._sums[name, tuple(labels.items())] += amount

    def total(self, name: str, **labels: str) -> int:
        """What is counted and not yet sent."""
        return self._sums[name, tuple(labels.items())]

    def flush(
        self, send: Callable[[Record], bool], standing: Mapping[str, Standing], more: Iterable[Gauge] = ()
    ) -> None:
        """Send everything, with `more` gauges; what is not taken stays and is added to."""
        counts = [(name, labels, float(amount)) for (name, labels), amount in self._sums.items()]
        gauges = list(more)
        for route, found in standing.items():
            labels = (("route", route),)
            gauges += [
                ("journal_undelivered", labels, float(found.undelivered)),
                ("journal_in_doubt", labels, float(found.in_doubt)),
                ("journal_dead", labels, float(found.dead)),
                ("journal_gaps", labels, float(found.gaps)),
                ("journal_declared", labels, float(found.declared)),
            ]
        if (counts or gauges) and send(Tally(counts=counts, gauges=gauges)):
            self._sums.clear()
