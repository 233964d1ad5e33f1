"""Who may use the admin API: tokens, and what a web page in someone's browser must not be able to do.

With tokens, every request but the probes carries ``Authorization: Bearer ...``; changing and reading are different
tokens. Gates may be asked with the token as the password of ``Basic`` too: whoever can only be told a URL (Flagger)
writes it there. What needs no token (on loopback only) needs a Host header that names this machine, else a page whose
name is re-pointed at 127.0.0.1 could read (DNS rebinding). Changes are JSON and carry no foreign Origin, else a form on
any page could post.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from proxy.settings import Address, is_loopback

PROBES = frozenset(("/healthz", "/readyz"))
READING = frozenset(("GET", "HEAD"))
EXPLAIN = "/api/explain"
"""A question in a body, because what it asks about may hold secrets that no URL and no log should: it changes nothing,
so a reading token suffices, but it comes as changes come, so that no web page can ask it."""
GATES = "/api/gates/"
"""Below it nothing is changed either, by whatever method it is asked."""


def problem(status: int, message: str) -> web.Response:
    """An error as this API tells it."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return web.json_response({"error": message}, status=status, headers=headers)


class Guard:
    """Decides about a request before any handler sees it."""

    def __init__(self, admin: Address, admin_token: str = "", read_token: str = "") -> None:
        self._admin = admin
        self._admin_token = admin_token
        self._read_token = read_token

    def refusal(self, request: web.Request) -> web.Response | None:
        """The answer to a request that may not pass, or None."""
        fetching = request.method in READING
        if fetching and request.path in PROBES:
            return None
        asking = request.path == EXPLAIN or request.path.startswith(GATES)
        reading = fetching or (request.method == "POST" and asking)
        if not self._admin_token or (reading and not self._read_token):
            if not self._host_is_ours(request.host):
                return problem(403, f"this API answers to its own address {self._admin} only, not to '{request.host}'")
        elif refused := self._token_refused(request, reading):
            return refused
        if fetching:
            return None
        if request.content_type != "application/json":
            return problem(415, "send Content-Type: application/json")
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.host:
            return problem(403, f"changes are not taken from pages of {origin}")
        return None

    def _host_is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:  # brackets that hold no address
            return False
        return is_loopback(name) or name == self._admin.host

    def _token_refused(self, request: web.Request, reading: bool) -> web.Response | None:
        token = _token(request)
        if not token:
            return problem(401, "send Authorization: Bearer and a token")
        if _same(token, self._admin_token) or (reading and _same(token, self._read_token)):
            return None
        if self._read_token and _same(token, self._read_token):
            return problem(403, "this token may read only; changes need the admin token")
        return problem(401, "this token is not known here")

    @property
    def middleware(self) -> Middleware:
        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            return self.refusal(request) or await handler(request)

        return check


def _token(request: web.Request) -> str:
    """What the request carries as its token; ``""`` where it carries none."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return given
    if scheme.lower() == "basic" and request.path.startswith(GATES):
        try:
            return base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def _same(given: str, token: str) -> bool:
    """Without telling by its duration how much of a guess was right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())
