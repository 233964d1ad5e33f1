"""Records as bytes and back: a frame is four bytes, big-endian length, then one record of proxy.wire as msgpack.

Sans-io: proxy/link.py has the sockets.
"""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.wire import Record

MAX_FRAME = 64 * 1024 * 1024
"""Bytes of one record at most."""
HEADER = 4
"""Bytes of its length."""

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Record)


class WireError(Exception):
    """The other end sent what this version cannot read; the link is closed and made anew."""


def encode(record: Record) -> bytes:
    """One frame."""
    body = _encoder.encode(record)
    return len(body).to_bytes(HEADER, "big") + body


class Decoder:
    """Bytes in, records out; keeps an unfinished frame between calls. Holds at most MAX_FRAME bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Record]:
        """Every record that is complete now. Raises WireError on a frame too large or not readable."""
        buffer = self._buffer
        buffer += data
        records: list[Record] = []
        start = 0
        while len(buffer) - start >= HEADER:
            size = int.from_bytes(buffer[start : start + HEADER], "big")
            if size > MAX_FRAME:
                raise WireError(f"a frame of {size} bytes is larger than the {MAX_FRAME} allowed")
            end = start + HEADER + size
            if len(buffer) < end:
                break
            try:
                records.append(_decoder.decode(memoryview(buffer)[start + HEADER : end]))
            except msgspec.MsgspecError as exc:
                raise WireError(f"unreadable record: {exc}") from exc
            start = end
        del buffer[:start]
        return records
