"""One URL of a service: which texts are one, and what is read from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

_OWN_PORTS = {"http": 80, "https": 443}


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
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise ValueError(f"'{url:.80}' is not a URL; write it like http://127.0.0.1:9001") from exc
    if parts.scheme not in _OWN_PORTS or not parts.hostname or port == 0 or re.search(r"[^!-~]", url):
        raise ValueError(f"'{url:.80}' is not a service's URL; write it like http://127.0.0.1:9001")
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("a service's URL has a host and a port only; remove what follows or precedes them")
    return Endpoint(parts.hostname, port or _OWN_PORTS[parts.scheme], parts.scheme == "https")


def _is_endpoint(url: str) -> str:
    parse_endpoint(url)
    return url


EndpointUrl = Annotated[str, AfterValidator(_is_endpoint)]
"""As the file says it."""
