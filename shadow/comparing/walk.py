"""Two JSON values side by side: every place where they disagree. Pure, and bounded in depth, time and findings.

Lists are aligned so that the fewest items were changed, went or came (alignment.py): one item dropped from the
middle is one difference, not one for every item behind it. Items that lie between two equal ones go together where they
are objects of one `id`, and otherwise by position; what is then left over is missing, or was added. A list too long to
align within the budget is compared by position if both sides have as many items, else it is different as a whole.

Without masks, the differences turn legacy's value into the candidate's when applied to it (tests/shadow state the law).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from shadow.comparing.alignment import Anchors, align, gaps
from shadow.comparing.differences import DifferenceKind
from shadow.comparing.findings import DisagreementError, Findings
from shadow.comparing.masks import CompiledMask
from shadow.comparing.paths import Step, path, pointer
from shadow.comparing.reorder import BudgetSpentError, Matching, match_items, same_items
from shadow.comparing.values import ABSENT, Absent, Json, canonical, kind_of, same

BUDGET = 200_000
"""Steps that a pair may cost beyond one look at each value, to match the items of its lists: about 0.3 s."""
CHARACTERS_PER_STEP = 64
"""What writing an item in its canonical form costs, which C does."""
TRIAL = 8
"""What setting up the comparison of two items costs, in values looked at."""


_LEAVES = frozenset((str, int, bool, Decimal, type(None)))


class Budget:
    """What is left to spend on matching list items, shared by a comparison and its trials."""

    __slots__ = ("_left", "spent")

    def __init__(self, left: int = BUDGET) -> None:
        self._left = left
        self.spent = 0

    def spend(self, cost: int) -> None:
        """Raises BudgetSpentError when less than `cost` is left, now and ever after."""
        self.spent = min(self.spent + cost, self._left + 1)
        if self.spent > self._left:
            raise BudgetSpentError


class Walk:
    """One comparison of two JSON values; what it finds goes to `findings`."""

    __slots__ = ("_agreeing", "_budget", "_findings", "_masks", "_steps", "_trial")

    def __init__(
        self,
        findings: Findings,
        budget: Budget | None = None,
        steps: list[Step] | None = None,
        trial: bool = True,
        agreeing: bool = False,
    ) -> None:
        """With a `budget`, this is a trial of two items at `steps`, and looking at a value costs.

        `agreeing` asks no more of it than whether they agree: lists by position, so that a trial costs what it reads.
        """
        self._findings = findings
        self._masks = findings.masks
        self._budget = budget or Budget()
        self._trial = trial and budget is not None
        self._agreeing = agreeing
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
        if self._trial:
            self._budget.spend(len(a))
        for key, value in a.items():
            if key in b:
                other = b[key]
                kind = type(value)
                if kind is type(other):
                    # Most fields: spares a call each. Whole objects and lists are mostly equal too, which C sees.
                    if kind in _LEAVES:
                        if value == other:
                            continue
                    elif not self._trial and same(value, other):
                        continue
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
        head, tail = (0, 0) if self._agreeing else self._alike(a, b)
        end, other_end = len(a) - tail, len(b) - tail
        if head == min(end, other_end) or end - head == other_end - head == 1 or self._agreeing:
            self._gap(a, b, range(head, end), range(head, other_end))
            return
        try:
            anchors = self._anchors(a, b, head, tail)
        except BudgetSpentError:
            if self._trial:
                raise
            if len(a) == len(b):  # by position is a true account of them, if perhaps not the shortest
                self._gap(a, b, range(head, end), range(head, other_end))
            else:
                self._found(DifferenceKind.NOT_LOCATED, f"list of {len(a)}", f"list of {len(b)}")
            return
        for went, came in gaps(anchors, end - head, other_end - head):
            self._between(a, b, _moved(went, head), _moved(came, head))

    def _alike(self, a: list[Json], b: list[Json]) -> tuple[int, int]:
        """How many items agree at the head, and then at the tail, of two lists."""
        shorter = min(len(a), len(b))
        head = 0
        while head < shorter and a[head] == b[head]:
            head += 1
        if head and not same(a[:head], b[:head]):  # true stands against 1 somewhere
            head = next(index for index in range(head) if not same(a[index], b[index]))
        while head < shorter and self._agree(a[head], b[head], head):
            head += 1
        # In lists of one length, the item at the head is known to differ.
        most = shorter - head - (len(a) == len(b))
        tail = 0
        while tail < most and a[-1 - tail] == b[-1 - tail]:
            tail += 1
        if tail and not same(a[-tail:], b[-tail:]):
            tail = next(index for index in range(tail) if not same(a[-1 - index], b[-1 - index]))
        if self._trial:
            self._budget.spend(head + tail)
        while tail < most and self._agree(a[-1 - tail], b[-1 - tail], len(a) - 1 - tail):
            tail += 1
        return head, tail

    def _agree(self, a: Json, b: Json, index: int) -> bool:
        """Whether two items agree under the masks; what masks excuse in them is counted."""
        if same(a, b):
            return True
        found = self._agreement(a, b, index)
        if found is None:
            return False
        self._findings.excused += found.excused
        return True

    def _agreement(self, a: Json, b: Json, index: int) -> Findings | None:
        """What masks excuse in two items that agree only by their help; None for items that do not agree.

        Without budget left, nothing agrees: the items are then compared by position, which is right if less telling.
        """
        if not self._masks.excuse and not self._masks.reorder:
            return None
        found = Findings(self._masks, most=0, only=True)
        try:
            Walk(found, self._budget, [*self._steps, index], agreeing=True).compare(a, b)
        except (BudgetSpentError, DisagreementError):
            return None
        return found

    def _anchors(self, a: list[Json], b: list[Json], head: int, tail: int) -> Anchors:
        """Which items between head and tail are equal, or agree, in the shortest alignment of them."""
        left, right = a[head : len(a) - tail], b[head : len(b) - tail]
        names, others = self._names(left), self._names(right)
        if not self._masks.excuse and not self._masks.reorder:
            return align(names, others, self._budget.spend)
        known: dict[tuple[int, int], Findings | None] = {}

        def agree(i: int, j: int) -> bool:
            if (i, j) not in known:
                self._budget.spend(TRIAL)
                known[i, j] = self._agreement(left[i], right[j], head + i)
            return known[i, j] is not None

        anchors = align(names, others, self._budget.spend, agree)
        for i, j in anchors:
            if names[i] != others[j] and (found := known[i, j]) is not None:
                self._findings.excused += found.excused
        return anchors

    def _names(self, items: list[Json]) -> list[str]:
        """One text per item, the same for items that are the same."""
        names = []
        for item in items:
            name = canonical(item)
            self._budget.spend(1 + len(name) // CHARACTERS_PER_STEP)
            names.append(name)
        return names

    def _between(self, a: list[Json], b: list[Json], went: range, came: range) -> None:
        """What lies between two anchors: items of one `id` together, the others by position."""
        left, right = _identities(a, went), _identities(b, came)
        if left is None or right is None or len(went) == len(came) == 1:
            self._gap(a, b, went, came)
            return
        try:
            kin = align(left, right, self._budget.spend)
        except BudgetSpentError:
            kin = []
        for before, after in gaps(kin, len(went), len(came)):
            self._gap(a, b, went[before.start : before.stop], came[after.start : after.stop])
        for i, j in kin:
            self._pair(a, b, went[i], came[j])

    def _gap(self, a: list[Json], b: list[Json], went: range, came: range) -> None:
        """Items by position; what one side has more of is missing, or was added."""
        if self._trial:
            self._budget.spend(len(went))
        for index, place in zip(went, came, strict=False):
            self._pair(a, b, index, place)
        for index in went[len(came) :]:
            self._found(DifferenceKind.ITEM_MISSING, a[index], ABSENT, index)
        for index in came[len(went) :]:
            self._found(DifferenceKind.ITEM_ADDED, ABSENT, b[index], index)

    def _pair(self, a: list[Json], b: list[Json], index: int, place: int) -> None:
        value, other = a[index], b[place]
        if type(value) is type(other) and type(value) in _LEAVES and value == other:
            return
        self._steps.append(index)
        self._value(value, other)
        self._steps.pop()

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
        """For shadow.comparing.reorder (Purse)."""
        self._budget.spend(cost)

    def price(self, a: Json, b: Json) -> int:
        """For shadow.comparing.reorder (Purse): differences between two items of the list at hand."""
        self._budget.spend(TRIAL)
        found = Findings(self._masks, most=0)
        Walk(found, self._budget, [*self._steps, 0]).compare(a, b)
        return found.count

    def _matched(self, a: list[Json], b: list[Json], found: Matching) -> None:
        for left, right in found.pairs:
            self._pair(a, b, left, right)
        for index in found.missing:
            self._found(DifferenceKind.ITEM_MISSING, a[index], ABSENT, index)
        for index in found.added:
            self._found(DifferenceKind.ITEM_ADDED, ABSENT, b[index], index)

    def _found(self, kind: DifferenceKind, a: Json | Absent, b: Json | Absent, *below: Step) -> None:
        steps = [*self._steps, *below]
        self._findings.add(kind, pointer(steps), path(steps), a, b)


def _moved(places: range, by: int) -> range:
    return range(places.start + by, places.stop + by)


def _identities(items: Sequence[Json], places: range) -> list[str] | None:
    """The `id` of each item, in canonical form; None unless all are objects with one."""
    found = []
    for place in places:
        item = items[place]
        if not isinstance(item, dict) or not isinstance(identity := item.get("id"), str | int | Decimal):
            return None
        found.append(canonical(identity))
    return found
