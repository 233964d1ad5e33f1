"""Redirects that lead to where fig redirects again, without end."""

from __future__ import annotations

from rules.asked import Asked, ask
from rules.decision import OWN_PORTS
from rules.explaining.outcome import own_outcome
from rules.review.remarks import Remark
from rules.table import Table
from rules.witness import Demand, look

MOST_HOPS = 20
"""Redirects that browsers follow (the Fetch standard, section 4.4)."""


def endless_redirect(table: Table, number: int, demand: Demand) -> Remark | None:
    """A remark if a request of this route, which has a `redirect`, is redirected on and on."""
    redirect = table.routes[number].spec.redirect
    first = look([demand], []).request
    if redirect is None or first is None:
        return None
    request = first
    seen = []
    for _ in range(MOST_HOPS):
        seen.append(_url(request))
        following = _following(table, request)
        if following is None:
            return None
        request = following
        if _url(request) in seen:
            break
    message = f"sends clients round in a circle ({' to '.join([*seen[-2:], _url(request)])}); lead out of the match"
    return Remark("endless-redirect", message, ("routes", number, "redirect"), first)


def _following(table: Table, request: Asked) -> Asked | None:
    """What a client asks next; None when it is not redirected, or away from what fig is known to serve."""
    own = own_outcome(table.decide(request, lambda: ""), request)
    location = _location(own.answer.headers) if own is not None and own.answer is not None else None
    if location is None:
        return None
    lines = [(name, value) for name, values in request.headers.items() for value in values if name != "host"]
    try:
        following = ask(request.method, location, lines, request.client)
    except ValueError:
        return None
    is_elsewhere = following.host != request.host and not table.route(following).spec.match.host
    return None if is_elsewhere else following


def _location(headers: tuple[tuple[str, str], ...]) -> str | None:
    return next((value for name, value in headers if name == "Location"), None)


def _url(request: Asked) -> str:
    query = f"?{request.query}" if request.query else ""
    port = "" if request.port == OWN_PORTS[request.scheme] else f":{request.port}"
    return f"{request.scheme}://{request.host}{port}{request.path}{query}"
