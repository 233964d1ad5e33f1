"""Redirects that lead to where fig redirects again, without end.

Followed as browsers do: what is not GET or HEAD may become GET (the Fetch standard, section 4.4), and cookies that come
along are sent.
"""

from __future__ import annotations

import re

from rules.asked import Asked, ask
from rules.decision import OWN_PORTS
from rules.explaining.outcome import own_outcome
from rules.matching.cookies import without_cookie
from rules.review.remarks import Remark
from rules.table import Table
from rules.witness import Demand, look

MOST_HOPS = 20
"""Redirects that browsers follow (the Fetch standard, section 4.4)."""
_EXPIRED = re.compile(r"(?:^|;)\s*max-age\s*=\s*(?:0|-[0-9])", re.IGNORECASE)


def endless_redirect(table: Table, number: int, demand: Demand) -> Remark | None:
    """A remark if a request of this route, which has a `redirect`, is redirected on and on."""
    redirect = table.routes[number].spec.redirect
    first = look([demand], []).request
    if redirect is None or first is None:
        return None
    request = first
    seen = []
    for _ in range(MOST_HOPS):
        seen.append(_told_apart(request))
        following = _following(table, request)
        if following is None:
            return None
        request = following
        if _told_apart(request) in seen:
            break
    hops = [url for url, _, _ in (*seen[-2:], _told_apart(request))]
    message = f"sends clients round in a circle ({' to '.join(hops)}); lead out of the match"
    return Remark("endless-redirect", message, ("routes", number, "redirect"), first)


def _following(table: Table, request: Asked) -> Asked | None:
    """What a client asks next; None when it is not redirected, or away from what fig is known to serve."""
    own = own_outcome(table.decide(request, lambda: ""), request)
    if own is None or own.answer is None:
        return None
    status, answered, _ = own.answer
    location = next((value for name, value in answered if name == "Location"), None)
    if location is None:
        return None
    lines = [
        (name, line) for name, found in request.headers.items() for line in found if name not in ("host", "cookie")
    ]
    cookies = _cookies(request, [value for name, value in answered if name.lower() == "set-cookie"])
    try:
        following = ask(_method(request.method, status), location, lines + cookies, request.client)
    except ValueError:
        return None
    is_elsewhere = following.host != request.host and not table.route(following).spec.match.host
    return None if is_elsewhere else following


def _method(method: str, status: int) -> str:
    becomes_get = method not in ("GET", "HEAD") if status == 303 else method == "POST" and status in (301, 302)
    return "GET" if becomes_get else method


def _cookies(request: Asked, setting: list[str]) -> list[tuple[str, str]]:
    """The Cookie line of the next request; none where no cookie is left."""
    line = "; ".join(request.values("cookie"))
    for text in setting:
        pair, _, attributes = text.partition(";")
        line = without_cookie(line, pair.partition("=")[0].strip())
        if not _EXPIRED.search(attributes):
            line = "; ".join(filter(None, (line, pair.strip())))
    return [("cookie", line)] if line else []


def _told_apart(request: Asked) -> tuple[str, str, tuple[str, ...]]:
    """What of a request may change from hop to hop."""
    return _url(request), request.method, tuple(request.values("cookie"))


def _url(request: Asked) -> str:
    query = f"?{request.query}" if request.query else ""
    port = "" if request.port == OWN_PORTS[request.scheme] else f":{request.port}"
    return f"{request.scheme}://{request.host}{port}{request.path}{query}"
