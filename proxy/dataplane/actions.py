"""What a route does to one exchange beyond choosing its side: what it changes, how long it waits, what it repeats.

Only exchanges of routes that ask for any of this have one; all others pay one attribute test for it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxy.dataplane import own
from proxy.dataplane.heads import AnswerHead
from proxy.dataplane.refusals import unwritable
from proxy.dataplane.retries import Retrying
from proxy.dataplane.rewrites import ForCopy, Outgoing, change_answer, for_copy, outgoing, without
from rules.compiled import CompiledRoute
from rules.own_answers import OwnAnswer
from rules.rewriting import RewriteError, Values
from rules.stages import Side

if TYPE_CHECKING:
    from proxy.dataplane.exchange import Exchange

_NEVER = float("inf")


class Actions:
    """See the module. What is worked out for a side is kept, for its answer and for a copy."""

    __slots__ = ("_exchange", "_outgoing", "_timer", "_values", "retrying", "route", "until")

    def __init__(self, exchange: Exchange, route: CompiledRoute) -> None:
        self.route = route
        self.until = _NEVER
        """When patience with all attempts together ends, by the route's `timeout`; monotonic seconds."""
        self.retrying = Retrying(route.retries) if route.retries is not None else None
        self._exchange = exchange
        self._timer: asyncio.TimerHandle | None = None
        """Runs while an attempt waits to be made."""
        self._values: dict[Side, Values] = {}
        self._outgoing: dict[Side, Outgoing] = {}

    def begin(self) -> bool:
        """Whether a side is to be asked; if not, the exchange answers by itself. Raises Refusal (413)."""
        if self.route.max_body is not None:
            self._exchange.bound_body(self.route.max_body)
        if self.route.own is not None:
            own.begin(self._exchange, self)
            return False
        return self.make_request()

    def stop(self) -> None:
        """The exchange is over."""
        if self._timer is not None:
            self._timer.cancel()

    # --- what is changed ---------------------------------------------------------------------------------------------

    def make_request(self) -> bool:
        """For the side that is to answer. False where the rules make none of it: then it is refused."""
        try:
            self.outgoing(self._exchange.side)
        except RewriteError:
            self._exchange.failure = "rewrite"
            own.refuse(self._exchange, unwritable())
            return False
        return True

    def outgoing(self, side: Side) -> Outgoing:
        """The request as that side gets it. Raises RewriteError."""
        made = self._outgoing.get(side)
        if made is None:
            change = self.route.changes[side]
            values = self._values_of(side) if change is not None else {}
            made = self._outgoing[side] = outgoing(self._exchange.head, change, values)
        return made

    def for_copy(self) -> ForCopy | None:
        """What the side that does not answer gets in place of what the client sent, and how its answer is changed;
        None where the route changes neither. Raises RewriteError."""
        side = self._exchange.side.other
        change = self.route.changes[side]
        return for_copy(self.outgoing(side), change, self._values_of(side)) if change is not None else None

    def change_answer(self, head: AnswerHead) -> None:
        """In place, as the client is to get it."""
        side = self._exchange.side
        change = self.route.changes[side]
        if change is not None and change.answer_fields is not None:
            change_answer(head, change.answer_fields, self._values_of(side))

    def request_trailers(self, trailers: tuple[bytes, ...]) -> tuple[bytes, ...]:
        change = self.route.changes[self._exchange.side]
        return without(trailers, change.request_fields if change is not None else None)

    def without_removed(self, lines: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """What may stay of the lines that come before the answer's head (1xx) or behind its body (trailers)."""
        change = self.route.changes[self._exchange.side]
        return without(lines, change.answer_fields if change is not None else None)

    def own_answer(self) -> OwnAnswer:
        """What fig itself answers. Raises RewriteError."""
        assert self.route.own is not None
        exchange = self._exchange
        return self.route.own.answer(
            exchange.head, exchange.head.scheme.decode("ascii"), self._values_of(exchange.side)
        )

    @property
    def sent_path(self) -> str | None:
        """The path that the side was asked for, where it is not the client's; for the access log, which holds no query,
        so not where the rules may have put the query into it."""
        exchange = self._exchange
        change = self.route.changes[exchange.side]
        if not exchange.sent or change is None or change.rewrite is None or "query" in change.rewrite.names:
            return None
        path = self.outgoing(exchange.side).path
        return path if path != exchange.head.path else None

    def _values_of(self, side: Side) -> Values:
        values = self._values.get(side)
        if values is None:
            head = self._exchange.head
            values = self._values[side] = {
                **self.route.captures(head),
                "client": head.client,
                "host": head.host,
                "path": head.path,
                "query": head.query,
                "request_id": self._exchange.request_id.decode("ascii"),
                "route": self.route.name,
                "side": side.value,
            }
        return values

    # --- how long it waits, and what it repeats ----------------------------------------------------------------------

    @property
    def retries(self) -> int:
        """How often it was sent again."""
        return self.retrying.made if self.retrying is not None else 0

    def start_clock(self, now: float) -> None:
        """The request is complete and goes to a side."""
        if self.route.timeout is not None:
            self.until = now + self.route.timeout

    def deadline(self, now: float, patience: float) -> float:
        """When an attempt that was sent now has taken too long; `patience` is the service's `timeout`.

        The route's `timeout` stands in place of it. Only where another attempt would follow does the service's bound
        this one, for else the first would use up the time of all.
        """
        if self.until == _NEVER:
            return now + patience
        if self.retrying is not None and self._may_repeat() and self.retrying.may_follow("timeout"):
            return min(now + patience, self.until)
        return self.until

    def try_again(self, event: str) -> bool:
        """Whether another attempt at the same service follows in a moment. `event`: a failure's kind, or a status."""
        if self.retrying is None or not self._may_repeat():
            return False
        exchange = self._exchange
        plane = exchange.plane
        now = plane.now()
        pause = self.retrying.again(event, exchange.service.budget_at(now), now, self.until, plane.roll)
        if pause is None:
            return False
        exchange.failure = ""
        exchange.deadline = _NEVER
        self._timer = asyncio.get_running_loop().call_later(pause, exchange.take_connection)
        return True

    def _may_repeat(self) -> bool:
        exchange = self._exchange
        return exchange.repeatable and not exchange.spent and not exchange.client_gone
