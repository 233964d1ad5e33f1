"""What the store gives back: windows, counts, and pairs as they are kept, secrets replaced and bodies bounded."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import msgspec

from shadow.comparing.differences import Difference, DifferenceKind, Excused, Outcome
from shadow.comparing.values import ABSENT, Absent, Json, written
from shadow.pair import Answer, Asked, Pair

MOST_BODY = 128 * 1024
"""Bytes of a body that are kept; a longer one is kept as its beginning, and marked as truncated."""
MOST_VALUE = 2_000
"""Characters of a differing value that are kept."""
MOST_PATH = 500
"""Characters of a path that are kept and told apart: a service may answer with keys of any length."""
_LEAD = 200
"""Characters kept before the first one that differs, in a long value."""


@dataclass(frozen=True, slots=True)
class KeptDifference:
    """A difference as it is kept: values as JSON text (shadow.comparing.values.written), None where there is none."""

    kind: DifferenceKind
    pointer: str
    path: str
    legacy: str | None
    candidate: str | None


@dataclass(frozen=True, slots=True)
class KeptPair:
    """A pair as it is kept, with what was found in it."""

    pair: Pair
    differences: tuple[KeptDifference, ...]
    excused: tuple[Excused, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """The time in which one route's pairs count together: same comparison, same candidate."""

    route: str
    number: int
    """From 1, per route."""
    digest: str
    reason: str
    """Why it was begun."""
    started: float
    """Seconds since the epoch."""
    pairs: int
    differing: int
    writes: int
    """Pairs that are writes; the others are reads."""
    excused: int
    """Pairs that agree only because masks excused something."""
    unsettled: int
    """Reads that were not compared, because writes of their key were still on their way."""
    last: float | None
    """When its last pair was made."""


@dataclass(frozen=True, slots=True)
class PlaceCount:
    """How often a route's answers differ at one path, in one window."""

    path: str
    kind: DifferenceKind
    pairs: int
    """Pairs that differ there."""
    count: int
    """Differences there; more than `pairs` where a path names every item of a list."""
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class MaskCount:
    """What one mask excused in one window."""

    mask: str
    pairs: int
    count: int


@dataclass(frozen=True, slots=True)
class Unproven:
    """What the journal says of a route's writes, as the shadower last noted it."""

    gaps: int = 0
    doubts: int = 0
    undelivered: int = 0
    overdue: int = 0
    """Undelivered for longer than deliveries take when all is well."""
    at: float | None = None
    dead: int = 0
    """Copies that were given up."""
    declared: int = 0
    """Doubts, dead copies and gaps that a person has settled, by dropping them or by saying what became of them."""


def keep_difference(difference: Difference) -> KeptDifference:
    """A difference with values that are bounded: of long texts the part around what differs."""
    a, b = difference.legacy, difference.candidate
    start = 0
    if isinstance(a, str) and isinstance(b, str) and max(len(a), len(b)) > MOST_VALUE:
        start = max(0, _common(a, b) - _LEAD)
    return KeptDifference(
        difference.kind,
        short_path(difference.pointer),
        short_path(difference.path),
        _text(_cut(a, start)),
        _text(_cut(b, start)),
    )


def short_path(path: str) -> str:
    """A path as it is kept."""
    return path if len(path) <= MOST_PATH else path[:MOST_PATH] + "…"


def _common(a: str, b: str) -> int:
    """Characters that both begin with, by bisection: comparing slices is C, comparing characters is not."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[:middle] == b[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _cut(value: Json | Absent, start: int) -> Json | Absent:
    if not isinstance(value, str) or (start == 0 and len(value) <= MOST_VALUE):
        return value
    end = start + MOST_VALUE
    return ("…" if start else "") + value[start:end] + ("…" if len(value) > end else "")


def _text(value: Json | Absent) -> str | None:
    if value is ABSENT or isinstance(value, Absent):
        return None
    text = written(value)
    return text if len(text) <= 2 * MOST_VALUE else text[: 2 * MOST_VALUE] + "…"


def keep_pair(pair: Pair, outcome: Outcome) -> KeptPair:
    """A pair that was redacted already, bounded."""
    bounded = replace(pair, legacy=_bounded(pair.legacy), candidate=_bounded(pair.candidate), asked=None, terms="")
    return KeptPair(bounded, tuple(map(keep_difference, outcome.differences)), outcome.excused)


def _bounded(answer: Answer) -> Answer:
    if len(answer.body) <= MOST_BODY:
        return answer
    return replace(answer, body=answer.body[:MOST_BODY], truncated=True)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(KeptPair)


def encode(kept: KeptPair) -> bytes:
    return zlib.compress(_encoder.encode(kept), 1)


def decode(record: bytes) -> KeptPair:
    return _decoder.decode(zlib.decompress(record))


class KeptRequest(msgspec.Struct, frozen=True, array_like=True):
    """A read as the candidate was asked it, secrets included: never on disk but sealed, for sending it again."""

    method: str
    asked: Asked


_request_decoder = msgspec.msgpack.Decoder(KeptRequest)


def request_place(id: str) -> str:
    """What a pair's request is sealed for."""
    return f"pair:{id}:request"


def encode_request(method: str, asked: Asked) -> bytes:
    return _encoder.encode(KeptRequest(method, asked))


def decode_request(plain: bytes) -> KeptRequest:
    return _request_decoder.decode(plain)
