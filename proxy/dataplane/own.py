"""Redirects and fixed answers: what the exchange of a route that fig answers itself does with its request.

A small body is read first and thrown away, so that the connection can go on behind it. Any other is answered at once,
and the connection then ends: what is not read must not be taken for the next request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.dataplane.answers import route_answer
from proxy.dataplane.refusals import unwritable
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
    """Ends the exchange."""
    try:
        own = actions.own_answer()
    except RewriteError:
        exchange.refuse(unwritable())
        return
    head = exchange.head
    exchange.say(
        own.status,
        exchange.decision.reason,
        lambda request_id, close: route_answer(
            own, request_id, exchange.wall, close=close, head_only=head.method == "HEAD", keep_alive=head.http10
        ),
    )
