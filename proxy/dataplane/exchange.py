"""One exchange: a request on its way to a service and the answer on its way back. It decides what events mean.

Hot. The client connection reports the request's body and end, the service connection the answer's; this object writes
the one into the other, keeps the times and tells the observers once, when everything is over.

    asking --> sent --> answering --> over        (each may go straight to over: refused, failed, client gone)
       \\-> journaling -^                          (writes of routes with `writes:` wait for their durable intent)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.dataplane.answers import CONTINUE, own_answer
from proxy.dataplane.bodies import chunk, last_chunk
from proxy.dataplane.canonical import (
    Fields,
    answer_head,
    copied_answer,
    copied_request,
    interim_head,
    request_head,
    switched_head,
)
from proxy.dataplane.heads import CHUNKED, AnswerHead, RequestHead
from proxy.dataplane.refusals import Refusal
from proxy.dataplane.tunnel import Tunnel
from rules.stages import MILLION, Side, Stage

if TYPE_CHECKING:
    from proxy.dataplane.client import ClientConnection
    from proxy.dataplane.plane import Plane
    from proxy.dataplane.services import Pool, ServiceConnection
    from rules.decision import Choice

SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))  # RFC 9110 9.2.1
IDEMPOTENT = SAFE | {"PUT", "DELETE"}  # RFC 9110 9.2.2
MIRRORED = frozenset(("GET", "HEAD"))
_STATUS_OF = {"timeout": 504, "overloaded": 503}
_NEVER = float("inf")


class Exchange:
    """See the module. Times are the loop's monotonic seconds; 0.0 means 'has not happened'."""

    __slots__ = (
        "_answer", "_body", "_framing", "_made_key", "_spent", "_trailers", "_tried",
        "answer", "answer_body", "answer_size", "awaits_connection", "awaits_journal", "bytes_in", "bytes_out",
        "choice", "client", "client_gone", "connection", "copies", "deadline", "decision", "ended", "failure",
        "fallback", "generation", "head", "journaled", "key", "over", "plane", "pool", "pools", "refused",
        "request_done", "request_id", "sent", "sequence", "side", "started", "status", "traceparent", "truncated",
        "wall",
    )  # fmt: skip

    def __init__(self, plane: Plane, client: ClientConnection, head: RequestHead, choice: Choice, now: float) -> None:
        self.plane = plane
        self.client = client
        self.head = head
        self.choice = choice
        self.decision = decision = choice.decision
        self.generation = plane.table.generation
        self.side: Side = decision.side
        """The side that answers; a fallback changes it."""
        self.fallback = ""
        """Why the candidate failed, when legacy answers in its place; `failure` is then legacy's own."""
        self.pools = plane.pools
        """The services of the table that decided; a reload may take them from the plane before this is over."""
        self.pool: Pool = plane.pools[decision.service]
        self.connection: ServiceConnection | None = None
        self.request_id = head.request_id or plane.ids.trace_id()
        self.traceparent = head.traceparent
        self.started = now
        self.sent = 0.0
        """When the request's head was given to the service's connection."""
        self.answer = 0.0
        """When the answer's head was complete."""
        self.ended = 0.0
        self.wall = 0.0
        """Seconds since the epoch when the answer's head was complete, or the exchange failed."""
        self.status = 0
        """What the client got; 0 while there is nothing, or when it was gone before."""
        self.failure = ""
        """Why there is no answer: connect, timeout, reset, malformed, overloaded, journal; client if it left."""
        self.refused = ""
        """The reason of the Refusal by which fig answered itself; ``""`` when a service answered."""
        self.bytes_in = 0
        self.bytes_out = 0
        self.deadline = _NEVER
        self.awaits_connection = False
        self.awaits_journal = False
        self.client_gone = False
        self.over = False
        # Copies
        self.journaled = False
        """A route with `writes:`; this write is recorded before it is forwarded, and never falls back."""
        self.sequence = 0
        self.key = ""
        self.copies = False
        """Whether the answer is kept for a copy's comparison."""
        self.answer_body: list[bytes] = []
        self.answer_size = 0
        self.truncated = False
        self._answer: AnswerHead | None = None
        self._framing = 0
        self._body = bytearray()
        """What of the request's body has come and may have to be sent: one piece, however small its bytes came."""
        self.request_done = head.length == 0
        """Whether the request has come completely."""
        self._trailers: tuple[bytes, ...] = ()
        self._spent = False
        """Whether a part of the body was sent on and not kept: the request cannot be repeated."""
        self._made_key = b""
        self._tried = 0

    # --- the request -----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Called once. Asks for a connection, or for the journal first."""
        decision = self.decision
        if self.plane.copies is not None:
            method = self.head.method
            route = decision.route
            if decision.copy_to is not None and method in MIRRORED:
                self.copies = route.sample > 0 and (route.sample >= MILLION or self.plane.roll() < route.sample)
            elif route.writes is not None and method not in SAFE and self._has_to_be_recorded(route.writes.max_body):
                self._begin_write(route.writes.max_body)
                return
        self._ask()

    def _has_to_be_recorded(self, max_body: int) -> bool:
        """Where a copy is owed. In stage legacy none is, but after a rollback a write must wait for the copies of its
        key that legacy has still to get; bodies too large to hold do not."""
        if self.decision.copy_to is not None:
            return True
        return self.decision.stage is Stage.LEGACY and 0 <= self.head.length <= max_body

    def _begin_write(self, max_body: int) -> None:
        self.journaled = self.copies = True
        self.awaits_journal = True
        if self.head.length > max_body:
            raise _too_large(max_body)
        self.head.upgrade = b""  # a recorded write stays a write
        # Not made from the request's id, which a client may send again with another write.
        self._made_key = b"fig-" + self.plane.ids.trace_id()
        self.deadline = self.started + self.pool.spec.idle_timeout
        if self.request_done:
            self._intend()
        elif self.head.expects_continue:
            self.client.write(CONTINUE)  # the body is read here first, so it is fig that asks for it
        self.head.expects_continue = False

    def _intend(self) -> None:
        writes = self.decision.route.writes
        assert writes is not None and self.plane.copies is not None
        self.key = self.decision.route.order_key(self.head)
        self.deadline = self.plane.now() + writes.settle + self.plane.limits.journal_seconds
        if not self.plane.copies.intend(self, bytes(self._body)):
            self.unrecorded("the journal does not answer")

    def granted(self, sequence: int) -> None:
        """The intent is durable and this write holds its key's lease."""
        self.sequence = sequence
        self._after_journal()

    def denied(self, reason: str, retry_after: float) -> None:
        """The journal took nothing, for a reason that passes (an undelivered copy, a full queue)."""
        self.refuse(Refusal(503, "settling", reason, close=False, retry_after=retry_after))

    def unrecorded(self, reason: str) -> None:
        """The journal is not there: what the route says about that is done."""
        if self.client_gone:
            self.failure = "client"
            self._end()  # not forwarded, so there is nothing to record
            return
        writes = self.decision.route.writes
        assert writes is not None and self.plane.copies is not None
        if self.decision.copy_to is None:
            self._after_journal()  # nothing is owed, so nothing is missed
        elif writes.on_journal_failure == "forward":
            self.plane.copies.gap(self, reason)
            self._after_journal()
        else:
            self.failure = "journal"
            self.refuse(Refusal(503, "journal", "this write cannot be recorded right now", close=False, retry_after=1))

    def _after_journal(self) -> None:
        if not self.awaits_journal:
            return
        self.awaits_journal = False
        if self.client_gone:
            self._end()  # never forwarded; the outcome says so
        else:
            self._ask()

    def request_data(self, payload: bytes) -> None:
        """A piece of the request's body."""
        self.bytes_in += len(payload)
        connection = self.connection
        if connection is not None:
            self.deadline = self.plane.now() + self.pool.spec.idle_timeout
            connection.transport.write(chunk(payload) if self.head.length == CHUNKED else payload)
            if not self._spent:
                self._body += payload
                self._spend()
            return
        self._body += payload
        if self.journaled:
            self.deadline = self.plane.now() + self.pool.spec.idle_timeout
            writes = self.decision.route.writes
            assert writes is not None
            if len(self._body) > writes.max_body:
                raise _too_large(writes.max_body)
        elif len(self._body) > self.plane.limits.buffer:
            self.client.pause_reading()

    def request_end(self, trailers: tuple[bytes, ...]) -> None:
        """The request is complete."""
        self.request_done = True
        self._trailers = trailers
        if self.awaits_journal:
            self._intend()
        elif self.connection is not None:
            if self.head.length == CHUNKED:
                self.connection.transport.write(last_chunk(trailers))
            self.deadline = self.plane.now() + self.pool.spec.timeout

    def _ask(self) -> None:
        self.awaits_connection = True
        try:
            connection = self.pool.take(self)
        except Refusal as refusal:
            self.awaits_connection = False
            self.failure = "overloaded"
            self.refuse(refusal)
            return
        if connection is not None:
            self.connected(connection)
        elif self.awaits_connection:
            self.deadline = self.plane.now() + self.pool.spec.connect_timeout + self.pool.spec.timeout

    def connected(self, connection: ServiceConnection) -> None:
        """A connection is there: the head goes out, with as much of the body as has come."""
        self.awaits_connection = False
        self.connection = connection
        connection.exchange = self
        now = self.sent = self.plane.now()
        out = self._forwarded_head()
        body = bytes(self._body)
        if self.head.length == CHUNKED and not self.journaled:
            out.append(chunk(body))
            if self.request_done:
                out.append(last_chunk(self._trailers))
        else:
            out.append(body)
        connection.transport.write(b"".join(out))
        if self.request_done:
            self.deadline = now + self.pool.spec.timeout
        else:
            self._spend()
            self.deadline = now + self.pool.spec.idle_timeout
        if self.client.reading_paused and not connection.writing_paused:
            self.client.resume_reading()

    def _spend(self) -> None:
        """A part of the body is sent on: keep it only where it may be sent again, and while it is small."""
        if len(self._body) > self.plane.limits.buffer or self.head.method not in IDEMPOTENT:
            self._spent = True
            self._body.clear()

    def _forwarded_head(self) -> list[bytes]:
        """The request's head as its service gets it."""
        head = self.head
        host = head.host_value or self.pool.authority
        if not self.traceparent:
            self.traceparent = self.plane.ids.traceparent(self.request_id)
        length, key = head.length, b""
        if self.journaled:
            length = len(self._body)
            key = b"" if head.idempotency_key else self._made_key
        forwarded = self.client.forwarded(head, host)
        return request_head(head, host, forwarded, self.request_id, self.traceparent, key, length)

    def idempotency_key(self) -> bytes:
        """The client's own key, or one that is stable for this write."""
        return self.head.idempotency_key or self._made_key

    def forwarded_fields(self) -> Fields:
        """The end-to-end fields of the request as the service got them, without Host and framing: for copies."""
        return copied_request(self.head, self.plane.scheme, self.request_id, self.traceparent)

    # --- the answer ------------------------------------------------------------------------------------------------

    def interim(self, head: AnswerHead) -> None:
        """A 1xx answer: passed on to whoever can read it (RFC 9110 15.2)."""
        if self.head.http10 or self.client_gone or (self.journaled and head.status == 100):
            return
        self.client.write(interim_head(head))

    def answer_whole(self, head: AnswerHead, body: bytes, *, reusable: bool) -> None:
        """Head and body came in one read; they leave in one write."""
        self._answered(head)
        size = len(body)
        self.bytes_out = size
        if self.copies and size:
            self._keep(body)
        if not self.client_gone:
            out = self._answer_head(head)
            if size:
                out.append(body)
            self.client.write(b"".join(out))
        self._finish(reusable=reusable)

    def answer_head(self, head: AnswerHead) -> None:
        """The head of an answer whose body follows."""
        self._answered(head)
        self._framing = head.length
        if not self.client_gone:
            self.client.write(b"".join(self._answer_head(head)))

    def answer_data(self, payload: bytes) -> None:
        """A piece of the answer's body."""
        self.deadline = self.plane.now() + self.pool.spec.idle_timeout
        self.bytes_out += len(payload)
        if self.copies:
            self._keep(payload)
        if not self.client_gone:
            self.client.write(payload if self._framing >= 0 or self.head.http10 else chunk(payload))

    def answer_end(self, trailers: tuple[bytes, ...], *, reusable: bool) -> None:
        """The answer is complete."""
        if self._framing < 0 and not self.head.http10 and not self.client_gone:
            self.client.write(last_chunk(trailers))
        self._finish(reusable=reusable)

    def _answered(self, head: AnswerHead) -> None:
        now = self.answer = self.plane.now()
        self.wall = self.plane.wall()
        self.status = head.status
        self._answer = head
        self.deadline = now + self.pool.spec.idle_timeout

    def _keep(self, payload: bytes) -> None:
        room = self.plane.limits.capture - self.answer_size
        if len(payload) > room:
            self.truncated = True
            payload = payload[:room]
        if payload:
            self.answer_size += len(payload)
            self.answer_body.append(payload)

    def kept_fields(self) -> Fields:
        """The end-to-end fields of the answer, for copies."""
        return copied_answer(self._answer) if self._answer is not None else []

    def _answer_head(self, head: AnswerHead) -> list[bytes]:
        if head.length < 0 and self.head.http10:
            self.client.close_after = True
        close = self.client.ends_after(self)
        return answer_head(head, self.head, self.request_id, self.choice.issue, close=close)

    def switched(self, head: AnswerHead, rest: bytes) -> None:
        """101: from here on bytes pass both ways until both ends have closed (RFC 9110 7.8)."""
        self._answered(head)
        self.deadline = _NEVER  # a tunnel may be silent for hours; that both ends live is the kernel's to probe
        self.client.write(switched_head(head, self.head))
        assert self.connection is not None
        self.connection.tunnel = tunnel = Tunnel(self, self.client, self.connection)
        if rest:
            tunnel.to_client(rest)
        self.client.open_tunnel(tunnel)

    def tunnel_over(self) -> None:
        """Both ends of the tunnel have ended, or one is gone."""
        self.connection = None
        self._end()
        if not self.client_gone:
            self.client.close()

    # --- what can go wrong -------------------------------------------------------------------------------------------

    def service_failed(self, kind: str, message: str) -> None:
        """The service's fault: retried on a fresh connection, answered by the fallback, or said to the client."""
        if self.over:
            return
        if self.awaits_connection:
            self._stop_waiting()
        connection = self.connection
        self.connection = None
        stale = kind == "reset" and connection is not None and connection.reused and not connection.heard
        if connection is not None:
            connection.release(reusable=False)
        self.failure = kind
        if self.answer:
            self._cut()
            return
        if not self._spent and not self.client_gone:
            if stale and self._tried == 0 and self.repeatable:
                # RFC 9112 9.3.1: the service closed an idle connection just as it was used again.
                self._tried = 1
                self.failure = ""
                self.awaits_connection = True
                self.deadline = self.plane.now() + self.pool.spec.connect_timeout + self.pool.spec.timeout
                self.pool.connect(self)
                return
            if self._may_fall_back():
                self._fall_back()
                return
        status = _STATUS_OF.get(kind, 502)
        self.refuse(Refusal(status, kind, message, close=False))

    def _cut(self) -> None:
        """The client has a part of the answer. Closing early tells it that this is not all (RFC 9112 8)."""
        self.client.close_after = True
        self._end()
        if not self.client_gone:
            self.client.cut(reset=self._framing < 0 and self.head.http10)

    def _stop_waiting(self) -> None:
        self.awaits_connection = False
        self.pool.forget(self)

    def _may_fall_back(self) -> bool:
        decision = self.decision
        return decision.route.fallback and self.side is Side.CANDIDATE and not self.fallback and self.repeatable

    def _fall_back(self) -> None:
        """`fallback: legacy`: the candidate failed before its first byte and the request is safe to repeat.

        The observers see a failed exchange of the candidate; the answer is legacy's.
        """
        self.fallback, self.failure = self.failure, ""
        self.copies = False
        self.side = Side.LEGACY
        self.pool = self.pools[self.decision.route.legacy]
        self._ask()

    @property
    def repeatable(self) -> bool:
        """Whether sending the request twice does what sending it once does (RFC 9110 9.2.2)."""
        return self.head.method in IDEMPOTENT and not self.journaled

    def service_lost(self) -> None:
        """The service's connection closed before its answer was complete."""
        self.service_failed("reset", "the service closed the connection before it had answered")

    def timed_out(self) -> None:
        """`deadline` passed."""
        self.deadline = _NEVER
        if self.connection is not None and self.connection.tunnel is not None:
            self.connection.tunnel.close()
        elif self.answer and self.client.writing_paused:
            self._client_is_slow()
        elif self.awaits_journal and self.request_done:
            assert self.plane.copies is not None
            self.plane.copies.withdraw(self)
            self.unrecorded("the journal did not answer in time")
        elif not (self.request_done or self.answer or self.awaits_connection or self.client.reading_paused):
            self.refuse(Refusal(408, "body_timeout", "the request's body did not arrive in time"))
        else:
            self.service_failed("timeout", "the service did not answer in time")

    def _client_is_slow(self) -> None:
        """Nothing moved because the client does not take its answer: no fault of the service."""
        if self.client.is_stalled():
            self.client.transport.abort()
            self.client_lost()
        else:
            self.deadline = self.plane.now() + self.plane.limits.stall

    def client_lost(self) -> None:
        """The client is gone. A write that was forwarded is followed to its end; everything else is cancelled."""
        self.client_gone = True
        if self.over:
            return
        connection = self.connection
        if connection is not None and connection.tunnel is not None:
            connection.tunnel.close()
            return
        if self.journaled and self.request_done and (self.sequence or self.awaits_journal):
            self.plane.orphans.add(self)
            if self.answer:
                self.deadline = self.plane.now() + self.pool.spec.idle_timeout
            self.resume_service()  # nobody is slow any more
            return
        self.failure = "client"
        if connection is not None:
            connection.release(reusable=False)
            self.connection = None
        self._end()

    def pause_service(self) -> None:
        """The client reads slowly."""
        if self.connection is not None:
            self.connection.pause_reading()

    def resume_service(self) -> None:
        if self.connection is not None:
            self.connection.resume_reading()

    def refuse(self, refusal: Refusal) -> None:
        """fig answers itself; whatever the service still says is not awaited."""
        if self.over:
            return
        if self.connection is not None:
            self.connection.release(reusable=False)
            self.connection = None
        if self.answer:
            self._cut()
            return
        self.wall = self.plane.wall()
        self.status = refusal.status
        self.refused = refusal.reason
        if refusal.close or not self.request_done:
            self.client.close_after = True
        if not self.client_gone:
            self.client.write(
                own_answer(
                    refusal,
                    self.request_id.decode("ascii"),
                    close=self.client.ends_after(self),
                    head_only=self.head.method == "HEAD",
                )
            )
        self._end()
        if not self.client_gone:
            self.client.exchange_over()

    # --- the end -----------------------------------------------------------------------------------------------------

    def _finish(self, *, reusable: bool) -> None:
        connection = self.connection
        self.connection = None
        if connection is not None:
            connection.release(reusable=reusable and self.request_done)
        self._end()
        if not self.client_gone:
            self.client.exchange_over()

    def _end(self) -> None:
        """Tell the observers, once."""
        if self.over:
            return
        self.over = True
        self.plane.orphans.discard(self)
        if self.awaits_connection:
            self._stop_waiting()
        self.awaits_journal = False
        self.deadline = _NEVER
        self.ended = self.plane.now()
        if not self.wall:
            self.wall = self.plane.wall()
        copies = self.plane.copies
        if copies is not None:
            if self.sequence:
                copies.outcome(self)
            elif self.copies and self.answer and not self.journaled and not self.failure:
                copies.mirror(self)
        self.plane.observer.finished(self)


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "body", f"the body is larger than the {limit} bytes that this route records")
