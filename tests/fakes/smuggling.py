"""Attempts at request smuggling, by family: what two servers in a row could read as different requests.

The families are those that are published (CL.TE, TE.CL, TE.TE, CL.0, 0.CL, chunk sizes and extensions, line endings,
header names, request lines, Host against the target, upgrades, Expect, trailers, fields that Connection names); the
members are made here, each family crossed with the bytes that parsers were found to disagree on. Every attempt hides
``/smuggled`` where a server that reads it differently takes it for a request of its own.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from tests.fakes.smuggling_words import (
    CODING_NAMES,
    CODINGS,
    CONNECTIONS,
    ENDINGS,
    EXPECTS,
    HOSTS,
    LENGTHS,
    METHODS,
    NAMES,
    ODD,
    SIZES,
    TARGETS,
    TRAILERS,
    UPGRADES,
    VERSIONS,
)

HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
_LINE = b"\r\n"


class Attempt(NamedTuple):
    """One attempt."""

    family: str
    data: bytes
    pauses: tuple[int, ...] = ()
    """Where in the data the sender waits for a moment."""


def _request(*lines: bytes, start: bytes = b"POST / HTTP/1.1", body: bytes = b"", host: bytes = b"Host: a") -> bytes:
    head = [start, *([host] if host else []), *lines]
    return _LINE.join(head) + _LINE * 2 + body


def _chunk(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def _length(form: bytes, length: int) -> bytes:
    return form % ((length,) * (form.count(b"%d") + form.count(b"%x") + form.count(b"%o")))


def _both_ways(family: str, coding: bytes) -> Iterator[Attempt]:
    """A line that may say chunked, beside a length: whoever does not read the line reads the length, and back."""
    by_length = b"0\r\n\r\n" + HIDDEN
    yield Attempt(family + " cl.te", _request(b"Content-Length: %d" % len(by_length), coding, body=by_length))
    body = _chunk(HIDDEN) + b"0\r\n\r\n"
    yield Attempt(family + " te.cl", _request(coding, b"Content-Length: 4", body=body))
    yield Attempt(family + " te.0", _request(coding, body=body))


def _coding_lines() -> Iterator[Attempt]:
    yield from _both_ways("plain", b"Transfer-Encoding: chunked")
    for odd in ODD:
        for shape in (
            b"Transfer-Encoding:%bchunked", b"Transfer-Encoding%b: chunked", b"%bTransfer-Encoding: chunked",
            b"Transfer-Encoding: chunked%b", b"X: X%bTransfer-Encoding: chunked", b"Transfer-Encoding: chunked%bX: X",
            b"X: X\r%bTransfer-Encoding: chunked", b"X: X%b\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: chunked\r%bX: X", b"Transfer-Encoding: chunked%b\nX: X",
            b"Transfer-Encoding: %bchunked", b"Transfer%b-Encoding: chunked", b"Transfer-Encoding: chu%bnked",
        ):  # fmt: skip
            yield from _both_ways("te odd byte", shape % odd)
    for value in CODINGS:
        yield from _both_ways("te value", b"Transfer-Encoding: " + value)
        yield from _both_ways("te repeated", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: " + value)
        yield from _both_ways("te repeated", b"Transfer-Encoding: " + value + b"\r\nTransfer-Encoding: chunked")
    for name in CODING_NAMES:
        yield from _both_ways("te name", name + b": chunked")
    yield from _both_ways("te 1.0", b"Connection: keep-alive\r\nTransfer-Encoding: chunked")
    for coding in (b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding: x"):
        body = b"0\r\n\r\n" + HIDDEN
        yield Attempt(
            "te 1.0", _request(coding, b"Content-Length: %d" % len(body), start=b"POST / HTTP/1.0", body=body)
        )
        yield Attempt("te 1.0", _request(coding, b"Connection: keep-alive", start=b"POST / HTTP/1.0", body=body))


def _lengths() -> Iterator[Attempt]:
    size = len(HIDDEN)
    for form in LENGTHS:
        odd = b"Content-Length: " + _length(form, size)
        plain, none = b"Content-Length: %d" % size, b"Content-Length: 0"
        for lines in ((odd,), (odd, plain), (plain, odd), (odd, none), (none, odd), (odd, odd)):
            yield Attempt("cl value", _request(*lines, body=HIDDEN))
    for number in (2**31, 2**32 + size, 2**63, 2**64, 2**64 + size, 10**18, 10**30):
        yield Attempt("cl overflow", _request(b"Content-Length: %d" % number, body=HIDDEN))
    for first, second in ((0, size), (size, 0), (size, size), (1, size)):
        yield Attempt("cl.cl", _request(b"Content-Length: %d" % first, b"Content-Length: %d" % second, body=HIDDEN))
        yield Attempt("cl.cl", _request(b"Content-Length: %d, %d" % (first, second), body=HIDDEN))
    for odd in ODD:
        for shape in (
            b"Content-Length%b: %d", b"%bContent-Length: %d", b"Content-Length:%b%d", b"Content-Length: %d%b",
            b"X: x%bContent-Length: %d", b"Content%b-Length: %d",
        ):  # fmt: skip
            values = (size, odd) if shape.index(b"%d") < shape.index(b"%b") else (odd, size)
            yield Attempt("cl odd byte", _request(shape % values, body=HIDDEN))
            yield Attempt("cl odd byte", _request(shape % values, b"Content-Length: 0", body=HIDDEN))


def _chunks() -> Iterator[Attempt]:
    coding = b"Transfer-Encoding: chunked"
    for size in SIZES:
        bare = b"%" in size.replace(b"%%", b"")
        odd = _length(size, len(HIDDEN)).replace(b"%%", b"%") if bare else size
        yield Attempt("chunk size", _request(coding, body=odd + _LINE + HIDDEN + b"\r\n0\r\n\r\n"))
        last = _length(size, 0).replace(b"%%", b"%") if bare else size
        yield Attempt("last chunk size", _request(coding, body=b"1\r\nZ\r\n" + last + _LINE * 2 + HIDDEN))
    for ending in (*ENDINGS, *ODD):
        yield Attempt("chunk size ending", _request(coding, body=b"1" + ending + b"Z\r\n0\r\n\r\n" + HIDDEN))
        yield Attempt("chunk ending", _request(coding, body=b"1\r\nZ" + ending + b"0\r\n\r\n" + HIDDEN))
        yield Attempt("last chunk ending", _request(coding, body=b"1\r\nZ\r\n0" + ending + b"\r\n" + HIDDEN))
        yield Attempt("last chunk ending", _request(coding, body=b"1\r\nZ\r\n0\r\n" + ending + HIDDEN))
        yield Attempt("chunk extension", _request(coding, body=b"1;a" + ending + b"\r\nZ\r\n0\r\n\r\n" + HIDDEN))
        yield Attempt(
            "chunk extension", _request(coding, body=b"1;" + ending + b"a=b\r\nZ\r\n0;a" + ending + b"\r\n\r\n")
        )
    for over in (b"", b"Z", b"ZZ", b"ZZZ", b"\r\n", b"0\r\n\r\n", b"\x00"):
        yield Attempt("chunk overrun", _request(coding, body=b"1\r\nZ" + over + b"\r\n0\r\n\r\n" + HIDDEN))
    for trailer in TRAILERS:
        yield Attempt("trailer", _request(coding, body=b"1\r\nZ\r\n0\r\n" + trailer + _LINE * 2 + HIDDEN))
        yield Attempt("trailer", _request(coding, b"Trailer: X", body=b"0\r\n" + trailer + b"\r\nX: y\r\n\r\n"))
        yield Attempt("trailer", _request(coding, body=b"1\r\nZ\r\n0\r\n" + trailer + b"\n\n" + HIDDEN))
    many = b"".join(b"X%d: y\r\n" % n for n in range(2000))
    yield Attempt("trailer", _request(coding, body=b"0\r\n" + many + b"\r\n"))
    yield Attempt("chunk extension", _request(coding, body=b"1;" + b"a" * 100_000 + b"\r\nZ\r\n0\r\n\r\n"))


def _line_endings() -> Iterator[Attempt]:
    for ending in (*ENDINGS, *ODD):
        for text in (HIDDEN, b"X: y"):
            yield Attempt("start line ending", b"GET / HTTP/1.1" + ending + b"Host: a\r\n" + text + b"\r\n\r\n")
            yield Attempt("field ending", _request(b"X: y" + ending + text, start=b"GET / HTTP/1.1"))
        yield Attempt("head ending", b"GET / HTTP/1.1\r\nHost: a" + ending + ending + HIDDEN)
        yield Attempt("head ending", b"GET / HTTP/1.1\r\nHost: a\r\n" + ending + HIDDEN)
        yield Attempt("head ending", b"GET / HTTP/1.1\r\nHost: a" + ending + b"\r\n" + HIDDEN)
        yield Attempt("head ending", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 35\r\n" + ending + HIDDEN)
        yield Attempt("before a request", ending + _request(start=b"GET / HTTP/1.1"))
        yield Attempt("value holds it", _request(b"X: a" + ending + b"b", start=b"GET / HTTP/1.1"))


def _names() -> Iterator[Attempt]:
    for name in NAMES:
        line = name + b": %d" % len(HIDDEN)
        yield Attempt("field name", _request(line, start=b"GET / HTTP/1.1") + HIDDEN)
        yield Attempt("field name", _request(line, b"Content-Length: %d" % len(HIDDEN), body=HIDDEN))
        yield Attempt("field name first", _request(b"Host: a", line, body=HIDDEN, host=b""))
        yield Attempt("field name first", _request(line, b"Host: a", body=HIDDEN, host=b""))
    for blank in (b" ", b"\t", b"  ", b"\x0b", b"\x0c", b" \t"):
        for before in (b"X: y", b"Content-Length: 0", b"Transfer-Encoding: identity", b"Host: a"):
            for folded in (b"Content-Length: 35", b"Transfer-Encoding: chunked", b"y", b"", b"Host: b"):
                yield Attempt("fold", _request(before, blank + folded, body=HIDDEN))
        yield Attempt("fold first", _request(blank + b"X: y", b"Host: a", body=HIDDEN, host=b""))


def _request_lines() -> Iterator[Attempt]:
    for method in METHODS:
        yield Attempt("method", _request(start=method + b" / HTTP/1.1") + HIDDEN)
        length = b"Content-Length: %d" % len(HIDDEN)
        yield Attempt("cl.0", _request(length, start=method + b" / HTTP/1.1", body=HIDDEN))
        yield Attempt("cl.0", _request(length, start=method + b" /static/a.js HTTP/1.1", body=HIDDEN))
        yield Attempt("0.cl", _request(b"Content-Length: 0", start=method + b" / HTTP/1.1", body=HIDDEN))
        yield Attempt("cl.0 close", _request(length, b"Connection: close", start=method + b" / HTTP/1.1", body=HIDDEN))
        body = _chunk(HIDDEN) + b"0\r\n\r\n"
        yield Attempt("te.0", _request(b"Transfer-Encoding: chunked", start=method + b" / HTTP/1.1", body=body))
        yield Attempt("expect", _request(length, b"Expect: 100-continue", start=method + b" / HTTP/1.1", body=HIDDEN))
    for version in VERSIONS:
        for method in (b"GET", b"POST"):
            yield Attempt("version", _request(b"Content-Length: 35", start=method + b" / " + version, body=HIDDEN))
            yield Attempt("version", _request(start=method + b" / " + version) + HIDDEN)
        yield Attempt("version", _request(start=b"GET / " + version, host=b"") + HIDDEN)
        yield Attempt("0.9", b"GET / " + version + b"\r\n" + HIDDEN)
        yield Attempt("0.9", b"GET /" + version + b"\r\n\r\n" + HIDDEN)
    for target in TARGETS:
        for method in (b"GET", b"OPTIONS", b"POST"):
            yield Attempt("target", _request(start=method + b" " + target + b" HTTP/1.1") + HIDDEN)
        yield Attempt("target without host", _request(start=b"GET " + target + b" HTTP/1.1", host=b"") + HIDDEN)
        yield Attempt("target 1.0", _request(start=b"GET " + target + b" HTTP/1.0", host=b"") + HIDDEN)
    for odd in ODD:
        for shape in (
            b"GET%b/ HTTP/1.1", b"GET /%bHTTP/1.1", b"GET / %bHTTP/1.1", b"GET %b/ HTTP/1.1", b"%bGET / HTTP/1.1",
            b"GET / HTTP/1.1%b", b"GET / HTTP%b/1.1", b"GET /a%bb HTTP/1.1", b"G%bET / HTTP/1.1",
        ):  # fmt: skip
            yield Attempt("request line odd byte", _request(start=shape % odd) + HIDDEN)


def _hosts() -> Iterator[Attempt]:
    for value in HOSTS:
        odd = b"Host: " + value
        yield Attempt("host", _request(start=b"GET / HTTP/1.1", host=odd) + HIDDEN)
        yield Attempt("host twice", _request(odd, start=b"GET / HTTP/1.1") + HIDDEN)
        yield Attempt("host twice", _request(b"Host: a", start=b"GET / HTTP/1.1", host=odd) + HIDDEN)
        yield Attempt("host against target", _request(start=b"GET http://a/ HTTP/1.1", host=odd) + HIDDEN)
        yield Attempt("target against host", _request(start=b"GET http://" + value + b"/ HTTP/1.1") + HIDDEN)
    for odd in ODD:
        for shape in (b"Host%b: b", b"%bHost: b", b"X: y%bHost: b", b"Host:%bb", b"Host: b%b"):
            yield Attempt("host odd byte", _request(shape % odd, start=b"GET / HTTP/1.1") + HIDDEN)
            yield Attempt("host odd byte", _request(start=b"GET / HTTP/1.1", host=shape % odd) + HIDDEN)


def _connection_games() -> Iterator[Attempt]:
    length = b"Content-Length: %d" % len(HIDDEN)
    for lines in UPGRADES:
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        for start, more, body in ((b"GET", (), b""), (b"POST", (length,), HIDDEN), (b"GET", (), preface + HIDDEN)):
            yield Attempt("upgrade", _request(lines, *more, start=start + b" / HTTP/1.1", body=body) + HIDDEN)
        yield Attempt("upgrade 1.0", _request(lines, start=b"GET / HTTP/1.0") + HIDDEN)
    for options in CONNECTIONS:
        line = b"Connection: " + options
        yield Attempt("connection", _request(line, length, body=HIDDEN))
        yield Attempt("connection", _request(length, line, body=HIDDEN))
        yield Attempt("connection", _request(line, b"Transfer-Encoding: chunked", body=_chunk(HIDDEN) + b"0\r\n\r\n"))
        yield Attempt("connection", _request(line, b"Cookie: a=b", start=b"GET / HTTP/1.1") + HIDDEN)
        yield Attempt("connection 1.0", _request(line, length, start=b"POST / HTTP/1.0", body=HIDDEN))
    for expect in EXPECTS:
        line = b"Expect: " + expect
        for start in (b"POST", b"GET", b"HEAD", b"PUT", b"OPTIONS"):
            yield Attempt("expect", _request(line, length, start=start + b" / HTTP/1.1", body=HIDDEN))
            yield Attempt("expect 0.cl", _request(line, start=start + b" / HTTP/1.1", body=HIDDEN))
        yield Attempt("expect 1.0", _request(line, length, start=b"POST / HTTP/1.0", body=HIDDEN))
        chunked = _chunk(HIDDEN) + b"0\r\n\r\n"
        yield Attempt("expect chunked", _request(line, b"Transfer-Encoding: chunked", body=chunked))
        yield Attempt("expect odd", _request(b"Expect :" + expect, length, body=HIDDEN))


def _pauses() -> Iterator[Attempt]:
    """Some servers answer, or give up on a body, while a request is still coming; what then comes is no request."""
    length = b"Content-Length: %d" % len(HIDDEN)
    for method in (b"GET", b"HEAD", b"POST", b"PUT", b"OPTIONS", b"DELETE"):
        start = method + b" / HTTP/1.1"
        whole = _request(length, start=start, body=HIDDEN)
        yield Attempt("pause", whole, (len(whole) - len(HIDDEN),))
        yield Attempt("pause", whole, (len(whole) - len(HIDDEN), len(whole) - 20))
        expecting = _request(length, b"Expect: 100-continue", start=start, body=HIDDEN)
        yield Attempt("pause", expecting, (len(expecting) - len(HIDDEN),))
        chunked = _request(b"Transfer-Encoding: chunked", start=start, body=_chunk(HIDDEN) + b"0\r\n\r\n")
        yield Attempt("pause", chunked, tuple(range(len(chunked) - 48, len(chunked), 6)))
        yield Attempt("pause", whole, tuple(range(0, len(whole), 5)))


def _mixed(count: int, seed: int) -> Iterator[Attempt]:
    """Several at once, drawn by the seed."""
    chance = random.Random(seed)
    fields = [b"Transfer-Encoding: " + value for value in CODINGS] + [name + b": chunked" for name in CODING_NAMES]
    fields += [b"Content-Length: " + _length(form, len(HIDDEN)) for form in LENGTHS]
    fields += [
        b"Content-Length: 0",
        b"Content-Length: 35",
        b"Transfer-Encoding: chunked",
        b"X: y",
        b"Connection: close",
    ]
    fields += [b"Connection: " + options for options in CONNECTIONS] + [b"Expect: 100-continue", *UPGRADES]
    bodies = [HIDDEN, _chunk(HIDDEN) + b"0\r\n\r\n", b"0\r\n\r\n" + HIDDEN, b"5\r\n" + HIDDEN, b"\r\n" + HIDDEN]
    for _ in range(count):
        lines = [chance.choice(fields) for _ in range(chance.choice((1, 2, 2, 3)))]
        lines.insert(chance.randrange(len(lines) + 1), b"Host: a")
        start = (
            chance.choice(METHODS[:8]) + b" / " + (chance.choice(VERSIONS) if chance.random() < 0.1 else b"HTTP/1.1")
        )
        data = _request(*lines, start=start, body=chance.choice(bodies), host=b"")
        if chance.random() < 0.3:
            at = chance.randrange(len(data) + 1)
            data = data[:at] + chance.choice(ODD) + data[at + chance.randrange(2) :]
        if chance.random() < 0.15:
            data = data.replace(b"\r\n", b"\n", chance.randrange(1, 4))
        yield Attempt("mixed", data, tuple(sorted(chance.sample(range(len(data)), chance.choice((0, 0, 0, 2))))))


def attempts(mixed: int = 1000, seed: int = 1) -> list[Attempt]:
    """All of them, without doubles; `mixed` of those that are drawn."""
    found: dict[bytes, Attempt] = {}
    families = (
        *(_coding_lines(), _lengths(), _chunks(), _line_endings(), _names(), _request_lines(), _hosts()),
        *(_connection_games(), _pauses(), _mixed(mixed, seed)),
    )
    for family in families:
        for each in family:
            found.setdefault(each.data + bytes(each.pauses and (1,)), each)
    return list(found.values())
