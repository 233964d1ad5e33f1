"""A request that may be a business event which a canary's gate counts: what is kept of it until it is known.

Only exchanges whose request matches such an event have a `Watched`, and only while a route whose gate counts it stands
in canary. What it was is told by the observers' side (proxy/worker/events.py), when the exchange is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.dataplane.kept import Kept

if TYPE_CHECKING:
    from proxy.dataplane.exchange import Exchange
    from rules.events import Events, WatchedEvent


class Watched:
    """The events that an exchange may be, and as much of the bodies as may be looked at for their values."""

    __slots__ = ("_limit", "asked", "events", "wants_answer")

    def __init__(self, events: list[WatchedEvent], limit: int) -> None:
        """`limit`: bytes of either body."""
        self.events = events
        kinds = {event.value.kind for event in events if event.value is not None}
        self.wants_answer = "response" in kinds
        self.asked = Kept(limit) if "request" in kinds else None
        """The request's body, where a value stands in it."""
        self._limit = limit

    def keep_answer(self) -> Kept | None:
        """Where the answer is to be kept, on its account alone."""
        return Kept(self._limit, is_copied=False) if self.wants_answer else None


def watch(exchange: Exchange, events: Events) -> Watched | None:
    """None where the request can be no event, or is somebody's try: what is forced is no evidence."""
    found = events.of(exchange.head)
    if not found or exchange.decision.reason == "forced":
        return None
    watched = Watched(found, exchange.plane.limits.event_body)
    exchange.kept = watched.keep_answer()
    return watched
