"""One exchange: a request on its way to a service and the answer on its way back. It decides what events mean.

Hot. The client connection reports the request's body and end, the service connection the answer's; this object writes
the one into the other, keeps the times and tells the observers once, when everything is over. What follows where a
service fails it stands in failing.py, what fig itself answers in own.py.

    journaling --> asking --> sent --> answering --> over
                     ^         |
                     `---------'

Each may go straight to over (refused, failed, client gone). Only writes of routes with `writes:` begin with journaling.
The way back is the retry on a stale connection, a retry that the route asks for, or the fallback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.dataplane import failing, goodbyes, own, tunnel
from proxy.dataplane.actions import Actions
from proxy.dataplane.bodies import chunk, last_chunk
from proxy.dataplane.canonical import (
    answer_head,
    interim_head,
    request_head,
)
from proxy.dataplane.heads import CHUNKED, AnswerHead, RequestHead
from proxy.dataplane.kept import Kept
from proxy.dataplane.methods import IDEMPOTENT, SAFE
from proxy.dataplane.recording import Recording, has_to_be_recorded
from proxy.dataplane.refusals import Refusal
from proxy.dataplane.watching import Watched, watch
from rules.stages import MILLION, Side

if TYPE_CHECKING:
    from proxy.dataplane.client import ClientConnection
    from proxy.dataplane.plane import Plane
    from proxy.dataplane.services.connection import ServiceConnection
    from proxy.dataplane.services.pool import Pool
    from proxy.dataplane.services.service import RunningService
    from rules.decision import Choice

MIRRORED = frozenset(("GET", "HEAD"))
_NEVER = float("inf")


class Exchange:
    """See the module. Times are the loop's monotonic seconds; 0.0 means 'has not happened'."""

    __slots__ = (
        "_body", "_max_body", "_trailers", "actions", "answer", "avoided", "awaits_connection", "bytes_in",
        "bytes_out", "choice", "client", "client_gone", "connection", "deadline", "decision", "ended", "failure",
        "fallback", "framing", "generation", "head", "kept", "opening", "over", "plane", "recording", "refused",
        "request_done", "request_id", "sent", "service", "services", "side", "spent", "started", "status", "ticket",
        "traced", "traceparent", "tried_anew", "used", "waited", "wall", "watched",
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
        self.services = plane.services
        """The services of the table that decided; a reload may take them from the plane before this is over."""
        self.service: RunningService = plane.services[decision.service]
        self.connection: ServiceConnection | None = None
        self.request_id = head.request_id or plane.ids.trace_id()
        self.traceparent = head.traceparent
        self.traced = None if plane.tracing is None else plane.tracing.begin(self)
        """Its spans, where it is recorded."""
        self.started = now
        self.sent = 0.0
        """When the request's head was given to the service's connection; of retries, the first time."""
        self.used: Pool | None = None
        """The endpoint that it was sent to last."""
        self.answer = 0.0
        """When the answer's head was complete."""
        self.ended = 0.0
        self.waited = 0.0
        """Seconds that client or service kept fig waiting, those from `sent` to `answer` left out. Below 0 while it
        waits: then the time since when is subtracted. See `inside`."""
        self.wall = 0.0
        """Seconds since the epoch when the answer's head was complete, or the exchange failed."""
        self.status = 0
        """What the client got; 0 while there is nothing, or when it was gone before."""
        self.failure = ""
        """Why there is no answer: connect, tls, timeout, reset, malformed, overloaded, breaker, journal, rewrite;
        client: it left."""
        self.refused = ""
        """Why fig answered itself: a Refusal's reason, or ``redirect`` or ``respond``; ``""`` when a service did."""
        self.bytes_in = 0
        self.bytes_out = 0
        self.deadline = _NEVER
        self.awaits_connection = False
        self.client_gone = False
        self.over = False
        self.recording: Recording | None = None
        """Of a write on a route with `writes:`, which is recorded before it is forwarded, and never falls back."""
        self.kept: Kept | None = None
        """The answer, where a copy is to be compared with it, or an event's value to be looked for in it."""
        self.watched: Watched | None = None
        """Set where it may be a business event that a canary counts."""
        self.actions: Actions | None = None
        """What the route does beyond choosing a side."""
        self.framing = 0
        """The length of the answer's body, or how else it ends (see heads)."""
        self._body = bytearray()
        """What of the request's body has come and may have to be sent: one piece, however small its bytes came."""
        self.request_done = head.length == 0
        """Whether the request has come completely."""
        self._trailers: tuple[bytes, ...] = ()
        self.spent = False
        """Whether a part of the body was sent on and not kept: the request cannot be repeated."""
        self.tried_anew = False
        """Whether it was sent again because a kept connection had been closed."""
        self._max_body = _NEVER
        self.ticket = 0
        """What the service's breaker admitted it by, until the breaker is told of the outcome; 0 for nothing owed."""
        self.opening: Pool | None = None
        """The endpoint that a connection was last opened to for it."""
        self.avoided: tuple[Pool, ...] = ()
        """Endpoints that failed it: another attempt goes elsewhere where it can."""

    # --- the request -----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Called once. Asks for a connection, or for the journal first, or answers. Raises Refusal (413)."""
        decision = self.decision
        route = decision.route
        if self.plane.events is not None:
            self.watched = watch(self, self.plane.events)
        if not route.is_plain:
            self.actions = Actions(self, route)
            if not self.actions.begin():
                return
        if self.plane.copies is not None:
            method = self.head.method
            if decision.copy_to is not None and method in MIRRORED:
                if route.sample > 0 and (route.sample >= MILLION or self.plane.roll() < route.sample):
                    self.kept = Kept(self.plane.limits.capture)
            elif route.writes is not None and method not in SAFE and has_to_be_recorded(self, route.writes):
                self.bound_body(route.writes.max_body)
                self.kept = Kept(self.plane.limits.capture)
                self.recording = Recording(self, self.plane.copies, route.writes)
                self.recording.begin()
                return
        self.ask()

    def bound_body(self, limit: int) -> None:
        """No more bytes of a body than this. Raises Refusal (413) where the request says that it has more."""
        self._max_body = min(self._max_body, limit)
        if self.head.length > limit:
            raise _too_large(limit)

    def recorded(self) -> None:
        """The journal has the write, or need not have it."""
        if self.client_gone:
            self.end()  # never forwarded; the outcome says so
        else:
            self.ask()

    def request_data(self, payload: bytes) -> None:
        """A piece of the request's body. Raises Refusal (413)."""
        self.bytes_in += len(payload)
        if self.watched is not None and self.watched.asked is not None:
            self.watched.asked.add(payload)
        if self.bytes_in > self._max_body:
            raise _too_large(int(self._max_body))
        connection = self.connection
        if connection is not None:
            self.deadline = self.plane.now() + self.service.spec.idle_timeout
            connection.write(chunk(payload) if self.head.length == CHUNKED else payload)
            if not self.spent:
                self._body += payload
                self._spend()
        elif self.actions is not None and self.actions.route.own is not None:
            own.body_came(self, self.actions)
        else:
            self._body += payload
            if self.recording is not None:
                self.deadline = self.plane.now() + self.service.spec.idle_timeout
            elif len(self._body) > self.plane.limits.unsent:
                self.client.pause_reading()

    def request_end(self, trailers: tuple[bytes, ...]) -> None:
        """The request is complete."""
        self.request_done = True
        self._trailers = trailers
        if self.actions is not None:
            if self.actions.route.own is not None:
                own.answer(self, self.actions)
                return
            self.actions.start_clock(self.plane.now())
        if self.recording is not None and self.recording.waits:
            self.waited += self.plane.now() - self.started
            self.recording.ask(bytes(self._body))
        elif self.connection is not None:
            if self.head.length == CHUNKED:
                self.connection.write(self._last_chunk())
            now = self.plane.now()
            # An answer that has begun before its request was complete is no longer waited for.
            self.deadline = now + self.service.spec.idle_timeout if self.answer else self._patience(now)

    def ask(self) -> None:
        """Ask a side: the first time, and when it is the fallback's turn."""
        if self.actions is not None and self.request_done:
            self.actions.start_clock(self.plane.now())
        self.take_connection()

    def take_connection(self) -> None:
        """For one attempt."""
        self.awaits_connection = True
        try:
            connection = self.service.take(self)
        except Refusal as refusal:
            self.awaits_connection = False
            failing.turned_away(self, refusal)
            return
        if connection is not None:
            self.connected(connection)

    def queued(self) -> None:
        """It waits for room at the service, no longer than it would for an answer."""
        now = self.plane.now()
        self._wait_from(now)
        self.deadline = now + self.service.spec.timeout
        if self.actions is not None:
            self.deadline = min(self.deadline, self.actions.until)

    def connecting(self) -> None:
        """A connection is being opened for it."""
        spec = self.service.spec
        now = self.plane.now()
        self._wait_from(now)
        if self.actions is None:
            self.deadline = now + spec.connect_timeout + spec.timeout
        else:
            self.deadline = min(now + spec.connect_timeout + spec.timeout, self.actions.until)

    def _wait_from(self, when: float) -> None:
        """The service keeps it waiting. Only before the first attempt: what follows is between `sent` and `answer`."""
        if self.waited >= 0.0 and not self.sent:
            self.waited -= when

    def connected(self, connection: ServiceConnection) -> None:
        """A connection is there: the head goes out, with as much of the body as has come."""
        self.awaits_connection = False
        self.connection = connection
        self.used = connection.pool
        connection.exchange = self
        now = self.plane.now()
        if self.actions is None or not (self.sent and self.actions.retries):
            self.sent = now
            if self.waited < 0.0:
                self.waited += now
        out = self._forwarded_head()
        body = bytes(self._body)
        if self.head.length == CHUNKED and self.recording is None:
            out.append(chunk(body))
            if self.request_done:
                out.append(self._last_chunk())
        else:
            out.append(body)
        connection.post(b"".join(out))
        if self.request_done:
            self.deadline = self._patience(now)
        else:
            self._spend()
            self.deadline = now + self.service.spec.idle_timeout
        if self.client.reading_paused and not connection.writing_paused:
            self.client.resume_reading()

    def _patience(self, now: float) -> float:
        """When a service that has the whole request has taken too long."""
        patience = self.service.spec.timeout
        return now + patience if self.actions is None else self.actions.deadline(now, patience)

    def _spend(self) -> None:
        """A part of the body is sent on: keep it only where it may be sent again, and while it is small."""
        if len(self._body) > self.plane.limits.buffer or self.head.method not in IDEMPOTENT:
            self.spent = True
            self._body.clear()

    def _forwarded_head(self) -> list[bytes]:
        """The request's head as its service gets it."""
        head = self.head
        target, lines, host = head.target, head.lines, head.host_value
        if self.actions is not None:
            target, host, _, lines = self.actions.outgoing(self.side)
        length, key = head.length, b""
        if self.recording is not None:
            length = len(self._body)
            key = self.recording.made_key
        authority = self.service.authority
        forwarded = self.client.forwarded(head, head.host_value or authority)
        trace = self.trace() if self.traced is None else self.traced.sending(self, self.plane.now())
        return request_head(head, target, lines, host or authority, forwarded, self.request_id, trace, key, length)

    def _last_chunk(self) -> bytes:
        trailers = self._trailers
        if trailers and self.actions is not None:
            trailers = self.actions.request_trailers(trailers)
        return last_chunk(trailers)

    def trace(self) -> bytes:
        """The traceparent that services get, but for the requests of a traced exchange; copies get it in any case."""
        if not self.traceparent:
            self.traceparent = self.plane.ids.traceparent(self.request_id)
        return self.traceparent

    # --- the answer ------------------------------------------------------------------------------------------------

    def interim(self, head: AnswerHead) -> None:
        """A 1xx answer: passed on to whoever can read it (RFC 9110 15.2)."""
        if self.head.http10 or self.client_gone or (self.recording is not None and head.status == 100):
            return
        if self.actions is not None:
            head.lines = list(self.actions.without_removed(tuple(head.lines)))
        self.client.write(interim_head(head))

    def answer_whole(self, head: AnswerHead, body: bytes, *, reusable: bool) -> None:
        """Head and body came in one read; they leave in one write."""
        if self.actions is not None and failing.asks_again_instead(self, head.status, reusable=reusable):
            return
        self._answered(head)
        size = len(body)
        self.bytes_out = size
        if self.kept is not None and size:
            self.kept.add(body)
        if not self.client_gone:
            out = self._answer_head(head)
            if size:
                out.append(body)
            self.client.post(b"".join(out))
        self._finish(reusable=reusable)

    def answer_head(self, head: AnswerHead) -> None:
        """The head of an answer whose body follows."""
        if self.actions is not None and failing.asks_again_instead(self, head.status, reusable=False):
            return
        self._answered(head)
        self.framing = head.length
        if not self.client_gone:
            self.client.write(b"".join(self._answer_head(head)))

    def answer_data(self, payload: bytes) -> None:
        """A piece of the answer's body."""
        self.deadline = self.plane.now() + self.service.spec.idle_timeout
        self.bytes_out += len(payload)
        if self.kept is not None:
            self.kept.add(payload)
        if not self.client_gone:
            self.client.write(payload if self.framing >= 0 or self.head.http10 else chunk(payload))

    def answer_end(self, trailers: tuple[bytes, ...], *, reusable: bool) -> None:
        """The answer is complete."""
        if self.framing < 0 and not self.head.http10 and not self.client_gone:
            if trailers and self.actions is not None:
                trailers = self.actions.without_removed(trailers)
            self.client.write(last_chunk(trailers))
        self.waited += self.plane.now() - self.answer
        self._finish(reusable=reusable)

    def _answered(self, head: AnswerHead) -> None:
        now = self.answer = self.plane.now()
        self.wall = self.plane.wall()
        self.status = head.status
        self.deadline = now + self.service.spec.idle_timeout
        if self.actions is not None:
            self.actions.change_answer(head)
        if self.kept is not None:
            self.kept.head = head

    def _answer_head(self, head: AnswerHead) -> list[bytes]:
        if head.length < 0 and self.head.http10:
            self.client.close_after = True
        close = self.client.ends_after(self)
        return answer_head(head, self.head, self.request_id, self.choice.issue, self.wall, close=close)

    def switched(self, head: AnswerHead, rest: bytes) -> None:
        """101: from here on bytes pass both ways until both ends have closed (RFC 9110 7.8)."""
        self._answered(head)
        self.deadline = _NEVER  # a tunnel may be silent for hours; that both ends live is the kernel's to probe
        tunnel.join(self, head, rest)

    def tunnel_over(self) -> None:
        """Both ends of the tunnel have ended, or one is gone."""
        self.connection = None
        self.waited += self.plane.now() - self.answer
        self.end()
        if not self.client_gone:
            goodbyes.close(self.client)

    # --- what can go wrong -------------------------------------------------------------------------------------------

    def cut(self) -> None:
        """The client has a part of the answer. Closing early tells it that this is not all (RFC 9112 8)."""
        self.client.close_after = True
        self.end()
        if not self.client_gone:
            goodbyes.cut(self.client, reset=self.framing < 0 and self.head.http10)

    def stop_waiting(self) -> None:
        self.awaits_connection = False
        self.service.forget(self)

    @property
    def repeatable(self) -> bool:
        """Whether sending the request twice does what sending it once does (RFC 9110 9.2.2)."""
        return self.head.method in IDEMPOTENT and self.recording is None

    def client_lost(self) -> None:
        """The client is gone. A write that was forwarded is followed to its end; everything else is cancelled."""
        self.client_gone = True
        if self.over:
            return
        connection = self.connection
        if connection is not None and connection.tunnel is not None:
            connection.tunnel.close()
            return
        if self.recording is not None and self.recording.is_followed:
            self.plane.orphans.add(self)
            if self.answer:
                self.deadline = self.plane.now() + self.service.spec.idle_timeout
            self.resume_service()  # nobody is slow any more
            return
        if connection is not None:
            connection.release(reusable=False)
            self.connection = None
        self.abandon()

    def abandon(self) -> None:
        """The client is gone, and nothing is to be followed."""
        self.failure = "client"
        self.end()

    def pause_service(self) -> None:
        """The client reads slowly."""
        if self.connection is not None:
            self.connection.pause_reading()

    def resume_service(self) -> None:
        if self.connection is not None:
            self.connection.resume_reading()

    # --- the end -----------------------------------------------------------------------------------------------------

    @property
    def inside(self) -> float:
        """Seconds that fig itself took of an exchange that is over and was answered whole by a service.

        All time from the request's head to the end of the answer, without that from `sent` to `answer`, without waiting
        for a connection, for the body of a request that is recorded, and for the body of an answer.
        """
        return self.ended - self.started - (self.answer - self.sent) - self.waited

    def _finish(self, *, reusable: bool) -> None:
        connection = self.connection
        self.connection = None
        if connection is not None:
            connection.release(reusable=reusable and self.request_done)
        self.end()
        if not self.client_gone:
            self.client.exchange_over()

    def end(self) -> None:
        """Tell the observers, once."""
        if self.over:
            return
        self.over = True
        if self.recording is not None:
            self.plane.orphans.discard(self)
        if self.awaits_connection:
            self.stop_waiting()
        if self.ticket:
            self.service.abandoned(self)
        if self.actions is not None:
            self.actions.stop()
        self.deadline = _NEVER
        self.ended = self.plane.now()
        if not self.wall:
            self.wall = self.plane.wall()
        if self.recording is not None:
            self.recording.over()
        elif self.kept is not None and self.kept.is_copied and self.answer and not self.failure:
            assert self.plane.copies is not None
            self.plane.copies.mirror(self)
        self.plane.observer.finished(self)


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "body", f"the body is larger than the {limit} bytes that this route takes")
