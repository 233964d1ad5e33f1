"""What a batch of pairs adds to a window. Values only."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from shadow.certifying.chain import Link
from shadow.certifying.strata import Key
from shadow.comparing.compare import Judged

Place = tuple[str, str]
"""A path and a kind."""


@dataclass(slots=True)
class Batch:
    """Of one window."""

    pairs: int = 0
    differing: int = 0
    writes: int = 0
    excused: int = 0
    last: float = 0.0
    ordinals: list[int] = field(default_factory=list)
    places: dict[Place, list[float]] = field(default_factory=dict)
    """Place -> [pairs, differences, first seen, last seen]."""
    masks: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    """Mask -> [pairs, differences excused]."""
    strata: defaultdict[Key, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0, 0]))
    """Stratum -> [pairs, differing, excused, attempts]."""
    links: list[Link] = field(default_factory=list)
    equal: Judged | None = None
    """The last pair that agrees: a sample of those is enough, and keeping one costs as much as comparing it."""
    equal_link: int | None = None
    """Where its link stands in `links`."""
