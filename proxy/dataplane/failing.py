"""When a service fails an exchange, or is not even asked: sent again, answered by the fallback, or told to the client.

What a retry asks of a request, and what a fallback, is decided in docs/decisions/0006, 0017 and 0024.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.dataplane import own
from proxy.dataplane.methods import SAFE
from proxy.dataplane.refusals import Refusal
from rules.stages import Side

if TYPE_CHECKING:
    from proxy.dataplane.exchange import Exchange
    from proxy.dataplane.services.pool import Pool

_STATUS_OF: Final = {"timeout": 504}
_NEVER: Final = float("inf")


def service_failed(exchange: Exchange, kind: str, message: str) -> None:
    """The service's fault. `kind`: connect, tls, timeout, reset or malformed; `message`: for the client."""
    if exchange.over:
        return
    if exchange.awaits_connection:
        exchange.stop_waiting()
    connection = exchange.connection
    exchange.connection = None
    stale = kind == "reset" and connection is not None and connection.reused and not connection.heard
    unseen = connection is not None and bool(connection.posted)
    used = None
    if connection is not None:
        used = connection.pool
        connection.release(reusable=False)
    exchange.failure = kind
    if exchange.traced is not None:
        exchange.traced.ended(exchange.plane.now(), exchange.status, kind)
    is_whole = not (exchange.answer or exchange.spent or exchange.client_gone)
    if is_whole and stale and used is not None and not exchange.tried_anew and (unseen or exchange.repeatable):
        _send_anew(exchange, used)
        return
    exchange.service.failed(exchange, used)
    if exchange.answer:
        exchange.cut()
        return
    if is_whole:
        if exchange.actions is not None and exchange.actions.try_again(kind):
            return
        if _may_fall_back(exchange):
            _fall_back(exchange)
            return
    own.refuse(exchange, Refusal(_STATUS_OF.get(kind, 502), kind, message, close=False))


def _send_anew(exchange: Exchange, pool: Pool) -> None:
    """RFC 9112 9.3.1: the service closed an idle connection just as it was used again. That says nothing about the
    service: it is neither told to those who watch it nor one of the attempts of the route's `retries`."""
    exchange.tried_anew = True
    exchange.failure = ""
    if exchange.waited >= 0.0 and (exchange.actions is None or not exchange.actions.retries):
        exchange.waited -= exchange.sent  # the next attempt sets it anew
    exchange.awaits_connection = True
    exchange.service.connect_anew(exchange, pool)


def service_lost(exchange: Exchange) -> None:
    """The service's connection closed before its answer was complete."""
    service_failed(exchange, "reset", "the service closed the connection before it had answered")


def asks_again_instead(exchange: Exchange, status: int, *, reusable: bool) -> bool:
    """Make another attempt in place of passing this answer on, of which the client has nothing yet, where the route
    asks for it; whether it is made. `reusable`: whether the service's connection is."""
    assert exchange.actions is not None
    if not exchange.actions.try_again(str(status)):
        return False
    if exchange.traced is not None:
        exchange.traced.ended(exchange.plane.now(), status, "")
    connection = exchange.connection
    exchange.connection = None
    if connection is not None:
        exchange.avoided += (connection.pool,)
        connection.release(reusable=reusable and exchange.request_done)
    return True


def turned_away(exchange: Exchange, refusal: Refusal, *, has_waited: bool = False) -> None:
    """The service was not asked: its breaker is open, or it has no room.

    What finds no room at its first attempt does not fall back: the whole load would fall on legacy. What the service
    has failed already, or what waited in vain, does; those are no more than the service had room for.
    """
    exchange.failure = refusal.reason
    was_sent = exchange.tried_anew or (exchange.actions is not None and exchange.actions.retries > 0)
    may_fall_back = has_waited or was_sent or refusal.reason == "breaker"
    if may_fall_back and not (exchange.spent or exchange.client_gone) and _may_fall_back(exchange):
        _fall_back(exchange)
    else:
        own.refuse(exchange, refusal)


def ask_again(exchange: Exchange) -> None:
    """The service's breaker has opened while the exchange waited for room."""
    exchange.stop_waiting()
    exchange.take_connection()


def timed_out(exchange: Exchange) -> None:
    """The exchange's `deadline` passed."""
    exchange.deadline = _NEVER
    if exchange.connection is not None and exchange.connection.tunnel is not None:
        exchange.connection.tunnel.close()
    elif exchange.answer and exchange.client.writing_paused:
        _client_is_slow(exchange)
    elif exchange.recording is not None and exchange.recording.waits and exchange.request_done:
        exchange.recording.timed_out()
    elif exchange.awaits_connection and exchange.service.has_queued(exchange):
        exchange.stop_waiting()
        turned_away(exchange, exchange.service.had_no_room(), has_waited=True)
    elif not (exchange.request_done or exchange.answer or exchange.awaits_connection or exchange.client.reading_paused):
        own.refuse(exchange, Refusal(408, "body_timeout", "the request's body did not arrive in time"))
    else:
        service_failed(exchange, "timeout", "the service did not answer in time")


def _client_is_slow(exchange: Exchange) -> None:
    """Nothing moved because the client does not take its answer: no fault of the service."""
    if exchange.client.is_stalled():
        exchange.client.transport.abort()
        exchange.client_lost()
    else:
        exchange.deadline = exchange.plane.now() + exchange.plane.limits.stall


def _may_fall_back(exchange: Exchange) -> bool:
    route = exchange.decision.route
    if route.writes is not None and exchange.head.method not in SAFE:
        return False  # also where no copy is owed and none recorded, as in stage retired: it would be lost there
    return route.fallback and exchange.side is Side.CANDIDATE and not exchange.fallback and exchange.repeatable


def _fall_back(exchange: Exchange) -> None:
    """`fallback: legacy`: the candidate failed before its first byte and the request is safe to repeat.

    The observers see a failed exchange of the candidate; the answer is legacy's.
    """
    exchange.fallback, exchange.failure = exchange.failure, ""
    if exchange.ticket:
        exchange.service.abandoned(exchange)
    exchange.avoided = ()
    exchange.kept = exchange.watched.keep_answer() if exchange.watched is not None else None
    if exchange.waited >= 0.0 and exchange.sent:
        exchange.waited -= exchange.sent
    exchange.sent = 0.0  # from here on it is as if it had not been asked before
    exchange.side = Side.LEGACY
    exchange.service = exchange.services[exchange.decision.route.legacy]
    if exchange.actions is None or exchange.actions.make_request():
        exchange.ask()
