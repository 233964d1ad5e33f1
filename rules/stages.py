"""The stages of a route and the two sides: who answers, and who gets a copy. The table of DESIGN section 2."""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    """One of the two systems behind a route."""

    LEGACY = "legacy"
    CANDIDATE = "candidate"

    @property
    def other(self) -> Side:
        return Side.CANDIDATE if self is Side.LEGACY else Side.LEGACY


class Stage(StrEnum):
    """Where a route stands, in the order in which a migration passes through them."""

    LEGACY = "legacy"
    SHADOW = "shadow"
    CANARY = "canary"
    LIVE = "live"
    RETIRED = "retired"

    @property
    def copies(self) -> bool:
        """Whether the side that did not answer gets a copy (reads mirrored, writes journaled and delivered)."""
        return self in (Stage.SHADOW, Stage.CANARY, Stage.LIVE)


MILLION = 1_000_000
"""Shares and samples are whole numbers of a millionth: 1 % is 10,000."""
