"""What ends at one connection: the options of Connection, the fields that it names, what it is switched to. Pure.

Hot where a head has a Connection field.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.dataplane.fields import LASTING, Field

if TYPE_CHECKING:
    from proxy.dataplane.heads import RequestHead

_OWN_OPTIONS: Final = (b"keep-alive", b"close", b"upgrade")
_KNOWN_OPTIONS: Final = {
    o: [o.lower()] for o in (b"keep-alive", b"close", b"Keep-Alive", b"Close", b"Upgrade", b"upgrade")
}
# HTTP by another framing would carry requests past the table, and TLS hides them.
_REFUSED_PROTOCOLS: Final = re.compile(rb"h2c?\b.*|http/.*|tls/.*", re.IGNORECASE)


def read_connection(head: RequestHead, options: list[bytes], upgrade: bytes) -> None:
    """What the Connection options of a request mean for it; `upgrade` is its Upgrade field."""
    if b"close" in options:
        head.close = True
    elif head.http10 and b"keep-alive" in options:
        head.close = False
    if upgrade and b"upgrade" in options and not head.http10:  # RFC 9110 7.8
        asked = [protocol.strip(b" \t") for protocol in upgrade.split(b",")]
        head.upgrade = b", ".join(p for p in asked if p and not _REFUSED_PROTOCOLS.fullmatch(p))
    drop_named(options, head.fields, head.lines)
    if b"cookie" in options:
        head.cookies = []
    if b"idempotency-key" in options:
        head.idempotency_key = b""


def is_asked(chosen: bytes, asked: bytes) -> bool:
    """Whether the protocol that a service switched to is one that was asked for; unnamed, it is the only one asked."""
    protocols = [protocol.strip(b" \t").lower() for protocol in asked.split(b",") if protocol.strip(b" \t")]
    return chosen.strip(b" \t").lower() in protocols or (not chosen and len(protocols) == 1)


def options_of(former: list[bytes] | None, value: bytes) -> list[bytes]:
    """The Connection options so far, lower case."""
    known = _KNOWN_OPTIONS.get(value)
    options = known if known is not None else [o.strip(b" \t").lower() for o in value.split(b",")]
    return former + options if former else options


def drop_named(options: list[bytes], fields: list[Field], out: list[bytes]) -> bool:
    """RFC 9110 7.6.1: a field that Connection names ends here. Whether there was one."""
    if len(options) == 1 and options[0] in _OWN_OPTIONS:
        return False
    named = {o.decode("latin-1") for o in options if o not in _OWN_OPTIONS}
    if not any(field.name in named for field in fields):
        return False
    # From `fields` too: what nobody forwards must decide nothing, and must not be copied.
    fields[:] = [f for f in fields if f.name not in named or f.kind not in LASTING]
    out[:] = [f.line for f in fields if f.kind in LASTING]
    return True
