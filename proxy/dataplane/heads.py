"""Heads of requests and answers: strict parsing. Pure; this is the seam behind which parsing hides.

Hot. What arrives is split into lines and every line is known or checked (`fields`); what leaves is written anew from
the parts, so no byte that was not understood is ever forwarded. RFC sections stand above the branches they force.
Hosts and targets are read by `targets`, what Connection says by `hop_by_hop`, lengths of bodies by `bodies`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from proxy.dataplane.bodies import not_chunked, read_length, read_repeated_length
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
from proxy.dataplane.hop_by_hop import drop_named, options_of, read_connection
from proxy.dataplane.refusals import Refusal, answered_here, malformed
from proxy.dataplane.targets import DEFAULT_PORT, HOSTS, read_host, read_target

CHUNKED: Final = -1
"""`length` of a body whose end is told by chunks."""
ENDLESS: Final = -2
"""`length` of an answer whose end is the connection's end."""

_requests: Final = FieldMemory(REQUEST_KINDS)
_answers: Final = FieldMemory(ANSWER_KINDS)
_METHODS: Final = {m.encode(): m for m in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")}
# W3C Trace Context 3.2.2: version 00 has four parts; later versions may append more.
_TRACEPARENT: Final = re.compile(
    rb"(?:00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    rb"|(?!00|ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?)"
)
_REQUEST_ID: Final = bytes(range(0x21, 0x7F))
_MAX_FIELDS: Final = 100
_SAID_BY_FIG: Final = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")
_PLAIN_ANSWER: Final = (SET_COOKIE, CACHE_CONTROL)
_LATER_VERSION: Final = re.compile(rb"HTTP/1\.[2-9]")
_VERSION: Final = re.compile(rb"HTTP/[0-9]\.[0-9]")
_LONGEST_METHOD: Final = 64
"""The longest of the registered ones has 17 bytes."""
_OWN_HOP: Final = re.compile(rb"(?:^|,)[ \t]*(?:HTTP/)?1\.[01][ \t]+fig[ \t]*(?=[,(]|$)", re.IGNORECASE)
_MOST_OWN_HOPS: Final = 8
"""So many fig stand behind one another in nobody's network: a request that has passed more goes round."""
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
            options = options_of(options, field.value)
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
        head.host, head.port = HOSTS.get(host.value) or read_host(host.value)
    elif not head.http10:
        raise malformed("host", "there is no Host header")  # RFC 9112 3.2
    read_target(head, target)
    if options is not None:
        read_connection(head, options, upgrade)
    if states and not head.traceparent:
        drop_named([b"tracestate"], fields, out)  # it belongs to the trace that ended here
    if coding is not None:
        # RFC 9112 6.1 and 6.3: with Content-Length, from HTTP/1.0, or anything but chunked, it may be an attack.
        if length is not None:
            raise malformed("framing", "both Transfer-Encoding and Content-Length are given")
        if head.http10:
            raise malformed("framing", "Transfer-Encoding is not part of HTTP/1.0")
        if coding.lower() != b"chunked":
            raise not_chunked(coding)
        head.length = CHUNKED
    elif length is not None:
        head.length = read_length(length)
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
            options = options_of(options, field.value)
        elif kind == UPGRADE:
            head.upgrade = field.value
    if options is not None:
        if b"close" in options:
            head.close = True
        elif b"keep-alive" in options:
            head.close = False
        if drop_named(options, fields, out):
            head.dated = any(field.kind == DATE for field in fields)

    # RFC 9112 6.3, in its order.
    if method == "HEAD" or code < 200 or code == 204 or code == 304:
        if length is not None and coding is None and code >= 200 and code != 204:
            out.append(b"Content-Length: %d\r\n" % read_repeated_length(length))  # says what GET would have sent
        head.length = 0
    elif coding is not None:
        if length is not None or coding != b"chunked" or head.http10:
            raise malformed("framing", "the answer's framing is ambiguous")
        head.length = CHUNKED
    elif length is not None:
        head.length = int(length) if length.isdigit() and len(length) <= 18 else read_repeated_length(length)
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
