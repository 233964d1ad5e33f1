"""The Date field: when an answer was made, or came from a service that did not say (RFC 9110 6.6.1). Pure.

Hot. All answers of a second carry the same line.
"""

from __future__ import annotations

from email.utils import formatdate
from typing import Final

_lines: Final[dict[int, bytes]] = {}
"""The line of the last second that was asked for."""


def date_line(wall: float) -> bytes:
    """``Date: Sun, 22 Nov 2026 17:03:00 GMT`` and CRLF (RFC 9110 5.6.7). `wall`: seconds since the epoch."""
    second = int(wall)
    line = _lines.get(second)
    if line is None:
        _lines.clear()
        line = _lines[second] = b"Date: %b\r\n" % formatdate(second, usegmt=True).encode("ascii")
    return line
