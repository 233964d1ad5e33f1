"""The block `sources.*` of the rules file: where the numbers come from that fig does not measure itself.

A frozen value that says nothing of its secrets: neither `repr` nor any problem shows a URL with its password or a
header's value. Nothing is opened here; canary/sources/ does that.
"""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from rules.names import Block, FieldName
from rules.quantities import Duration

_DRIVER = re.compile(r"[a-z][a-z0-9_]*(\+[a-z0-9_]+)?")
_STRAY = re.compile("[/?#@]")
"""Where a name or password has one of these as it is, what follows is taken for the host, and shown as one."""


class SourceKind(StrEnum):
    """What is asked, and how."""

    PROMETHEUS = "prometheus"
    """Range queries to Prometheus, or to what speaks its API (Thanos, Mimir, VictoriaMetrics)."""
    SQL = "sql"
    """A SELECT to any database that SQLAlchemy has a driver for."""
    CSV = "csv"
    """A file with a line of column names; it may grow."""
    JSONL = "jsonl"
    """A file with a JSON object a line; it may grow."""

    @property
    def is_file(self) -> bool:
        return self in (SourceKind.CSV, SourceKind.JSONL)


class Source(Block):
    """One source of numbers, which metrics of kind `query` name."""

    kind: SourceKind
    """What is asked, and how."""
    url: str | None = Field(default=None, max_length=4096, repr=False)
    """`prometheus`: where its API is; `sql`: an SQLAlchemy URL. Write passwords as variables: ``${ORDERS_URL}``."""
    path: str | None = Field(default=None, min_length=1, max_length=4096)
    """`csv` and `jsonl`: the file; a relative path begins where fig runs."""
    headers: dict[FieldName, str] = Field(default_factory=dict, max_length=20, repr=False)
    """`prometheus`: sent with every question: ``{authorization: "Bearer ${TOKEN}"}``."""
    ca: str | None = Field(default=None, min_length=1, max_length=4096)
    """`prometheus`: a file of certificate authorities to trust instead of the system's."""
    timeout: Duration = 10.0
    """How long an answer may take as a whole."""
    delay: Duration = 15.0
    """How long after its end a step's numbers are complete: scraping and replication take time."""

    @field_validator("timeout")
    @classmethod
    def _timeout_is_short(cls, timeout: float) -> float:
        if not 0.1 <= timeout <= 300:
            raise ValueError("an answer may take from 100ms to 5m; write it like 10s")
        return timeout

    @field_validator("delay")
    @classmethod
    def _delay_is_bearable(cls, delay: float) -> float:
        if delay > 86_400:
            raise ValueError("numbers that are complete after more than a day decide nothing; write it like 15s")
        return delay

    @field_validator("headers")
    @classmethod
    def _headers_are_lines(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not value.isprintable() or not value.isascii():
                raise ValueError(f"the value of header '{name}' holds what a header cannot carry")
        return headers

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        wanted = "path" if self.kind.is_file else "url"
        if getattr(self, wanted) is None:
            raise ValueError(f"a source of kind {self.kind} needs '{wanted}'")
        foreign = {"url": self.kind.is_file, "path": not self.kind.is_file}
        foreign |= dict.fromkeys(("headers", "ca"), self.kind is not SourceKind.PROMETHEUS)
        for key, is_foreign in foreign.items():
            if is_foreign and getattr(self, key):
                raise ValueError(f"'{key}' does not belong to a source of kind {self.kind}; remove it")
        if self.kind is SourceKind.PROMETHEUS:
            _check_http(self.url or "")
        if self.kind is SourceKind.SQL and not _DRIVER.fullmatch((self.url or "").partition("://")[0]):
            raise ValueError("'url' is no SQLAlchemy URL; write it like postgresql+psycopg://reader@db/shop")
        if self.kind is SourceKind.SQL and _STRAY.search(self._authority[0]):
            raise ValueError(
                "'url' has one of / ? # @ before its last @; in a name or password write them as %2F, %3F, %23, %40"
            )
        return self

    @property
    def place(self) -> str:
        """Where it is, without user, password and parameters: fit for every screen."""
        if self.path is not None:
            return self.path
        return (self.url or "").partition("://")[0] + "://" + re.split("[?#]", self._authority[1])[0]

    @property
    def _authority(self) -> tuple[str, str]:
        """What stands before the host of the URL, and the rest from there."""
        rest = (self.url or "").partition("://")[2]
        if rest.startswith("/"):
            return "", rest
        before, _, after = rest.rpartition("@")
        return before, after


def _check_http(url: str) -> None:
    """Raises ValueError, without the URL: there may be a password in it."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and _is_host(parts.hostname or "") and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or not url.isprintable() or any(character.isspace() for character in url):
        raise ValueError("'url' is no http or https URL; write it like http://prometheus:9090")
    if parts.query or parts.fragment:
        raise ValueError("'url' is where the API is, without ? and #; write it like http://prometheus:9090")


def _is_host(host: str) -> bool:
    """Whether whoever asks finds no fault in it; ValueError where it is not."""
    if re.fullmatch(r"[0-9.]+|.*:.*", host):
        ip_address(host.partition("%")[0])
    return bool(host) and (host.isascii() or re.fullmatch(r"[a-z0-9.-]+", host.encode("idna").decode()) is not None)
