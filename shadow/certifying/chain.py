"""The chain over the pairs of a window: each link's digest covers the link before it. Pure.

The digest of a link is SHA-256 of the digest before it, followed by the link as canonical msgpack (an array of fixed
order, shortest forms). Links are chained within segments, and segments with each other (shadow.certifying.segments),
from a beginning that names the route, the window's number and what the window stands and falls with. A certificate
names the last seal and is signed, so no pair can be added, left out, moved or altered afterwards unnoticed.
The idea is that of a hash-linked log: Haber and Stornetta, Journal of Cryptology 3, 1991.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b, sha256

import msgspec

from shadow.pair import Answer

FORM = "fig chain 1"
_encode = msgspec.msgpack.Encoder().encode


class Link(msgspec.Struct, frozen=True, array_like=True):
    """What the chain says of one pair."""

    ordinal: int
    """From 1, in the window."""
    id: str
    kind: str
    """``read``, ``write`` or ``state``."""
    method: str
    status_class: str
    differs: int
    """1 when something differs that no mask excuses, else 0."""
    masks: str
    """The names of the masks that excused something, one a line."""
    answers: bytes
    """Keyed hash of both answers as they came (`fingerprint`)."""
    kept: bytes
    """SHA-256 of the redacted pair as it was stored; empty when it was not, as most pairs that agree."""


_TYPES = (int, str, str, str, str, int, str, bytes, bytes, bytes)
"""Of a link's row: its fields, then the digest."""


class BrokenChainError(Exception):
    """A link is not what the digests say; the message names its ordinal."""


def beginning(route: str, number: int, digest: str) -> bytes:
    """What the chain of a window begins from."""
    return sha256(_encode((FORM, route, number, digest))).digest()


def following(previous: bytes, link: Link) -> bytes:
    """The digest of a link. Hot: once for each pair that is stored."""
    return sha256(previous + _encode(link)).digest()


def fingerprint(key: bytes, legacy: Answer, candidate: Answer) -> bytes:
    """32 bytes, equal for equal answers under one key; without the key they say nothing about what was answered.

    A keyed hash of what came, and not a plain one of what is kept: redacting a pair that agrees, only to hash it, would
    cost several times as much as comparing it. Hot: once for each pair that is stored.
    """
    digest = blake2b(
        _encode((legacy.status, legacy.failure, legacy.headers, candidate.status, candidate.failure)),
        key=key,
        digest_size=32,
    )
    digest.update(legacy.body)
    if candidate.body == legacy.body and candidate.headers == legacy.headers:
        digest.update(b"=")
    else:
        digest.update(_encode((len(legacy.body), candidate.headers)))
        digest.update(candidate.body)
    return digest.digest()


def followed(start: bytes, rows: Iterable[Sequence[object]], before: int = 0) -> Iterator[tuple[Link, bytes]]:
    """Every link with its digest, checked. A row has a link's fields in order, then the digest that was stored.

    `before` is the ordinal of the link before the first one.

    Raises BrokenChainError at the first row that is not the next link.
    """
    digest = start
    for position, row in enumerate(rows, before + 1):
        if tuple(map(type, row)) != _TYPES:
            raise BrokenChainError(f"link {position}: holds a value of a type that no link has")
        *fields, stored = row
        link = Link(*fields)  # type: ignore[arg-type]  # their types were looked at above
        if link.ordinal != position:
            raise BrokenChainError(f"link {position}: is missing, or link {link.ordinal} stands in its place")
        digest = following(digest, link)
        if digest != stored:
            raise BrokenChainError(f"link {position}: its digest is not that of what it says and of the link before it")
        yield link, digest
