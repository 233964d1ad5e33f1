"""Where a request is to go, as its head says it: the Host field and the request target. Pure.

Hot. Hosts are known by heart, as header lines are.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final

from proxy.dataplane.refusals import malformed
from rules.matching.path import normalise

if TYPE_CHECKING:
    from proxy.dataplane.heads import RequestHead

DEFAULT_PORT: Final = 80
"""Of the scheme: what a Host without a port means."""
HOSTS: Final[dict[bytes, tuple[str, int]]] = {}
"""Host fields that were read, and what `read_host` made of them; filled by it."""
_MOST_HOSTS: Final = 1024
# RFC 9110 7.2, RFC 3986 3.2.2: a registered name, an IPv4 address or a bracketed IPv6 address, and a port.
_HOST: Final = re.compile(rb"([A-Za-z0-9._~!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?")
_QUERY: Final = bytes(c for c in range(0x21, 0x7F) if c != 0x23)
_HIGH: Final = re.compile(rb"[\x80-\xff]")
_LONGEST_HOST: Final = 261
"""A name of 255 bytes (RFC 1035) and a port."""
_LAST_PORT: Final = 65535


def read_host(value: bytes) -> tuple[str, int]:
    """The host without its port, lower case, and the port. Raises Refusal on what RFC 3986 does not allow."""
    found = _HOST.fullmatch(value)
    if found is None or len(value) > _LONGEST_HOST or int(found[2] or 0) > _LAST_PORT:
        raise malformed("host", "the Host header is not a host name with an optional port")
    if found[1][:1] == b"[" and not _is_ipv6(found[1][1:-1]):
        raise malformed("host", "the Host header has no IPv6 address between its brackets")
    if len(HOSTS) >= _MOST_HOSTS:
        HOSTS.clear()
    read = HOSTS[value] = (found[1].decode("ascii").lower(), int(found[2] or DEFAULT_PORT))
    return read


def _is_ipv6(text: bytes) -> bool:
    try:
        ipaddress.IPv6Address(text.decode("ascii"))
    except ValueError:
        return False
    return True


def read_target(head: RequestHead, target: bytes) -> None:
    """RFC 9112 section 3.2: origin form, absolute form (its authority must agree with Host), asterisk for OPTIONS."""
    if target[:1] != b"/":
        if target == b"*" and head.method == "OPTIONS":
            head.target = target
            head.path = "*"
            return
        scheme, separator, rest = target.partition(b"://")
        if not separator or scheme.lower() not in (b"http", b"https"):
            raise malformed("target", "the request target is neither a path nor an http URL")
        slash = len(rest)
        for mark in (b"/", b"?"):
            at = rest.find(mark)
            if 0 <= at < slash:
                slash = at
        authority = rest[:slash]
        if head.host_value and authority.lower() != head.host_value.lower():
            raise malformed("host", "the Host header disagrees with the request target")
        head.host_value = authority
        head.host, head.port = read_host(authority)
        target = rest[slash:]
        if not target and head.method == "OPTIONS":  # RFC 9112 3.2.4
            head.target = b"*"
            head.path = "*"
            return
        if target[:1] != b"/":
            target = b"/" + target
    raw, mark, query = target.partition(b"?")
    if mark and query.translate(None, _QUERY):
        query = _escaped(query)
    path = normalise(raw.decode("latin-1"))
    if path is None:
        raise malformed("target", "the path cannot be read in one way only")
    head.path = path
    head.query = query.decode("ascii")
    head.target = b"%b?%b" % (path.encode("ascii"), query) if mark else path.encode("ascii")


def _escaped(query: bytes) -> bytes:
    """Raw bytes over 0x7F, which some clients send, as escapes; every server reads both alike. Refuses the rest."""
    query = _HIGH.sub(lambda found: b"%%%02X" % found[0][0], query)
    if query.translate(None, _QUERY):
        raise malformed("target", "the query holds a byte that a URL cannot hold")
    return query
