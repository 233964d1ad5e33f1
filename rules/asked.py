"""A request that nobody sent: what `fig rules explain`, `test` and `diff` ask the table about. Pure.

`ask` reads method, URL and header lines as the data plane reads a request, and refuses what the data plane refuses:
an answer for a request that fig would never forward would be a wrong answer. tests/rules/test_explain_refusals.py holds
the two against each other.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rules.decision import OWN_PORTS
from rules.matching.path import normalise, why_refused
from rules.units import unit_reader

if TYPE_CHECKING:
    from rules.table import CompiledRoute

DEFAULT_HOST = "localhost"
"""Of a URL that is only a path."""
DEFAULT_CLIENT = "127.0.0.1"
REFUSED_METHODS = frozenset(("CONNECT", "TRACE"))
"""The data plane answers them with 405 before any route is asked."""
LONGEST_METHOD = 64
MOST_LINES = 100
"""Header lines of one request, Host among them."""
LONGEST_LINE = 16 * 1024
"""Bytes of a request line, and LARGEST_HEAD of all that stands before the body (proxy/dataplane/ports.py)."""
LARGEST_HEAD = 64 * 1024
_LONGEST_HOST = 261
"""A name of 255 bytes (RFC 1035) and a port."""
_LAST_PORT = 65535
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_UNKNOWN_UNDER_CHUNKED = re.compile(r"((?!chunked\b)[!#$%&'*+\-.^_`|~0-9A-Za-z]+[ \t]*,[ \t]*)+chunked", re.IGNORECASE)
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 section 5.5: no control characters but tab
_HOST = re.compile(r"([A-Za-z0-9._~!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?")  # RFC 3986 section 3.2.2
_URL = re.compile(r"(https?)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_QUERY = re.compile(r"[!-\"$-~]*")
_ONCE = {
    "host": "Host",
    "content-length": "Content-Length",
    "transfer-encoding": "Transfer-Encoding",
    "idempotency-key": "Idempotency-Key",
}
"""Two of them are read two ways (RFC 9112 sections 3.2 and 6.3)."""
ENDS_AT_FIG = frozenset(
    (
        *("host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te"),
        *("expect", "upgrade", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-fig-copy"),
        *("proxy-authorization", "proxy-authenticate", "proxy-authentication-info", "x-request-id", "traceparent"),
        "x-fig-probe",
    )
)
"""Fields that fig reads, drops or writes itself: what a service gets of them is fig's own, and to name them in
Connection takes nothing away."""


class RefusedError(ValueError):
    """fig would answer this request itself, with an error, and no route would see it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that nobody sent; names of headers in lower case. Implements rules.decision.Request."""

    method: str
    host: str
    path: str
    query: str = ""
    client: str = DEFAULT_CLIENT
    port: int = -1
    """That which Host names; -1 becomes the scheme's own."""
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    scheme: str = "http"
    """The client's: ``https`` where something before fig ended TLS."""
    received: str = ""
    """The path as it was given, before it was normalised; ``""`` where it was given normalised."""

    def __post_init__(self) -> None:
        if self.port < 0:
            object.__setattr__(self, "port", OWN_PORTS[self.scheme])

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    def values(self, name: str) -> Sequence[str]:
        """As services get them: fig says itself what nobody that it trusts has said of the client."""
        given = self.headers.get(name, ())
        if given or not name.startswith("x-forwarded-"):
            return given
        if name == "x-forwarded-proto":
            return (self.scheme,)
        if name == "x-forwarded-for":
            return (self.client,)
        return self.headers.get("host", (self.host,)) if name == "x-forwarded-host" else ()

    def with_unit(self, route: CompiledRoute, unit: str) -> Asked:
        """The same request carrying `unit` in the way that `route` reads it; unchanged when the route reads none.

        Raises ValueError for what can be no unit there.
        """
        wanted = route.spec.unit
        if wanted is None:
            return self
        if wanted.address:
            return replace(self, client=client_address(unit))
        if wanted.header is not None:
            name, values = wanted.header, (unit,)
        else:
            # Before the others, because the first of a name counts; the others may be what the route matches on.
            name, values = "cookie", ("; ".join((f"{wanted.cookie}={unit}", *self.values("cookie"))),)
        carrying = replace(self, headers={**self.headers, name: values})
        if not unit or unit_reader(wanted)(carrying) != unit:
            without = "" if wanted.header is not None else ", without blank, quote and semicolon"
            raise ValueError(f"'{unit:.80}' can be no unit of route '{route.name}': it is printable ASCII{without}")
        return carrying


def ask(method: str, url: str, lines: Iterable[tuple[str, str]] = (), client: str = DEFAULT_CLIENT) -> Asked:
    """The request that a client would send for `url` (a URL, or only a path) with these header lines.

    Raises RefusedError where the data plane would answer with an error, and ValueError for what is no request at all.
    A URL or a value beyond ASCII is taken in UTF-8, as browsers send it. `client` is the client as fig knows it: behind
    a trusted proxy that is whom the proxy speaks for, so X-Forwarded-For among `lines` is a header like any other.
    """
    if method == "" or not _TOKEN.fullmatch(method):
        raise RefusedError(400, f"'{method:.40}' is not a method: methods are tokens such as GET")
    if method in REFUSED_METHODS:
        raise RefusedError(405, f"{method} is not allowed here")
    if method != method.upper() or len(method) > LONGEST_METHOD:
        raise RefusedError(501, f"'{method:.40}' is no method: methods are short, and written in capital letters")
    scheme, authority, target = _taken_apart(_as_bytes(url))
    headers = _read_lines(lines)
    host_line = headers.setdefault("host", [authority or DEFAULT_HOST])[0]
    if sum(map(len, headers.values())) > MOST_LINES:
        raise RefusedError(431, f"more than {MOST_LINES} header lines")
    _check_sizes(f"{method} {target} HTTP/1.1", headers)
    found = _HOST.fullmatch(host_line)
    if found is None or len(host_line) > _LONGEST_HOST or int(found[2] or 0) > _LAST_PORT:
        raise RefusedError(400, f"'{host_line:.80}' is not a host name with an optional port")
    _check_framing(headers)
    _drop_named(headers)
    received, mark, query = target.partition("?")
    if target == "*" and method == "OPTIONS":
        path = "*"
    else:
        path = _path(received)
        if mark and not _QUERY.fullmatch(query := _escaped(query)):
            raise RefusedError(400, "the query holds a character that a URL cannot hold")
    address = client_address(client)
    host, port = found[1].lower(), int(found[2] or OWN_PORTS[scheme])
    return Asked(method, host, path, query, address, port, headers, scheme, "" if received == path else received)


def as_given(received: str) -> str:
    """The path as it was written: of the bytes that the data plane sees, the text; other bytes as ``\\xff``."""
    return received.encode("latin-1", "replace").decode("utf-8", "backslashreplace")


def _as_bytes(text: str) -> str:
    """Its UTF-8 bytes as latin-1 text, which is how the data plane sees them."""
    return "".join(chr(byte) for byte in text.encode("utf-8", "surrogateescape"))


def _taken_apart(url: str) -> tuple[str, str, str]:
    """Scheme, authority (``""`` where the URL has none) and the target that is sent. Raises ValueError."""
    if url.startswith("/") or url == "*":
        return "http", "", url.partition("#")[0]  # a fragment stays with the client
    found = _URL.fullmatch(url)
    if found is None:
        raise RefusedError(400, f"'{url:.80}' is no URL; write it like http://shop:8080/api/products, or only its path")
    rest = found[3].partition("#")[0]
    return found[1].lower(), found[2].rpartition("@")[2], rest if rest.startswith("/") else "/" + rest


def _read_lines(lines: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, given in lines:
        if not _TOKEN.fullmatch(name):
            raise RefusedError(400, f"'{name:.80}' is not a header name")
        value = _as_bytes(given)
        if not _VALUE.fullmatch(value):
            raise RefusedError(400, f"the value of the header '{name}' holds a control character")
        headers.setdefault(name.lower(), []).append(value.strip(" \t"))
    return headers


def _check_sizes(line: str, headers: Mapping[str, Sequence[str]]) -> None:
    if len(line) > LONGEST_LINE:
        raise RefusedError(414, f"the request line is longer than {LONGEST_LINE} bytes")
    size = len(line) + sum(len(f"\r\n{name}: {value}") for name, values in headers.items() for value in values)
    if size > LARGEST_HEAD:
        raise RefusedError(431, f"the request's head is larger than {LARGEST_HEAD} bytes")


def _check_framing(headers: Mapping[str, Sequence[str]]) -> None:
    """What of RFC 9112 sections 3.2 and 6 the data plane insists on before it looks at routes."""
    for name, shown in _ONCE.items():
        if len(headers.get(name, ())) > 1:
            raise RefusedError(400, f"there are two {shown} headers")
    coding = next(iter(headers.get("transfer-encoding", ())), None)
    length = next(iter(headers.get("content-length", ())), None)
    if coding is not None and length is not None:
        raise RefusedError(400, "both Transfer-Encoding and Content-Length are given")
    if coding is not None and coding.lower() != "chunked":
        status = 501 if _UNKNOWN_UNDER_CHUNKED.fullmatch(coding) else 400  # RFC 9112 sections 6.1 and 6.3
        raise RefusedError(status, "the only transfer coding understood is 'chunked'")
    if length is not None and not re.fullmatch("[0-9]{1,18}", length):
        raise RefusedError(400, "Content-Length is not a plain number")
    if any(value.lower() != "100-continue" for value in headers.get("expect", ())):
        raise RefusedError(417, "only 'Expect: 100-continue' is understood")


def _drop_named(headers: dict[str, list[str]]) -> None:
    """RFC 9110 section 7.6.1: a field that Connection names ends at fig, and decides nothing."""
    for option in ",".join(headers.get("connection", ())).split(","):
        name = option.strip(" \t").lower()
        if name not in ENDS_AT_FIG:
            headers.pop(name, None)


def _path(received: str) -> str:
    path = normalise(received)
    if path is None:
        raise RefusedError(400, f"the path {as_given(received):.200} is refused, because {why_refused(received)}")
    return path


def _escaped(query: str) -> str:
    """Bytes over 0x7F, which some clients send raw, as escapes."""
    return re.sub(r"[\x80-\xff]", lambda found: f"%{ord(found[0]):02X}", query)


def client_address(text: str) -> str:
    """Canonical, as the data plane names clients. Raises ValueError."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError as exc:
        raise ValueError(f"'{text:.80}' is no client address; write it like 10.0.0.1 or 2001:db8::1") from exc
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
