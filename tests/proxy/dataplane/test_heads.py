"""Heads: what is refused and why, and that what is accepted is read alike by everybody behind fig."""

from __future__ import annotations

import h11
import httptools
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.dataplane import fields
from proxy.dataplane.addresses import TrustedProxies
from proxy.dataplane.fields import MEMORY, REQUEST_KINDS, FieldMemory
from proxy.dataplane.heads import CHUNKED, ENDLESS, RequestHead, parse_answer, parse_request
from proxy.dataplane.refusals import Refusal

HOST = b"Host: a"


def parse(*lines: bytes, start: bytes = b"GET / HTTP/1.1") -> RequestHead:
    return parse_request(b"\r\n".join((start, *lines)), "192.0.2.7")


@pytest.mark.parametrize(
    ("start", "lines", "status", "reason"),
    [
        (b"GET / HTTP/1.1", [], 400, "host"),
        (b"GET / HTTP/1.1", [HOST, HOST], 400, "host"),
        (b"GET / HTTP/1.1", [b"Host:"], 400, "host"),
        (b"GET / HTTP/1.1", [b"Host: a b"], 400, "host"),
        (b"GET / HTTP/1.1", [b"Host: a/b"], 400, "host"),
        (b"GET / HTTP/1.1", [b"Host: u@a"], 400, "host"),
        (b"GET / HTTP/1.1", [b"Host: a:b"], 400, "host"),
        (b"GET / HTTP/1.1", [b"Host: a, b"], 400, "host"),
        (b"GET / HTTP/1.1", [b"Host: [::1"], 400, "host"),
        (b"GET / HTTP/1.1", [b"Host: " + b"a" * 300], 400, "host"),
        (b"GET http://b/ HTTP/1.1", [HOST], 400, "host"),
        (b"GET http://u@a/ HTTP/1.1", [b"Host: u@a"], 400, "host"),
        (b"GET http:///x HTTP/1.1", [HOST], 400, "host"),
        (b"GET ftp://a/ HTTP/1.1", [HOST], 400, "target"),
        (b"GET a HTTP/1.1", [HOST], 400, "target"),
        (b"GET * HTTP/1.1", [HOST], 400, "target"),
        (b"GET /#x HTTP/1.1", [HOST], 400, "target"),
        (b"GET /?a#x HTTP/1.1", [HOST], 400, "target"),
        (b"GET /?a\x01 HTTP/1.1", [HOST], 400, "target"),
        (b"GET /%2f HTTP/1.1", [HOST], 400, "target"),
        (b"GET /../x HTTP/1.1", [HOST], 400, "target"),
        (b"GET  HTTP/1.1", [HOST], 400, "target"),
        (b"GET /", [HOST], 400, "request_line"),
        (b"GET  / HTTP/1.1", [HOST], 400, "request_line"),
        (b"GET / HTTP/1.1 ", [HOST], 400, "request_line"),
        (b"GET /\tHTTP/1.1", [HOST], 400, "request_line"),
        (b"GET / http/1.1", [HOST], 400, "request_line"),
        (b"GET / HTTP/1.10", [HOST], 400, "request_line"),
        (b"GET / HTTP/01.1", [HOST], 400, "request_line"),
        (b"GET / ICE/1.0", [HOST], 400, "request_line"),
        (b"GET / HTTP/2.0", [HOST], 505, "version"),
        (b"GET / HTTP/0.9", [HOST], 505, "version"),
        (b"CONNECT a:443 HTTP/1.1", [HOST], 405, "method"),
        (b"TRACE / HTTP/1.1", [HOST], 405, "method"),
        (b"get / HTTP/1.1", [HOST], 501, "method"),
        (b" / HTTP/1.1", [HOST], 400, "method"),
        (b"G=\":<>(e),[T];?\" / HTTP/1.1", [HOST], 400, "method"),
        (b"G\x00T / HTTP/1.1", [HOST], 400, "method"),
        (b"GET / HTTP/1.1", [HOST, b"Content-Length: 1", b"Transfer-Encoding: chunked"], 400, "framing"),
        (b"GET / HTTP/1.1", [HOST, b"Transfer-Encoding: chunked", b"Content-Length: 1"], 400, "framing"),
        (b"GET / HTTP/1.0", [HOST, b"Transfer-Encoding: chunked"], 400, "framing"),
        (b"GET / HTTP/1.1", [HOST, b"Content-Length: 1", b"Content-Length: 1"], 400, "content_length"),
        (b"GET / HTTP/1.1", [HOST, b"Content-Length: 1", b"content-length: 2"], 400, "content_length"),
        (b"GET / HTTP/1.1", [HOST, b"Content-Length: 1, 1"], 400, "content_length"),
        (b"GET / HTTP/1.1", [HOST, b"Content-Length: +5"], 400, "content_length"),
        (b"GET / HTTP/1.1", [HOST, b"Content-Length: -1"], 400, "content_length"),
        (b"GET / HTTP/1.1", [HOST, b"Content-Length: 0x5"], 400, "content_length"),
        (b"GET / HTTP/1.1", [HOST, b"Content-Length: 1_0"], 400, "content_length"),
        (b"GET / HTTP/1.1", [HOST, b"Content-Length: 1 0"], 400, "content_length"),
        (b"GET / HTTP/1.1", [HOST, b"Content-Length:"], 400, "content_length"),
        (b"GET / HTTP/1.1", [HOST, b"Content-Length: \xb2"], 400, "content_length"),
        (b"GET / HTTP/1.1", [HOST, b"Content-Length: " + b"9" * 30], 400, "content_length"),
        (b"GET / HTTP/1.1", [HOST, b"Transfer-Encoding: gzip"], 400, "transfer_encoding"),
        (b"GET / HTTP/1.1", [HOST, b"Transfer-Encoding: gzip, chunked"], 501, "transfer_encoding"),
        (b"GET / HTTP/1.1", [HOST, b"Transfer-Encoding: chunked, chunked"], 400, "transfer_encoding"),
        (b"GET / HTTP/1.1", [HOST, b"Transfer-Encoding: xchunked"], 400, "transfer_encoding"),
        (b"GET / HTTP/1.1", [HOST, b"Transfer-Encoding: identity"], 400, "transfer_encoding"),
        (b"GET / HTTP/1.1", [HOST, b"Transfer-Encoding:"], 400, "transfer_encoding"),
        (b"GET / HTTP/1.1", [HOST, b"Transfer-Encoding: chunked", b"TE: x", b"Transfer-Encoding: chunked"], 400,
         "transfer_encoding"),
        (b"GET / HTTP/1.1", [HOST, b"Expect: 200-ok"], 417, "expect"),
        (b"PUT / HTTP/1.1", [HOST, b"Idempotency-Key: a", b"Idempotency-Key: b"], 400, "idempotency_key"),
        (b"GET / HTTP/1.1", [HOST, b"A: 1", b" folded"], 400, "header_line"),
        (b"GET / HTTP/1.1", [HOST, b"A: 1", b" folded: 2"], 400, "obs_fold"),
        (b"GET / HTTP/1.1", [b"\tHost: a"], 400, "obs_fold"),
        (b"GET / HTTP/1.1", [HOST, b"A : 1"], 400, "header_name"),
        (b"GET / HTTP/1.1", [HOST, b": 1"], 400, "header_name"),
        (b"GET / HTTP/1.1", [HOST, b"A\x00: 1"], 400, "header_name"),
        (b"GET / HTTP/1.1", [HOST, b"\xc3\xa4: 1"], 400, "header_name"),
        (b"GET / HTTP/1.1", [HOST, b"A(b): 1"], 400, "header_name"),
        (b"GET / HTTP/1.1", [HOST, b"A"], 400, "header_line"),
        (b"GET / HTTP/1.1", [HOST, b"A: \x00"], 400, "header_value"),
        (b"GET / HTTP/1.1", [HOST, b"A: b\rc"], 400, "header_value"),
        (b"GET / HTTP/1.1", [HOST, b"A: b\nContent-Length: 5"], 400, "header_value"),
        (b"GET / HTTP/1.1", [HOST, b"A: b\x7f"], 400, "header_value"),
        (b"GET / HTTP/1.1\nHost: a", [], 400, "request_line"),
        (b"GET / HTTP/1.1", [HOST] + [b"A: 1"] * 100, 431, "header_count"),
    ],
)  # fmt: skip
def test_what_two_servers_could_read_differently_is_refused(
    start: bytes, lines: list[bytes], status: int, reason: str
) -> None:
    for _ in range(2):  # the second time, what could be remembered is
        with pytest.raises(Refusal) as caught:
            parse(*lines, start=start)
        assert (caught.value.status, caught.value.reason, caught.value.close) == (status, reason, True)


def test_an_absolute_target_that_agrees_with_host_is_taken_apart() -> None:
    head = parse(b"Host: A:80", start=b"GET HTTP://a:80?x HTTP/1.1")

    assert (head.host, head.host_value, head.path, head.query, head.target) == ("a", b"a:80", "/", "x", b"/?x")


def test_protocols_that_would_carry_requests_past_the_table_are_not_asked_for() -> None:
    head = parse(HOST, b"Connection: upgrade, HTTP2-Settings", b"Upgrade: h2c, websocket", b"HTTP2-Settings: AAA")

    assert head.upgrade == b"websocket"
    assert head.values("http2-settings") == []


def test_an_upgrade_that_connection_does_not_name_is_none() -> None:
    assert parse(HOST, b"Upgrade: websocket").upgrade == b""
    assert parse(HOST, b"Upgrade: websocket", b"Connection: upgrade", start=b"GET / HTTP/1.0").upgrade == b""


def test_what_connection_names_decides_nothing() -> None:
    head = parse(
        HOST, b"Cookie: unit=1", b"Idempotency-Key: k", b"X-App: shop", b"Connection: cookie, x-app, idempotency-key"
    )

    assert head.values("cookie") == []
    assert head.values("x-app") == []
    assert head.idempotency_key == b""
    assert head.lines == []


def test_connection_cannot_name_away_what_frames_and_routes_a_request() -> None:
    head = parse(
        HOST, b"Content-Length: 5", b"X-Forwarded-For: 1.2.3.4", b"Connection: host, content-length, x-forwarded-for"
    )
    TrustedProxies(("192.0.2.0/24",)).read(head)

    assert (head.host, head.length, head.client) == ("a", 5, "1.2.3.4")


def test_a_repeated_traceparent_is_as_none() -> None:
    line = b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    assert parse(HOST, line).traceparent
    assert parse(HOST, line, line).traceparent == b""
    assert parse(HOST, line, line, line).traceparent == b""


def test_a_later_version_of_traceparent_may_have_more_parts() -> None:
    assert parse(HOST, b"traceparent: 01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x").traceparent


@pytest.mark.parametrize(
    "name",
    ["Cookie", "Authorization", "X-Api-Key", "X-Auth-Token", "Proxy-Authorization", "X-Session-Id", "Idempotency-Key",
     "X-CSRF-Token", "traceparent", "X-Request-Id", "X-Amz-Signature"],
)  # fmt: skip
def test_secrets_and_ids_are_never_remembered(name: str) -> None:
    memory = FieldMemory(REQUEST_KINDS)
    line = f"{name}: s3cret".encode()

    memory.learn(line)

    assert memory.look(line) is None
    assert "s3cret" not in repr(memory._known) + repr(memory._names)


def test_the_memory_of_lines_is_bounded_in_number_and_size() -> None:
    memory = FieldMemory(REQUEST_KINDS)

    for number in range(2 * MEMORY + 10):
        memory.learn(b"X-%d: 1" % number)
        memory.learn(b"X: %d" % number)
        if number % 100 == 0:
            memory.learn(b"X: %d%b" % (number, b"x" * 60_000))
            memory.learn(b"Y%d%b: 1" % (number, b"x" * 60_000))

    assert 0 < len(memory._known) <= MEMORY
    assert 0 < len(memory._names) <= MEMORY
    assert max(map(len, memory._known)) <= fields._LONGEST_REMEMBERED
    assert max(map(len, memory._names)) <= fields._LONGEST_REMEMBERED


def test_a_remembered_line_means_what_it_meant_when_it_was_learned() -> None:
    memory = FieldMemory(REQUEST_KINDS)
    line = b"Accept:  text/html \t"

    assert memory.learn(line) == memory.look(line)
    assert memory.learn(line).line == b"Accept: text/html\r\n"


@pytest.mark.parametrize(
    ("start", "lines", "reason"),
    [
        (b"HTTP/1.1 abc", [], "status_line"),
        (b"HTTP/1.1 20", [], "status_line"),
        (b"HTTP/1.1 2000", [], "status_line"),
        (b"HTTP/1.1 099 x", [], "status_line"),
        (b"HTTP/1.1", [], "status_line"),
        (b"HTTP/2 200", [], "status_line"),
        (b"nonsense", [], "status_line"),
        (b"", [], "status_line"),
        (b"HTTP/1.1 200 a\rb", [], "status_line"),
        (b"HTTP/1.1 200 OK", [b"Content-Length: 1", b"Content-Length: 2"], "content_length"),
        (b"HTTP/1.1 200 OK", [b"Content-Length: -1"], "content_length"),
        (b"HTTP/1.1 200 OK", [b"Content-Length: 1", b"Transfer-Encoding: chunked"], "framing"),
        (b"HTTP/1.1 200 OK", [b"Transfer-Encoding: gzip"], "framing"),
        (b"HTTP/1.0 200 OK", [b"Transfer-Encoding: chunked"], "framing"),
        (b"HTTP/1.1 200 OK", [b"A : 1"], "header_name"),
        (b"HTTP/1.1 200 OK", [b"A: 1", b" folded: 1"], "obs_fold"),
        (b"HTTP/1.1 200 OK", [b"Set-Cookie: a=1\nX: 2"], "header_value"),
    ],
)
def test_answers_that_cannot_be_read_in_one_way_are_the_services_fault(
    start: bytes, lines: list[bytes], reason: str
) -> None:
    with pytest.raises(Refusal) as caught:
        parse_answer(b"\r\n".join((start, *lines)), "GET")

    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("method", "raw", "length"),
    [
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 5", 5),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5", 5),
        ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked", CHUNKED),
        ("GET", b"HTTP/1.1 200 OK", ENDLESS),
        ("GET", b"HTTP/1.1 200", ENDLESS),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", 0),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5", 0),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5", 0),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5", 0),
        ("GET", b"HTTP/1.1 103 Early Hints", 0),
    ],
)
def test_where_an_answer_ends_follows_rfc_9112_section_6_3(method: str, raw: bytes, length: int) -> None:
    assert parse_answer(raw, method).length == length


# --- laws ---

TOKENS = st.text("!#$%&'*+-.^_`|~0129AZaz", min_size=1, max_size=8).map(str.encode)
VALUES = st.binary(max_size=12).map(lambda b: b.translate(None, bytes(range(32)) + b"\x7f"))
NAMES = st.one_of(
    TOKENS,
    st.sampled_from((b"Host", b"Connection", b"Content-Length", b"Transfer-Encoding", b"Cookie", b"X-Forwarded-For",
                     b"Upgrade", b"Expect", b"TE", b"traceparent", b"X-Request-Id", b"Idempotency-Key")),
)  # fmt: skip
LINES = st.one_of(
    st.tuples(NAMES, VALUES).map(lambda pair: b"%b: %b" % pair),
    st.sampled_from((b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: close", b"Host: b")),
    st.binary(max_size=16),
)
TARGETS = st.one_of(
    st.binary(max_size=12).map(lambda b: b"/" + b),
    st.text("ab/.%2e?&=;:@~", max_size=12).map(lambda t: b"/" + t.encode()),
    st.sampled_from((b"*", b"http://a/x", b"http://a", b"a:1", b"//a", b"/a%zz")),
)
STARTS = st.builds(
    lambda *parts: b" ".join(parts),
    st.one_of(st.sampled_from((b"GET", b"POST", b"OPTIONS", b"PUT")), TOKENS),
    TARGETS,
    st.sampled_from((b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2")),
)


class Read:
    """What httptools reads of a request's head."""

    def __init__(self, data: bytes) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = False
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(data)
        self.method = self._parser.get_method()

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.is_complete = True


def canonical(head: RequestHead) -> bytes:
    """The head with its framing as an exchange writes it (exchange.Exchange._forwarded_head, without what fig adds)."""
    framing = b""
    if head.length == CHUNKED:
        framing = b"Transfer-Encoding: chunked\r\n"
    elif head.length:
        framing = b"Content-Length: %d\r\n" % head.length
    return b"%b %b HTTP/1.1\r\nHost: %b\r\n%b%b\r\n" % (
        head.method.encode(),
        head.target,
        head.host_value or b"a",
        b"".join(head.lines),
        framing,
    )


@settings(max_examples=150, deadline=None)
@given(start=STARTS, lines=st.lists(LINES, max_size=6))
@example(start=b"GET /?a=\xff HTTP/1.1", lines=[b"A: \xff"])
@example(start=b"OPTIONS * HTTP/1.1", lines=[])
@example(start=b"GET /a/%2e%2e/b HTTP/1.0", lines=[b"Connection: keep-alive"])
def test_what_is_forwarded_is_read_alike_by_httptools_and_h11(start: bytes, lines: list[bytes]) -> None:
    try:
        head = parse(HOST, *lines, start=start)
    except Refusal:
        return
    wire = canonical(head)

    server = h11.Connection(h11.SERVER)
    server.receive_data(wire)
    request = server.next_event()
    assert isinstance(request, h11.Request)
    assert request.method == head.method.encode()
    assert request.target == head.target
    ours = [line.partition(b":")[0].lower() for line in head.lines]
    assert [name for name, _ in request.headers if name in ours] == ours
    framing = dict(request.headers)
    assert (b"transfer-encoding" in framing) == (head.length == CHUNKED)
    assert int(framing.get(b"content-length", b"0")) == max(head.length, 0)

    if head.method in ("GET", "POST", "OPTIONS", "PUT"):  # httptools refuses methods that it does not know
        read = Read(wire)
        assert read.is_complete
        assert (read.method, read.url) == (head.method.encode(), head.target)
        assert read.headers == [(name, value) for name, value in request.headers]


@settings(max_examples=150, deadline=None)
@given(
    data=st.one_of(st.binary(max_size=200), st.builds(lambda s, ls: b"\r\n".join((s, *ls)), STARTS, st.lists(LINES)))
)
def test_any_bytes_are_a_head_or_a_refusal(data: bytes) -> None:
    for read in (lambda: parse_request(data, "192.0.2.7"), lambda: parse_answer(data, "GET")):
        try:
            read()
        except Refusal as refusal:
            assert 400 <= refusal.status < 600


@settings(max_examples=100, deadline=None)
@given(start=STARTS, lines=st.lists(LINES, max_size=6))
def test_a_canonical_head_is_its_own_canonical_form(start: bytes, lines: list[bytes]) -> None:
    try:
        once = canonical(parse(HOST, *lines, start=start))
    except Refusal:
        return

    assert canonical(parse_request(once[:-4], "192.0.2.7")) == once
