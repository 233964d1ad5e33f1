"""Two bodies side by side, as lines: what differs stands in one row, long equal runs are folded. For people's eyes.

The rows are made from the bodies as they are kept, so they are a picture of the pair, not the judgement: what differs
but is not among the pair's differences was excused by a mask, and is marked so.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest

from shadow.comparing.alignment import align, gaps
from shadow.comparing.bodies import Form, form_of
from shadow.comparing.differences import DifferenceKind
from shadow.comparing.findings import Findings
from shadow.comparing.masks import Masks
from shadow.comparing.paths import Step, pointer
from shadow.comparing.reorder import BudgetSpentError, match_items
from shadow.comparing.values import ABSENT, Absent, Json, UnreadableError, parse, same, written
from shadow.comparing.walk import Budget, Walk
from shadow.pair import Answer
from shadow.pairs.kept import KeptPair

CONTEXT = 2
"""Equal lines shown around what differs."""
MOST_ROWS = 3_000
"""Rows made of one pair; what comes after is cut off, and said to be."""
MATCHING_BUDGET = 20_000
LONG = 200
"""Characters of a line of XML or HTML from which on each tag that follows another begins a line of its own."""
_INDENT = "  "
_TAGS = re.compile(r"(?<=>)(?=<)")
_WHOLE = (DifferenceKind.STATUS, DifferenceKind.NO_ANSWER)
"""After these, bodies are not held against each other."""


class Mark(StrEnum):
    """What a row shows."""

    SAME = "same"
    CHANGED = "changed"
    MISSING = "missing"
    ADDED = "added"
    EXCUSED = "excused"
    """Different, and a mask says that this is fine, or it was not compared."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of each body; None where one side has none."""

    legacy: str | None
    candidate: str | None
    mark: Mark


@dataclass(frozen=True, slots=True)
class Fold:
    """Equal rows that are shown only when asked for."""

    rows: tuple[Row, ...]


def side_by_side(kept: KeptPair) -> tuple[Row | Fold, ...]:
    """The bodies of a kept pair."""
    legacy, candidate = _value(kept.pair.legacy), _value(kept.pair.candidate)
    if isinstance(legacy, Absent) or isinstance(candidate, Absent):
        compared = not any(each.kind in _WHOLE for each in kept.differences)
        changed = Mark.CHANGED if compared else Mark.EXCUSED
        rows = list(_text_rows(_text(kept.pair.legacy), _text(kept.pair.candidate), changed))
    else:
        everything = any(each.kind is DifferenceKind.NOT_LOCATED for each in kept.differences)
        places = None if everything else {each.pointer for each in kept.differences}
        rows = []
        picture = _Picture(rows, places)
        picture.draw(legacy, candidate)
    if len(rows) > MOST_ROWS:
        rows = [*rows[:MOST_ROWS], Row("… cut off here", "… cut off here", Mark.CHANGED)]
    return tuple(_folded(rows))


def _value(answer: Answer) -> Json | Absent:
    if form_of(answer.header("content-type"), answer.body) is not Form.JSON:
        return ABSENT
    try:
        return parse(answer.body)
    except UnreadableError:
        return ABSENT


def _text(answer: Answer) -> list[str]:
    if answer.failure:
        return [f"(no answer: {answer.failure})"]
    text = answer.body.decode(errors="replace")
    if form_of(answer.header("content-type"), answer.body) in (Form.XML, Form.HTML):
        # Services write a page as one line; of a line of a hundred kilobytes nobody sees what differs.
        return [part for line in text.split("\n") for part in (_TAGS.split(line) if len(line) > LONG else (line,))]
    return text.split("\n") if text else []


def _text_rows(a: Sequence[str], b: Sequence[str], changed: Mark) -> Iterator[Row]:
    try:
        anchors = align(a, b, Budget(MATCHING_BUDGET).spend)
    except BudgetSpentError:
        anchors = []
    i = 0
    for left, right in gaps(anchors, len(a), len(b)):
        yield from (Row(line, line, Mark.SAME) for line in a[i : left.start])
        yield from _beside(a[left.start : left.stop], b[right.start : right.stop], changed)
        i = left.stop
    yield from (Row(line, line, Mark.SAME) for line in a[i:])


def _beside(a: Sequence[str], b: Sequence[str], changed: Mark = Mark.CHANGED) -> Iterator[Row]:
    for left, right in zip_longest(a, b):
        if left == right:
            yield Row(left, right, Mark.SAME)
        elif right is None:
            yield Row(left, None, Mark.MISSING if changed is Mark.CHANGED else changed)
        elif left is None:
            yield Row(None, right, Mark.ADDED if changed is Mark.CHANGED else changed)
        else:
            yield Row(left, right, changed)


def _folded(rows: Sequence[Row]) -> Iterator[Row | Fold]:
    """Runs of equal rows as folds, but for the CONTEXT next to what differs."""
    near = {
        index
        for place, row in enumerate(rows)
        if row.mark is not Mark.SAME
        for index in range(place - CONTEXT, place + CONTEXT + 1)
    }
    run: list[Row] = []
    for index, row in enumerate(rows):
        if index in near:
            yield from _run(run)
            run = []
            yield row
        else:
            run.append(row)
    yield from _run(run)


def _run(rows: list[Row]) -> Iterator[Row | Fold]:
    if len(rows) > 2:
        yield Fold(tuple(rows))
    else:
        yield from rows


class _Purse:
    """Lets shadow.comparing.reorder match the items of a list for the picture."""

    def __init__(self) -> None:
        self._budget = Budget(MATCHING_BUDGET)

    def spend(self, cost: int) -> None:
        self._budget.spend(cost)

    def price(self, a: Json, b: Json) -> int:
        self._budget.spend(1)
        found = Findings(Masks(()), most=0)
        Walk(found, self._budget).compare(a, b)
        return found.count


class _Picture:
    """Draws two JSON values as rows."""

    def __init__(self, rows: list[Row], places: Collection[str] | None) -> None:
        """`places` are the pointers that differ; None when they are not all known."""
        self._rows = rows
        self._places = places
        self._steps: list[Step] = []

    def draw(self, a: Json | Absent, b: Json | Absent, label: str = "", comma: str = "") -> None:
        """Add the rows of both values; `label` stands before them, `comma` after."""
        if len(self._rows) > MOST_ROWS:
            return
        if isinstance(a, dict) and isinstance(b, dict) and not same(a, b):
            self._branch("{", "}", label, comma, self._members(a, b))
        elif isinstance(a, list) and isinstance(b, list) and not same(a, b):
            self._branch("[", "]", label, comma, self._items(a, b))
        else:
            self._leaf(a, b, label, comma)

    def _leaf(self, a: Json | Absent, b: Json | Absent, label: str, comma: str) -> None:
        indent = _INDENT * len(self._steps)
        left = [] if isinstance(a, Absent) else [indent + line for line in pretty(a, label, comma)]
        right = [] if isinstance(b, Absent) else [indent + line for line in pretty(b, label, comma)]
        known = self._places is None or pointer(self._steps) in self._places
        self._rows.extend(_beside(left, right, Mark.CHANGED if known else Mark.EXCUSED))

    def _branch(
        self,
        opening: str,
        closing: str,
        label: str,
        comma: str,
        children: Sequence[tuple[Step, Json | Absent, Json | Absent, str]],
    ) -> None:
        indent = _INDENT * len(self._steps)
        for text, inside in ((indent + label + opening, True), (indent + closing + comma, False)):
            self._rows.append(Row(text, text, Mark.SAME))
            if inside:
                for number, (step, left, right, name) in enumerate(children, 1):
                    self._steps.append(step)
                    self.draw(left, right, name, "," if number < len(children) else "")
                    self._steps.pop()

    @staticmethod
    def _members(a: dict[str, Json], b: dict[str, Json]) -> list[tuple[Step, Json | Absent, Json | Absent, str]]:
        keys = [*a, *(key for key in b if key not in a)]
        return [(key, a.get(key, ABSENT), b.get(key, ABSENT), f"{written(key)}: ") for key in keys]

    def _items(self, a: list[Json], b: list[Json]) -> list[tuple[Step, Json | Absent, Json | Absent, str]]:
        shifted = len(a) != len(b)
        unequal = sum(1 for left, right in zip(a, b, strict=False) if not same(left, right))
        if shifted or unequal > self._places_below():
            try:
                return self._matched(a, b)
            except BudgetSpentError:
                pass
        return [(index, *both, "") for index, both in enumerate(zip_longest(a, b, fillvalue=ABSENT))]

    def _places_below(self) -> int:
        """Items of the list at hand that hold a difference."""
        if self._places is None:
            return 0
        here = pointer(self._steps) + "/"
        return len({place[len(here) :].split("/", 1)[0] for place in self._places if place.startswith(here)})

    @staticmethod
    def _matched(a: list[Json], b: list[Json]) -> list[tuple[Step, Json | Absent, Json | Absent, str]]:
        """Items that belong together in one row, wherever they stand; legacy's order, then what is added."""
        matching = match_items(a, b, None, _Purse())
        partner = dict(matching.pairs)
        rows: list[tuple[Step, Json | Absent, Json | Absent, str]] = [
            (index, item, b[partner[index]] if index in partner else ABSENT, "") for index, item in enumerate(a)
        ]
        return rows + [(index, ABSENT, b[index], "") for index in matching.added]


def pretty(value: Json, label: str = "", comma: str = "") -> Iterator[str]:
    """JSON text over several lines; numbers with their digits as they came."""
    if isinstance(value, dict) and value:
        yield label + "{"
        for number, (key, item) in enumerate(value.items(), 1):
            for line in pretty(item, f"{written(key)}: ", "," if number < len(value) else ""):
                yield _INDENT + line
        yield "}" + comma
    elif isinstance(value, list) and value:
        yield label + "["
        for number, item in enumerate(value, 1):
            for line in pretty(item, "", "," if number < len(value) else ""):
                yield _INDENT + line
        yield "]" + comma
    else:
        yield label + written(value) + comma
