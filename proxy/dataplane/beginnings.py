"""The beginning of a request: what can be told of a head before it has come whole, so that nobody waits in vain for the
rest of one that cannot become a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.dataplane.fields import TOKEN
from proxy.dataplane.refusals import Refusal, malformed

if TYPE_CHECKING:
    from proxy.dataplane.ports import Limits

_TOKENS: Final = frozenset(bytes((byte,)) for byte in TOKEN)


def without_empty_lines(data: bytes) -> bytes:
    """RFC 9112 2.2: empty lines before a request line are skipped. Looks at each byte once, however many there are."""
    start = 0
    while data.startswith(b"\r\n", start):
        start += 2
    return data[start:]


def check_sizes(data: bytes, end: int, limits: Limits) -> None:
    """Raises Refusal for a request line or a head that is too long. `end` is where the head ends, -1 while unknown."""
    size = end if end >= 0 else len(data)
    if size > limits.target and b"\r\n" not in data[: limits.target + 2]:
        raise Refusal(414, "target_size", f"the request line is longer than {limits.target} bytes")
    if size > limits.head:
        raise Refusal(431, "head_size", f"the request's head is larger than {limits.head} bytes")


def check_beginning(data: bytes) -> None:
    """Raises Refusal for the beginning of a head that cannot become one: who speaks TLS to a plain port, or ends lines
    with a bare LF or CR, is told so now, and not when the time for a head is over (RFC 9112 2.2)."""
    if data and data[:1] not in _TOKENS and data != b"\r":
        raise malformed("request_line", "a request does not begin like this")
    pairs = data.count(b"\r\n")
    if data.count(b"\n") != pairs or data.count(b"\r", 0, -1) != pairs:  # the LF of a last CR may be on its way
        raise malformed("line_end", "a line does not end in CRLF")
