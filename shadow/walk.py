"""Two JSON values side by side: every place where they disagree. Pure, and bounded in depth, time and findings.

Lists are compared by position. Where their lengths differ, the items that agree at the head and then those that agree
at the tail are matched first, what is left between them by position, and the surplus there is missing or added: one
item dropped from the middle is one difference, not one for every item behind it. So every difference but those in
lists that a mask lets come in any order has the same index on both sides.

Without masks, the differences turn legacy's value into the candidate's when applied to it (tests/shadow state the law).
"""

from __future__ import annotations

from decimal import Decimal

from shadow.differences import DifferenceKind
from shadow.findings import Findings
from shadow.masks import CompiledMask
from shadow.paths import Step, path, pointer
from shadow.reorder import BudgetSpentError, Matching, match_items, same_items
from shadow.values import ABSENT, Absent, Json, kind_of, same

BUDGET = 200_000
"""Values that may be looked at more than once per pair, to match the items of lists: about 0.3 s."""
TRIAL = 8
"""What setting up the comparison of two items costs, in values looked at."""


_LEAVES = frozenset((str, int, bool, Decimal, type(None)))


class Budget:
    """What is left to spend on matching list items, shared by a comparison and its trials."""

    __slots__ = ("_left",)

    def __init__(self, left: int = BUDGET) -> None:
        self._left = left

    def spend(self, cost: int) -> None:
        """Raises BudgetSpentError when less than `cost` is left."""
        self._left -= cost
        if self._left < 0:
            raise BudgetSpentError


class Walk:
    """One comparison of two JSON values; what it finds goes to `findings`."""

    __slots__ = ("_budget", "_findings", "_masks", "_steps", "_trial")

    def __init__(self, findings: Findings, budget: Budget | None = None, steps: list[Step] | None = None) -> None:
        """With a `budget`, this is a trial of two items at `steps`, and looking at a value costs."""
        self._findings = findings
        self._masks = findings.masks
        self._budget = budget or Budget()
        self._trial = budget is not None
        self._steps: list[Step] = steps or []

    def compare(self, legacy: Json, candidate: Json) -> None:
        """Find every difference. A trial raises BudgetSpentError when its budget is spent."""
        self._value(legacy, candidate)

    def _value(self, a: Json, b: Json) -> None:
        if self._trial:
            self._budget.spend(1)
        if isinstance(a, dict) and isinstance(b, dict):
            self._object(a, b)
        elif isinstance(a, list) and isinstance(b, list):
            self._list(a, b)
        elif not same(a, b):
            changed = kind_of(a) == kind_of(b)
            self._found(DifferenceKind.VALUE_CHANGED if changed else DifferenceKind.TYPE_CHANGED, a, b)

    def _object(self, a: dict[str, Json], b: dict[str, Json]) -> None:
        steps = self._steps
        for key, value in a.items():
            if key in b:
                other = b[key]
                if type(value) is type(other) and type(value) in _LEAVES and value == other:
                    continue  # most fields: spares a call each, a third of the time for a 5 KB body
                steps.append(key)
                self._value(value, other)
                steps.pop()
            else:
                self._found(DifferenceKind.MISSING, value, ABSENT, key)
        if len(b) != len(a) or b.keys() != a.keys():
            for key, value in b.items():
                if key not in a:
                    self._found(DifferenceKind.ADDED, ABSENT, value, key)

    def _list(self, a: list[Json], b: list[Json]) -> None:
        if self._masks.reorder and (mask := self._masks.order(pointer(self._steps))) is not None:
            self._any_order(a, b, mask)
            return
        start, tail = self._alike(a, b) if len(a) != len(b) else (0, 0)
        steps = self._steps
        legacy_end, candidate_end = len(a) - tail, len(b) - tail
        for index in range(start, min(legacy_end, candidate_end)):
            value, other = a[index], b[index]
            if type(value) is type(other) and type(value) in _LEAVES and value == other:
                continue
            steps.append(index)
            self._value(value, other)
            steps.pop()
        for index in range(candidate_end, legacy_end):
            self._found(DifferenceKind.ITEM_MISSING, a[index], ABSENT, index)
        for index in range(legacy_end, candidate_end):
            self._found(DifferenceKind.ITEM_ADDED, ABSENT, b[index], index)

    def _alike(self, a: list[Json], b: list[Json]) -> tuple[int, int]:
        """How many items agree at the head, and then at the tail, of lists of different length."""
        shorter = min(len(a), len(b))
        head = 0
        while head < shorter and self._agree(a[head], b[head], head):
            head += 1
        tail = 0
        while tail < shorter - head and self._agree(a[-1 - tail], b[-1 - tail], len(a) - 1 - tail):
            tail += 1
        return head, tail

    def _agree(self, a: Json, b: Json, index: int) -> bool:
        """Whether two items agree under the masks; what masks excuse in them is counted.

        Without budget left, nothing agrees: the items are then compared by position, which is right if less telling.
        """
        try:
            trial = self._attempt(a, b, index)
        except BudgetSpentError:
            return False
        if trial.count:
            return False
        self._findings.excused += trial.excused
        return True

    def _attempt(self, a: Json, b: Json, index: int) -> Findings:
        """What a comparison of two items of the list at hand finds; on the same budget."""
        found = Findings(self._masks, most=0)
        Walk(found, self._budget, [*self._steps, index]).compare(a, b)
        return found

    def _any_order(self, a: list[Json], b: list[Json], mask: CompiledMask) -> None:
        try:
            if mask.as_set and same_items(a, b, self):
                if not same(a, b):
                    self._findings.excused[mask.name] += 1
                return
            found = match_items(a, b, mask.by, self)
        except BudgetSpentError:
            self._found(DifferenceKind.NOT_LOCATED, f"list of {len(a)}", f"list of {len(b)}")
            return
        self._matched(a, b, found)
        if found.moved:
            self._findings.excused[mask.name] += 1

    def spend(self, cost: int) -> None:
        """For shadow.reorder (Purse)."""
        self._budget.spend(cost)

    def price(self, a: Json, b: Json) -> int:
        """For shadow.reorder (Purse): differences between two items of the list at hand."""
        self._budget.spend(TRIAL)
        return self._attempt(a, b, 0).count

    def _matched(self, a: list[Json], b: list[Json], found: Matching) -> None:
        steps = self._steps
        for left, right in found.pairs:
            steps.append(left)
            self._value(a[left], b[right])
            steps.pop()
        for index in found.missing:
            self._found(DifferenceKind.ITEM_MISSING, a[index], ABSENT, index)
        for index in found.added:
            self._found(DifferenceKind.ITEM_ADDED, ABSENT, b[index], index)

    def _found(self, kind: DifferenceKind, a: Json | Absent, b: Json | Absent, *below: Step) -> None:
        steps = [*self._steps, *below]
        self._findings.add(kind, pointer(steps), path(steps), a, b)
