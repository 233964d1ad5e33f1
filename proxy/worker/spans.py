"""Traced exchanges on their way to control, which makes spans of them and exports them.

A worker imports nothing of OpenTelemetry, and a collector that is slow or dead is none of its concern: what control
does not take is dropped and counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.wire import Record, Spans, TracedAttempt, TracedExchange
from proxy.worker.hiding import hidden
from rules.buckets import BUCKETS

if TYPE_CHECKING:
    from proxy.dataplane.exchange import Exchange
    from proxy.dataplane.tracing import Traced
    from proxy.worker.tallies import Labels

LIMIT = 4000
"""Exchanges held between two flushes: 16,000 a second."""
BATCH = 500
"""Exchanges in one record: about 200 KB."""


class SpanLog:
    """Holds what is over until the next flush. `now` and `wall` are monotonic seconds and seconds since the epoch."""

    def __init__(
        self,
        count: Callable[[str, Labels, float], None],
        now: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._count = count
        self._now = now
        self._wall = wall
        self._held: list[TracedExchange] = []
        self._dropped = 0

    def finished(self, exchange: Exchange, traced: Traced) -> None:
        """For every traced exchange, once it is over."""
        if len(self._held) >= LIMIT:
            self._dropped += 1
        else:
            self._held.append(_told(exchange, traced))

    def flush(self, send: Callable[[Record], bool]) -> None:
        """Send what is held. What is not taken is dropped: spans must not pile up while control is away."""
        held, self._held = self._held, []
        epoch = self._wall() - self._now() if held else 0.0
        for start in range(0, len(held), BATCH):
            batch = held[start : start + BATCH]
            if not send(Spans(epoch, batch)):
                self._dropped += len(batch)
        if self._dropped:
            self._count("spans_dropped", (("reason", "worker"),), float(self._dropped))
            self._dropped = 0


def _told(exchange: Exchange, traced: Traced) -> TracedExchange:
    head, decision = exchange.head, exchange.decision
    is_own = decision.route.own is not None
    return TracedExchange(
        trace=traced.trace,
        span=traced.span,
        parent=traced.parent,
        state=traced.state,
        flags=traced.flags,
        started=exchange.started,
        ended=exchange.ended,
        inside=exchange.inside if exchange.answer and not exchange.failure else -1.0,
        method=head.method,
        scheme=head.scheme.decode("ascii"),
        host=head.host,
        port=head.port,
        path=hidden(head.path),
        client=head.client,
        peer=head.peer,
        version="1.0" if head.http10 else "1.1",
        request_id=hidden(exchange.request_id.decode("ascii")),
        route=decision.route.name,
        side="" if is_own else exchange.side.value,
        service="" if is_own else exchange.service.name,
        stage=decision.stage.value,
        generation=exchange.generation,
        reason=decision.reason,
        bucket=exchange.choice.unit_hash % BUCKETS if exchange.choice.unit else -1,
        status=exchange.status,
        failure=exchange.failure,
        refused=exchange.refused,
        fallback=exchange.fallback,
        bytes_in=exchange.bytes_in,
        bytes_out=exchange.bytes_out,
        attempts=_attempts(exchange, traced),
    )


def _attempts(exchange: Exchange, traced: Traced) -> list[TracedAttempt]:
    """Those that another one followed as they ended, and the last one, which ended with the exchange."""
    told = []
    path = hidden((exchange.actions.sent_path if exchange.actions is not None else None) or exchange.head.path)
    for number, sending in enumerate(traced.sendings):
        if number < len(traced.endings):
            ended, status, failure = traced.endings[number]
        else:
            ended, failure = exchange.ended, exchange.failure
            status = exchange.status if exchange.answer else 0
        told.append(
            TracedAttempt(
                span=sending.span,
                started=sending.at,
                ended=ended,
                service=sending.service,
                endpoint=sending.endpoint,
                path=path,
                peer=sending.peer,
                status=status,
                failure=failure,
            )
        )
    return told
