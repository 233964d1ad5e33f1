"""What a route does to requests and answers, as the rules file says it. Carried out by rules/rewriting.py.

One principle: what a route changes, it changes for the candidate; legacy is spoken to as it always was, unless the
block says ``sides: both``.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from rules.match import split_port
from rules.matching.path import normalise
from rules.matching.regex import compile_regex
from rules.names import TOKEN, Block, each_once
from rules.quantities import Share
from rules.templates import REST, parse_replacement, parse_template

Sides = Literal["candidate", "legacy", "both"]
"""To which side's requests, or to which side's answers, a change applies."""
SERVICE_HOST = "service"
"""`rewrite.host: service`: the authority of the service's own URL."""
FIXED_FIELDS = frozenset(
    (
        *("connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"),
        *("idempotency-key", "traceparent", "x-fig-copy", "x-fig-probe", "x-request-id"),
    )
)
"""Fields that frame a message or that fig itself answers for: no rule changes them."""
_VALUE = re.compile(r"[\t\x20-\x7e]*")


_AUTHORITY = re.compile(r"(?:[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?")


def is_authority(text: str) -> bool:
    """Whether it is a host in lower case, with or without a port, that may stand in a Host line or a URL."""
    found = _AUTHORITY.fullmatch(text)
    return found is not None and len(text) <= 255 and (found[1] is None or 0 < int(found[1]) < 65536)


def _header(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not TOKEN.fullmatch(value):
        raise ValueError(f"'{value:.80}' is not a header name")
    if value.lower().replace("_", "-") in FIXED_FIELDS:  # CGI and WSGI read X_Forwarded_For as X-Forwarded-For
        hint = "; use 'rewrite: {host: ...}'" if value.lower() == "host" else ""
        raise ValueError(f"fig itself writes the header '{value}', and no rule changes it{hint}")
    return value


def _header_value(value: object) -> object:
    if isinstance(value, str):
        if not _VALUE.fullmatch(value):
            raise ValueError("a header value is printable ASCII, without line ends")
        parse_template(value)
    return value


def _path(value: object) -> object:
    if isinstance(value, str):
        template = parse_template(value)
        if not value.startswith(("/", "{path}", "{**}")):
            raise ValueError(f"a path begins with '/'; write '/{value:.80}'")
        bare = template.fill({"path": "/x"} | {name: "" if name == REST else "x" for name in template.names - {"path"}})
        path, _, query = bare.partition("?")
        if not re.fullmatch(r"[!-~]*", bare) or "#" in query or normalise(path or "/") is None:
            raise ValueError(f"'{value:.80}' is not a path that can be sent")
    return value


def _prefix(value: object) -> object:
    if isinstance(value, str):
        _path(value)
        if "?" in value:
            raise ValueError("a prefix has no query; use 'path: /catalog/{**}?lang=en' to replace the query too")
        if REST in parse_template(value).names:
            raise ValueError(f"fig puts what '**' took behind the prefix by itself; write '{value.split('{**}')[0]}'")
    return value


def _host(value: object) -> object:
    if isinstance(value, str):
        template = parse_template(value)
        if not is_authority(template.fill(dict.fromkeys(template.names, "1")).lower()):
            raise ValueError(f"'{value:.80}' is not a host; write it like shop.example or shop.example:8443")
    return value


HeaderName = Annotated[str, BeforeValidator(_header)]
"""As it is written to the service; letter case is kept."""
HeaderValue = Annotated[str, BeforeValidator(_header_value)]
"""A template."""
PathTemplate = Annotated[str, BeforeValidator(_path)]
"""``/catalog/{id}``, ``/v2/{**}``; a ``?query`` in it replaces the request's."""
PrefixTemplate = Annotated[str, BeforeValidator(_prefix)]
HostTemplate = Annotated[str, BeforeValidator(_host)]
"""``shop.example``, ``{tenant}.shop.example:8443``."""


class Substitution(Block):
    """Every place in the path that `match` finds becomes `replace` (``\\1`` is the first group)."""

    match: str
    """RE2 syntax."""
    replace: str
    """Printable ASCII; ``\\1`` to ``\\9`` are the groups."""

    @model_validator(mode="after")
    def _fits(self) -> Substitution:
        groups = compile_regex(self.match).groups
        asked = max((part for part in parse_replacement(self.replace) if isinstance(part, int)), default=0)
        if asked > groups:
            raise ValueError(f"'replace' names group {asked}, and 'match' has {groups}")
        if not re.fullmatch(r"[!-~]*", self.replace):
            raise ValueError("'replace' is printable ASCII without blanks")
        if "?" in self.replace or "#" in self.replace:
            raise ValueError("'replace' makes a path, and a query stays as it is; use 'path' to replace both")
        return self


class NewPath(Block):
    """At most one way to say the path anew, and a host."""

    path: PathTemplate | None = None
    """The whole path, a template; with ``?`` in it also the query."""
    prefix: PrefixTemplate | None = None
    """Stands for what of the path comes before ``**`` in the route's path: /catalog turns /api/products/7 of a route
    /api/products/** into /catalog/7."""
    regex: Substitution | None = None
    """What is replaced in the path."""
    host: HostTemplate | None = None
    """A host, a template."""

    @model_validator(mode="after")
    def _one_path(self) -> NewPath:
        given = [name for name in ("path", "prefix", "regex") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"'{given[0]}' and '{given[1]}' both say the path anew; remove one")
        return self


class Rewrite(NewPath):
    """How the request line and Host of a service's request differ from the client's."""

    host: HostTemplate | None = None
    """A host (a template); ``service`` for that of the service's URL. Without it the client's Host is preserved."""
    sides: Sides = "candidate"
    """To which side's requests it applies."""

    @model_validator(mode="after")
    def _asks_something(self) -> Rewrite:
        if self.path is None and self.prefix is None and self.regex is None and self.host is None:
            raise ValueError("rewrites nothing; give path, prefix, regex or host")
        return self


class HeaderChanges(Block):
    """Removed first, then set (in place of what is there), then added (beside it)."""

    remove: tuple[HeaderName, ...] = ()
    """Names of headers that are taken away."""
    set: dict[HeaderName, HeaderValue] = {}
    """Headers by name, in place of what is there; values are templates."""
    add: dict[HeaderName, HeaderValue] = {}
    """Headers by name, beside what is there; values are templates."""
    sides: Sides = "candidate"
    """To which side it applies."""

    @field_validator("set", mode="before")
    @classmethod
    def _names_each_once(cls, headers: object) -> object:
        return each_once(headers)

    @model_validator(mode="after")
    def _asks_something(self) -> HeaderChanges:
        if not (self.remove or self.set or self.add):
            raise ValueError("changes nothing; give set, add or remove")
        return self


class Redirect(NewPath):
    """Where the client is sent instead; what is not given stays as the request has it."""

    status: Literal[301, 302, 303, 307, 308] = 302
    """303 turns every method into GET; 307 and 308 keep it."""
    scheme: Literal["http", "https", "ws", "wss"] | None = None
    """Of the URL that the client is sent to."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Of the URL that the client is sent to."""
    query: Literal["keep", "drop"] = "keep"
    """Whether the request's query goes along."""

    @model_validator(mode="after")
    def _leads_elsewhere(self) -> Redirect:
        # The same URL, with another status alone, may be meant: a cookie that comes along lets another route take it.
        # Where it is not, `fig rules check` tells of the circle.
        if not self.model_fields_set - {"query"} and self.query == "keep":
            raise ValueError("says nothing; give status, scheme, host, port, path, prefix, regex or 'query: drop'")
        if self.port is not None and self.host is not None and split_port(self.host)[1] is not None:
            raise ValueError("'host' and 'port' both say the port; remove one")
        return self


class Respond(Block):
    """A fixed answer: a maintenance page, 410 for a path that is gone."""

    status: Annotated[int, Field(ge=200, le=599)]
    """Of the answer."""
    body: Annotated[str, Field(max_length=1_000_000)] = ""
    """The text of the answer."""
    headers: dict[HeaderName, HeaderValue] = {}
    """Without ``Content-Type`` a body is ``text/plain; charset=utf-8``."""

    @model_validator(mode="after")
    def _may_have_a_body(self) -> Respond:
        if self.body and self.status in (204, 304):
            raise ValueError(f"an answer with status {self.status} has no body (RFC 9110); remove 'body'")
        return self


RetryOn = Literal["connect", "reset", "timeout", "500", "502", "503", "504"]


def _retry_on(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Retries(Block):
    """How often a request that is safe to repeat (RFC 9110 section 9.2.2) is sent again, to the same service."""

    attempts: Annotated[int, Field(ge=1, le=5)] = 1
    """Further attempts after the first."""
    on: tuple[
        Annotated[RetryOn, BeforeValidator(_retry_on, json_schema_input_type=RetryOn | Literal[500, 502, 503, 504])],
        ...,
    ] = ("connect", "reset")
    """What happened before the answer's first byte, or the answer's status."""
    budget: Share = 200_000
    """Retries are at most this part of the requests that a worker sends to the service (and 3 a second): a service that
    is down is not beaten by its own clients."""
