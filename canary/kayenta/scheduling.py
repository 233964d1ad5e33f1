"""Which stretch of time Kayenta judges at its n-th look. For comparison and import: fig's own gate judges once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stretch:
    """Times in seconds, in one clock; the end is exclusive."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """A Kayenta analysis. All in seconds."""

    interval: float
    """How long between two looks."""
    lookback: float = 0.0
    """How far back a look goes; 0: to the beginning, so that it grows."""
    begin_after: float = 0.0
    """Warm-up, counted from `asked_at`; not used where `start` is given."""
    start: float | None = None
    control_offset: float = 0.0
    """How much earlier legacy's stretch lies."""

    def candidate(self, asked_at: float, look: int) -> Stretch:
        """The candidate's stretch at the `look`-th look, from 1."""
        if look < 1:
            raise ValueError(f"looks are counted from 1, not {look}")
        start = asked_at + self.begin_after if self.start is None else self.start
        end = start + look * self.interval
        return Stretch(end - self.lookback if self.lookback > 0 else start, end)

    def legacy(self, asked_at: float, look: int) -> Stretch:
        """Legacy's stretch at the `look`-th look."""
        found = self.candidate(asked_at, look)
        return Stretch(found.start - self.control_offset, found.end - self.control_offset)
