"""What control's store holds, as values: where each route stands, what moved it, and the evidence of its attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rules.effective import Position


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one route stands, and what the rules file said about it at the last accepted load."""

    route: str
    position: Position
    declared: str
    """The file's stage (and share) at the last accepted load; a file that says something else since then applies."""
    since: float
    """Seconds since the epoch when the stage or share last changed: holds and watches count from here."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the append-only history: who or what moved a route, from where to where, why, on what evidence."""

    at: float
    """Seconds since the epoch."""
    route: str
    actor: str
    """``file``, ``pilot``, or the person who asked, as they called themselves."""
    action: str
    """``enter``, ``stage``, ``promote``, ``rollback``, ``freeze``, ``unfreeze``, ``attempt``, ``leave``."""
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
class Attempt:
    """One rollout attempt of a route: one evidence process, from entering canary until leaving it."""

    route: str
    started: float
    """Seconds since the epoch."""
    candidate: str
    """Digest of the candidate service's definition: another release is another attempt."""
    evidence: bytes
    """Snapshot that canary's Evidence restores from; empty for none yet."""
    rollout: bytes = b""
    """The pilot's own state of this rollout, as it encodes it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Everything that decides what is effective."""

    generation: int
    standings: Mapping[str, Standing]
