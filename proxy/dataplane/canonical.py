"""What leaves is written anew: the heads that services and clients get, and the fields that go into copies. Pure.

Hot. Only what `heads` understood is written, so two servers cannot read it differently; what fig adds is added here.
"""

from __future__ import annotations

from typing import Final

from proxy.dataplane.dates import date_line
from proxy.dataplane.fields import CACHE_CONTROL, LASTING
from proxy.dataplane.heads import CHUNKED, AnswerHead, RequestHead
from rules.units import overrules_cache_control, private

_BODY_EXPECTED: Final = ("POST", "PUT", "PATCH")
# RFC 9110 7.6.3: who forwarded it, behind whoever did before, and the version in which it came.
_OWN: Final = b"X-Request-Id: %b\r\ntraceparent: %b\r\nVia: 1.1 fig\r\n"
_OWN_1_0: Final = _OWN.replace(b"1.1", b"1.0")

Fields = list[tuple[bytes, bytes]]


def forwarded_block(head: RequestHead, host: bytes) -> bytes:
    """X-Forwarded-For, -Proto, -Host: what fig saw, behind and in place of what a trusted proxy said; `host` is the
    client's."""
    chain = peer = head.peer.encode("ascii")
    if head.told is not None:
        told_chain, told_host = head.told
        chain = b"%b, %b" % (told_chain, peer) if told_chain else peer
        host = told_host or host
    return b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n" % (chain, head.scheme, host)


def request_head(
    head: RequestHead,
    target: bytes,
    lines: list[bytes],
    host: bytes,
    forwarded: bytes,
    request_id: bytes,
    traceparent: bytes,
    key: bytes,
    length: int,
) -> list[bytes]:
    """The pieces of the head that a service gets, up to and with the empty line.

    `target`, `lines` and `host` are the head's own unless the route changes them; `forwarded` is a `forwarded_block`;
    `key` an Idempotency-Key that fig made, ``b""`` for none; `length` the body's bytes, or CHUNKED.
    """
    out = [
        b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (head.method.encode(), target, host),
        *lines,
        forwarded,
        (_OWN_1_0 if head.http10 else _OWN) % (request_id, traceparent),
    ]
    if key:
        out.append(b"Idempotency-Key: %b\r\n" % key)
    if length == CHUNKED:
        out.append(b"Transfer-Encoding: chunked\r\n")
    elif length or head.method in _BODY_EXPECTED:  # RFC 9110 8.6: these say 0 too
        out.append(b"Content-Length: %d\r\n" % length)
    if head.expects_continue:
        out.append(b"Expect: 100-continue\r\n")
    if head.upgrade:
        out.append(b"Connection: Upgrade\r\nUpgrade: %b\r\n" % head.upgrade)
    out.append(b"\r\n")
    return out


def answer_head(
    head: AnswerHead, request: RequestHead, request_id: bytes, issue: str, wall: float, *, close: bool
) -> list[bytes]:
    """The pieces of the head that a client gets. `issue` is a Set-Cookie value of fig's own, ``""`` for none; `wall`
    is when the answer came, in seconds since the epoch."""
    out = [b"HTTP/1.1 %d %b\r\n" % (head.status, head.reason), *head.lines]
    length = head.length
    if length > 0:
        out.append(b"Content-Length: %d\r\n" % length)
    elif length == 0:
        if head.status >= 200 and head.status not in (204, 304) and request.method != "HEAD":
            out.append(b"Content-Length: 0\r\n")
    elif not request.http10:  # RFC 9112 6.3: no chunks for HTTP/1.0; the end is the connection's end
        out.append(b"Transfer-Encoding: chunked\r\n")
    if issue:
        # An answer that issues a unit belongs to one client: no cache may give it to another.
        caching = [field for field in head.fields if field.kind == CACHE_CONTROL]
        overruling = [field for field in head.fields if overrules_cache_control(field.name)]
        said = {field.line for field in (*caching, *overruling)}
        out = [line for line in out if line not in said]
        alone = private([field.value.decode("latin-1") for field in caching]).encode("latin-1")
        out.append(b"Cache-Control: %b\r\nSet-Cookie: %b\r\n" % (alone, issue.encode("latin-1")))
    if not head.dated:  # RFC 9110 6.6.1: then it is for whoever forwards the answer to say when it came
        out.append(date_line(wall))
    out.append(b"X-Request-Id: %b\r\n" % request_id)
    if close:
        out.append(b"Connection: close\r\n\r\n")
    elif request.http10:
        out.append(b"Connection: keep-alive\r\n\r\n")
    else:
        out.append(b"\r\n")
    return out


def interim_head(head: AnswerHead) -> bytes:
    """A 1xx answer."""
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (head.status, head.reason, b"".join(head.lines))


def switched_head(head: AnswerHead, request: RequestHead) -> bytes:
    """101, with the one protocol that was chosen."""
    return b"HTTP/1.1 101 %b\r\nConnection: Upgrade\r\nUpgrade: %b\r\n%b\r\n" % (
        head.reason,
        head.upgrade or request.upgrade,
        b"".join(head.lines),
    )


def copied_request(head: RequestHead) -> Fields:
    """The end-to-end fields of a request as its client sent them, without Host and framing."""
    return [(f.line.partition(b":")[0], f.value) for f in head.fields if f.kind in LASTING]


def added_fields(head: RequestHead, request_id: bytes, traceparent: bytes) -> Fields:
    """What fig adds to every request and to its copy."""
    fields = []
    for line in forwarded_block(head, head.host_value).split(b"\r\n"):
        name, _, value = line.partition(b": ")
        if name:
            fields.append((name, value))
    via = b"1.0 fig" if head.http10 else b"1.1 fig"
    return [*fields, (b"X-Request-Id", request_id), (b"traceparent", traceparent), (b"Via", via)]


def copied_answer(head: AnswerHead) -> Fields:
    """The end-to-end fields of an answer as the service gave them."""
    return [(f.line.partition(b":")[0], f.value) for f in head.fields if f.kind in LASTING]
