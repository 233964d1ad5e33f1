"""What a route does to one exchange beyond choosing its side: what it changes, how long it waits, what it repeats.

Only exchanges of routes that ask for any of this have one; to all others it costs one attribute test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.dataplane.heads import AnswerHead, RequestHead
from proxy.dataplane.retries import Retrying
from proxy.dataplane.rewrites import ForCopy, Outgoing, change_answer, for_copy, outgoing, without
from rules.compiled import CompiledRoute
from rules.own_answers import OwnAnswer
from rules.rewriting import Values
from rules.stages import Side

if TYPE_CHECKING:
    from asyncio import TimerHandle

_NEVER = float("inf")


class Actions:
    """See the module. What is worked out for a side is kept, for its answer and for a copy."""

    __slots__ = ("_head", "_outgoing", "_request_id", "_values", "retrying", "route", "timer", "until")

    def __init__(self, route: CompiledRoute, head: RequestHead, request_id: bytes) -> None:
        self.route = route
        self.until = _NEVER
        """When patience with all attempts together ends, by the route's `timeout`; monotonic seconds."""
        self.retrying = Retrying(route.retries) if route.retries is not None else None
        self.timer: TimerHandle | None = None
        """Runs while an attempt waits to be made."""
        self._head = head
        self._request_id = request_id
        self._values: dict[Side, Values] = {}
        self._outgoing: dict[Side, Outgoing] = {}

    def outgoing(self, side: Side) -> Outgoing:
        """The request as that side gets it. Raises RewriteError."""
        made = self._outgoing.get(side)
        if made is None:
            change = self.route.changes[side]
            made = self._outgoing[side] = outgoing(self._head, change, self._values_of(side) if change else {})
        return made

    def for_copy(self, side: Side) -> ForCopy | None:
        """What `side` gets in place of what the client sent; None where that is the same. Raises RewriteError."""
        change = self.route.changes[side]
        return for_copy(self.outgoing(side), change, self._values_of(side)) if change is not None else None

    def change_answer(self, side: Side, head: AnswerHead) -> None:
        """In place, as the client is to get it."""
        change = self.route.changes[side]
        if change is not None and change.answer_fields is not None:
            change_answer(head, change.answer_fields, self._values_of(side))

    def request_trailers(self, side: Side, trailers: tuple[bytes, ...]) -> tuple[bytes, ...]:
        change = self.route.changes[side]
        return without(trailers, change.request_fields if change is not None else None)

    def answer_trailers(self, side: Side, trailers: tuple[bytes, ...]) -> tuple[bytes, ...]:
        change = self.route.changes[side]
        return without(trailers, change.answer_fields if change is not None else None)

    def own_answer(self, side: Side) -> OwnAnswer:
        """What fig itself answers. Raises RewriteError."""
        assert self.route.own is not None
        return self.route.own.answer(self._head, self._head.scheme.decode("ascii"), self._values_of(side))

    def start_clock(self, now: float) -> None:
        """The request is complete and goes to a side."""
        if self.route.timeout is not None:
            self.until = now + self.route.timeout

    def deadline(self, now: float, patience: float, is_repeatable: bool) -> float:
        """When an attempt that was sent now has taken too long; `patience` is the service's `timeout`.

        The route's `timeout` stands in place of it. Only where another attempt would follow does the service's bound
        this one, for else the first would use up the time of all.
        """
        if self.until == _NEVER:
            return now + patience
        if is_repeatable and self.retrying is not None and self.retrying.may_follow("timeout"):
            return min(now + patience, self.until)
        return self.until

    def stop(self) -> None:
        """The exchange is over."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _values_of(self, side: Side) -> Values:
        values = self._values.get(side)
        if values is None:
            head = self._head
            values = self._values[side] = {
                **self.route.captures(head),
                "client": head.client,
                "host": head.host,
                "path": head.path,
                "query": head.query,
                "request_id": self._request_id.decode("ascii"),
                "route": self.route.name,
                "side": side.value,
            }
        return values
