"""The chain of a window in segments, so that it may be as long as the window is and its file still has a bound. Pure.

Link n stands in segment ceil(n / SEGMENT). Within a segment the links are chained from `opening` on (shadow.certifying.
chain); the last digest is its root. A segment is sealed by its root and its sums, and each seal covers the one before:

    seal(0) = beginning(route, window, digest)
    seal(k) = SHA-256(seal(k - 1), msgpack of [k, pairs, root, sums])

The head of n links is the seal of the segment that link n stands in, as if the window ended there. What a segment's
links add up to is sealed with it, so whoever has seals, roots and sums alone can still follow a chain to its head: the
links of segments that nothing rests on any more may go, and nobody can alter what they added up to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from shadow.certifying.chain import BrokenChainError, Link, followed, following

SEGMENT = 5_000
"""Links in a segment: long enough that seals take no room beside links, short enough to be packed in a moment."""
FORM = "fig segment 1"
_encode = msgspec.msgpack.Encoder().encode
_ANSWERS = 32
"""Bytes of a fingerprint (shadow.certifying.chain)."""


class Sums(msgspec.Struct, frozen=True, array_like=True):
    """What some links add up to. Both lists are sorted, so that equal sums are equal bytes."""

    strata: tuple[tuple[str, str, str, int, int, int], ...] = ()
    """Method, status class, kind; pairs, pairs that differ, pairs that agree only because masks excused something."""
    masks: tuple[tuple[str, int], ...] = ()
    """Name of a mask, and in how many pairs it excused something."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as it is kept. One that is not whole has neither root nor sums of its own, but links."""

    number: int
    """From 1, in the window."""
    pairs: int
    root: bytes = b""
    sums: bytes = b""
    """As `encode_sums` writes them."""
    seal: bytes = b""
    links: bytes | None = None
    """As `pack` writes them; None where they are kept no more, or stand one by one in `rows`."""
    rows: Sequence[Sequence[object]] = ()
    """Of the segment that is not whole: the fields of each link in order, then its digest."""


def segment_of(ordinal: int) -> int:
    """The number of the segment that link `ordinal` stands in."""
    return -(-ordinal // SEGMENT)


def opening(start: bytes, number: int) -> bytes:
    """What the first link of a segment follows; `start` is seal(0) of its window."""
    return sha256(_encode((FORM, start, number))).digest()


def sealed(previous: bytes, number: int, pairs: int, root: bytes, sums: bytes) -> bytes:
    """The seal of a segment after the seal of the one before."""
    return sha256(previous + _encode((number, pairs, root, sums))).digest()


class Counted:
    """Adds links up, one after another."""

    def __init__(self) -> None:
        self._strata: dict[tuple[str, str, str], list[int]] = {}
        self._masks: Counter[str] = Counter()

    def add(self, link: Link) -> None:
        tally = self._strata.setdefault((link.method, link.status_class, link.kind), [0, 0, 0])
        tally[0] += 1
        tally[1] += link.differs
        if link.masks:
            tally[2] += not link.differs
            self._masks.update(link.masks.split("\n"))

    def add_sums(self, sums: Sums) -> None:
        for method, status, kind, *counts in sums.strata:
            tally = self._strata.setdefault((method, status, kind), [0, 0, 0])
            for at, count in enumerate(counts):
                tally[at] += count
        for mask, pairs in sums.masks:
            self._masks[mask] += pairs

    @property
    def sums(self) -> Sums:
        strata = tuple(
            (method, status, kind, pairs, differing, masked)
            for (method, status, kind), (pairs, differing, masked) in sorted(self._strata.items())
        )
        return Sums(strata, tuple(sorted(self._masks.items())))


def add_up(links: Iterable[Link]) -> Sums:
    """What these links add up to."""
    counted = Counted()
    for link in links:
        counted.add(link)
    return counted.sums


def encode_sums(sums: Sums) -> bytes:
    return _encode(sums)


def decode_sums(data: bytes) -> Sums:
    """Raises BrokenChainError where these are no bytes of `encode_sums`."""
    try:
        sums = _sums_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise BrokenChainError(f"sums that cannot be read ({exc})") from exc
    if _encode(sums) != data:
        raise BrokenChainError("sums that are not written as fig writes them")
    return sums


_sums_decoder = msgspec.msgpack.Decoder(Sums)

Sort = tuple[str, str, str, int, str]
"""Kind, method, status class, whether it differs, masks: what many links have in common."""


class _Pack(msgspec.Struct, frozen=True, array_like=True):
    """Links of a segment in columns: 51 bytes a link, of which 48 are random and no compression makes them fewer."""

    first: int
    sorts: list[Sort]
    sort_of: list[int]
    ids: list[bytes]
    """As the bytes that their hex digits denote; empty where an id is none of hex digits."""
    names: list[tuple[int, str]]
    """Those others: where in the segment, counted from 0, and the id."""
    answers: bytes
    kept: list[tuple[int, bytes]]
    """Where in the segment, counted from 0, and SHA-256 of the kept pair."""


_pack_decoder = msgspec.msgpack.Decoder(_Pack)


def pack(links: Sequence[Link]) -> bytes:
    """Links of one segment, whose ordinals follow each other, in one way only."""
    sorts: dict[Sort, int] = {}
    sort_of = [
        sorts.setdefault((one.kind, one.method, one.status_class, one.differs, one.masks), len(sorts)) for one in links
    ]
    return _encode(
        _Pack(
            links[0].ordinal,
            list(sorts),
            sort_of,
            [_raw(one.id) for one in links],
            [(at, one.id) for at, one in enumerate(links) if not _raw(one.id)],
            b"".join(one.answers for one in links),
            [(at, one.kept) for at, one in enumerate(links) if one.kept],
        )
    )


def unpack(data: bytes) -> list[Link]:
    """The links again. Raises BrokenChainError where these are no bytes of `pack`."""
    try:
        links = list(_unpacked(_pack_decoder.decode(data)))
        if not links or pack(links) != data:
            raise BrokenChainError("links that are not packed as fig packs them")
    except (msgspec.MsgspecError, UnicodeDecodeError, IndexError, ValueError) as exc:
        raise BrokenChainError(f"links that cannot be read ({exc})") from exc
    return links


def _unpacked(told: _Pack) -> Iterator[Link]:
    kept, names = dict(told.kept), dict(told.names)
    for at, (sort, raw) in enumerate(zip(told.sort_of, told.ids, strict=True)):
        kind, method, status, differs, masks = told.sorts[sort]
        name = raw.hex() or names.get(at, "")
        answers = told.answers[at * _ANSWERS : (at + 1) * _ANSWERS]
        yield Link(told.first + at, name, kind, method, status, differs, masks, answers, kept.get(at, b""))


def _raw(id: str) -> bytes:
    try:
        raw = bytes.fromhex(id)
    except ValueError:
        return b""
    return raw if raw.hex() == id else b""


@dataclass(frozen=True, slots=True)
class Followed:
    """One segment, computed again."""

    number: int
    seal: bytes
    sums: Sums
    links: tuple[Link, ...]
    """Empty where they are kept no more: then `sums` are those that were sealed."""
    pairs: int


def follow(start: bytes, segments: Iterable[Segment]) -> Iterator[Followed]:
    """Every segment in order, checked against its root, its sums and its seal. Raises BrokenChainError at the first
    that is not the next one, or not what was sealed."""
    seal = start
    for position, one in enumerate(segments, 1):
        span = f"links {(one.number - 1) * SEGMENT + 1:,} to {(one.number - 1) * SEGMENT + one.pairs:,}"
        if one.number != position:
            raise BrokenChainError(f"segment {position} is missing, or segment {one.number} stands in its place")
        try:
            again = follow_one(start, seal, one)
        except BrokenChainError as exc:
            raise BrokenChainError(f"{span}: {exc}") from exc
        if one.seal and again.seal != one.seal:
            raise BrokenChainError(f"{span}: they are not what was sealed, or do not follow the links before them")
        seal = again.seal
        yield again


def follow_one(start: bytes, seal: bytes, one: Segment) -> Followed:
    """One segment; `start` is seal(0) of its window, `seal` that of the segment before. Raises BrokenChainError."""
    if any(type(value) is not bytes for value in (seal, one.root, one.sums, one.seal, one.links or b"")):
        raise BrokenChainError("a value of a type that no segment has")  # SQLite keeps what it is given
    if one.seal and one.pairs != SEGMENT:
        raise BrokenChainError(f"{one.pairs} pairs are not a whole segment")
    if one.links is None and not one.rows:
        if not one.seal:
            raise BrokenChainError("they are kept no more")
        again = sealed(seal, one.number, one.pairs, one.root, one.sums)
        return Followed(one.number, again, decode_sums(one.sums), (), one.pairs)
    links = tuple(unpack(one.links)[: one.pairs]) if one.links is not None else tuple(_linked(start, one))
    root, counted = opening(start, one.number), Counted()
    for at, link in enumerate(links, (one.number - 1) * SEGMENT + 1):
        if link.ordinal != at:
            raise BrokenChainError(f"link {at:,} is missing, or link {link.ordinal:,} stands in its place")
        root = following(root, link)
        counted.add(link)
    if len(links) != one.pairs:
        raise BrokenChainError(f"{len(links):,} of {one.pairs:,} links are there")
    sums = counted.sums
    if one.seal and root != one.root:
        raise BrokenChainError("they do not lead to the root that was sealed")
    if one.seal and encode_sums(sums) != one.sums:
        raise BrokenChainError("they do not add up to the sums that were sealed")
    return Followed(one.number, sealed(seal, one.number, one.pairs, root, encode_sums(sums)), sums, links, len(links))


def _linked(start: bytes, one: Segment) -> Iterator[Link]:
    """The links of a segment that stand one by one, each checked against its digest."""
    first = (one.number - 1) * SEGMENT
    for link, _ in followed(opening(start, one.number), one.rows, first):
        yield link
