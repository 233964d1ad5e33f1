"""The access log: one JSON line per sampled exchange and for every failed one, written in batches off the data path.

A line holds no header values and no query, and of a path no part that has the form of a secret: what may be secret is
not logged (DESIGN section 6). Of the unit it holds the bucket, which thousands share. Requests that were refused before
they had a route have lines of their own, few at a time, so that whoever sends nonsense cannot fill a disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from proxy.worker.hiding import hidden
from rules.buckets import BUCKETS

if TYPE_CHECKING:
    from proxy.dataplane.client import ClientConnection
    from proxy.dataplane.exchange import Exchange
    from proxy.dataplane.refusals import Refusal

log = structlog.get_logger("access")

LIMIT = 1000
"""Lines of exchanges held between two flushes; further ones are counted and left out."""
LINES_AT_ONCE = 4
"""Lines written in one go: some 100 us of the loop's time."""
REFUSED_LIMIT = 10
"""The same of refused requests: at two flushes a second some 5 KB a second, however many are sent."""


class AccessLog:
    """`sample` is the part of good exchanges that is logged, in millionths; 5xx and failures always are."""

    def __init__(self, sample: int, roll: Callable[[], int], wall: Callable[[], float]) -> None:
        """`roll` gives a whole number below a million, `wall` seconds since the epoch."""
        self._sample = sample
        self._roll = roll
        self._wall = wall
        self._lines: deque[dict[str, Any]] = deque()
        self._left_out = 0
        self._refused: list[dict[str, Any]] = []
        self._refused_left_out = 0

    def finished(self, exchange: Exchange) -> None:
        failed = exchange.failure or exchange.fallback or exchange.status >= 500
        if not failed and self._roll() >= self._sample:
            return
        if len(self._lines) >= LIMIT:
            self._left_out += 1
            return
        self._lines.append(_line(exchange))

    def refused(self, refusal: Refusal, client: str, request_id: str) -> None:
        """A request that never had a route, so that little is known of it."""
        if len(self._refused) >= REFUSED_LIMIT:
            self._refused_left_out += 1
            return
        self._refused.append(
            {
                "ts": _time(self._wall()),
                "request_id": hidden(request_id),
                "client": client,
                "status": refusal.status,
                "refused": refusal.reason,
            }
        )

    def flush(self) -> None:
        """All of `flushing` at once."""
        for _ in self.flushing():
            pass

    def flushing(self) -> Iterator[None]:
        """Write what was noted since the last time, a few lines at a time, between which others may have the loop."""
        for number in range(1, len(self._lines) + 1):
            if not self._lines:  # another flush had the loop, and wrote them
                break
            log.info("exchange", **self._lines.popleft())
            if number % LINES_AT_ONCE == 0:
                yield
        refused, self._refused = self._refused, []
        for line in refused:
            log.info("refused", **line)
        if self._left_out:
            log.warning("access log lines left out", count=self._left_out)
            self._left_out = 0
        if self._refused_left_out:
            log.warning("lines of refused requests left out", count=self._refused_left_out)
            self._refused_left_out = 0


def _line(exchange: Exchange) -> dict[str, Any]:
    head, decision, actions = exchange.head, exchange.decision, exchange.actions
    is_own = decision.route.own is not None
    answered = bool(exchange.answer)
    traced = exchange.traced
    return {
        "ts": _time(exchange.wall - (exchange.answer or exchange.ended) + exchange.started),
        "request_id": hidden(exchange.request_id.decode("ascii")),
        "trace_id": traced.trace.decode("ascii") if traced is not None else None,
        "client": head.client,
        "scheme": head.scheme.decode("ascii"),
        "tls": _tls(exchange.client),
        "protocol": "HTTP/1.0" if head.http10 else "HTTP/1.1",
        "method": head.method,
        "host": head.host,
        "path": hidden(head.path),
        "sent_path": hidden(actions.sent_path) if actions is not None and actions.sent_path is not None else None,
        "route": decision.route.name,
        "stage": decision.stage.value,
        "side": None if is_own else exchange.side.value,
        "service": None if is_own else exchange.service.name,
        "endpoint": exchange.used.endpoint.url if exchange.used is not None else None,
        "bucket": exchange.choice.unit_hash % BUCKETS if exchange.choice.unit else None,
        "reason": decision.reason,
        "generation": exchange.generation,
        "status": exchange.status,
        "refused": exchange.refused,
        "failure": exchange.failure,
        "fallback": exchange.fallback,
        "retries": actions.retries if actions is not None else 0,
        "bytes_in": exchange.bytes_in,
        "bytes_out": exchange.bytes_out,
        "ms": _milliseconds(exchange.ended - exchange.started),
        "service_ms": _milliseconds(exchange.answer - exchange.sent) if answered else None,
        "inside_ms": _milliseconds(exchange.inside) if answered and not exchange.failure else None,
    }


def _time(seconds: float) -> str:
    """When it began, in RFC 3339 and UTC; the line's own ``timestamp`` is when it was written."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _tls(client: ClientConnection) -> str | None:
    """``TLSv1.3``, where the client speaks TLS to fig itself."""
    if client.below is None:
        return None
    session = client.transport.get_extra_info("ssl_object")
    return session.version() if session is not None else None
