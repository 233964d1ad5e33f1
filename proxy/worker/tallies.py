"""What a worker counts of its exchanges: tallies for every route and side, rows for routes whose canary judges them.

Called on the data path once per exchange, so it only adds to dictionaries and appends fixed-size rows; everything
leaves in batches, a little at a time: in one go it held the loop for 3 to 4 ms twice a second (5,000 requests/s, 100
routes), now for less than one at a time. Bounded: unknown methods share a label, rows beyond the limit are counted
as dropped.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from canary import histogram
from proxy.wire import ROW_STRUCT, Record, Rows, SideTally, Tally
from proxy.worker.events import EventLog
from rules.failures import FAILURES
from rules.stages import Side

if TYPE_CHECKING:
    from proxy.dataplane.exchange import Exchange
    from proxy.dataplane.refusals import Refusal

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
_CLASSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx", "other", "other", "other", "other")
_SIDE_FAILURES = frozenset(("connect", "tls", "timeout", "reset", "malformed", "rewrite"))
_FAILURE_INDEX = {kind: number for number, kind in enumerate(FAILURES)}
_pack_row = struct.Struct(ROW_STRUCT).pack
ROWS_LIMIT = 1024 * 1024
"""Bytes of rows a route may hold between two flushes: about 40,000 exchanges."""

SIDES_AT_ONCE = 50
"""Sides of one Tally: some 200 us of the loop's time."""
ROUTES_AT_ONCE = 32
"""Routes whose rows are sent in one go: some 100 us of the loop's time."""

Labels = tuple[tuple[str, str], ...]
Key = tuple[str, Side, str]
"""Route, side and service."""
_Ints = npt.NDArray[np.int64]
Gauge = tuple[str, Labels, float]


class _Side:
    """Counts of one route, side and service since the last flush."""

    __slots__ = ("cut", "failures", "number", "requests", "seconds")

    def __init__(self, number: int) -> None:
        self.number = number
        """Its place among the sides that are counted."""
        self.requests: dict[tuple[str, int], int] = {}
        self.failures: dict[str, int] = {}
        self.cut = 0
        """Failures after the answer's head."""
        self.seconds = 0.0


class _Times:
    """Durations, by the number of their side. What is added lies as it came until `settle` puts it into buckets.

    A logarithm or two for each exchange would cost the data path 1.5 us; all of a flush in one go, whatever their
    sides, cost a tenth of that each. While control is away there comes to be one place for every side and bucket:
    putting two lots together costs a millisecond and more then, and is done once the later is half as large.
    """

    __slots__ = ("_lots", "_seconds", "_sides")

    def __init__(self) -> None:
        self._seconds = array("d")
        self._sides = array("q")
        self._lots: list[tuple[_Ints, _Ints]] = []
        """Places, in order, and how many durations fell there. A place is the number of the side times
        `histogram.SIZE`, plus the bucket's offset. Each lot is more than twice as large as the next."""

    def add(self, side: int, seconds: float) -> None:
        self._sides.append(side)
        self._seconds.append(seconds)

    def settle(self) -> None:
        """Count what was added since the last time."""
        if not self._seconds:
            return
        offsets = histogram.offsets(np.frombuffer(self._seconds, np.float64))
        added = np.frombuffer(self._sides, np.int64) * histogram.SIZE + offsets
        self._seconds, self._sides = array("d"), array("q")
        lots = self._lots
        lots.append(np.unique(added, return_counts=True))
        while len(lots) > 1 and len(lots[-2][0]) <= 2 * len(lots[-1][0]):
            lots[-2:] = [_together(lots[-2:])]

    def packed(self, sides: range) -> list[bytes]:
        """A packed histogram for each of these sides, of what is settled."""
        if not self._lots:
            return [b"" for _ in sides]
        self._lots[:] = [_together(self._lots)]
        ((places, counts),) = self._lots
        bounds = np.searchsorted(places, np.arange(sides.start, sides.stop + 1) * histogram.SIZE)
        these = slice(bounds[0], bounds[-1])
        buckets = np.empty(bounds[-1] - bounds[0], histogram.PACKED)
        buckets["bucket"] = places[these] % histogram.SIZE + histogram.FIRST
        buckets["count"] = counts[these]
        data = buckets.tobytes()
        ends = ((bounds - bounds[0]) * buckets.itemsize).tolist()
        return [data[start:end] for start, end in pairwise(ends)]


def _together(lots: list[tuple[_Ints, _Ints]]) -> tuple[_Ints, _Ints]:
    """All of these in one."""
    if len(lots) == 1:
        return lots[0]
    places, where = np.unique(np.concatenate([places for places, _ in lots]), return_inverse=True)
    counts = np.zeros(len(places), np.int64)
    np.add.at(counts, where, np.concatenate([counts for _, counts in lots]))
    return places, counts


class _Counted:
    """Everything of every side since control last took it."""

    __slots__ = ("inside", "latencies", "sides")

    def __init__(self) -> None:
        self.sides: dict[Key, _Side] = {}
        self.latencies = _Times()
        self.inside = _Times()

    def part(self, first: int) -> list[SideTally]:
        """SIDES_AT_ONCE sides, the first of them by its number. Only what is settled."""
        some = list(islice(self.sides.items(), first, first + SIDES_AT_ONCE))
        numbers = range(first, first + len(some))
        return [
            SideTally(
                route=route,
                side=side.value,
                service=service,
                requests={f"{m} {_CLASSES[c]}": n for (m, c), n in counts.requests.items()},
                failures=counts.failures,
                seconds=counts.seconds,
                latency=latency,
                inside=inside,
                cut=counts.cut,
            )
            for ((route, side, service), counts), latency, inside in zip(
                some, self.latencies.packed(numbers), self.inside.packed(numbers), strict=True
            )
        ]


class Tallies:
    """Implements proxy.dataplane.ports.Observer. `also` sees every finished exchange too (the access log), and
    `also_refused` every request that was refused before it had a route."""

    def __init__(
        self,
        also: Callable[[Exchange], None] | None = None,
        also_refused: Callable[[Refusal, str, str], None] | None = None,
    ) -> None:
        self._also = also
        self._also_refused = also_refused
        self._counted = _Counted()
        self._leaving: tuple[_Counted, int] | None = None
        """What control took a part of, and the number of the first side that it did not take yet."""
        self._counts: dict[tuple[str, Labels], float] = {}
        self._rows: dict[tuple[str, int], bytearray] = {}
        self._dropped: dict[tuple[str, int], int] = {}
        self.events = EventLog(self.count)

    def finished(self, exchange: Exchange) -> None:
        decision = exchange.decision
        side = exchange.side
        if decision.route.own is not None:
            self._count_end(exchange)
            return
        key = (decision.route.name, side, exchange.service.name)
        counted = self._counted
        tally = counted.sides.get(key)
        if tally is None:
            tally = counted.sides[key] = _Side(len(counted.sides))
        failure = exchange.failure
        if exchange.fallback:
            self._failed(decision.route.name, decision.side, decision.service, "fallback")
        if failure in _SIDE_FAILURES:
            tally.failures[failure] = tally.failures.get(failure, 0) + 1
            if exchange.answer:
                tally.cut += 1
        elif exchange.answer and exchange.status >= 500:
            failure = "status"
            tally.failures[failure] = tally.failures.get(failure, 0) + 1
        if exchange.answer:
            method = exchange.head.method
            what = (method if method in _METHODS else "other", exchange.status // 100)
            tally.requests[what] = tally.requests.get(what, 0) + 1
            seconds = exchange.answer - exchange.sent
            tally.seconds += seconds
            counted.latencies.add(tally.number, seconds)
            if not exchange.failure:
                counted.inside.add(tally.number, exchange.inside)
        if exchange.actions is not None and exchange.actions.retrying is not None:
            answered = bool(exchange.answer) and not exchange.fallback
            for result, times in exchange.actions.retrying.results(answered=answered):
                self.count("retries", (("result", result), ("route", decision.route.name)), times)
        if decision.counted:
            self._row(exchange, failure)
        self._count_end(exchange)

    def _count_end(self, exchange: Exchange) -> None:
        """What is counted of every exchange, whether a side was asked or not."""
        if exchange.watched is not None:
            self.events.finished(exchange, exchange.watched)
        route = exchange.decision.route.name
        if exchange.status and not exchange.answer:
            labels = (("reason", exchange.refused), ("route", route), ("status", str(exchange.status)))
            self.count("own_answers", labels)
        if exchange.failure == "client":
            self.count("client_aborts", (("route", route), ("when", "answering" if exchange.answer else "waiting")))
        if self._also is not None:
            self._also(exchange)

    def refused(self, refusal: Refusal, client: str, request_id: str) -> None:
        self.count("refused", (("reason", refusal.reason), ("status", str(refusal.status))))
        if self._also_refused is not None:
            self._also_refused(refusal, client, request_id)

    def count(self, name: str, labels: Labels = (), amount: float = 1.0) -> None:
        """Add to a counter; label values must come from a fixed set."""
        key = (name, labels)
        self._counts[key] = self._counts.get(key, 0.0) + amount

    def _failed(self, route: str, side: Side, service: str, kind: str) -> None:
        key = (route, side, service)
        sides = self._counted.sides
        tally = sides.get(key)
        if tally is None:
            tally = sides[key] = _Side(len(sides))
        tally.failures[kind] = tally.failures.get(kind, 0) + 1

    def _row(self, exchange: Exchange, failure: str) -> None:
        """Evidence for the canary: what the side that the unit's bucket chose did. Clients that leave with a
        whole request unanswered speak against it (all would leave a side that hangs, and it would look idle),
        as do those that it has no room for, those that its open breaker turns away (it failed to open it, and
        its clients get errors for as long as it is left alone), and those for which the rules make no request
        for it. Other refusals by fig, and other departures, say nothing."""
        decision = exchange.decision
        if exchange.fallback:
            failure = "fallback"
        elif failure == "client" and exchange.request_done and not exchange.answer:
            failure = "left" if exchange.sent or exchange.recording is None else "client"  # not if the journal was slow
        kind = _FAILURE_INDEX.get(failure)
        if kind is None or not (exchange.answer or kind):
            return
        key = (decision.route.name, exchange.generation)
        rows = self._rows.get(key)
        if rows is None:
            rows = self._rows[key] = bytearray()
        elif len(rows) > ROWS_LIMIT:
            self._dropped[key] = self._dropped.get(key, 0) + 1
            return
        answered = exchange.answer and not exchange.fallback
        rows += _pack_row(
            exchange.wall,
            exchange.choice.unit_hash,
            (exchange.answer - exchange.sent) if answered else (exchange.ended - exchange.started),
            1 if decision.side is Side.CANDIDATE else 0,
            exchange.status // 100 if answered else 0,
            kind,
            0,
        )

    def flush_rows(self, send: Callable[[Record], bool]) -> None:
        """All of `flushing_rows` at once."""
        for _ in self.flushing_rows(send):
            pass

    def flushing_rows(self, send: Callable[[Record], bool]) -> Iterator[None]:
        """Send the rows of each route, a few routes at a time; what is not taken stays until the limit. Where one is
        not taken the others are not even packed: while control is away that would cost 10 ms for twenty full routes."""
        for number, key in enumerate(list(self._rows), 1):
            rows = self._rows.get(key)
            if rows is None:  # another flush had the loop, and sent them
                continue
            route, generation = key
            if not send(Rows(route, generation, bytes(rows), self._dropped.get(key, 0))):
                return
            del self._rows[key]
            self._dropped.pop(key, None)
            if number % ROUTES_AT_ONCE == 0:
                yield
        yield from self.events.flushing(send)

    def flush(self, send: Callable[[Record], bool], gauges: list[Gauge]) -> None:
        """All of `flushing` at once."""
        for _ in self.flushing(send, gauges):
            pass

    def flushing(self, send: Callable[[Record], bool], gauges: list[Gauge]) -> Iterator[None]:
        """Send everything counted since the last time; what is not taken is kept and added to.

        A part at a time, between which others may have the loop: of 10,000 routes it would hold it for 50 ms.
        """
        if self._leaving is not None:  # the link broke in the middle
            yield from self._send_rest(send)
        for times in (self._counted.latencies, self._counted.inside):
            times.settle()
            yield
        # From here to the sending nobody else has the loop; another flush may have had it until now.
        counted = self._counted
        if self._leaving is not None or not (counted.sides or self._counts or gauges):
            return
        for times in (counted.latencies, counted.inside):
            times.settle()  # what came meanwhile
        counts = [(name, labels, amount) for (name, labels), amount in self._counts.items()]
        if send(Tally(counted.part(0), counts, gauges)):
            self._counts = {}
            self._counted = _Counted()
            self._leaving = (counted, SIDES_AT_ONCE)
            yield from self._send_rest(send)

    def _send_rest(self, send: Callable[[Record], bool]) -> Iterator[None]:
        """The sides that control did not take yet, as far as it takes them."""
        while self._leaving is not None:
            counted, first = self._leaving
            if first >= len(counted.sides):
                self._leaving = None
                return
            if not send(Tally(counted.part(first))):
                return
            self._leaving = (counted, first + SIDES_AT_ONCE)
            yield
