"""The one form in which hosts are compared."""

from __future__ import annotations

import ipaddress
from functools import lru_cache


def plain_host(host: str) -> str:
    """A host (lower case, without port) without the dot that makes it absolute, an IPv6 address in canonical text.

    ``shop.example.`` names what ``shop.example`` names (RFC 1034 section 3.1), and one address has many texts
    (RFC 5952). Never raises: what is no address is left as it is.
    """
    if host[-1:] == ".":
        return host[:-1]
    return _canonical(host) if host[:1] == "[" else host


def is_address(host: str) -> bool:
    """Whether it is an IPv6 address in brackets."""
    try:
        ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return False
    return host[:1] == "[" and host[-1:] == "]"


@lru_cache(maxsize=1024)
def _canonical(host: str) -> str:
    return f"[{ipaddress.IPv6Address(host[1:-1])}]" if is_address(host) else host
