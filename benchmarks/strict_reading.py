"""A second, slow and strict reading of HTTP/1.1 streams, written from RFC 9112 alone: what fuzzing holds fig against.

Nothing here is of fig, so that a mistake is not made twice. A stream is read from its first byte up to the first
violation; what stands behind it means nothing. Where the RFC lets a recipient choose, the reading takes what is common
to all careful recipients (one Content-Length, nothing but ``chunked``, CRLF only).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^ \t\r\n\x00-\x1f\x7f]+) HTTP/1\.([0-9])")
_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
CUT = "cut"
"""Not a violation: the stream ends before the message does."""

Lines = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One request or answer, as far as it came."""

    start: tuple[bytes, ...]
    """Method, target and minor version of a request; minor version, status and reason of an answer."""
    lines: Lines
    """Name in lower case and value without surrounding blanks, in order; no trailers."""
    body: bytes
    is_complete: bool
    end: int = 0
    """Where in the stream it ends, so far."""

    def all(self, name: bytes) -> list[bytes]:
        return [value for known, value in self.lines if known == name]

    @property
    def status(self) -> int:
        return int(self.start[1])


@dataclass(frozen=True, slots=True)
class Reading:
    """A stream as it was read."""

    messages: tuple[Message, ...]
    stopped: str
    """Why the reading stopped before the stream's end: a violation, `CUT`, or ``""``."""
    rest: bytes
    """What stands behind the last message that is complete."""


class _Violation(Exception):  # noqa: N818  # told, not raised, to callers
    pass


def read_requests(data: bytes, limit: int = 1_000_000) -> Reading:
    """The requests in what a client sends; `limit` of them at most."""
    messages: list[Message] = []
    at = done = 0
    try:
        while len(messages) < limit:
            while data.startswith(b"\r\n", at):  # RFC 9112 2.2: empty lines before a request line
                at += 2
            if at >= len(data):
                return Reading(tuple(messages), "", data[done:])
            head, body_at = _head(data, at)
            found = _first_line(_REQUEST_LINE, head[0])
            lines = _lines(head[1:])
            lengths = _all(lines, b"content-length")
            codings = _codings(lines, lengths, found[3])
            messages.append(Message(found.groups(), lines, b"", False, end=body_at))
            body, at, is_complete = _chunks(data, body_at) if codings else _counted(data, body_at, lengths)
            messages[-1] = Message(found.groups(), lines, body, is_complete, end=at)
            if not is_complete:
                return Reading(tuple(messages), CUT, data[done:])
            done = at
    except (_Cut, _Violation) as exc:
        return _stopped(messages, exc, data, done)
    return Reading(tuple(messages), "", data[done:])


def read_answers(data: bytes, methods: Sequence[bytes], *, has_ended: bool) -> Reading:
    """The answers, with the 1xx before them, to requests with these methods, in what a service sends.

    `has_ended`: the stream's end is the connection's orderly end.
    """
    messages: list[Message] = []
    at = done = answered = 0
    try:
        while answered < len(methods) and at < len(data):
            head, at = _head(data, at)
            found = _first_line(_STATUS_LINE, head[0])
            start = (found[1], found[2], found[3] or b"")
            lines = _lines(head[1:])
            status = int(found[2])
            if status < 200:
                messages.append(Message(start, lines, b"", True, end=at))
                done = at
                if status == 101:
                    break
                continue
            body, is_complete = b"", True
            lengths = _alike(_all(lines, b"content-length"))
            if methods[answered] == b"HEAD" or status in (204, 304):
                pass
            elif _codings(lines, lengths, found[1]):
                messages.append(Message(start, lines, b"", False, end=at))
                body, at, is_complete = _chunks(data, at)
                messages.pop()
            elif lengths:
                body, at, is_complete = _counted(data, at, lengths)
            else:
                body, at, is_complete = data[at:], len(data), has_ended
            messages.append(Message(start, lines, body, is_complete, at))
            if not is_complete:
                return Reading(tuple(messages), CUT, data[done:])
            answered += 1
            done = at
    except (_Cut, _Violation) as exc:
        return _stopped(messages, exc, data, done)
    return Reading(tuple(messages), "", data[done:])


def _stopped(messages: list[Message], why: _Cut | _Violation, data: bytes, done: int) -> Reading:
    """What was read of `data` until it breaks off. The last complete message ends at `done`."""
    if isinstance(why, _Cut) and why.body is not None:
        last = messages[-1]
        messages[-1] = Message(last.start, last.lines, why.body, False, end=len(data))
    return Reading(tuple(messages), str(why), data[done:])


class _Cut(Exception):  # noqa: N818  # told, not raised, to callers
    """A body breaks off: its stream ends, or what follows is no chunk. `body` is what came of it."""

    def __init__(self, why: str, body: bytes | None = None) -> None:
        super().__init__(why)
        self.body = body


def _head(data: bytes, at: int) -> tuple[list[bytes], int]:
    end = data.find(b"\r\n\r\n", at)
    if end < 0:
        raise _Cut(CUT)
    return data[at:end].split(b"\r\n"), end + 4


def _first_line(shape: re.Pattern[bytes], line: bytes) -> re.Match[bytes]:
    found = shape.fullmatch(line)
    if found is None:
        raise _Violation("the first line")
    return found


def _codings(lines: Lines, lengths: list[bytes], minor: bytes) -> list[bytes]:
    """RFC 9112 6.1 and 6.3: ``chunked`` alone, in HTTP/1.1, without a length."""
    codings = _all(lines, b"transfer-encoding")
    if codings and (lengths or minor == b"0" or [each.lower() for each in codings] != [b"chunked"]):
        raise _Violation("the framing")
    return codings


def _lines(lines: list[bytes]) -> Lines:
    found = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise _Violation("a header line")
        found.append((name.lower(), value.strip(b" \t")))
    return tuple(found)


def _all(lines: Lines, name: bytes) -> list[bytes]:
    return [value for known, value in lines if known == name]


def _alike(lengths: list[bytes]) -> list[bytes]:
    """RFC 9110 8.6: a length that an answer repeats, in lines or in a list, may be taken for one."""
    return sorted({each.strip(b" \t") for length in lengths for each in length.split(b",")})


def _counted(data: bytes, at: int, lengths: list[bytes]) -> tuple[bytes, int, bool]:
    if not lengths:
        return b"", at, True
    if len(lengths) > 1 or not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
        raise _Violation("the length")
    length = int(lengths[0])
    body = data[at : at + length]
    return body, at + len(body), len(body) == length


def _chunks(data: bytes, at: int) -> tuple[bytes, int, bool]:
    body = b""
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            raise _Cut(CUT, body)
        found = _SIZE.fullmatch(data, at, end)
        if found is None:
            raise _Cut("a chunk's size", body)
        size = int(found[1], 16)
        at = end + 2
        if size == 0:
            break
        piece = data[at : at + size]
        body += piece
        at += size
        ending = data[at : at + 2]
        if ending != b"\r\n":
            raise _Cut(CUT if b"\r\n".startswith(ending) else "a chunk's end", body)
        at += 2
    if data.startswith(b"\r\n", at):
        return body, at + 2, True
    end = data.find(b"\r\n\r\n", at)
    if end < 0:
        raise _Cut(CUT, body)
    try:
        _lines(data[at:end].split(b"\r\n"))
    except _Violation:
        raise _Cut("a trailer", body) from None
    return body, end + 4, True
