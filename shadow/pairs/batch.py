"""What the store remembers of a window that is counted in, and what a batch of pairs adds to it. Values only."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from shadow.causes.tally import Tally
from shadow.certifying.chain import Link
from shadow.certifying.strata import Key
from shadow.comparing.compare import Judged
from shadow.pairs.chain_tables import Tail

Place = tuple[str, str]
"""A path and a kind."""


@dataclass(slots=True)
class OpenWindow:
    """What the writer remembers of a route's current window."""

    route: str
    id: int
    number: int
    digest: str
    pairs: int
    differing: int
    tail: Tail | None = None
    """Where its chain goes on; None where earlier pairs are not chained (they were counted by an earlier fig)."""
    samples: Counter[Place] = field(default_factory=Counter)
    places: set[Place] = field(default_factory=set)
    causes: Tally = field(default_factory=Tally)


@dataclass(slots=True)
class Batch:
    """What a batch adds to one window."""

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
