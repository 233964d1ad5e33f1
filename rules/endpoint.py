"""One URL of a service: which texts are one, and what is read from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from rules.matching.hosts import is_address

_OWN_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[a-z0-9_]([a-z0-9._-]{0,251}[a-z0-9_])?\.?")
_MORE = "a service's URL has a host and a port only; remove what follows or precedes them"
_PRINTABLE = re.compile(r"[!-~]+\Z")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one URL of a service leads."""

    host: str
    """A name in lower case, or an address; an IPv6 address without brackets."""
    port: int
    secure: bool
    """Whether it is spoken to by TLS."""

    @property
    def authority(self) -> str:
        """As a Host line says it: an IPv6 address in brackets (RFC 3986 section 3.2.2), a scheme's own port left out
        (RFC 9110 section 4.2.3), as clients do."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _OWN_PORTS["https" if self.secure else "http"] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.authority}"


def parse_endpoint(url: str) -> Endpoint:
    """Of ``http://host``, ``http://host:port`` or the same with https. Raises ValueError that says how to write it."""
    if "@" in url:  # not shown: a password may stand before it
        raise ValueError(_MORE)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise ValueError(f"'{url:.80}' is not a URL; write it like http://127.0.0.1:9001") from exc
    host = parts.hostname or ""
    if parts.scheme not in _OWN_PORTS or not _is_host(host) or port == 0 or not _PRINTABLE.match(url):
        raise ValueError(f"'{url:.80}' is not a service's URL; write it like http://127.0.0.1:9001")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(_MORE)
    return Endpoint(host, port or _OWN_PORTS[parts.scheme], parts.scheme == "https")


def _is_host(host: str) -> bool:
    """A name or an address that may stand in a Host line: a name in the letters that DNS knows, no zone of an IPv6
    address (RFC 9110 section 7.2 takes the host of a URI, which has none)."""
    return is_address(f"[{host}]") and "%" not in host if ":" in host else _NAME.fullmatch(host) is not None


def _is_endpoint(url: str) -> str:
    parse_endpoint(url)
    return url


EndpointUrl = Annotated[str, AfterValidator(_is_endpoint)]
"""As the file says it."""
