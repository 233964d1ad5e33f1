"""Access logs, line by line: who asked for what, as fig, Apache, nginx and AWS's load balancers write it. Pure.

=========  ======================================================================================================
fig        fig's own JSON lines; those of other events are passed over. Host, path without query.
combined   Common and Combined Log Format (Apache's mod_log_config), with ``host:port`` in front or not, and
           nginx's ``combined``, with any further fields behind it. No host, path with query.
alb        AWS Application Load Balancer, its ``access-log-entry-format``. Host, path with query.
=========  ======================================================================================================

No format holds header values or cookies, and none is made up. Lines are latin-1 text, so that bytes survive.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

import msgspec

from rules.match import split_port

LONGEST = 65_536
"""Characters of a line; longer ones count as malformed."""
_LOOKED_AT = 20
"""Lines by which a format is told."""


class Logged(NamedTuple):
    """One request of a log, as far as its format tells."""

    method: str
    host: str
    """Lower case, without port; ``""`` where the format does not tell."""
    port: int | None
    path: str
    """As it was sent, not yet normalised."""
    query: str | None
    """None where the format does not tell."""
    client: str
    """The client's address in canonical text, or what stands in its place (a name, say)."""
    scheme: str = "http"


class LogFormat(StrEnum):
    FIG = "fig"
    COMBINED = "combined"
    ALB = "alb"


class MalformedError(ValueError):
    """A line that is no line of its format; says what is wrong, without quoting the line."""


class PassedOver(Exception):  # noqa: N818 (it is no error)
    """A line of the format that tells of no request."""


Reader = Callable[[str], Logged]
"""Reads one line without its end. Raises MalformedError and PassedOver."""

# The user's name may hold blanks, which is why it ends at the bracket; every part is bounded by a character that it
# cannot hold, so that no line takes longer than its length.
_COMBINED = re.compile(
    r"(?:([A-Za-z0-9._-]+:\d{1,5}) )?(\S+) \S+ [^\[\"]+ \[[^\]]*\] "
    r'"((?:[^"\\]|\\.)*)" (?:\d{3}|-) (?:\d+|-)(?: .*)?'
)
_ALB = re.compile(
    r"(?:https?|h2|grpcs|wss?) \S+ \S+ (\S+):\d+ \S+ (?:\S+ ){3}(?:\d{3}|-) \S+ -?\d+ -?\d+ "
    r'"([^"]*)"(?: .*)?'
)
_REQUEST = re.compile(r"(?!- )([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+)(?: HTTP/\d(?:\.\d)?)?")
_ABSOLUTE = re.compile(r"(https?|wss?)://([^/?#]*)(.*)", re.IGNORECASE)
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.))")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "v": "\v", "b": "\b", "f": "\f"}


def reader_of(format_: LogFormat) -> Reader:
    return {LogFormat.FIG: _read_fig, LogFormat.COMBINED: _read_combined, LogFormat.ALB: _read_alb}[format_]


def detect(lines: Iterable[str]) -> LogFormat | None:
    """The format that reads the most of the first lines; None where none reads any."""
    looked_at = [line for line in lines if line.strip()][:_LOOKED_AT]
    read = {format_: sum(_reads(reader_of(format_), line) for line in looked_at) for format_ in LogFormat}
    best = max(read, key=lambda format_: read[format_])
    return best if read[best] else None


def _reads(reader: Reader, line: str) -> bool:
    try:
        reader(line)
    except MalformedError:
        return False
    except PassedOver:
        pass
    return True


def _read_fig(line: str) -> Logged:
    try:
        found = msgspec.json.decode(line.encode("latin-1"))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise MalformedError("it is no JSON") from exc
    if not isinstance(found, dict) or "event" not in found:
        raise MalformedError("it is no line of fig's: it has no 'event'")
    if found["event"] != "exchange":
        raise PassedOver
    method, host, path, client = (found.get(key) for key in ("method", "host", "path", "client"))
    if not (isinstance(method, str) and isinstance(host, str) and isinstance(path, str) and isinstance(client, str)):
        raise MalformedError("method, host, path and client are not all there")
    return Logged(method, host, None, path, None, canonical(client))


def _read_combined(line: str) -> Logged:
    found = _COMBINED.fullmatch(line)
    if found is None:
        raise MalformedError("it is no line of the Common or Combined Log Format")
    host, port = split_port(found[1].lower()) if found[1] else ("", None)
    text = found[3]
    return _request(_ESCAPE.sub(_unescaped, text) if "\\" in text else text, host, port, found[2])


def _read_alb(line: str) -> Logged:
    found = _ALB.fullmatch(line)
    if found is None:
        raise MalformedError("it is no line of an Application Load Balancer's access log")
    return _request(found[2].rstrip(), "", None, found[1].strip("[]"))


def _request(text: str, host: str, port: int | None, client: str) -> Logged:
    """Of a request line, whose target may be a URL."""
    found = _REQUEST.fullmatch(text)
    if found is None:
        raise MalformedError("it holds no request line of HTTP")
    method, target, scheme = found[1], found[2], "http"
    if not target.startswith("/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is not None:
            scheme = "https" if absolute[1].lower() in ("https", "wss") else "http"
            host, port = split_port(absolute[2].rpartition("@")[2].lower())
            port = None if port == (443 if scheme == "https" else 80) else port
            target = absolute[3] if absolute[3].startswith("/") else "/" + absolute[3]
    path, _, query = target.partition("#")[0].partition("?")
    return Logged(method, host, port, path, query, canonical(client), scheme)


def _unescaped(found: re.Match[str]) -> str:
    """Apache and nginx write ``\\"``, ``\\\\`` and ``\\x22``."""
    if found[1] is not None:
        return chr(int(found[1], 16))
    return _ESCAPED.get(found[2], found[2])


@lru_cache(maxsize=65_536)
def canonical(client: str) -> str:
    """As fig names clients: IPv4-mapped IPv6 unmapped. What is no address stays as it is."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
