"""Heads of requests and answers: strict parsing. Pure; this is the seam behind which parsing hides.

Hot. What arrives is split into lines and every line is known or checked (`fields`); what leaves is written anew from
the parts, so no byte that was not understood is ever forwarded. RFC sections stand above the branches they force.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from proxy.dataplane.fields import (
    ANSWER_KINDS,
    CACHE_CONTROL,
    CODING,
    CONNECTION,
    COOKIE,
    DATE,
    EXPECT,
    FORWARDED,
    HOPS,
    HOST,
    KEY,
    LASTING,
    LENGTH,
    REQUEST_ID,
    REQUEST_KINDS,
    SET_COOKIE,
    TOKEN,
    TRACEPARENT,
    TRACESTATE,
    UPGRADE,
    VALUE,
    VIA,
    Field,
    FieldMemory,
)
from proxy.dataplane.refusals import Refusal, answered_here, malformed
from rules.matching.path import normalise

DEFAULT_PORT: Final = 80
"""Of the scheme: what a Host without a port means."""
CHUNKED: Final = -1
"""`length` of a body whose end is told by chunks."""
ENDLESS: Final = -2
"""`length` of an answer whose end is the connection's end."""

_requests: Final = FieldMemory(REQUEST_KINDS)
_answers: Final = FieldMemory(ANSWER_KINDS)
_METHODS: Final = {m.encode(): m for m in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")}
# RFC 9110 7.2, RFC 3986 3.2.2: a registered name, an IPv4 address or a bracketed IPv6 address, and a port.
_HOST: Final = re.compile(rb"([A-Za-z0-9._~!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?")
_QUERY: Final = bytes(c for c in range(0x21, 0x7F) if c != 0x23)
_HIGH: Final = re.compile(rb"[\x80-\xff]")
# W3C Trace Context 3.2.2: version 00 has four parts; later versions may append more.
_TRACEPARENT: Final = re.compile(
    rb"(?:00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    rb"|(?!00|ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?)"
)
_REQUEST_ID: Final = bytes(range(0x21, 0x7F))
_MAX_FIELDS: Final = 100
_OWN_OPTIONS: Final = (b"keep-alive", b"close", b"upgrade")
_KNOWN_OPTIONS: Final = {
    o: [o.lower()] for o in (b"keep-alive", b"close", b"Keep-Alive", b"Close", b"Upgrade", b"upgrade")
}
_SAID_BY_FIG: Final = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")
_PLAIN_ANSWER: Final = (SET_COOKIE, CACHE_CONTROL)
# HTTP by another framing would carry requests past the table, and TLS hides them.
_REFUSED_PROTOCOLS: Final = re.compile(rb"h2c?\b.*|http/.*|tls/.*", re.IGNORECASE)
_LATER_VERSION: Final = re.compile(rb"HTTP/1\.[2-9]")
_VERSION: Final = re.compile(rb"HTTP/[0-9]\.[0-9]")
_LONGEST_METHOD: Final = 64
"""The longest of the registered ones has 17 bytes."""
_OWN_HOP: Final = re.compile(rb"(?:^|,)[ \t]*(?:HTTP/)?1\.[01][ \t]+fig[ \t]*(?=[,(]|$)", re.IGNORECASE)
_MOST_OWN_HOPS: Final = 8
"""So many fig stand behind one another in nobody's network: a request that has passed more goes round."""
_LONGEST_HOST: Final = 261
"""A name of 255 bytes (RFC 1035) and a port."""
_LAST_PORT: Final = 65535
_hosts: Final[dict[bytes, tuple[str, int]]] = {}
_status_lines: Final[dict[bytes, tuple[bool, int, bytes]]] = {}
"""Known by heart, as header lines are: 2 of 26 us per exchange."""
_STATUS_LINES: Final = 256
_LONGEST_STATUS_LINE: Final = 64


class RequestHead:
    """A request's head, checked. Implements rules.decision.Request."""

    __slots__ = (
        "client",
        "close",
        "cookies",
        "expects_continue",
        "fields",
        "host",
        "host_value",
        "http10",
        "idempotency_key",
        "length",
        "lines",
        "method",
        "path",
        "peer",
        "port",
        "query",
        "request_id",
        "scheme",
        "target",
        "told",
        "traceparent",
        "upgrade",
    )

    def __init__(self) -> None:
        self.peer = ""
        """The address at the other end of the connection, in canonical text."""
        self.client = ""
        """The same, unless the peer is a trusted proxy: then whom it speaks for."""
        self.scheme = b"http"
        """How the client came: ``http`` or ``https``."""
        self.method = ""
        self.target = b""
        """Path and query as they are forwarded."""
        self.path = ""
        self.query = ""
        self.host = ""
        self.port = DEFAULT_PORT
        self.host_value = b""
        """The Host field as it came, b"" for an HTTP/1.0 request without."""
        self.http10 = False
        self.close = False
        """Whether the client's connection ends with this exchange."""
        self.length = 0
        """Body bytes, or CHUNKED."""
        self.expects_continue = False
        self.upgrade = b""
        """The protocols that the client asks for, b"" when none."""
        self.request_id = b""
        self.traceparent = b""
        self.idempotency_key = b""
        self.told: tuple[bytes, bytes] | None = None
        """What a trusted proxy said in X-Forwarded-For and X-Forwarded-Host, b"" for nothing. Nobody else is heard."""
        self.cookies: list[bytes] = []
        """The Cookie lines' values."""
        self.fields: list[Field] = []
        self.lines: list[bytes] = []
        """Field lines that are forwarded as they are."""

    @property
    def secure(self) -> bool:
        return self.scheme == b"https"

    def values(self, name: str) -> Sequence[str]:
        if name == "cookie":  # asked for on nearly every request
            return [c.decode("latin-1") for c in self.cookies]
        if name in _SAID_BY_FIG:
            return self._said(name)
        return [f.value.decode("latin-1") for f in self.fields if f.name == name and f.kind != FORWARDED]

    def _said(self, name: str) -> Sequence[str]:
        """What services get under this name: routes are chosen by what is forwarded, not by what a client made up."""
        chain, host = self.told or (b"", b"")
        if name == "x-forwarded-proto":
            return [self.scheme.decode("ascii")]
        if name == "x-forwarded-host":
            return [(host or self.host_value).decode("latin-1")]
        return [f"{chain.decode('latin-1')}, {self.peer}" if chain else self.peer]


class AnswerHead:
    """A service's answer head, checked."""

    __slots__ = ("close", "dated", "fields", "http10", "length", "lines", "reason", "status", "upgrade")

    def __init__(self) -> None:
        self.status = 0
        self.reason = b""
        self.http10 = False
        self.close = False
        """Whether the service's connection cannot carry another exchange."""
        self.length = 0
        """Body bytes, CHUNKED or ENDLESS."""
        self.upgrade = b""
        self.dated = False
        """Whether it says when it was made, or is not to say it."""
        self.fields: list[Field] = []
        self.lines: list[bytes] = []


def parse_request(data: bytes, peer: str) -> RequestHead:
    """Parse what stands before the empty line. Raises Refusal; the connection is then closed."""
    lines = data.split(b"\r\n")
    head = RequestHead()
    head.peer = head.client = peer
    method, _, rest = lines[0].partition(b" ")
    target, _, version = rest.partition(b" ")
    if version != b"HTTP/1.1":
        head.http10 = head.close = _is_http10(version)
    known = _METHODS.get(method)
    head.method = known if known is not None else _unusual_method(method)
    if len(lines) > _MAX_FIELDS + 1:
        raise Refusal(431, "header_count", f"more than {_MAX_FIELDS} header lines")

    look = _requests.look
    fields = head.fields
    out = head.lines
    host: Field | None = None
    coding: bytes | None = None
    length: bytes | None = None
    options: list[bytes] | None = None
    upgrade = b""
    parents = states = hops = 0
    for line in lines[1:]:
        field = look(line) or _requests.learn(line)
        kind = field.kind
        fields.append(field)
        if not kind:
            out.append(field.line)
        elif kind == COOKIE:
            out.append(field.line)
            head.cookies.append(field.value)
        elif kind == HOST:
            if host is not None:
                raise malformed("host", "there are two Host headers")  # RFC 9112 3.2
            host = field
        elif kind == CONNECTION:
            options = _options(options, field.value)
        elif kind == LENGTH:
            if length is not None:
                raise malformed("content_length", "there are two Content-Length headers")  # RFC 9112 6.3
            length = field.value
        elif kind == CODING:
            if coding is not None:
                raise malformed("transfer_encoding", "there are two Transfer-Encoding headers")
            coding = field.value
        elif kind == REQUEST_ID:
            value = field.value
            if 0 < len(value) <= 128 and not value.translate(None, _REQUEST_ID):
                head.request_id = value
        elif kind == TRACEPARENT:
            # W3C Trace Context 3.2: a malformed or repeated traceparent is as none, and a new trace begins.
            parents += 1
            head.traceparent = field.value if parents == 1 and _TRACEPARENT.fullmatch(field.value) else b""
        elif kind == TRACESTATE:
            states += 1
            out.append(field.line)
        elif kind == EXPECT:
            if field.value.lower() != b"100-continue":
                raise Refusal(417, "expect", "only 'Expect: 100-continue' is understood")
            head.expects_continue = not head.http10  # RFC 9110 10.1.1: ignored from HTTP/1.0
        elif kind == UPGRADE:
            upgrade = field.value
        elif kind == VIA:
            out.append(field.line)
            hops += len(_OWN_HOP.findall(field.value))
            if hops > _MOST_OWN_HOPS:
                raise Refusal(508, "loop", f"the request has passed fig more than {_MOST_OWN_HOPS} times")
        elif kind == HOPS:
            field = _one_hop_less(head.method, fields)
            out.append(field.line)
        elif kind == KEY:
            if head.idempotency_key:
                raise malformed("idempotency_key", "there are two Idempotency-Key headers")  # which one deduplicates?
            if field.value:
                head.idempotency_key = field.value
                out.append(field.line)

    if host is not None:
        head.host_value = host.value
        head.host, head.port = _hosts.get(host.value) or _host(host.value)
    elif not head.http10:
        raise malformed("host", "there is no Host header")  # RFC 9112 3.2
    _read_target(head, target)
    if options is not None:
        _read_connection(head, options, upgrade)
    if states and not head.traceparent:
        _drop_named([b"tracestate"], fields, out)  # it belongs to the trace that ended here
    if coding is not None:
        # RFC 9112 6.1 and 6.3: with Content-Length, from HTTP/1.0, or anything but chunked, it may be an attack.
        if length is not None:
            raise malformed("framing", "both Transfer-Encoding and Content-Length are given")
        if head.http10:
            raise malformed("framing", "Transfer-Encoding is not part of HTTP/1.0")
        if coding.lower() != b"chunked":
            raise _not_chunked(coding)
        head.length = CHUNKED
    elif length is not None:
        head.length = _read_length(length)
    if head.length == 0:
        head.expects_continue = False  # RFC 9110 10.1.1: nothing would follow
    return head


def parse_answer(data: bytes, method: str) -> AnswerHead:
    """Parse a service's answer to a request with `method`. Raises Refusal, which means that the service is at fault."""
    lines = data.split(b"\r\n")
    head = AnswerHead()
    http10, code, reason = _status_lines.get(lines[0]) or _read_status_line(lines[0])
    head.http10 = head.close = http10
    head.status = code
    head.reason = reason

    look = _answers.look
    fields = head.fields
    out = head.lines
    coding: bytes | None = None
    length: bytes | None = None
    options: list[bytes] | None = None
    for line in lines[1:]:
        field = look(line) or _answers.learn(line)
        kind = field.kind
        fields.append(field)
        if not kind:
            out.append(field.line)
        elif kind == DATE:
            head.dated = True
            out.append(field.line)
        elif kind in _PLAIN_ANSWER:
            out.append(field.line)
        elif kind == LENGTH:
            length = field.value if length is None else b"%b,%b" % (length, field.value)
        elif kind == CODING:
            if coding is not None:
                raise malformed("transfer_encoding", "there are two Transfer-Encoding headers")
            coding = field.value.lower()
        elif kind == CONNECTION:
            options = _options(options, field.value)
        elif kind == UPGRADE:
            head.upgrade = field.value
    if options is not None:
        if b"close" in options:
            head.close = True
        elif b"keep-alive" in options:
            head.close = False
        if _drop_named(options, fields, out):
            head.dated = any(field.kind == DATE for field in fields)

    # RFC 9112 6.3, in its order.
    if method == "HEAD" or code < 200 or code == 204 or code == 304:
        if length is not None and coding is None and code >= 200 and code != 204:
            out.append(b"Content-Length: %d\r\n" % _read_repeated_length(length))  # says what GET would have sent
        head.length = 0
    elif coding is not None:
        if length is not None or coding != b"chunked" or head.http10:
            raise malformed("framing", "the answer's framing is ambiguous")
        head.length = CHUNKED
    elif length is not None:
        head.length = int(length) if length.isdigit() and len(length) <= 18 else _read_repeated_length(length)
    else:
        head.length = ENDLESS
        head.close = True
    return head


def _unusual_method(method: bytes) -> str:
    if not method or method.translate(None, TOKEN):
        raise malformed("method", "the method is not a token")
    if method in (b"CONNECT", b"TRACE"):
        raise Refusal(405, "method", f"{method.decode()} is not allowed here")
    if len(method) > _LONGEST_METHOD:
        raise Refusal(501, "method", "the method is longer than any")  # RFC 9112 section 3
    if method != method.upper():
        # RFC 9110 9.1: methods know case, so this one is nobody's; but there are servers that would take get for GET.
        raise Refusal(501, "method", "methods are written in capital letters")
    return method.decode("ascii")


def _is_http10(version: bytes) -> bool:
    """Of a version that is not HTTP/1.1. A higher minor version is read as 1.1 (RFC 9110 2.5 and 6.2)."""
    if version == b"HTTP/1.0":
        return True
    if _LATER_VERSION.fullmatch(version):
        return False
    if _VERSION.fullmatch(version):
        raise Refusal(505, "version", "only HTTP/1.1 and HTTP/1.0 are spoken here")
    raise malformed("request_line", "the request line is not 'method target HTTP/1.1'")


def _not_chunked(coding: bytes) -> Refusal:
    """What is said to another coding than 'chunked' alone. RFC 9112 6.3: 400 where chunked is not the last one, for the
    body then has no end; 6.1: 501 where it is, and something under it that nobody here understands."""
    first, _, last = coding.lower().rpartition(b",")
    under = [other.strip(b" \t") for other in first.split(b",")]
    if last.strip(b" \t") != b"chunked" or any(not o or o == b"chunked" or o.translate(None, TOKEN) for o in under):
        return malformed("transfer_encoding", "the only transfer coding understood is 'chunked'")
    return Refusal(501, "transfer_encoding", "the only transfer coding implemented is 'chunked'")


def _one_hop_less(method: str, fields: list[Field]) -> Field:
    """The Max-Forwards line, which is the last of `fields`, as it is forwarded: OPTIONS counts its hops, and is
    answered here when it may make no more (RFC 9110 7.6.2). For other methods it means nothing."""
    field = fields[-1]
    if method != "OPTIONS":
        return field
    if not field.value.isdigit() or len(field.value) > 9:
        raise malformed("max_forwards", "Max-Forwards is not a plain number")
    if sum(each.kind == HOPS for each in fields) > 1:
        raise malformed("max_forwards", "there are two Max-Forwards headers")
    if int(field.value) == 0:
        raise answered_here()
    value = b"%d" % (int(field.value) - 1)
    fields[-1] = Field(HOPS, field.name, value, b"Max-Forwards: %b\r\n" % value)
    return fields[-1]


def _read_status_line(line: bytes) -> tuple[bool, int, bytes]:
    """Whether it is HTTP/1.0, the status, the reason (RFC 9112 section 4)."""
    version, _, rest = line.partition(b" ")
    status, _, reason = rest.partition(b" ")
    if version not in (b"HTTP/1.1", b"HTTP/1.0") and not _LATER_VERSION.fullmatch(version):
        raise malformed("status_line", "the status line does not begin with HTTP/1.1")
    if len(status) != 3 or not status.isdigit() or status < b"100":
        raise malformed("status_line", "the status is not a number of three digits")
    if reason.translate(None, VALUE):
        raise malformed("status_line", "the reason holds a control byte")
    read = (version == b"HTTP/1.0", int(status), reason)
    if len(line) <= _LONGEST_STATUS_LINE:
        if len(_status_lines) >= _STATUS_LINES:
            _status_lines.clear()
        _status_lines[line] = read
    return read


def _host(value: bytes) -> tuple[str, int]:
    """The host without its port, lower case, and the port. Raises Refusal on what RFC 3986 does not allow."""
    found = _HOST.fullmatch(value)
    if found is None or len(value) > _LONGEST_HOST or int(found[2] or 0) > _LAST_PORT:
        raise malformed("host", "the Host header is not a host name with an optional port")
    if len(_hosts) >= 1024:
        _hosts.clear()
    read = _hosts[value] = (found[1].decode("ascii").lower(), int(found[2] or DEFAULT_PORT))
    return read


def _read_target(head: RequestHead, target: bytes) -> None:
    """RFC 9112 section 3.2: origin form, absolute form (its authority must agree with Host), asterisk for OPTIONS."""
    if target[:1] != b"/":
        if target == b"*" and head.method == "OPTIONS":
            head.target = target
            head.path = "*"
            return
        scheme, separator, rest = target.partition(b"://")
        if not separator or scheme.lower() not in (b"http", b"https"):
            raise malformed("target", "the request target is neither a path nor an http URL")
        slash = len(rest)
        for mark in (b"/", b"?"):
            at = rest.find(mark)
            if 0 <= at < slash:
                slash = at
        authority = rest[:slash]
        if head.host_value and authority.lower() != head.host_value.lower():
            raise malformed("host", "the Host header disagrees with the request target")
        head.host_value = authority
        head.host, head.port = _host(authority)
        target = rest[slash:]
        if not target and head.method == "OPTIONS":  # RFC 9112 3.2.4
            head.target = b"*"
            head.path = "*"
            return
        if target[:1] != b"/":
            target = b"/" + target
    raw, mark, query = target.partition(b"?")
    if mark and query.translate(None, _QUERY):
        query = _escaped(query)
    path = normalise(raw.decode("latin-1"))
    if path is None:
        raise malformed("target", "the path cannot be read in one way only")
    head.path = path
    head.query = query.decode("ascii")
    head.target = b"%b?%b" % (path.encode("ascii"), query) if mark else path.encode("ascii")


def _escaped(query: bytes) -> bytes:
    """Raw bytes over 0x7F, which some clients send, as escapes; every server reads both alike. Refuses the rest."""
    query = _HIGH.sub(lambda found: b"%%%02X" % found[0][0], query)
    if query.translate(None, _QUERY):
        raise malformed("target", "the query holds a byte that a URL cannot hold")
    return query


def _read_connection(head: RequestHead, options: list[bytes], upgrade: bytes) -> None:
    if b"close" in options:
        head.close = True
    elif head.http10 and b"keep-alive" in options:
        head.close = False
    if upgrade and b"upgrade" in options and not head.http10:  # RFC 9110 7.8
        asked = [protocol.strip(b" \t") for protocol in upgrade.split(b",")]
        head.upgrade = b", ".join(p for p in asked if p and not _REFUSED_PROTOCOLS.fullmatch(p))
    _drop_named(options, head.fields, head.lines)
    if b"cookie" in options:
        head.cookies = []
    if b"idempotency-key" in options:
        head.idempotency_key = b""


def is_asked(chosen: bytes, asked: bytes) -> bool:
    """Whether the protocol that a service switched to is one that was asked for; unnamed, it is the only one asked."""
    protocols = [protocol.strip(b" \t").lower() for protocol in asked.split(b",") if protocol.strip(b" \t")]
    return chosen.strip(b" \t").lower() in protocols or (not chosen and len(protocols) == 1)


def _options(former: list[bytes] | None, value: bytes) -> list[bytes]:
    """The Connection options so far, lower case."""
    known = _KNOWN_OPTIONS.get(value)
    options = known if known is not None else [o.strip(b" \t").lower() for o in value.split(b",")]
    return former + options if former else options


def _drop_named(options: list[bytes], fields: list[Field], out: list[bytes]) -> bool:
    """RFC 9110 7.6.1: a field that Connection names ends here. Whether there was one."""
    if len(options) == 1 and options[0] in _OWN_OPTIONS:
        return False
    named = {o.decode("latin-1") for o in options if o not in _OWN_OPTIONS}
    if not any(field.name in named for field in fields):
        return False
    # From `fields` too: what nobody forwards must decide nothing, and must not be copied.
    fields[:] = [f for f in fields if f.name not in named or f.kind not in LASTING]
    out[:] = [f.line for f in fields if f.kind in LASTING]
    return True


def _read_length(value: bytes) -> int:
    # RFC 9110 8.6: digits only; int() alone would take '+5', '1_0' and blanks.
    if not value.isdigit() or len(value) > 18:
        raise malformed("content_length", "Content-Length is not a plain number")
    return int(value)


def _read_repeated_length(value: bytes) -> int:
    """Of an answer: equal lengths, in a list or in several lines, are one (RFC 9112 6.3)."""
    if b"," not in value:
        return _read_length(value)
    lengths = {_read_length(each.strip(b" \t")) for each in value.split(b",")}
    if len(lengths) > 1:
        raise malformed("content_length", "there are different Content-Length headers")
    return lengths.pop()
