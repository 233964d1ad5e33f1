"""The access log: one JSON line per sampled exchange and for every failed one, written in batches off the data path.

A line holds no header values and no query: what may be secret is not logged (DESIGN section 6). Of the unit it holds
the bucket, which thousands share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog

from rules.buckets import BUCKETS

if TYPE_CHECKING:
    from proxy.dataplane.exchange import Exchange

log = structlog.get_logger("access")

LIMIT = 1000
"""Lines held between two flushes; further ones are counted and left out."""


class AccessLog:
    """`sample` is the part of good exchanges that is logged, in millionths; 5xx and failures always are."""

    def __init__(self, sample: int, roll: Callable[[], int]) -> None:
        self._sample = sample
        self._roll = roll
        self._lines: list[dict[str, Any]] = []
        self._left_out = 0

    def finished(self, exchange: Exchange) -> None:
        failed = exchange.failure or exchange.fallback or exchange.status >= 500
        if not failed and self._roll() >= self._sample:
            return
        if len(self._lines) >= LIMIT:
            self._left_out += 1
            return
        actions = exchange.actions
        is_own = exchange.decision.route.own is not None
        self._lines.append(
            {
                "request_id": exchange.request_id.decode("ascii"),
                "client": exchange.head.client,
                "method": exchange.head.method,
                "host": exchange.head.host,
                "path": exchange.head.path,
                "sent_path": actions.sent_path if actions is not None else None,
                "route": exchange.decision.route.name,
                "side": None if is_own else exchange.side.value,
                "service": None if is_own else exchange.pool.name,
                "bucket": exchange.choice.unit_hash % BUCKETS if exchange.choice.unit else None,
                "reason": exchange.decision.reason,
                "generation": exchange.generation,
                "status": exchange.status,
                "failure": exchange.failure,
                "fallback": exchange.fallback,
                "retries": actions.retries if actions is not None else 0,
                "bytes_in": exchange.bytes_in,
                "bytes_out": exchange.bytes_out,
                "ms": round((exchange.ended - exchange.started) * 1000, 3),
                "service_ms": round((exchange.answer - exchange.sent) * 1000, 3) if exchange.answer else None,
            }
        )

    def flush(self) -> None:
        lines, self._lines = self._lines, []
        for line in lines:
            log.info("exchange", **line)
        if self._left_out:
            log.warning("access log lines left out", count=self._left_out)
            self._left_out = 0
