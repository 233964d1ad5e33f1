"""Differences counted by place and by the transforms that fit them: all that causes are made from. Hot, and bounded.

One per window of a route. Every difference is taken in when its pair is judged, so that what a cause says of its
members holds for all of them, though of the pairs only samples are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from shadow.causes.common import Common, Mark
from shadow.causes.signature import Member
from shadow.causes.transforms import Tier, rank
from shadow.comparing.differences import Difference, DifferenceKind
from shadow.comparing.values import ABSENT, Absent, Json, written
from shadow.pairs.kept import short_path

MOST_ROWS = 1_000
"""Groups told apart per window; what comes beyond counts as ELSEWHERE."""
MOST_AT_PLACE = 40
"""Groups told apart at one place and kind; what comes beyond counts there, as explained by nothing."""
MOST_EXAMPLES = 10
"""Pairs remembered per group, for people to look at and to replay."""
LONGEST_SHOWN = 100
"""Characters of a value that are shown of a member."""
LONGEST_TRANSFORM = 300
ELSEWHERE = "(other places)"

Key = tuple[str, str, tuple[str, ...]]
"""Path, kind, and the transforms that fit, the preferred first."""
Clean = Callable[[Sequence[Difference]], Sequence[Difference]]
"""Differences of one pair without any secret of it (shadow.redaction.redact)."""


@dataclass(frozen=True, slots=True)
class Example:
    """One member as it may be shown."""

    pair: str
    """The pair's id."""
    pointer: str
    legacy: str | None
    """JSON text, redacted and shortened; None for no value."""
    candidate: str | None


@dataclass(slots=True)
class Row:
    """All differences of one place to which the same transforms fit. Mutable: it counts."""

    path: str
    kind: str
    transforms: tuple[str, ...]
    pairs: int = 0
    count: int = 0
    """Differences; several of one pair where the path names every item of a list."""
    first: float = 0.0
    """When the first pair with a member was made, in seconds since the epoch."""
    last: float = 0.0
    first_ordinal: int = 0
    """Of that pair among all of its window, from 1."""
    last_ordinal: int = 0
    quiet: int = 0
    """The longest run of pairs without a member between two pairs with one."""
    back: float = 0.0
    """When that run ended: seconds since the epoch."""
    common: Common = field(default_factory=Common)
    examples: tuple[Example, ...] = ()
    explained: bool = field(init=False, compare=False)
    """Whether a transform of one difference, or of a whole list or object, explains all of it."""

    def __post_init__(self) -> None:
        self.explained = rank(self.transforms[0]).tier <= Tier.EXACT

    @property
    def key(self) -> Key:
        return self.path, self.kind, self.transforms

    def count_pair(self, ordinal: int, at: float) -> None:
        """Note that another pair has a member here."""
        if not self.pairs:
            self.first, self.first_ordinal = at, ordinal
        elif ordinal - self.last_ordinal - 1 > self.quiet:
            self.quiet, self.back = ordinal - self.last_ordinal - 1, at
        self.pairs += 1
        self.first, self.last = min(self.first, at), max(self.last, at)
        self.last_ordinal = ordinal


class Tally:
    """The groups of one window."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        """`rows` are what was counted before, as `changed` gave them."""
        self._rows = {row.key: row for row in rows}
        self._at_place = Counter((path, kind) for path, kind, _ in self._rows)
        self._changed: dict[Key, Row] = {}

    def take(self, pair: str, ordinal: int, at: float, members: Sequence[Member], clean: Clean, mark: Mark) -> bool:
        """Count the differences of one pair. Returns whether the pair became an example, and so is to be kept.

        `ordinal` is the pair's in its window, from 1, `at` when it was made, in seconds since the epoch.
        """
        shown = _Shown(members, clean)
        example = False
        for index, member in enumerate(members):
            row = self._row(index, member, shown)
            if not row.count or row.last_ordinal != ordinal:
                row.count_pair(ordinal, at)
                if len(row.examples) < MOST_EXAMPLES:
                    row.examples = (*row.examples, shown.example(index, pair))
                    example = True
            row.count += 1
            difference = member.difference
            entry = row.common.add(difference.legacy, difference.candidate, mark, row.explained)
            if entry is not None:
                entry.legacy_shown, entry.candidate_shown = shown.values(index)
                row.common.constant_shown = row.common.constant_shown or entry.candidate_shown
            self._changed[row.key] = row
        return example

    def changed(self) -> tuple[Row, ...]:
        """The rows that were counted into since this was called last."""
        rows = tuple(self._changed.values())
        self._changed.clear()
        return rows

    def _row(self, index: int, member: Member, shown: _Shown) -> Row:
        """The row of a member, made if there is none and room for it."""
        difference = member.difference
        key = (short_path(difference.path), str(difference.kind), member.transforms)
        row = self._rows.get(key)
        if row is not None:
            return row
        key = shown.key(index)  # a key of an object may be a secret too, so nothing is kept of it before this
        if key not in self._rows:
            if self._at_place[key[:2]] >= MOST_AT_PLACE:
                key = (*key[:2], key[2][-1:])
            if len(self._rows) >= MOST_ROWS and key not in self._rows:
                key = (ELSEWHERE, str(DifferenceKind.NOT_LOCATED), ("not_located",))
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = Row(*key)
            self._at_place[key[:2]] += 1
        return row


class _Shown:
    """What may be shown of one pair's members; made when it is first asked for, which is seldom."""

    def __init__(self, members: Sequence[Member], clean: Clean) -> None:
        self._members = members
        self._clean_differences = clean
        self._cleaned: Sequence[Difference] = ()
        self._texts: dict[str, str] = {}

    def _clean(self, index: int) -> Difference:
        if not self._cleaned:
            differences = [member.difference for member in self._members]
            # What transforms are called may name keys, and is cleared like a path.
            texts = list(dict.fromkeys(text for member in self._members for text in member.transforms))
            names = [Difference(DifferenceKind.VALUE_CHANGED, "body", text, ABSENT, ABSENT) for text in texts]
            cleaned = self._clean_differences([*differences, *names])
            self._cleaned = cleaned[: len(differences)]
            self._texts = dict(zip(texts, (each.path for each in cleaned[len(differences) :]), strict=True))
        return self._cleaned[index]

    def key(self, index: int) -> Key:
        difference = self._clean(index)
        transforms = tuple(self._texts[text][:LONGEST_TRANSFORM] for text in self._members[index].transforms)
        return short_path(difference.path), str(difference.kind), transforms

    def values(self, index: int) -> tuple[str, str]:
        difference = self._clean(index)
        return shown_value(difference.legacy) or "", shown_value(difference.candidate) or ""

    def example(self, index: int, pair: str) -> Example:
        difference = self._clean(index)
        legacy, candidate = difference.legacy, difference.candidate
        return Example(pair, short_path(difference.pointer), shown_value(legacy), shown_value(candidate))


def shown_value(value: Json | Absent) -> str | None:
    """JSON text of a value, shortened; None for no value."""
    if isinstance(value, Absent):
        return None
    text = written(value[:LONGEST_SHOWN] + "…" if isinstance(value, str) and len(value) > LONGEST_SHOWN else value)
    return text if len(text) <= LONGEST_SHOWN + 3 else text[:LONGEST_SHOWN] + "…"
