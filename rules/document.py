"""The rules file as frozen values: every key that routing and the workers need, with its default and its unit.

Whatever one value's form can get wrong is refused here, with a message that shows a right one. What two places of the
file must agree on is checked in rules/checks.py; reading files is rules/loader.py's.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

import re2
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator, model_validator

from rules.pattern import parse_pattern
from rules.quantities import Duration, Share, Size
from rules.stages import MILLION, Stage

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_HOST = re.compile(
    r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*|\[[0-9a-f:.]+\]"
)
_LOWER_METHODS = frozenset({"get", "head", "post", "put", "patch", "delete", "options"})


def _name(value: object) -> object:
    if isinstance(value, str) and (not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", value) or value == "-"):
        raise ValueError(
            f"'{value:.80}' is not a name; use 1 to 64 letters, digits, '.', '_' or '-' (and not '-' alone)"
        )
    return value


def _field_name(value: object) -> object:
    if isinstance(value, str):
        if not _TOKEN.fullmatch(value):
            raise ValueError(f"'{value:.80}' is not a header name")
        return value.lower()
    return value


def _cookie_name(value: object) -> object:
    if isinstance(value, str) and not _TOKEN.fullmatch(value):
        raise ValueError(f"'{value:.80}' is not a cookie name")
    return value


def _method(value: object) -> object:
    if isinstance(value, str):
        if value in _LOWER_METHODS:
            raise ValueError(f"methods are case-sensitive; write {value.upper()}")
        if not _TOKEN.fullmatch(value):
            raise ValueError(f"'{value:.80}' is not a method")
    return value


Name = Annotated[str, BeforeValidator(_name)]
"""Of a service, a route, a group, an event: it names metrics, salts and files, so it is plain."""
FieldName = Annotated[str, BeforeValidator(_field_name)]
"""Of a header, in lower case."""
CookieName = Annotated[str, BeforeValidator(_cookie_name)]
Method = Annotated[str, BeforeValidator(_method)]
Positive = Annotated[Duration, Field(gt=0)]


class Block(BaseModel):
    """A mapping of the rules file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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


class HeaderMatch(Block):
    """What a header's value must be; all that is given must hold. Several lines count as one value, joined by ","."""

    exact: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    contains: str | None = None
    regex: str | None = None
    """RE2 syntax, and the whole value must match."""
    present: bool | None = None
    """false: the header must be absent."""

    @field_validator("regex")
    @classmethod
    def _compiles(cls, regex: str | None) -> str | None:
        if regex is not None:
            try:
                re2.compile(regex, _quiet())
            except re2.error as exc:
                why = exc.args[0].decode() if exc.args and isinstance(exc.args[0], bytes) else exc
                raise ValueError(f"not a regular expression (RE2): {why}") from exc
        return regex

    @model_validator(mode="after")
    def _asks_something(self) -> HeaderMatch:
        asked = self.model_dump(exclude_none=True)
        if not asked:
            raise ValueError("asks nothing; give exact, prefix, suffix, contains, regex or present")
        if self.present is False and len(asked) > 1:
            raise ValueError("'present: false' cannot stand with another condition")
        return self


def _quiet() -> re2.Options:
    """Options that keep RE2 from writing its complaint to stderr: we say it ourselves, with its place."""
    options = re2.Options()
    options.log_errors = False
    return options


def _shorthand(value: object) -> object:
    if isinstance(value, str):
        return {"exact": value}
    if not isinstance(value, (dict, HeaderMatch)):
        raise ValueError("must be text in quotes, or a mapping such as {prefix: shop-}")  # noqa: TRY004 (pydantic's way)
    return value


class Match(Block):
    """Which requests a route takes: all conditions must hold."""

    host: str | None = None
    """``shop.example`` or ``*.shop.example`` (any labels before it, not the bare name); a port is ignored."""
    path: str = "/**"
    """``/exact``, ``{name}`` or ``*`` for one segment, ``**`` at the end for the rest, also none."""
    methods: tuple[Method, ...] | None = None
    headers: dict[
        FieldName, Annotated[HeaderMatch, BeforeValidator(_shorthand, json_schema_input_type=str | HeaderMatch)]
    ] = {}

    @field_validator("host")
    @classmethod
    def _is_host(cls, host: str | None) -> str | None:
        if host is None:
            return None
        plain = re.sub(r":[0-9]{1,5}$", "", host.lower())
        if len(plain) > 253 or not _HOST.fullmatch(plain):
            raise ValueError(f"'{host:.80}' is not a host; write it like shop.example or *.shop.example")
        return plain

    @field_validator("path")
    @classmethod
    def _is_pattern(cls, path: str) -> str:
        parse_pattern(path)
        return path

    @field_validator("methods")
    @classmethod
    def _names_some(cls, methods: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if methods == ():
            raise ValueError("names no method, so the route takes no request; name some, or leave it out for all")
        return methods

    @field_validator("headers", mode="before")
    @classmethod
    def _names_each_once(cls, headers: object) -> object:
        lower = [str(name).lower() for name in headers] if isinstance(headers, dict) else []
        twice = next((name for name in lower if lower.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"names the header '{twice}' twice (letter case does not count); remove one")
        return headers

    @model_validator(mode="after")
    def _asks_something(self) -> Match:
        if "path" not in self.model_fields_set and self.host is None and self.methods is None and not self.headers:
            raise ValueError("asks nothing; give host, path, methods or headers (path: /** takes every request)")
        return self


class Unit(Block):
    """Whoever must always see the same side: exactly one of cookie, header, address."""

    cookie: CookieName | None = None
    header: FieldName | None = None
    address: bool | None = None
    """``address: true``: the client's address."""
    issue: bool = False
    """fig sets the cookie itself where a request has none; only for a cookie that is fig's own."""

    @model_validator(mode="after")
    def _is_one(self) -> Unit:
        given = [name for name in ("cookie", "header", "address") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("needs exactly one of 'cookie: NAME', 'header: NAME' and 'address: true'")
        if self.issue and self.cookie is None:
            raise ValueError("only a cookie can be issued; remove 'issue' or use 'cookie: fig_unit'")
        return self


class Shadow(Block):
    """How exchanges are copied and compared."""

    sample: Share = MILLION
    """Which part of the reads is copied. Writes of routes with `writes:` are always copied."""
    compare: str | None = None
    """The comparison that judges pairs; without one, answers must be equal but for what differs in every answer."""
    keep: Duration = 86_400.0
    """Seconds that pairs are kept."""


MOST_BODY = 32 * 1024 * 1024
"""Bytes that `max_body` may be at most: an intent goes to the journal as one record (proxy.wire.MAX_FRAME)."""


class Writes(Block):
    """How this route's writes are journaled and delivered to the other side."""

    order_by: str | None = None
    """``path:NAME``, ``header:NAME`` or ``cookie:NAME``: writes with the same value are delivered in order."""
    on_journal_failure: Literal["refuse", "forward"] = "refuse"
    """When the intent cannot be made durable: answer 503, or forward and record a gap."""
    max_body: Size = 1024 * 1024
    """Bytes; a larger write gets 413, because its intent must be whole."""
    dedupe: Literal["idempotency-key"] | None = None
    """The receiving services deduplicate by this header, so a delivery without an answer may be repeated."""
    settle: Duration = 2.0
    """Seconds that a request waits, after a change of side, for copies of its key that are not delivered yet."""

    @field_validator("max_body")
    @classmethod
    def _fits_the_journal(cls, max_body: int) -> int:
        if max_body > MOST_BODY:
            raise ValueError(f"at most {MOST_BODY // 1024**2}MB: such a body is held in memory and journaled whole")
        return max_body

    @field_validator("order_by")
    @classmethod
    def _is_selector(cls, order_by: str | None) -> str | None:
        if order_by is None:
            return None
        kind, colon, name = order_by.partition(":")
        if kind not in ("path", "header", "cookie") or not colon or not _TOKEN.fullmatch(name):
            raise ValueError(f"'{order_by:.80}' selects nothing; write path:NAME, header:NAME or cookie:NAME")
        return f"{kind}:{name.lower()}" if kind == "header" else order_by


class Route(Block):
    """A match, two sides and a stage."""

    name: Name
    match: Match
    candidate: str
    """The service that is to replace legacy here."""
    legacy: str | None = None
    """The service that answers today; by default the file's `legacy`."""
    stage: Stage = Stage.LEGACY
    share: Share = 0
    """Millionths of the units that the candidate answers in stage canary."""
    unit: Unit | None = None
    group: Name | None = None
    """Routes of a group share buckets: a unit is on one side for all of them."""
    shadow: Shadow = Shadow()
    writes: Writes | None = None
    fallback: Literal["legacy"] | None = None
    """Who answers when the candidate failed before its first byte and the request is safe to repeat."""

    @property
    def salt(self) -> str:
        return self.group or self.name


def _status(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Event(Block):
    """A business event: a request and its answer that count as one, and the value it carries."""

    match: Match
    status: Annotated[
        str,
        BeforeValidator(_status, json_schema_input_type=int | str),
        StringConstraints(pattern=r"^[1-5](xx|[0-9]{2})$"),
    ] = "2xx"
    """``2xx`` or ``201``."""
    value: Annotated[str, StringConstraints(pattern=r"^(response|request):(/[^/]*)+$")] | None = None
    """A JSON pointer into the answer's or the request's body: ``response:/total``."""


class Force(Block):
    """Who may choose the side: the header's or cookie's value is ``candidate:TOKEN`` or ``legacy:TOKEN``."""

    header: FieldName | None = None
    cookie: CookieName | None = None
    token: str
    """At least 16 characters, or ``sha256:`` and the hash in hex; only the hash is kept, and it may stand in Git."""

    @field_validator("token")
    @classmethod
    def _is_hashed(cls, token: str) -> str:
        if re.fullmatch(r"sha256:[0-9a-f]{64}", token):
            return token
        if len(token) < 16 or not re.fullmatch(r"[!#-+\--:<-~]+", token):
            raise ValueError("a token has at least 16 printable characters without blank, quote, comma and semicolon")
        return "sha256:" + hashlib.sha256(token.encode()).hexdigest()

    @model_validator(mode="after")
    def _is_somewhere(self) -> Force:
        if self.header is None and self.cookie is None:
            raise ValueError("needs 'header: NAME', 'cookie: NAME' or both")
        return self


class Rules(Block):
    """A whole rules file, but for the blocks that shadow and canary read."""

    version: Literal[1]
    services: dict[Name, Service]
    legacy: str
    """The service that answers every path that no route names."""
    routes: tuple[Route, ...] = ()
    events: dict[Name, Event] = {}
    force: Force | None = None
