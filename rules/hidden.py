"""Which values no screen shows, also when the rules file holds them: those whose names sound like secrets. Pure."""

from __future__ import annotations

import re

NOT_SHOWN = "(not shown)"
"""Stands for such a value."""
_SECRET = re.compile(r"auth|token|secret|passw|credential|key|sess|signature|^(?:connect[.])?sid$", re.IGNORECASE)


def may_be_secret(name: str) -> bool:
    """Whether a header, cookie or parameter of this name may carry a secret."""
    return _SECRET.search(name) is not None


def header_may_be_secret(name: str) -> bool:
    """The same of a whole header line: all cookies stand in one."""
    return "cookie" in name.lower() or may_be_secret(name)


def query_shown(query: str) -> str:
    """The query as it may be shown, still one that a URL can hold."""
    return "&".join(_pair_shown(pair, "...") for pair in query.split("&"))


def cookies_shown(line: str) -> str:
    """A Cookie line, of which the cookies with such names are not shown."""
    return "; ".join(_pair_shown(pair, NOT_SHOWN) for pair in line.split("; "))


def _pair_shown(pair: str, instead: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={instead}" if equals and may_be_secret(name) else pair
