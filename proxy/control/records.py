"""What control's store holds, as values: where each route stands, what moved it, and the evidence of its attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from canary.rollout import Rollout
from rules.effective import Position


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one route stands with its rollout, and what the rules file said about it at the last accepted load."""

    route: str
    rollout: Rollout
    declared: str
    """The file's stage (and share) at the last accepted load; a file that says something else since then applies."""

    @property
    def position(self) -> Position:
        return Position(self.rollout.stage, self.rollout.share, self.rollout.frozen)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the append-only history: who or what moved a route, from where to where, why, on what evidence."""

    at: float
    """Seconds since the epoch."""
    route: str
    actor: str
    """``file``, ``pilot``, ``control`` (evidence that it had to begin anew), or the person who asked, as they called
    themselves."""
    action: str
    """``enter``, ``stage``, ``promote``, ``rollback``, ``freeze``, ``unfreeze``, ``approve``, ``abort``, ``watched``
    (the watch is over), ``proven`` (`promote` came before the deadline), ``attempt``, ``leave``; and ``shadow ...`` for
    what people changed of journal or pairs, which moves no route: `before` and `after` are equal."""
    before: Position | None
    """None when the route was not known before."""
    after: Position | None
    """None when the route left the rules file."""
    why: str
    generation: int
    """The effective table that made it so."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """What the decision rested on (a Judgement, say), as plain data."""
    number: int = 0
    """Its place in the history, from 1; given by the store."""


@dataclass(frozen=True, slots=True)
class Change:
    """One route's new standing (None: forget the route) with the line that records it."""

    standing: Standing | None
    entry: Entry


@dataclass(frozen=True, slots=True)
class Kept:
    """A route's evidence as it lies on the disk between two lives of control."""

    route: str
    reference: Mapping[int, int]
    """Legacy's service times from before the canary, by bucket of canary.histogram."""
    snapshot: bytes = b""
    """What canary's Evidence restores from, if it is of the same attempt; empty outside canary."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Everything that decides what is effective."""

    generation: int
    standings: Mapping[str, Standing]
