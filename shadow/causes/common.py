"""What all members of a group have in common beyond one difference: one value, one offset, one factor, one mapping.

Folded member by member, so it holds for all that were counted, whatever became of them since, in bounded room: what is
contradicted once is dropped for good. Values are known here by keyed hashes only, and by what may be shown of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b

import msgspec

from shadow.causes.numbers import EXACT, handy
from shadow.comparing.masks import moment, number
from shadow.comparing.values import Absent, Json, canonical

MOST_MAPPED = 16
"""Values of legacy that a mapping may have: more is no enumeration."""
LONGEST_MAPPED = 200
"""Characters of a text that may be one of an enumeration's values."""

MILLISECONDS = 10**11
"""From here on a number that is a time counts milliseconds since 1970 (shadow.comparing.masks.moment)."""

Mark = Callable[[str], str]
"""A keyed hash: equal for equal values, and tells nothing else."""


def marking(key: bytes) -> Mark:
    """A hash under a key of at most 64 bytes. 64 bits: among the few values of a group none will meet another."""
    return lambda text: blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=key).hexdigest()


class Mapped(msgspec.Struct):
    """What one value of legacy's always becomes."""

    candidate: str
    """Its mark."""
    count: int = 1
    legacy_shown: str = ""
    """The values for people, redacted."""
    candidate_shown: str = ""


class Common(msgspec.Struct):
    """What holds for every member so far. Mutable: one per group, written by the one that counts."""

    mapping: dict[str, Mapped] | None = msgspec.field(default_factory=dict)
    """Mark of legacy's value -> what it becomes; None when there are too many, or one value becomes two."""
    constant: str | None = ""
    """Mark of the one value that the candidate has in all members; empty before the first, None when there are two."""
    constant_shown: str = ""
    offset: Decimal | None = None
    """What the candidate's number is larger by, in all members."""
    low: Decimal | None = None
    high: Decimal | None = None
    """Every factor between the two makes all numbers of the candidate out of legacy's, to their last digit written."""
    numeric: bool = True
    """Whether all members are numbers, on both sides."""
    shortest: int | None = None
    longest: int | None = None
    """Characters of the candidate's texts."""
    members: int = 0
    earliest: float | None = None
    latest: float | None = None
    """Seconds that the candidate's time is later by than legacy's, at least and at most; negative where earlier."""
    timed: bool = True
    """Whether all members are times of one form, on both sides."""

    def add(self, legacy: Json | Absent, candidate: Json | Absent, mark: Mark, explained: bool) -> Mapped | None:
        """Take in one member. Returns an entry of the mapping if it is new: what may be shown of it is to be added.

        Of members that are `explained` exactly, one by one, nobody asks for a common offset or factor.
        """
        self.members += 1
        if explained:
            self.numeric = self.timed = False
        if self.timed:
            self._add_times(legacy, candidate)
        if isinstance(candidate, str):
            length = len(candidate)
            self.shortest = length if self.shortest is None else min(self.shortest, length)
            self.longest = length if self.longest is None else max(self.longest, length)
        if self.numeric:
            self._add_numbers(legacy, candidate)
        if self.mapping is None and self.constant is None:
            return None
        ours, theirs = _leaf(legacy), _leaf(candidate)
        if ours is None or theirs is None:
            self.mapping = self.constant = None
            return None
        return self._add_marks(mark(ours), mark(theirs))

    def _add_marks(self, ours: str, theirs: str) -> Mapped | None:
        if self.constant is not None:
            self.constant = theirs if self.constant in ("", theirs) else None
        if self.mapping is None:
            return None
        if (known := self.mapping.get(ours)) is not None:
            known.count += 1
            if known.candidate != theirs:
                self.mapping = None
            return None
        if len(self.mapping) == MOST_MAPPED:
            self.mapping = None
            return None
        entry = self.mapping[ours] = Mapped(theirs)
        return entry

    def _add_numbers(self, legacy: Json | Absent, candidate: Json | Absent) -> None:
        one, other = number(legacy), number(candidate)
        if one is None or other is None or not (handy(one) and handy(other)):
            self.numeric = False
            self.offset = self.low = self.high = None
            return
        offset = EXACT.subtract(other, one)
        if self.members == 1:
            self.offset = offset
            self.low, self.high = _factors(one, other)
            return
        if self.offset != offset:
            self.offset = None
        if self.low is not None and self.high is not None:
            low, high = _factors(one, other)
            if low is None or high is None or max(self.low, low) > min(self.high, high):
                self.low = self.high = None
            else:
                self.low, self.high = max(self.low, low), min(self.high, high)
        self.numeric = self.offset is not None or self.low is not None

    def _add_times(self, legacy: Json | Absent, candidate: Json | Absent) -> None:
        one, other = moment(legacy), moment(candidate)
        if isinstance(one, datetime) and isinstance(other, datetime) and (one.tzinfo is None) is (other.tzinfo is None):
            later = (other - one).total_seconds()
        elif isinstance(one, float) and isinstance(other, float):
            later = (other - one) / (1000 if abs(one) >= MILLISECONDS else 1)
        else:
            self.timed = False
            self.earliest = self.latest = None
            return
        self.earliest = later if self.earliest is None else min(self.earliest, later)
        self.latest = later if self.latest is None else max(self.latest, later)

    @property
    def distinct(self) -> int:
        """Different values of legacy, at most MOST_MAPPED + 1: from there on they are not counted."""
        return MOST_MAPPED + 1 if self.mapping is None else len(self.mapping)


def _leaf(value: Json | Absent) -> str | None:
    """The value as text to be hashed; None for what is no value of an enumeration."""
    if isinstance(value, Absent):
        return "absent"
    if isinstance(value, dict | list) or (isinstance(value, str) and len(value) > LONGEST_MAPPED):
        return None
    return canonical(value)


_NARROW = EXACT.copy()
_NARROW.prec = 30
"""Digits of a factor: bounds get no longer by being intersected."""


def _factors(legacy: Decimal, candidate: Decimal) -> tuple[Decimal | None, Decimal | None]:
    """The factors that give the candidate's number but for less than one unit of its last digit, however it rounds."""
    exponent = candidate.as_tuple().exponent
    assert isinstance(exponent, int)  # finite
    if not legacy or not candidate:
        return None, None
    unit = Decimal(1).scaleb(min(exponent, 0))
    one, other = (_NARROW.divide(EXACT.add(candidate, each), legacy) for each in (-unit, unit))
    return min(one, other), max(one, other)


def merged(commons: Sequence[Common]) -> Common:
    """What several groups have in common; the groups stay as they are."""
    whole = Common(members=sum(each.members for each in commons))
    mappings = [each.mapping for each in commons]
    found: dict[str, Mapped] | None = {}
    for mapping in mappings:
        for key, entry in (mapping or {}).items():
            if found is None:
                break
            known = found.get(key)
            if known is None:
                found[key] = Mapped(entry.candidate, entry.count, entry.legacy_shown, entry.candidate_shown)
            elif known.candidate == entry.candidate:
                known.count += entry.count
            else:
                found = None
    whole.mapping = None if None in mappings or found is None or len(found) > MOST_MAPPED else found
    whole.constant = commons[0].constant if len({each.constant for each in commons}) == 1 else None
    whole.constant_shown = commons[0].constant_shown
    whole.offset = commons[0].offset if len({each.offset for each in commons}) == 1 else None
    lows, highs = [each.low for each in commons], [each.high for each in commons]
    if None not in lows and None not in highs:
        low, high = max(each for each in lows if each is not None), min(each for each in highs if each is not None)
        whole.low, whole.high = (low, high) if low <= high else (None, None)
    whole.numeric = all(each.numeric for each in commons)
    whole.timed = all(each.timed for each in commons)
    times = [time for each in commons for time in (each.earliest, each.latest) if time is not None]
    whole.earliest, whole.latest = (min(times), max(times)) if whole.timed and times else (None, None)
    lengths = [length for each in commons for length in (each.shortest, each.longest) if length is not None]
    whole.shortest, whole.longest = (min(lengths), max(lengths)) if lengths else (None, None)
    return whole


def simplest(low: Decimal, high: Decimal) -> Decimal:
    """The number between the two, both positive, with the fewest digits after the point, then the least."""
    for places in range(20):
        unit = Decimal(1).scaleb(-places)
        least = low.quantize(unit, "ROUND_CEILING", EXACT)
        if least <= high:
            return least
    return low
