"""What samples of noise come to at one path. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PathCounts:
    """What samples showed at one path. `asked` samples in all; the others are parts of it."""

    asked: int
    before: int
    """Legacy's second answer differs from its first."""
    after: int
    """Legacy's last answer differs from its first: the noise."""
    noisy: int
    """Either of them."""
    differing: int
    """The candidate's answer differs from legacy's first."""
    only_after: int
    """Noise where the candidate agrees."""
    only_differing: int
    """A difference where legacy's last answer agrees."""
