"""Which requests a route takes, as the rules file says it. What it means is rules/matching/predicates.py's."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from rules.matching.hosts import is_address, plain_host
from rules.matching.pattern import parse_pattern
from rules.matching.regex import compile_regex
from rules.names import Block, CookieName, FieldName, Method, each_once

EVERY_PATH = "/**"
DEEPEST = 8
"""Levels of `any`, `all` and `not` within one another."""
_HOST = re.compile(
    r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*|\[[0-9a-f:.]+\]"
)
_PORT = re.compile(r":([0-9]{1,5})$")


def split_port(host: str) -> tuple[str, int | None]:
    """``shop.example:8443`` -> ``("shop.example", 8443)``; None where it names no port."""
    found = _PORT.search(host)
    return (host, None) if found is None else (host[: found.start()], int(found[1]))


def _one_or_many(value: object) -> object:
    """A single value where a list may stand means a list of one."""
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _exact(value: object) -> object:
    if isinstance(value, str):
        return {"exact": value}
    if not isinstance(value, (dict, Block)):
        raise ValueError("must be text in quotes, or a mapping such as {prefix: shop-}")  # noqa: TRY004 (pydantic's way)
    return value


class Expression(Block):
    """A regular expression in RE2 syntax; the whole text must match."""

    regex: str
    """RE2 syntax."""

    @field_validator("regex")
    @classmethod
    def _compiles(cls, regex: str) -> str:
        compile_regex(regex)
        return regex


def _is_pattern(path: str) -> str:
    parse_pattern(path)
    return path


def _is_host(host: str) -> str:
    lower = host.lower()
    plain, port = split_port(lower)
    if plain.endswith(".") and _HOST.fullmatch(plain[:-1]):
        raise ValueError(f"'{host:.80}' is compared without the dot at its end; write it without")
    canonical = plain_host(plain)
    if (
        len(plain) > 253
        or not _HOST.fullmatch(plain)
        or (plain[0] == "[" and not is_address(canonical))
        or (port is not None and not 0 < port < 65536)
    ):
        raise ValueError(f"'{host:.80}' is not a host; {_meant_host(plain)}")
    return canonical if port is None else f"{canonical}:{port}"


def _meant_host(plain: str) -> str:
    """How to write what `plain` (lower case, without port), which is no host, probably means."""
    if plain == "*":
        return "for every host leave 'host' out"
    if "*" in plain and _HOST.fullmatch(plain.replace("*", "a")):
        regex = plain.replace(".", "[.]").replace("*", ".+")
        return f"'*' stands before a dot at the beginning; elsewhere write {{regex: '{regex}'}}"
    return "write it like shop.example, *.shop.example or shop.example:8443"


def _is_network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as exc:
        try:
            meant = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise ValueError(
                f"'{text:.80}' is not a network; write it like 10.0.0.0/8, 2001:db8::/32 or 10.1.2.3"
            ) from exc
        raise ValueError(f"'{text:.80}' has bits beyond its length; write {meant}") from exc
    if network.version == 6 and network.prefixlen >= 96 and (mapped := network.network_address.ipv4_mapped):
        raise ValueError(
            f"clients in '{text:.80}' are seen by their IPv4 address; write {mapped}/{network.prefixlen - 96}"
        )
    return str(network)


Network = Annotated[str, BeforeValidator(lambda value: _is_network(value) if isinstance(value, str) else value)]
"""An address, or a network in CIDR form."""
PathText = Annotated[str, BeforeValidator(lambda value: _is_pattern(value) if isinstance(value, str) else value)]
HostText = Annotated[str, BeforeValidator(lambda value: _is_host(value) if isinstance(value, str) else value)]


class Between(Block):
    """Whole numbers: `from` is in it, `below` is not; one of them may be left out."""

    from_: Annotated[int | None, Field(alias="from")] = None
    """The least number that is in it."""
    below: int | None = None
    """The least number that is not in it any more."""

    @model_validator(mode="after")
    def _holds_some(self) -> Between:
        if self.from_ is None and self.below is None:
            raise ValueError("needs 'from', 'below' or both, like {from: 100, below: 200}")
        if self.from_ is not None and self.below is not None and self.below <= self.from_:
            raise ValueError(f"holds no number: 'below' must be more than 'from' ({self.from_})")
        return self


class Condition(Block):
    """What a header's, query parameter's or cookie's value must be; all that is given must hold.

    Several lines of a header count as one value, joined by ","; of a parameter or cookie that comes twice the first
    counts. Where it is absent nothing holds but `present: false`, `absent: true` and `not`, which is plain negation:
    `not: {present: true}` is the same as `absent: true`.
    """

    exact: str | None = None
    """The value is this text."""
    prefix: str | None = None
    """The value begins with this text."""
    suffix: str | None = None
    """The value ends in this text."""
    contains: str | None = None
    """This text stands somewhere in the value."""
    regex: str | None = None
    """RE2 syntax, and the whole value must match."""
    range: Between | None = None
    """The value is a whole number in decimal digits, and in the range."""
    present: bool | None = None
    """false: it must be absent."""
    absent: Literal[True] | None = None
    """The same as ``present: false``."""
    not_: Annotated[
        Condition | None,
        BeforeValidator(lambda v: v if v is None else _exact(v), json_schema_input_type=str | Condition),
        Field(alias="not"),
    ] = None
    """What must not hold; it holds for a value that is absent."""

    @field_validator("regex")
    @classmethod
    def _compiles(cls, regex: str | None) -> str | None:
        if regex is not None:
            compile_regex(regex)
        return regex

    @model_validator(mode="after")
    def _asks_something(self) -> Condition:
        asked = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if not asked:
            raise ValueError("asks nothing; give exact, prefix, suffix, contains, regex, range, present, absent or not")
        if (self.present is False or self.absent) and len(asked) > 1:
            raise ValueError("what must be absent cannot have another condition; remove one")
        return self

    @property
    def wants_absence(self) -> bool:
        return self.present is False or self.absent is True

    @property
    def only_value(self) -> str | None:
        """The one value that it takes, where `exact` is all that it asks."""
        return self.exact if self.model_fields_set == {"exact"} else None


Conditions = Annotated[Condition, BeforeValidator(_exact, json_schema_input_type=str | Condition)]
"""Text alone means `exact`."""


class Match(Block):
    """Which requests a route takes: all conditions must hold."""

    host: Annotated[
        tuple[HostText | Expression, ...],
        BeforeValidator(_one_or_many, json_schema_input_type=HostText | Expression | tuple[HostText | Expression, ...]),
    ] = ()
    """``shop.example``, ``*.shop.example`` (any labels before it, not the bare name), with a port where only that
    port is meant, ``{regex: ...}``; or a list of them."""
    path: Annotated[
        tuple[PathText | Expression, ...],
        BeforeValidator(_one_or_many, json_schema_input_type=PathText | Expression | tuple[PathText | Expression, ...]),
    ] = (EVERY_PATH,)
    """``/exact``, ``{name}`` or ``*`` for one segment, ``**`` at the end for the rest, also none; ``{regex: ...}``,
    whose named groups are captures; or a list of them."""
    methods: Annotated[
        tuple[Method, ...] | None,
        BeforeValidator(
            lambda value: value if value is None else _one_or_many(value),
            json_schema_input_type=Method | tuple[Method, ...] | None,
        ),
    ] = None
    """The method is one of these; without it every method matches."""
    headers: dict[FieldName, Conditions] = {}
    """By name: the value alone, or what must hold of it."""
    query: dict[str, Conditions] = {}
    """By name, decoded (``+`` and escapes)."""
    cookies: dict[CookieName, Conditions] = {}
    """By name: the value alone, or what must hold of it."""
    client: Annotated[
        tuple[Network, ...],
        BeforeValidator(_one_or_many, json_schema_input_type=Network | tuple[Network, ...]),
    ] = ()
    """Networks; the client's address is in one of them (`trusted_proxies` says whose X-Forwarded-For counts)."""
    scheme: Literal["http", "https"] | None = None
    """How the client came. By https only where a proxy that ended TLS says so, and `trusted_proxies` believes it."""
    any: tuple[Match, ...] = ()
    """At least one of them must match too."""
    all: tuple[Match, ...] = ()
    """Each of them must match too."""
    not_: Annotated[Match | None, Field(alias="not")] = None
    """It must not match."""

    @field_validator("methods")
    @classmethod
    def _names_some(cls, methods: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if methods == ():
            raise ValueError("names no method, so the route takes no request; name some, or leave it out for all")
        return methods

    @field_validator("host", "path", "client", "any", "all")
    @classmethod
    def _lists_some(cls, values: tuple[object, ...]) -> tuple[object, ...]:
        if not values:
            raise ValueError("is an empty list, so the route takes no request; name some, or leave it out")
        return values

    @field_validator("headers", mode="before")
    @classmethod
    def _names_each_once(cls, headers: object) -> object:
        return each_once(headers)

    @model_validator(mode="after")
    def _asks_something(self) -> Match:
        if not self.model_fields_set:
            raise ValueError(
                "asks nothing; give host, path, methods, headers, query, cookies, client, scheme, any, all or not "
                "(path: /** takes every request)"
            )
        if self.depth > DEEPEST:
            raise ValueError(f"'any', 'all' and 'not' stand more than {DEEPEST} levels deep within one another")
        return self

    @property
    def depth(self) -> int:
        """1 without `any`, `all` and `not`."""
        inside = (*self.any, *self.all, *((self.not_,) if self.not_ is not None else ()))
        return 1 + max((each.depth for each in inside), default=0)

    @property
    def captures(self) -> frozenset[str]:
        """The names that stand for something in every request that matches (rules/matching/captures.py reads them)."""
        return self._named | {"**"} if self.path == (EVERY_PATH,) else self._named

    @property
    def _named(self) -> frozenset[str]:
        """What asks no path names nothing."""
        asks = self.path != (EVERY_PATH,)
        found = frozenset.intersection(*(_names(path) for path in self.path)) if asks else frozenset[str]()
        for each in self.all:
            found |= each._named
        if self.any:
            found |= frozenset.intersection(*(each._named for each in self.any))
        return found


def _names(path: str | Expression) -> frozenset[str]:
    if isinstance(path, Expression):
        return frozenset(compile_regex(path.regex).groupindex)
    pattern = parse_pattern(path)
    return frozenset(name for name, _ in pattern.names) | (frozenset({"**"}) if pattern.rest else frozenset())
