"""What pairs.db holds for certificates: strata, the chain, and pins. Run by shadow.pairs.tables when it is opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from shadow.certifying.chain import Link

TABLES = """
CREATE TABLE IF NOT EXISTS strata (
    window INTEGER NOT NULL,
    method TEXT NOT NULL,
    status_class TEXT NOT NULL,
    kind TEXT NOT NULL,
    pairs INTEGER NOT NULL,
    differing INTEGER NOT NULL,
    excused INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    PRIMARY KEY (window, method, status_class, kind)
) WITHOUT ROWID;
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
-- Until when (seconds since the epoch) the journal was looked through for writes without a pair.
CREATE TABLE IF NOT EXISTS looked (route TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
-- Windows whose first `links` pairs a certificate was issued on: they are kept, whatever the route's `keep` says.
CREATE TABLE IF NOT EXISTS pins (
    window INTEGER NOT NULL,
    certificate TEXT NOT NULL,
    links INTEGER NOT NULL,
    made REAL NOT NULL,
    PRIMARY KEY (window, certificate)
) WITHOUT ROWID;
"""

UNPINNED = "coalesce(ordinal, 0) > coalesce((SELECT max(links) FROM pins WHERE pins.window = pairs.window), -1)"
"""Which kept pairs are under no certificate."""
OF_A_WINDOW = ("strata", "chain")
"""Tables whose rows go with their window."""
_LINK = "ordinal, id, kind, method, status_class, differs, masks, answers, kept, digest"


def insert_links(db: sqlite3.Connection, window: int, links: Iterable[tuple[Link, bytes]]) -> None:
    """Links with their digests."""
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


def last_link(db: sqlite3.Connection, window: int) -> tuple[int, bytes | None]:
    """The last link's ordinal and digest; 0 and None where there is none."""
    row = db.execute(
        "SELECT ordinal, digest FROM chain WHERE window = ? ORDER BY ordinal DESC LIMIT 1", (window,)
    ).fetchone()
    return (int(row[0]), row[1]) if row else (0, None)


def link_rows(db: sqlite3.Connection, window: int, until: int) -> Iterator[tuple[object, ...]]:
    """The first `until` links of a window, in order, as shadow.certifying.chain.followed takes them."""
    return db.execute(
        f"SELECT {_LINK} FROM chain WHERE window = ? AND ordinal <= ? ORDER BY ordinal",  # noqa: S608 (columns)
        (window, until),
    )


def digest_at(db: sqlite3.Connection, window: int, ordinal: int) -> bytes | None:
    """The digest of a link; None where it is not there."""
    row = db.execute("SELECT digest FROM chain WHERE window = ? AND ordinal = ?", (window, ordinal)).fetchone()
    return row[0] if row else None


def drop_links(db: sqlite3.Connection, window: int, limit: int) -> int:
    """Drop the last `limit` links of a window at most; how many went."""
    return db.execute(
        "DELETE FROM chain WHERE window = ? AND ordinal IN "
        "(SELECT ordinal FROM chain WHERE window = ? ORDER BY ordinal DESC LIMIT ?)",
        (window, window, limit),
    ).rowcount


def count_strata(
    db: sqlite3.Connection, window: int, counts: Iterable[tuple[tuple[str, str, str], Sequence[int]]]
) -> None:
    """Add to strata: (method, status class, kind) -> pairs, differing, excused, attempts."""
    db.executemany(
        "INSERT INTO strata VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET pairs = pairs + excluded.pairs,"
        " differing = differing + excluded.differing, excused = excused + excluded.excused,"
        " attempts = attempts + excluded.attempts",
        [(window, *key, *numbers) for key, numbers in counts],
    )


def pin(db: sqlite3.Connection, window: int, certificate: str, links: int, made: float) -> None:
    """Keep the window's first `links` pairs, for that certificate."""
    db.execute("INSERT OR IGNORE INTO pins VALUES (?, ?, ?, ?)", (window, certificate, links, made))
