"""What of a route's writes stands open, the latest first: for reports, which show a few of many. Reads only.

`fig shadow deliveries`, `doubts` and `gaps` list all of it, the oldest first, as whoever settles it works it off.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import partial

from shadow.journal import settling
from shadow.journal.doubt_tables import Doubt, latest_doubts
from shadow.journal.reader import JournalReader
from shadow.journal.writes import Listed, ListedGap, Settlement, Standing, State


@dataclass(frozen=True, slots=True)
class OpenWrites:
    """What the journal says of one route's writes. The lists are the latest few of as many as `standing` counts."""

    standing: Standing
    dead: tuple[Listed, ...] = ()
    """Copies that were given up."""
    owed: tuple[Listed, ...] = ()
    """Copies that are still to be delivered."""
    doubts: tuple[Doubt, ...] = ()
    gaps: tuple[ListedGap, ...] = ()
    settled: tuple[Settlement, ...] = ()
    """What people have decided."""


def open_writes(reader: JournalReader, most: int) -> dict[str, OpenWrites]:
    """By route, at most so many of each kind; routes with nothing open are left out. Raises JournalError."""
    return {
        route: reader.ask(partial(_of, route=route, most=most, standing=standing))
        for route, standing in reader.standing().items()
    }


def _of(db: sqlite3.Connection, route: str, most: int, standing: Standing) -> OpenWrites:
    return OpenWrites(
        standing,
        tuple(settling.latest_unarrived(db, route, State.DEAD, most)),
        tuple(settling.latest_unarrived(db, route, State.ANSWERED, most)),
        tuple(latest_doubts(db, route, most)),
        tuple(settling.open_gaps(db, route, most)),
        tuple(settling.settlements(db, route, most)),
    )
