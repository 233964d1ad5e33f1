"""What fig itself answers in place of a service: the redirect or fixed answer of a route, and refusals.

On a route that fig answers, a small body is read first and thrown away, so that the connection can go on behind it. Any
other is answered at once, and the connection then ends: what is not read must not be taken for the next request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.dataplane.answers import own_answer, route_answer
from proxy.dataplane.refusals import Refusal, unwritable
from rules.rewriting import RewriteError

if TYPE_CHECKING:
    from proxy.dataplane.actions import Actions
    from proxy.dataplane.exchange import Exchange


def begin(exchange: Exchange, actions: Actions) -> None:
    """The head is there, and perhaps the whole request."""
    head = exchange.head
    if exchange.request_done or head.expects_continue or head.length > exchange.plane.limits.buffer:
        answer(exchange, actions)
    else:
        exchange.deadline = exchange.started + exchange.service.spec.idle_timeout


def body_came(exchange: Exchange, actions: Actions) -> None:
    """A piece of a body that nobody wants has come."""
    exchange.deadline = exchange.plane.now() + exchange.service.spec.idle_timeout
    if exchange.bytes_in > exchange.plane.limits.buffer:
        answer(exchange, actions)


def answer(exchange: Exchange, actions: Actions) -> None:
    """The route's own answer. Ends the exchange."""
    try:
        own = actions.own_answer()
    except RewriteError:
        refuse(exchange, unwritable())
        return
    head = exchange.head
    _say(
        exchange,
        own.status,
        exchange.decision.reason,
        lambda request_id, close: route_answer(
            own, request_id, exchange.wall, close=close, head_only=head.method == "HEAD", keep_alive=head.http10
        ),
    )


def refuse(exchange: Exchange, refusal: Refusal) -> None:
    """Whatever the service still says is not awaited. Ends the exchange."""
    if exchange.over:
        return
    if exchange.connection is not None:
        exchange.connection.release(reusable=False)
        exchange.connection = None
    if exchange.answer:
        exchange.cut()
        return
    if refusal.close:
        exchange.client.close_after = True
    head = exchange.head
    _say(
        exchange,
        refusal.status,
        refusal.reason,
        lambda request_id, close: own_answer(
            refusal,
            request_id,
            exchange.wall,
            close=close,
            head_only=head.method == "HEAD",
            keep_alive=head.http10,
            issue=exchange.choice.issue,
        ),
    )


def _say(exchange: Exchange, status: int, reason: str, write: Callable[[str, bool], bytes]) -> None:
    """What of the request has not come is not read: the connection then closes. `write` is given the request's id and
    whether the connection closes."""
    client = exchange.client
    exchange.wall = exchange.plane.wall()
    exchange.status = status
    exchange.refused = reason
    if not exchange.client_gone:
        client.write(write(exchange.request_id.decode("ascii"), client.ends_after(exchange)))
    exchange.end()
    if not exchange.client_gone:
        client.exchange_over()
