"""Spans on their way out: a bounded queue, and a thread that gives what is in it to whoever exports.

A collector that is slow or dead costs what does not fit into the queue, counted; nothing else waits for it.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from typing import Protocol

import structlog

from proxy.wire import Spans, TracedExchange

log = structlog.get_logger(__name__)

QUEUE = 20_000
"""Exchanges that wait: some 40 MB."""
BATCH = 512
"""Exchanges in one request to the collector, about twice as many spans; OpenTelemetry's batch processor sends 512."""
GATHER = 1.0
"""Seconds that a first exchange waits for others to be sent with."""
LAST = 1.0
"""Seconds for what is still waiting when control ends."""

Waiting = tuple[float, TracedExchange]


class Export(Protocol):
    """Implemented by control.otel.OtlpExport."""

    def send(self, exchanges: list[Waiting]) -> bool:
        """Blocks; whether they were taken. Exchanges with what makes epoch seconds of their times."""

    def close(self) -> None:
        """Nothing more is sent, and a `send` under way ends soon."""


class SpanExport:
    """`take` never waits. Counts are whole numbers that one thread each adds to, so reading them needs no lock."""

    def __init__(self, export: Export, limit: int = QUEUE) -> None:
        self._export = export
        self._waiting: queue.Queue[Waiting | None] = queue.Queue(limit)
        self._crowded = self._refused = self._sent = 0
        self._closing = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def take(self, spans: Spans) -> None:
        for exchange in spans.exchanges:
            try:
                self._waiting.put_nowait((spans.epoch, exchange))
            except queue.Full:
                self._crowded += 1

    def counts(self) -> Iterator[tuple[str, float]]:
        """(what became of exchanges, how many): ``sent``, ``queue`` (no room), ``collector`` (not taken by it)."""
        yield from (("sent", self._sent), ("queue", self._crowded), ("collector", self._refused))

    def stop(self, seconds: float = LAST) -> None:
        """Send what waits, for so long at most. Blocks."""
        self._closing = True
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(None)  # wakes the thread; a full queue wakes it as well
        self._thread.join(seconds)
        self._export.close()

    def _run(self) -> None:
        while True:
            batch = self._gather()
            if batch:
                self._send(batch)
            elif self._closing:
                return

    def _gather(self) -> list[Waiting]:
        """Up to BATCH of what waits: the first one is waited for, the others for GATHER seconds."""
        batch: list[Waiting] = []
        until = 0.0
        while len(batch) < BATCH:
            try:
                patience = None if not batch else max(0.0, until - time.monotonic())
                one = self._waiting.get_nowait() if self._closing else self._waiting.get(timeout=patience)
            except queue.Empty:
                break
            if one is None:
                break
            until = until or time.monotonic() + GATHER
            batch.append(one)
        return batch

    def _send(self, batch: list[Waiting]) -> None:
        try:
            taken = self._export.send(batch)
        except Exception:  # whatever it is, the next batch may fare better
            log.exception("spans not sent", exchanges=len(batch))
            taken = False
        if taken:
            self._sent += len(batch)
        else:
            self._refused += len(batch)
        if taken is self._failing:  # told once, not with every batch
            self._failing = not taken
            if taken:
                log.info("the collector takes spans again")
            else:
                log.warning("the collector does not take spans; they are dropped and counted until it does")
