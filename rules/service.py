"""A service: a named upstream, its endpoints, how it is spoken to, and what it is given.

What a URL says is rules/endpoint.py's; how fig watches over a service is rules/service_care.py's.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from rules.endpoint import Endpoint, EndpointUrl, parse_endpoint
from rules.names import Block, Positive
from rules.service_care import CircuitBreaker, Ejection, HealthCheck, Off, health_path

MOST_ENDPOINTS = 64


def _is_file(path: str) -> str:
    """Absolute, because the workers that read it know no folder of the rules file."""
    if not re.fullmatch(r"/[^\0\r\n]{1,4095}", path):
        raise ValueError(f"'{path:.80}' is not the whole path of a file; write it like /etc/fig/ca.pem")
    return path


def _is_server_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?", name):
        raise ValueError(f"'{name:.80}' is not a server's name; write it like shop.example")
    return name.lower()


FilePath = Annotated[str, AfterValidator(_is_file)]


class Tls(Block):
    """How the endpoints of a service prove who they are, and fig to them. Files are PEM, by their whole path."""

    verify: bool = True
    """Whether the certificate is checked: its chain, its dates and its name."""
    ca: FilePath | None = None
    """The authorities that are believed; by default those of the machine."""
    server_name: Annotated[str, AfterValidator(_is_server_name)] | None = None
    """The name that is asked for (SNI, RFC 6066 section 3) and that the certificate must have; by default the host."""
    certificate: FilePath | None = None
    """fig's own certificate, its chain behind it, for services that ask for one."""
    key: FilePath | None = None
    """The private key of `certificate`."""

    @model_validator(mode="after")
    def _fits_together(self) -> Tls:
        if (self.certificate is None) != (self.key is None):
            given, other = ("certificate", "key") if self.key is None else ("key", "certificate")
            raise ValueError(f"'{given}' needs '{other}': the two belong together")
        if not self.verify and self.ca is not None:
            raise ValueError("'ca' has no meaning with 'verify: false'; remove one of them")
        return self


class Service(Block):
    """A named upstream."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["url"]}, {"required": ["urls"]}]})

    url: EndpointUrl | None = None
    """``http://host:port`` or ``https://host:port``, without path; without a port 80 or 443."""
    urls: Annotated[tuple[EndpointUrl, ...], Field(min_length=1, max_length=MOST_ENDPOINTS)] | None = None
    """In place of `url`: several servers that answer alike, all by http or all by https."""
    release: Annotated[str, Field(pattern=r"^[!-~]([ -~]{0,98}[!-~])?$")] | None = None
    """What runs there, in one's own words: a version, a build. With another one, as with another URL, pairs are counted
    anew."""
    balance: Literal["round_robin", "least_requests"] = "round_robin"
    """Which endpoint gets the next request: each in turn, or the less busy one of two drawn by chance."""
    tls: Tls | None = None
    """How https is spoken; without it certificates are checked by the machine's authorities."""
    health: Annotated[HealthCheck, BeforeValidator(health_path, json_schema_input_type=HealthCheck | str)] | None = None
    """A path that answers 2xx while the service is well, or a block; without it every endpoint counts as well."""
    ejection: Off | Ejection = Ejection()
    """When an endpoint that fails is left alone; ``off`` for never. A single URL is never ejected."""
    breaker: CircuitBreaker | None = None
    """When the whole service is left alone, for legacy and candidate apart; without it never."""
    timeout: Positive = 30.0
    """Seconds from the request's end to the answer's first byte."""
    connect_timeout: Positive = 2.0
    """Seconds to connect, TLS included."""
    idle_timeout: Positive = 60.0
    """Seconds that an exchange may stand still between two pieces of a body, or a kept connection stay unused."""
    max_connections: Annotated[int, Field(ge=1, le=65535)] = 1024
    """Connections that one worker opens to each endpoint at most."""
    max_requests: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Requests that one worker has under way to the whole service at most, those that wait left out; by default as many
    as connections allow."""
    max_pending: Annotated[int, Field(ge=0, le=1_000_000)] = 1024
    """Requests that may wait in one worker for a connection of the service; further ones get 503."""
    max_age: Off | Annotated[Positive, Field(ge=1)] = 3600.0
    """How old a connection becomes, by chance up to a tenth less, before it takes no further request."""
    resolve: Off | Annotated[Positive, Field(ge=1)] = 30.0
    """How often a host's name is looked up anew; connections to addresses that it has lost take no further request."""

    @model_validator(mode="after")
    def _has_endpoints(self) -> Service:
        if self.url is None and self.urls is None:
            raise ValueError("has no URL; give 'url: http://host:port', or 'urls' with several")
        if self.url is not None and self.urls is not None:
            raise ValueError("'url' and 'urls' cannot stand together; move the one URL into 'urls'")
        endpoints = self.endpoints
        if len({endpoint.secure for endpoint in endpoints}) > 1:
            raise ValueError("'urls' has http and https; all of a service are one or the other")
        twice = next((each for number, each in enumerate(endpoints) if each in endpoints[:number]), None)
        if twice is not None:
            raise ValueError(f"'urls' has {twice.url} twice; remove one")
        if self.tls is not None and not endpoints[0].secure:
            raise ValueError("'tls' has no meaning for http; write https in the URL, or remove 'tls'")
        return self

    @cached_property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """In the order of the file; at least one."""
        return tuple(parse_endpoint(url) for url in self.urls or ([self.url] if self.url is not None else []))

    @property
    def where(self) -> str:
        """Its URL as the file says it; several with a blank between."""
        return " ".join(self.urls or ()) or self.url or ""

    @property
    def what(self) -> str:
        """Where it is and which release of it: what answers are answers of."""
        return f"{self.where} ({self.release})" if self.release is not None else self.where

    @property
    def ejects(self) -> Ejection | None:
        """How endpoints are ejected; None where they are not."""
        return self.ejection if isinstance(self.ejection, Ejection) and len(self.endpoints) > 1 else None

    @property
    def authority(self) -> str:
        """Of the first endpoint."""
        return self.endpoints[0].authority
