"""Which exchanges are recorded as spans, and the traceparent that services get of them (W3C Trace Context, level 2).

Pure. A plane without a `Tracing` passes on what came, as section 4 of the specification asks of those who only forward;
with one, an exchange that is recorded has a `Traced`, every other has None and costs one comparison. Who may decide:

    the request came sampled        it stays so, for the part of them that `parents` says; else as if it were not
    the route has a `trace` share   chance, by that share
    the request came not sampled    whoever sent it has decided: it is not recorded
    it came without a traceparent   chance, by `sample`

What was decided stands in the flags that the services get, so that they do alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from proxy.dataplane.fields import TRACESTATE
from proxy.dataplane.tracestate import combined
from rules.stages import MILLION

if TYPE_CHECKING:
    from proxy.dataplane.exchange import Exchange
    from proxy.dataplane.heads import RequestHead
    from proxy.dataplane.ids import Ids

SAMPLED, RANDOM = 0x01, 0x02
"""Flags (3.2.2.5): the caller may have recorded; the trace id is random. Others are not known here, and not sent on."""


class Sending(NamedTuple):
    """One attempt to have the request answered: when its head went out (monotonic seconds), and where to."""

    span: bytes
    at: float
    service: str
    endpoint: str
    """The service's URL."""
    peer: tuple[str, int] | None
    """Address and port at the other end."""


class Ending(NamedTuple):
    """How an attempt that another one followed came to its end."""

    at: float
    status: int
    """0 where no answer came."""
    failure: str


class Traced:
    """The spans of one exchange as they come about: one for itself, one for each time that it was sent."""

    __slots__ = ("_draw", "endings", "flags", "parent", "sendings", "span", "state", "trace")

    def __init__(self, draw: Callable[[], bytes], trace: bytes, parent: bytes, flags: int) -> None:
        self._draw = draw
        self.trace = trace
        """32 hexadecimal digits."""
        self.parent = parent
        """The span of whoever sent the request, 16 hexadecimal digits; ``b""`` where the trace begins here."""
        self.span = draw()
        self.flags = flags
        self.state = b""
        """What other tracing systems say of the trace."""
        self.sendings: list[Sending] = []
        self.endings: list[Ending] = []
        """Of `sendings`, in order; the last one ends with the exchange and is not among them."""

    @property
    def parent_of_copies(self) -> bytes:
        """The traceparent of what is not sent for the client's sake: mirrors, deliveries."""
        return _traceparent(self.trace, self.span, self.flags)

    def sending(self, exchange: Exchange, at: float) -> bytes:
        """The request goes out over the exchange's connection; its traceparent."""
        connection = exchange.connection
        assert connection is not None
        peer = connection.transport.get_extra_info("peername")
        where = peer[:2] if isinstance(peer, tuple) else None
        span = self._draw()
        self.sendings.append(Sending(span, at, exchange.service.name, connection.pool.endpoint.url, where))
        return _traceparent(self.trace, span, self.flags)

    def ended(self, at: float, status: int, failure: str) -> None:
        """The attempt under way, if there is one, came to this."""
        if len(self.endings) < len(self.sendings):
            self.endings.append(Ending(at, status, failure))


class Tracing:
    """Decides, by chance from `roll`, a whole number below a million. Shares are millionths."""

    __slots__ = ("_ids", "_parents", "_records", "_roll", "_sample")

    def __init__(self, ids: Ids, roll: Callable[[], int], *, sample: int, parents: int, records: bool) -> None:
        """`records`: whether anyone takes spans; where nobody does, only the flags of traces begun here are decided."""
        self._ids = ids
        self._roll = roll
        self._sample = sample
        self._parents = parents
        self._records = records

    def begin(self, exchange: Exchange) -> Traced | None:
        """Once an exchange, before anything is sent. Sets its traceparent; None where it is not recorded."""
        came = exchange.traceparent
        share = exchange.decision.route.trace
        if not came:
            if not self._chance(self._sample if share is None else share):
                return None  # a traceparent with the flag not set is made when it is asked for
            trace, parent, flags = self._ids.new_trace(exchange.request_id), b"", SAMPLED
        else:
            trace, parent, flags = came[3:35], came[36:52], int(came[53:55], 16) & (SAMPLED | RANDOM)
            honoured = flags & SAMPLED and self._chance(self._parents)
            if not honoured:
                if share is None:
                    share = self._sample if flags & SAMPLED else 0
                if not self._chance(share):
                    if flags & SAMPLED:  # 3.2.2.5.1: who changes the flag changes the parent id as well
                        exchange.traceparent = _traceparent(trace, self._ids.span_id(), flags & RANDOM)
                    return None
            flags |= SAMPLED
            if not self._records:
                if not honoured:
                    exchange.traceparent = _traceparent(trace, self._ids.span_id(), flags)
                return None
        traced = Traced(self._ids.span_id, trace, parent, flags)
        if came:
            traced.state = _state(exchange.head)
        exchange.traceparent = traced.parent_of_copies
        return traced if self._records else None

    def _chance(self, share: int) -> bool:
        return share > 0 and (share >= MILLION or self._roll() < share)


def _state(head: RequestHead) -> bytes:
    """The tracestate that came; a malformed one is taken out of the head (3.3.1.5)."""
    values = [field.value for field in head.fields if field.kind == TRACESTATE]
    state = combined(values) if values else b""
    if state is None:
        gone = {field.line for field in head.fields if field.kind == TRACESTATE}
        head.lines[:] = [line for line in head.lines if line not in gone]
        head.fields[:] = [field for field in head.fields if field.kind != TRACESTATE]
        return b""
    return state


def _traceparent(trace: bytes, span: bytes, flags: int) -> bytes:
    return b"00-%b-%b-%02x" % (trace, span, flags)
