"""What a worker counts of its exchanges: tallies for every route and side, rows for routes whose canary judges them.

Called on the data path once per exchange, so it only adds to dictionaries and appends fixed-size rows; everything
leaves in batches from `flush`. Bounded: unknown methods share a label, rows beyond the limit are counted as dropped.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from canary import histogram
from proxy.wire import FAILURES, ROW_STRUCT, Record, Rows, SideTally, Tally
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

Labels = tuple[tuple[str, str], ...]


class _Side:
    """Counts of one route, side and service since the last flush."""

    __slots__ = ("failures", "inside", "latency", "number", "requests", "seconds")

    def __init__(self, number: int) -> None:
        self.number = number
        """Its place among the sides of this flush."""
        self.requests: dict[tuple[str, int], int] = {}
        self.failures: dict[str, int] = {}
        self.latency: dict[int, int] = {}
        self.inside: dict[int, int] = {}
        self.seconds = 0.0


class _Times:
    """Durations that are not in their sides' histograms yet.

    A logarithm or two for each exchange would cost the data path 1.5 us; all of a flush in one go, whatever their
    sides, cost a tenth of that each, and hold the loop for about a millisecond.
    """

    __slots__ = ("_seconds", "_sides")

    def __init__(self) -> None:
        self._seconds = array("d")
        self._sides = array("q")

    def add(self, side: int, seconds: float) -> None:
        self._sides.append(side)
        self._seconds.append(seconds)

    def counted(self) -> Iterator[tuple[int, int, int]]:
        """Number of the side, bucket and how many, of all that was added since; they are forgotten."""
        if self._seconds:
            offsets = histogram.offsets(np.frombuffer(self._seconds, np.float64))
            places, found = np.unique(
                np.frombuffer(self._sides, np.int64) * histogram.SIZE + offsets, return_counts=True
            )
            for place, count in zip(places.tolist(), found.tolist(), strict=True):
                number, offset = divmod(place, histogram.SIZE)
                yield number, offset + histogram.FIRST, count
            self._seconds = array("d")
            self._sides = array("q")


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
        self._sides: dict[tuple[str, Side, str], _Side] = {}
        self._latencies = _Times()
        self._inside = _Times()
        self._counts: dict[tuple[str, Labels], float] = {}
        self._rows: dict[tuple[str, int], bytearray] = {}
        self._dropped: dict[tuple[str, int], int] = {}

    def finished(self, exchange: Exchange) -> None:
        decision = exchange.decision
        side = exchange.side
        if decision.route.own is not None:
            self._count_end(exchange)
            return
        key = (decision.route.name, side, exchange.service.name)
        tally = self._sides.get(key)
        if tally is None:
            tally = self._sides[key] = _Side(len(self._sides))
        failure = exchange.failure
        if exchange.fallback:
            self._failed(decision.route.name, decision.side, decision.service, "fallback")
        if failure in _SIDE_FAILURES:
            tally.failures[failure] = tally.failures.get(failure, 0) + 1
        elif exchange.answer and exchange.status >= 500:
            failure = "status"
            tally.failures[failure] = tally.failures.get(failure, 0) + 1
        if exchange.answer:
            method = exchange.head.method
            what = (method if method in _METHODS else "other", exchange.status // 100)
            tally.requests[what] = tally.requests.get(what, 0) + 1
            seconds = exchange.answer - exchange.sent
            tally.seconds += seconds
            self._latencies.add(tally.number, seconds)
            if not exchange.failure:
                self._inside.add(tally.number, exchange.inside)
        if exchange.actions is not None and exchange.actions.retrying is not None:
            answered = bool(exchange.answer) and not exchange.fallback
            for result, times in exchange.actions.retrying.results(answered=answered):
                self.count("retries", (("result", result), ("route", decision.route.name)), times)
        if decision.counted:
            self._row(exchange, failure)
        self._count_end(exchange)

    def _count_end(self, exchange: Exchange) -> None:
        """What is counted of every exchange, whether a side was asked or not."""
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
        tally = self._sides.get(key)
        if tally is None:
            tally = self._sides[key] = _Side(len(self._sides))
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

    def _settle(self) -> None:
        """Put the durations into the histograms of their sides."""
        numbered = list(self._sides.values())
        for number, bucket, count in self._latencies.counted():
            counts = numbered[number].latency
            counts[bucket] = counts.get(bucket, 0) + count
        for number, bucket, count in self._inside.counted():
            counts = numbered[number].inside
            counts[bucket] = counts.get(bucket, 0) + count

    def flush_rows(self, send: Callable[[Record], bool]) -> None:
        """Send the rows of each route; what is not taken stays until the limit. Where one is not taken the others are
        not even packed: while control is away that would hold the loop, 10 ms for twenty full routes."""
        for key in list(self._rows):
            route, generation = key
            dropped = self._dropped.get(key, 0)
            if not send(Rows(route, generation, bytes(self._rows[key]), dropped)):
                return
            del self._rows[key]
            self._dropped.pop(key, None)

    def flush(self, send: Callable[[Record], bool], gauges: list[tuple[str, Labels, float]]) -> None:
        """Send everything counted since the last time; what is not taken is kept and added to."""
        self._settle()
        if not (self._sides or self._counts or gauges):
            return
        sides = [
            SideTally(
                route=route,
                side=side.value,
                service=service,
                requests={f"{m} {_CLASSES[c]}": n for (m, c), n in t.requests.items()},
                failures=t.failures,
                seconds=t.seconds,
                latency=t.latency,
                inside=t.inside,
            )
            for (route, side, service), t in self._sides.items()
        ]
        counts = [(name, labels, amount) for (name, labels), amount in self._counts.items()]
        if send(Tally(sides, counts, gauges)):
            self._sides = {}
            self._counts = {}
