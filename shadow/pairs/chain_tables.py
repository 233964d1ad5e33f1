"""What pairs.db holds of the chain: links one by one until their segment is whole, then packed, then, perhaps, shed.

Statements on a connection; shadow.pairs.store writes, shadow.pairs.reader reads. A window holds the links of its first
pairs, of its latest, and of those under a pin; of the others it holds what they add up to, sealed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shadow.certifying.chain import Link, beginning
from shadow.certifying.segments import (
    SEGMENT,
    Segment,
    add_up,
    encode_sums,
    follow_one,
    opening,
    pack,
    sealed,
    segment_of,
)

TABLES = """
CREATE TABLE IF NOT EXISTS chain (
    window INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    method TEXT NOT NULL,
    status_class TEXT NOT NULL,
    differs INTEGER NOT NULL,
    masks TEXT NOT NULL,
    answers BLOB NOT NULL,
    kept BLOB NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (window, ordinal)
) WITHOUT ROWID;
-- Whole segments of the chain. `links` is last, so that whoever reads the others does not read it; NULL when shed.
CREATE TABLE IF NOT EXISTS segments (
    id INTEGER PRIMARY KEY,
    window INTEGER NOT NULL,
    number INTEGER NOT NULL,
    root BLOB NOT NULL,
    sums BLOB NOT NULL,
    seal BLOB NOT NULL,
    links BLOB,
    UNIQUE (window, number)
);
"""
OF_A_WINDOW = ("chain", "segments")
"""Tables whose rows go with their window."""
FIRST_LINKS = 1_000_000
"""Links of a window's first pairs that are kept, 55 MB; or as many as a certificate is to be judged on, if more."""
LATEST_LINKS = 1_000_000
"""Links of its latest pairs that are kept beside."""
_LINK = "ordinal, id, kind, method, status_class, differs, masks, answers, kept"


@dataclass(frozen=True, slots=True)
class Chained:
    """How a window's chain stands."""

    pairs: int
    """That are chained."""
    head: bytes | None
    """Of so many links; None for none."""
    links: int
    """Of how many of them the links are kept; what the others add up to is sealed."""


@dataclass(slots=True)
class Tail:
    """Where the writer goes on."""

    start: bytes
    """Seal 0 of the window."""
    seal: bytes
    """Of the last whole segment; `start` before the first."""
    digest: bytes
    """Of the last link of the segment that is not whole; its opening where there is none."""


def insert_links(db: sqlite3.Connection, window: int, links: Iterable[tuple[Link, bytes]]) -> None:
    """Links of one segment, with their digests."""
    db.executemany(
        "INSERT INTO chain VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                window,
                link.ordinal,
                link.id,
                link.kind,
                link.method,
                link.status_class,
                link.differs,
                link.masks,
                link.answers,
                link.kept,
                digest,
            )
            for link, digest in links
        ),
    )


def seal_segment(db: sqlite3.Connection, window: int, number: int, tail: Tail) -> None:
    """Pack the segment whose last link was just inserted, and go on behind it."""
    rows = db.execute(f"SELECT {_LINK} FROM chain WHERE window = ? ORDER BY ordinal", (window,))  # noqa: S608 (columns)
    links = [Link(*row) for row in rows]
    sums = encode_sums(add_up(links))
    seal = sealed(tail.seal, number, len(links), tail.digest, sums)
    db.execute(
        "INSERT INTO segments (window, number, root, sums, seal, links) VALUES (?, ?, ?, ?, ?, ?)",
        (window, number, tail.digest, sums, seal, pack(links)),
    )
    db.execute("DELETE FROM chain WHERE window = ?", (window,))
    tail.seal, tail.digest = seal, opening(tail.start, number + 1)


def tail_of(db: sqlite3.Connection, window: int, start: bytes) -> tuple[int, Tail]:
    """How many links a window has, and where they end."""
    row = db.execute(
        "SELECT number, seal FROM segments WHERE window = ? ORDER BY number DESC LIMIT 1", (window,)
    ).fetchone()
    whole, seal = row or (0, start)
    last = db.execute(
        "SELECT ordinal, digest FROM chain WHERE window = ? ORDER BY ordinal DESC LIMIT 1", (window,)
    ).fetchone()
    ordinal, digest = last or (whole * SEGMENT, opening(start, whole + 1))
    return int(ordinal), Tail(start, seal, digest)


def segments_until(db: sqlite3.Connection, window: int, until: int) -> Iterator[Segment]:
    """The first `until` links of a window, a segment at a time, as shadow.certifying.segments.follow takes them."""
    rows = db.execute(
        "SELECT number, root, sums, seal, links FROM segments WHERE window = ? AND number <= ? ORDER BY number",
        (window, until // SEGMENT),
    )
    for number, root, sums, seal, links in rows:
        yield Segment(number, SEGMENT, root, sums, seal, links)
    if until % SEGMENT:
        yield _part(db, window, until)


def _part(db: sqlite3.Connection, window: int, until: int) -> Segment:
    """Of the segment that link `until` stands in, the links up to that one."""
    number, pairs = segment_of(until), until % SEGMENT
    packed = db.execute("SELECT links FROM segments WHERE window = ? AND number = ?", (window, number)).fetchone()
    if packed is not None:
        return Segment(number, pairs, links=packed[0])
    rows = db.execute(
        f"SELECT {_LINK}, digest FROM chain WHERE window = ? AND ordinal <= ? ORDER BY ordinal",  # noqa: S608 (columns)
        (window, until),
    )
    return Segment(number, pairs, rows=rows.fetchall())


def chained(db: sqlite3.Connection, window: int) -> Chained:
    """How a window's chain stands. Raises BrokenChainError."""
    start = _beginning(db, window)
    pairs, _ = tail_of(db, window, start)
    (kept,) = db.execute("SELECT count(*) FROM segments WHERE window = ? AND links IS NOT NULL", (window,)).fetchone()
    return Chained(pairs, head_at(db, window, pairs), kept * SEGMENT + pairs % SEGMENT)


def head_at(db: sqlite3.Connection, window: int, ordinal: int) -> bytes | None:
    """The head of the first `ordinal` links of a window; None where it has not so many, or shed what it takes.

    Raises BrokenChainError.
    """
    start = _beginning(db, window)
    pairs, _ = tail_of(db, window, start)
    if not 0 < ordinal <= pairs:
        return None
    row = db.execute(
        "SELECT seal FROM segments WHERE window = ? AND number = ?", (window, ordinal // SEGMENT)
    ).fetchone()
    seal: bytes = row[0] if row is not None else start
    if ordinal % SEGMENT == 0:
        return seal
    part = _part(db, window, ordinal)
    return follow_one(start, seal, part).seal if part.links is not None or part.rows else None


def _beginning(db: sqlite3.Connection, window: int) -> bytes:
    row = db.execute("SELECT route, number, digest FROM windows WHERE id = ?", (window,)).fetchone()
    return beginning(*row) if row is not None else b""


def shed(db: sqlite3.Connection, window: int, pairs: int, first: int) -> None:
    """Drop the links, not the sums, of segments behind the window's `first` pairs and before its latest, unless a pin
    holds them. To be called when a segment was sealed."""
    db.execute(
        "UPDATE segments SET links = NULL WHERE window = ?1 AND number > ?2 AND number <= ?3 AND links IS NOT NULL",
        (window, segment_of(max(first, _pinned(db, window))), (pairs - LATEST_LINKS) // SEGMENT),
    )


def drop_links(db: sqlite3.Connection, window: int, limit: int) -> int:
    """Drop the links of a window that is over, sums and all, but for those under a pin: of the last `limit` pairs at
    most. How many went."""
    kept = segment_of(_pinned(db, window))
    numbers = db.execute(
        "SELECT number FROM segments WHERE window = ? AND number > ? ORDER BY number DESC LIMIT ?",
        (window, kept, max(1, limit // SEGMENT)),
    ).fetchall()
    (last,) = db.execute("SELECT coalesce(max(number), 0) + 1 FROM segments WHERE window = ?", (window,)).fetchone()
    gone = 0
    if last > kept:  # the pin does not hold the segment that is not whole
        gone = db.execute("DELETE FROM chain WHERE window = ?", (window,)).rowcount
    db.executemany("DELETE FROM segments WHERE window = ? AND number = ?", [(window, number) for (number,) in numbers])
    return gone + len(numbers) * SEGMENT


def _pinned(db: sqlite3.Connection, window: int) -> int:
    (links,) = db.execute("SELECT coalesce(max(links), 0) FROM pins WHERE window = ?", (window,)).fetchone()
    return int(links)
