"""Writes that are over and have no pair, read from the journal: refused by whoever answered, or settled by a person.

Each is named as its pair would be, so whoever counts by that name counts every write once, whatever is killed between.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from shadow.sealing import Sealer

# A write that was recorded and never forwarded was answered by nobody: nothing was captured. One that is settled may
# have been compared before (a copy that was given up was answered, with failures): then its name is counted already.
_OVER = (
    "SELECT sequence, arrival, method, status, ended FROM writes WHERE route = ? AND ended IS NOT NULL AND ended >= ? "
    "AND copy_answer IS NULL AND ((state = 'void' AND reason <> 'never forwarded') "
    "OR (state IN ('dead', 'in_doubt') AND settled = 1) OR (state = 'delivered' AND COALESCE(copy_status, 0) = 0)) "
    "ORDER BY ended, sequence LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class Pairless:
    """A write that is over and has no pair."""

    id: str
    """What its pair would be called."""
    method: str
    status: int
    """0 where nobody answered."""
    ended: float
    """Seconds since the epoch."""


def pair_id(sealer: Sealer, sequence: int, arrival: float) -> str:
    """Always the same for one write, and of no other journal: told twice, it is one pair."""
    return sealer.hash(b"pair", str(sequence).encode(), repr(arrival).encode()).hex()


def pairless_writes(
    db: sqlite3.Connection, sealer: Sealer, route: str, since: float, limit: int
) -> tuple[Pairless, ...]:
    """Those of a route that ended at that time or later, in order of their ends."""
    rows = db.execute(_OVER, (route, since, limit))
    return tuple(
        Pairless(pair_id(sealer, sequence, arrival), method, status or 0, ended)
        for sequence, arrival, method, status, ended in rows
    )
