"""Where a body ends: by length, by chunks, or by the connection's end. Pure: bytes in, payload out.

Every reader has one method, ``feed(data) -> (payload, rest, done)``: payload without framing, rest behind the end.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.dataplane.fields import ANSWER_KINDS, REQUEST_KINDS, TOKEN, VALUE, as_variable, is_read_here
from proxy.dataplane.refusals import Refusal, malformed

# What of a chunked body comes next.
_SIZE: Final = 0
_DATA: Final = 1
_DATA_END: Final = 2
_TRAILERS: Final = 3
NO_TRAILERS: tuple[bytes, ...] = ()
# RFC 9112 7.1 and 7.1.1: a size, and extensions, whose marks may have bad blanks around them.
_NAME = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb"\"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*\""
_SIZE_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,15})((?:[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?)*)" % (_NAME, _NAME, _QUOTED)
)
_LONGEST_SIZE_LINE = 256
_MOST_EXTENSIONS = 16 * 1024
"""Bytes of chunk extensions in one body. Nobody sends any; whoever sends many wants to be read for nothing."""
_LONGEST_TRAILERS = 8192
# Fields that must not come in a trailer (RFC 9110 6.5.1): what fig itself reads or writes, request modifiers,
# authentication, answer control data, and what the content is.
_FORBIDDEN_TRAILERS = frozenset(ANSWER_KINDS) | frozenset(
    ("trailer", "authorization", "www-authenticate", "pragma", "range", "content-encoding", "content-type",
     "content-range", "content-location", "age", "expires", "location", "retry-after", "vary", "if-match",
     "if-none-match", "if-modified-since", "if-unmodified-since", "if-range")
)  # fmt: skip


class LengthBody:
    """A body of a known number of bytes."""

    __slots__ = ("left", "trailers")

    def __init__(self, length: int) -> None:
        self.left = length
        self.trailers = NO_TRAILERS

    def feed(self, data: bytes) -> tuple[bytes, bytes, bool]:
        size = len(data)
        if size < self.left:
            self.left -= size
            return data, b"", False
        left = self.left
        self.left = 0
        if size == left:
            return data, b"", True
        return data[:left], data[left:], True


class EndlessBody:
    """A body that the closing of the connection ends (RFC 9112 6.3, answers only)."""

    __slots__ = ("trailers",)

    def __init__(self) -> None:
        self.trailers = NO_TRAILERS

    def feed(self, data: bytes) -> tuple[bytes, bytes, bool]:
        return data, b"", False


class ChunkedBody:
    """Chunked transfer coding (RFC 9112 section 7.1), strictly: CRLF only, plain hexadecimal sizes.

    Chunk extensions are checked, bounded and left out (7.1.1). Trailers that may be merged are kept in `trailers`, a
    line each. Raises Refusal on anything else; holds at most one unfinished size line or the trailers.
    """

    __slots__ = ("_buffer", "_extensions", "_left", "_state", "trailers")

    def __init__(self) -> None:
        self._buffer = b""
        self._extensions = 0
        self._left = 0
        self._state = _SIZE
        self.trailers: tuple[bytes, ...] = NO_TRAILERS

    def feed(self, data: bytes) -> tuple[bytes, bytes, bool]:
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        pieces: list[bytes] = []
        at = 0
        while True:
            if self._state == _DATA:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    return b"".join(pieces), b"", False
                self._state = _DATA_END
            elif self._state == _DATA_END:
                ending = data[at : at + 2]
                if ending != b"\r\n":
                    if b"\r\n".startswith(ending):
                        break
                    raise malformed("chunk_end", "a chunk does not end where its size says")
                at += 2
                self._state = _SIZE
            elif self._state == _SIZE:
                end = data.find(b"\r\n", at)
                if end < 0:
                    # find: mypyc makes no slice [at:-1] where nothing is left, but an exception.
                    stray = data.find(b"\n", at) >= 0 or data.find(b"\r", at, len(data) - 1) >= 0
                    if stray or len(data) - at > _LONGEST_SIZE_LINE:
                        raise malformed("chunk_size", "a chunk size line does not end in CRLF")
                    break
                line = _SIZE_LINE.fullmatch(data, at, end)
                if line is None or end - at > _LONGEST_SIZE_LINE:
                    raise malformed("chunk_size", "a chunk size is not plain hexadecimal")
                at = end + 2
                if line[2]:
                    self._extensions += len(line[2])
                    if self._extensions > _MOST_EXTENSIONS:
                        raise malformed("chunk_size", "there are too many chunk extensions")
                self._left = int(line[1], 16)
                self._state = _DATA if self._left else _TRAILERS
            else:
                if data.startswith(b"\r\n", at):
                    return b"".join(pieces), data[at + 2 :], True
                end = data.find(b"\r\n\r\n", at)
                if end < 0:
                    if len(data) - at > _LONGEST_TRAILERS:
                        raise malformed("trailers", "the trailers are too large")
                    pairs = data.count(b"\r\n", at)
                    if data.count(b"\n", at) != pairs or data.count(b"\r", at, -1) != pairs:
                        raise malformed("trailers", "a trailer line does not end in CRLF")
                    break
                if end - at > _LONGEST_TRAILERS:
                    raise malformed("trailers", "the trailers are too large")
                self.trailers = _checked_trailers(data[at:end])
                return b"".join(pieces), data[end + 4 :], True
        self._buffer = data[at:]
        return b"".join(pieces), b"", False


BodyReader = LengthBody | EndlessBody | ChunkedBody


def _checked_trailers(block: bytes) -> tuple[bytes, ...]:
    lines = []
    for line in block.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if not colon or not name or name.translate(None, TOKEN) or value.translate(None, VALUE):
            raise malformed("trailers", "a trailer line is malformed")
        if not _is_forbidden(as_variable(name.decode("ascii").lower())):
            lines.append(b"%b: %b\r\n" % (name, value.strip(b" \t")))
    return tuple(lines)


def _is_forbidden(name: str) -> bool:
    """`name` as a variable (`as_variable`)."""
    return name in _FORBIDDEN_TRAILERS or is_read_here(name, REQUEST_KINDS)


def chunk(payload: bytes) -> bytes:
    """One chunk; nothing for an empty payload, which would end the body."""
    return b"%x\r\n%b\r\n" % (len(payload), payload) if payload else b""


def last_chunk(trailers: tuple[bytes, ...] = NO_TRAILERS) -> bytes:
    return b"0\r\n%b\r\n" % b"".join(trailers) if trailers else b"0\r\n\r\n"


def read_length(value: bytes) -> int:
    """Of Content-Length."""
    # RFC 9110 8.6: digits only; int() alone would take '+5', '1_0' and blanks.
    if not value.isdigit() or len(value) > 18:
        raise malformed("content_length", "Content-Length is not a plain number")
    return int(value)


def read_repeated_length(value: bytes) -> int:
    """Of an answer: equal lengths, in a list or in several lines, are one (RFC 9112 6.3)."""
    if b"," not in value:
        return read_length(value)
    lengths = {read_length(each.strip(b" \t")) for each in value.split(b",")}
    if len(lengths) > 1:
        raise malformed("content_length", "there are different Content-Length headers")
    return lengths.pop()


def not_chunked(coding: bytes) -> Refusal:
    """What is said to another coding than 'chunked' alone. RFC 9112 6.3: 400 where chunked is not the last one, for the
    body then has no end; 6.1: 501 where it is, and something under it that nobody here understands."""
    first, _, last = coding.lower().rpartition(b",")
    under = [other.strip(b" \t") for other in first.split(b",")]
    if last.strip(b" \t") != b"chunked" or any(not o or o == b"chunked" or o.translate(None, TOKEN) for o in under):
        return malformed("transfer_encoding", "the only transfer coding understood is 'chunked'")
    return Refusal(501, "transfer_encoding", "the only transfer coding implemented is 'chunked'")
