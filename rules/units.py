"""The unit of a request: the value that decides, and always decides alike, which side a client sees.

What is no clear unit is none: then legacy answers and nothing is counted, which is right for everybody. A guess would
put one client on two sides. Values are printable ASCII, so that every proxy that hashes them hashes the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rules.decision import Request
from rules.document import Unit
from rules.matching.cookies import cookie_in, count_in

UnitOf = Callable[[Request], str]
"""The unit's value, or ``""`` when the request has none."""

NO_ADDRESS = "unknown"
"""The client of a connection whose other end has no address: all of those are not one unit."""
COOKIE_ATTRIBUTES = "Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax"

_COOKIE_VALUE = re.compile(r"[!#-:<-~]+").fullmatch  # printable without blank, quote and semicolon
_DIRECTIVE = re.compile(r'(?:[^,"]|"[^"]*")+')
_OF_SHARED_CACHES = frozenset(("public", "private", "s-maxage"))
_HEADER_VALUE = re.compile(r"[ -~]+").fullmatch


def unit_reader(unit: Unit) -> UnitOf:
    """A function that reads this unit from a request; it never raises."""
    if unit.cookie is not None:
        return _cookie_reader(unit.cookie)
    if unit.header is not None:
        return _header_reader(unit.header)
    return _address


def may_issue(request: Request, cookie: str) -> bool:
    """Whether fig may set its own `cookie` on the answer to a request that has no unit.

    Not where that would not help, because the client would come back as it came and get another unit with every answer,
    and with it another side: when it sends several Cookie lines, which count as no unit, or twice a cookie of that name
    (the one that counts is set for another path or domain, and fig's own has not replaced it).
    """
    lines = request.values("cookie")
    return not lines or (len(lines) == 1 and count_in(lines[0], cookie) < 2)


def set_cookie(cookie: str, unit: str) -> str:
    """The Set-Cookie value that makes `unit` this client's for a year."""
    return f"{cookie}={unit}; {COOKIE_ATTRIBUTES}"


def private(caching: Sequence[str]) -> str:
    """The Cache-Control of an answer that issues a unit, made from the values that the service gave.

    The answer belongs to one client, so no shared cache may keep it (RFC 9111 section 5.2.2.7); what the service asks
    of the client's own cache stays, above all `no-store`.
    """
    text = ",".join(caching)
    if text.count('"') % 2:
        return "private, no-store"  # who knows what it asks for
    kept = [each for found in _DIRECTIVE.finditer(text) if (each := found[0].strip(" \t"))]
    return ", ".join(("private", *(each for each in kept if each.partition("=")[0].lower() not in _OF_SHARED_CACHES)))


def overrules_cache_control(name: str) -> bool:
    """Whether caches before fig obey the field `name` (lower case) and not Cache-Control: targeted cache control (RFC
    9213), and what Varnish, Fastly and nginx had before it. It must not stand on an answer that issues a unit."""
    return name.endswith("-cache-control") or name in ("surrogate-control", "x-accel-expires")


def _cookie_reader(name: str) -> UnitOf:
    def read(request: Request) -> str:
        lines = request.values("cookie")
        if len(lines) != 1:
            return ""
        value = cookie_in(lines[0], name) or ""
        return value if _COOKIE_VALUE(value) else ""

    return read


def _header_reader(name: str) -> UnitOf:
    def read(request: Request) -> str:
        values = request.values(name)
        return values[0] if len(values) == 1 and _HEADER_VALUE(values[0]) else ""

    return read


def _address(request: Request) -> str:
    return "" if request.client == NO_ADDRESS else request.client
