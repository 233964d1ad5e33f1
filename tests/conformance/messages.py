"""Messages as tables of cases write them: lines in, bytes out; and what fig adds of its own, taken out again."""

from __future__ import annotations

import re

OWN_OF_REQUESTS = ("via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id", "traceparent")
"""Fields that fig puts into every request that it forwards."""
OWN_OF_ANSWERS = ("date", "x-request-id")


def raw(*lines: str, body: str = "") -> bytes:
    """A message of these lines, each ended by CRLF, the empty line, and the body. Characters stand for bytes."""
    return "".join((*(f"{line}\r\n" for line in lines), "\r\n", body)).encode("latin-1")


def get(*lines: str) -> bytes:
    """A GET with these lines beside Host."""
    return raw("GET / HTTP/1.1", "Host: a", *lines)


def post(*lines: str, body: str = "") -> bytes:
    return raw("POST / HTTP/1.1", "Host: a", *lines, body=body)


def ok(*lines: str, body: str = "") -> bytes:
    """An answer with these lines."""
    return raw("HTTP/1.1 200 OK", *lines, body=body)


def chunked(*chunks: str) -> bytes:
    """A POST whose body is written out: every chunk with its size and its ends."""
    return post("Transfer-Encoding: chunked", body="".join(chunks))


def without(message: bytes, names: tuple[str, ...]) -> bytes:
    """The message without the header lines of these names."""
    head, separator, body = message.partition(b"\r\n\r\n")
    lines = re.compile(rb"\r\n(?:%b):[^\r]*" % b"|".join(name.encode() for name in names), re.IGNORECASE)
    return (lines.sub(b"", head) if names else head) + separator + body
