"""From counted groups to causes: the fewest and simplest transforms that explain all of a window's differences. Pure.

Every group (shadow.causes.tally.Row) names all transforms that fit each of its members, so whether a transform holds
for a set of groups needs no member to be looked at again. The rule, in this order:

1. transforms of structure first, then exact ones, then what a place has in common, then classes (shadow.causes.Tier);
2. within a tier the transform that explains most differences of those left, wherever they are; of equals the one that
   is named first in PREFERENCE;
3. where one place needs several exact transforms, and all of it has one thing in common (one constant or
   mapping), that one cause explains it; and where more differences of a place have no explanation than are one more or
   less (ACCIDENTAL), those have none either;
4. what is left at a place is a cause of its own class: missing, added, or changed in a way that nobody knows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256

from shadow.causes.common import Common, Mapped, merged, simplest
from shadow.causes.tally import Example, Row
from shadow.causes.transforms import BY_PLACE, Tier, name_of, rank
from shadow.comparing.differences import DifferenceKind

FEWEST = 3
"""Members before what they have in common counts as a cause: of two values anything is in common."""
ACCIDENTAL = frozenset(("plus", "last_digit"))
"""Transforms that random numbers have, too."""
PER_VALUE = 2
"""Members per value of a mapping, at least: where every value comes once, nothing was seen to repeat."""
DRIFT = 60.0
"""Seconds that the clocks of two answers may be apart, at most, to be called that."""
_MISSING = frozenset((str(DifferenceKind.MISSING), str(DifferenceKind.ITEM_MISSING)))
_ADDED = frozenset((str(DifferenceKind.ADDED), str(DifferenceKind.ITEM_ADDED)))
CLOSE = Decimal("0.05")
"""How wide, relative to itself, the interval of a factor may be."""


@dataclass(frozen=True, slots=True)
class At:
    """What a cause explains at one place."""

    path: str
    kind: str
    pairs: int
    """Pairs with a member here; at least so many where the path names several places of one answer."""
    count: int
    of: int
    """Differences at this path of any kind, so those that the cause does not explain are `of` less `count`."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What some differences of one window have in common."""

    id: str
    """Sixteen hexadecimal digits, the same in every window: a hash of its definition (`identity`)."""
    route: str
    transform: str
    at: tuple[At, ...]
    """The place with most members first."""
    pairs: int
    """Pairs with a member, at least: the most that one place has."""
    count: int
    """Differences that it explains."""
    first: float
    """When the first pair with a member was made, in seconds since the epoch."""
    last: float
    common: Common
    """What all of its members have in common."""
    examples: tuple[Example, ...]
    rows: tuple[Row, ...]
    """What it was made from."""

    @property
    def exact(self) -> bool:
        """Whether `pairs` is their number, and not the least that it can be."""
        return len(self.at) == 1 and (len(self.rows) == 1 or "*" not in self.at[0].path)

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.path for each in self.at))

    @property
    def extent(self) -> tuple[str, ...]:
        """All that somebody who acknowledges it knows of: its paths, and what values it gives where it names some."""
        name = name_of(self.transform)
        values = [f"{each.legacy_shown} becomes {each.candidate_shown}" for each in self.mapping]
        named = {"mapping": values, "constant": [f"always {self.common.constant_shown}"]}
        return (*self.paths, *named.get(name, ()))

    @property
    def mapping(self) -> tuple[Mapped, ...]:
        """What becomes of which value, the most frequent first; empty for a cause that is no mapping."""
        entries = (self.common.mapping or {}).values()
        return tuple(sorted(entries, key=lambda each: (-each.count, each.legacy_shown)))


def identity(route: str, transform: str, path: str) -> str:
    """The id of a cause."""
    place = path if name_of(transform) in BY_PLACE else ""
    return sha256(f"{route}\n{transform}\n{place}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def causes(route: str, rows: Iterable[Row]) -> tuple[Cause, ...]:
    """All differences of one window, each explained by exactly one cause; the cause with most pairs first."""
    rows = [row for row in rows if row.count]
    chosen = _choose(rows)
    _doubt(rows, chosen)
    _simplify(rows, chosen)
    totals: dict[str, int] = defaultdict(int)
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row, transform in zip(rows, chosen, strict=True):
        totals[row.path] += row.count
        groups[transform, row.path if name_of(transform) in BY_PLACE else ""].append(row)
    found = [_cause(route, transform, members, totals) for (transform, _), members in groups.items()]
    return tuple(sorted(found, key=lambda each: (-each.pairs, -each.count, rank(each.transform), each.paths)))


def _choose(rows: Sequence[Row]) -> list[str]:
    """For each row the transform that explains it: greedy by tier, then by what a transform explains in all."""
    chosen = [""] * len(rows)
    options = [[(transform, rank(transform)) for transform in row.transforms] for row in rows]
    left = set(range(len(rows)))
    for tier in (Tier.STRUCTURE, Tier.EXACT):
        while left:
            explained: dict[str, int] = defaultdict(int)
            for index in left:
                for transform, its in options[index]:
                    if its.tier is tier:
                        explained[transform] += rows[index].count
            if not explained:
                break
            best = min(explained, key=lambda transform: (-explained[transform], rank(transform)))
            for index in [index for index in left if best in rows[index].transforms]:
                chosen[index] = best
                left.discard(index)
    for members in _by_place(rows, left).values():
        shared = _shared([rows[index] for index in members])
        for index in members:
            chosen[index] = shared or _class(rows[index])
    return chosen


def _by_place(rows: Sequence[Row], indexes: Iterable[int]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for index in sorted(indexes):
        found[rows[index].path].append(index)
    return found


def _shared(rows: Sequence[Row]) -> str:
    """What all rows of a place have in common; nothing where one side never has a value: that is missing, or extra."""
    kinds = {row.kind for row in rows}
    return "" if kinds <= _MISSING or kinds <= _ADDED else in_common(merged([row.common for row in rows]))


def _class(row: Row) -> str:
    """The last resort: what kind of difference it is."""
    classes = [transform for transform in row.transforms if rank(transform).tier is Tier.CLASS]
    return min(classes, key=rank) if classes else "changed"


def _doubt(rows: Sequence[Row], chosen: list[str]) -> None:
    """Take back what small numbers do by accident: one more or less, where more differences have no explanation."""
    for members in _by_place(rows, range(len(rows))).values():
        unknown = sum(rows[index].count for index in members if chosen[index] == "changed")
        for index in members:
            if name_of(chosen[index]) in ACCIDENTAL and rows[index].count < unknown:
                chosen[index] = "changed"


def _simplify(rows: Sequence[Row], chosen: list[str]) -> None:
    """One thing in common at a place, in place of several exact transforms there."""
    for members in _by_place(rows, range(len(rows))).values():
        transforms = {chosen[index] for index in members}
        if len(transforms) > 1 and not any(rank(each).tier is Tier.STRUCTURE for each in transforms):
            shared = _shared([rows[index] for index in members])
            if shared and name_of(shared) != "factor":  # which leaves room for a last digit that is another cause's
                for index in members:
                    chosen[index] = shared


def in_common(common: Common) -> str:
    """The transform that all members have in common, in the order of preference, or ``""``."""
    if common.members < FEWEST:
        return ""
    if common.constant and common.distinct > 1:
        return "constant"
    if _drifts(common):
        return "drift"
    if common.distinct > 1:
        if common.offset is not None:
            return f"offset:{_plain(common.offset)}"
        if common.low is not None and common.high is not None and common.low > 0:
            factor = simplest(common.low, common.high)
            if common.high - common.low <= CLOSE * common.low and factor != 1:
                return f"factor:{_plain(factor)}"
    if common.mapping and common.members >= PER_VALUE * common.distinct:
        return "mapping"
    return ""


def _drifts(common: Common) -> bool:
    """Whether all are times a little apart, and not always by as much: that would be an offset."""
    if common.earliest is None or common.latest is None or common.distinct < FEWEST:
        return False
    return common.earliest < common.latest and max(abs(common.earliest), abs(common.latest)) <= DRIFT


def _plain(value: Decimal) -> str:
    """Digits without an exponent or zeros at the end: ``1.19``, ``-0.5``."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _cause(route: str, transform: str, rows: Sequence[Row], totals: dict[str, int]) -> Cause:
    rows = sorted(rows, key=lambda row: (-row.pairs, row.path))
    places: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        places[row.path, row.kind].append(row)
    at = tuple(
        At(path, kind, _pairs(path, each), sum(row.count for row in each), totals[path])
        for (path, kind), each in places.items()
    )
    examples = dict.fromkeys(example for row in rows for example in row.examples)
    return Cause(
        id=identity(route, transform, rows[0].path),
        route=route,
        transform=transform,
        at=at,
        pairs=max(each.pairs for each in at),
        count=sum(row.count for row in rows),
        first=min(row.first for row in rows),
        last=max(row.last for row in rows),
        common=merged([row.common for row in rows]),
        examples=tuple(examples),
        rows=tuple(rows),
    )


def _pairs(path: str, rows: Sequence[Row]) -> int:
    """Pairs that have a member in one of the groups of a place.

    A path without ``*`` is one place of an answer, with one difference: no pair is in two groups. Elsewhere one may be.
    """
    pairs = [row.pairs for row in rows]
    return max(pairs) if "*" in path else sum(pairs)


def last_ordinal(cause: Cause) -> int:
    """The ordinal, in its window, of the last pair with a member."""
    return max(row.last_ordinal for row in cause.rows)
