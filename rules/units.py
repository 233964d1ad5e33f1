"""The unit of a request: the value that decides, and always decides alike, which side a client sees.

What is no clear unit is none: then legacy answers and nothing is counted, which is right for everybody. A guess would
put one client on two sides. Values are printable ASCII, so that every proxy that hashes them hashes the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rules.cookies import cookie_in
from rules.decision import Request
from rules.document import Unit

UnitOf = Callable[[Request], str]
"""The unit's value, or ``""`` when the request has none."""

COOKIE_ATTRIBUTES = "Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax"

_COOKIE_VALUE = re.compile(r"[!#-:<-~]+").fullmatch  # printable without blank, quote and semicolon
_HEADER_VALUE = re.compile(r"[ -~]+").fullmatch


def unit_reader(unit: Unit) -> UnitOf:
    """A function that reads this unit from a request; it never raises."""
    if unit.cookie is not None:
        return _cookie_reader(unit.cookie)
    if unit.header is not None:
        return _header_reader(unit.header)
    return _address


def may_issue(request: Request) -> bool:
    """Whether fig may set its own cookie on the answer.

    Not when the request came with several Cookie lines: they count as no unit, and a client that always sends so would
    otherwise get another unit with every answer, and with it another side.
    """
    return len(request.values("cookie")) < 2


def set_cookie(cookie: str, unit: str) -> str:
    """The Set-Cookie value that makes `unit` this client's for a year."""
    return f"{cookie}={unit}; {COOKIE_ATTRIBUTES}"


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
    return request.client
