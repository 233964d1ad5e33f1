"""A service: a named upstream, its address and its patience."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from rules.names import Block, Positive


class Service(Block):
    """A named upstream."""

    url: str
    """``http://host:port``, without path."""
    health: str | None = None
    """Path that answers 2xx while the service is well; without it the service counts as well."""
    timeout: Positive = 30.0
    """Seconds from the request's end to the answer's first byte."""
    connect_timeout: Positive = 2.0
    """Seconds to connect."""
    idle_timeout: Positive = 60.0
    """Seconds that an exchange may stand still between two pieces of a body, or a kept connection stay unused."""
    max_connections: Annotated[int, Field(ge=1, le=65535)] = 1024
    """Connections that one worker opens to it at most."""

    @field_validator("url")
    @classmethod
    def _is_origin(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as exc:
            raise ValueError(f"'{url:.80}' is not a URL; write it like http://127.0.0.1:9001") from exc
        if parts.scheme == "https":
            raise ValueError("https to a service is not carried yet; write http://host:port")
        if parts.scheme != "http" or not parts.hostname or port == 0 or re.search(r"[^!-~]", url):
            raise ValueError(f"'{url:.80}' is not a service's URL; write it like http://127.0.0.1:9001")
        if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
            raise ValueError("a service's URL has a host and a port only; remove what follows or precedes them")
        return url

    @field_validator("health")
    @classmethod
    def _is_path(cls, health: str | None) -> str | None:
        if health is not None and not re.fullmatch(r"/[!-~]*", health):
            raise ValueError(f"'{health:.80}' is not a path; write it like /healthz")
        return health

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80

    @property
    def authority(self) -> str:
        """Host and port as a Host line says them: an IPv6 address in brackets (RFC 3986 section 3.2.2)."""
        host = self.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
