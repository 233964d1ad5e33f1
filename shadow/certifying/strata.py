"""Every request captured on a route stands in exactly one stratum: with a pair, or apart with the reason. Pure.

A bound over all pairs says little about what is rare: 200,000 reads that agree prove nothing about three DELETEs. So
pairs are counted by method, by the class of the status that the client got, and by kind; and what was captured and
never became a pair is counted the same way, so that the sums of a route's strata equal the requests captured.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from shadow.pair import Pair

METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "POST", "PUT", "PATCH", "DELETE"))
"""Told apart by name (RFC 9110 section 9, RFC 5789); clients may make up any others, which are OTHER together."""
OTHER = "OTHER"
NO_STATUS = "none"
"""The class of an answer that did not come."""


class StratumKind(StrEnum):
    """What became of a request that was captured."""

    READ = "read"
    WRITE = "write"
    STATE = "state"
    """Not a request of a client: what both sides hold of a key, read back once it was quiet."""
    UNSETTLED = "unsettled"
    """A read that was not compared, because writes of its key were still on their way."""
    NO_PAIR = "no_pair"
    """Nothing to compare: no copy was owed or it was given up, or the pair could not be judged."""
    DROPPED = "dropped"
    """A read whose copy was not sent or whose pair was not compared, because there was no room for it."""

    @property
    def compared(self) -> bool:
        """Whether these are pairs."""
        return self in (StratumKind.READ, StratumKind.WRITE, StratumKind.STATE)


def status_class(status: int) -> str:
    """``2xx`` and so on; ``none`` where no answer came."""
    return f"{status // 100}xx" if 100 <= status <= 599 else NO_STATUS


def method_name(method: str) -> str:
    """How a method is counted."""
    return method if method in METHODS else OTHER


_CLASSES = {status: status_class(status) for status in range(600)}
_NAMES = {method: method for method in METHODS}


@dataclass(frozen=True, slots=True)
class Stratum:
    """What is counted of one method, status class and kind in one window."""

    method: str
    status_class: str
    """Of the side that answered the client."""
    kind: StratumKind
    pairs: int
    """Pairs; of the kinds that have none, requests."""
    differing: int = 0
    excused: int = 0
    """Pairs that agree only because masks excused something."""
    attempts: int = 0
    """Attempts at copies of writes that failed before the answer that was compared."""

    @property
    def name(self) -> str:
        """``POST 2xx (write)``."""
        return f"{self.method} {self.status_class} ({self.kind})"


Key = tuple[str, str, str]
"""Method, status class and kind, as they stand in the file."""


def key_of(pair: Pair) -> Key:
    """The stratum of a pair. Hot: once for each pair that is stored."""
    answer = pair.legacy if pair.side == "legacy" else pair.candidate
    return (
        _NAMES.get(pair.method, OTHER),
        _CLASSES.get(answer.status, NO_STATUS),
        pair.kind.value,
    )


class Apart:
    """Requests that were captured and have no pair, until the store takes their counts. Safe in any thread."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, StratumKind, str, str]] = Counter()
        self._lock = threading.Lock()

    def add(self, route: str, kind: StratumKind, method: str, status: int, count: int = 1) -> None:
        """`status` is that of the side that answered the client; 0 where there was none."""
        self.add_class(route, kind, _NAMES.get(method, OTHER), _CLASSES.get(status, NO_STATUS), count)

    def add_class(self, route: str, kind: StratumKind, method: str, status_class: str, count: int = 1) -> None:
        """The same, of a stratum that is named already."""
        with self._lock:
            self._counts[route, kind, method, status_class] += count

    def take(self) -> Counter[tuple[str, StratumKind, str, str]]:
        """(route, kind, method, status class) -> requests since this was called last."""
        with self._lock:
            taken, self._counts = self._counts, Counter()
            return taken

    def give_back(self, taken: Counter[tuple[str, StratumKind, str, str]]) -> None:
        """What could not be stored counts the next time."""
        with self._lock:
            self._counts.update(taken)
