"""Which items of two sequences belong together when some were changed, left out or put in. Pure.

The alignment with the fewest items changed, missing or added: edit distance with equal costs (Wagner and Fischer 1974),
found by furthest-reaching points on diagonals (Ukkonen 1985), so that the work is the square of the distance and not of
the length. Where by position is as good, it is by position. The choice among equally good ones does not depend on which
side is called legacy.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

Agree = Callable[[int, int], bool]
"""Whether item i of one sequence and item j of the other are equal."""
Spend = Callable[[int], None]
"""Takes a cost, in steps; raises shadow.comparing.reorder.BudgetSpentError when there is no more."""
Anchors = list[tuple[int, int]]
"""Indexes of items that are equal, ascending on both sides."""


def align(
    a: Sequence[Hashable],
    b: Sequence[Hashable],
    spend: Spend,
    agree: Agree | None = None,
    written: Callable[[Any], str] = repr,
) -> Anchors:
    """Equal items in an alignment of fewest edits; what lies between two of them was changed, went or came.

    Items are equal when they are `==`, and where `agree` is given, also when it says so. `written` gives the text of
    an item, by which is chosen among alignments that are equally good. Raises what `spend` raises.
    """
    if agree is None and set(a).isdisjoint(b):
        return []

    # Without the equal heads and tails, which some alignment of fewest edits always matches.
    def equal(i: int, j: int) -> bool:
        return a[i] == b[j] or (agree is not None and agree(i, j))

    n, m = len(a), len(b)
    shorter = min(n, m)
    head = 0
    while head < shorter and equal(head, head):
        head += 1
    tail = 0
    while tail < shorter - head and equal(n - 1 - tail, m - 1 - tail):
        tail += 1
    spend(head + tail)
    start = [(index, index) for index in range(head)]
    end = [(n - tail + index, m - tail + index) for index in range(tail)]
    if head + tail == shorter:
        return start + end
    spend(shorter - head - tail)
    standing = [(index, index) for index in range(head, shorter - tail) if equal(index, index)]
    by_position = max(n, m) - head - tail - len(standing)
    within: Agree | None = (lambda i, j: agree(head + i, head + j)) if agree is not None else None
    found = _fewer_edits(a[head : n - tail], b[head : m - tail], within, by_position, spend, written)
    middle = standing if found is None else [(head + i, head + j) for i, j in found]
    return start + middle + end


def gaps(anchors: Anchors, n: int, m: int) -> Iterator[tuple[range, range]]:
    """What lies between anchors, as the indexes of both sides; none is empty on both."""
    i = j = 0
    for left, right in [*anchors, (n, m)]:
        if i < left or j < right:
            yield range(i, left), range(j, right)
        i, j = left + 1, right + 1


def _fewer_edits(
    a: Sequence[Hashable],
    b: Sequence[Hashable],
    agree: Agree | None,
    than: int,
    spend: Spend,
    written: Callable[[Any], str],
) -> Anchors | None:
    """The anchors of an alignment of fewer edits, the same ones whichever side is called legacy; None if none has."""
    if than <= 1:
        return None
    if len(a) < len(b) or (len(a) == len(b) and written(a[0]) <= written(b[0])):
        return _fewest_edits(a, b, agree, than - 1, spend)
    mirrored: Agree | None = (lambda j, i: agree(i, j)) if agree is not None else None
    found = _fewest_edits(b, a, mirrored, than - 1, spend)
    return None if found is None else [(i, j) for j, i in found]


_CHANGED, _CAME, _WENT = range(3)


def _fewest_edits(
    a: Sequence[Hashable], b: Sequence[Hashable], agree: Agree | None, most: int, spend: Spend
) -> Anchors | None:
    """The anchors of an alignment of at most `most` edits, or None where every one takes more. Hot.

    Diagonal k holds the points that have used up k more items of `b` than of `a`. `reach` says how many of `a` are used
    up, at most, after d edits on each, -1 where it cannot be reached; diagonal k stands at k + d + 1, so that each row
    has room for its neighbours. `steps` remembers each row's last edits, and how far they got before equal items.
    """
    n, m = len(a), len(b)
    goal = m - n
    reach = [-1, -1, -1]
    steps: list[list[tuple[int, int]]] = []
    for d in range(most + 1):
        # Diagonals from which the goal is still within `most`; others cannot be on the way.
        first, last = max(-d, -n, goal - (most - d)), min(d, m, goal + (most - d))
        spend(last - first + 1)
        row = [-1] * (2 * d + 5)
        step = [(-1, 0)] * (2 * d + 5)
        for k in range(first, last + 1):
            i, move = 0, _CHANGED
            if d:
                i = reach[k + d]
                i = i + 1 if 0 <= i < n and i + k < m else -1
                came, went = reach[k + d - 1], reach[k + d + 1]
                if came > i and came + k <= m:
                    i, move = came, _CAME
                if i <= went < n:
                    i, move = went + 1, _WENT
                if i < 0:
                    continue
            start = i
            while i < n and i + k < m and (a[i] == b[i + k] or (agree is not None and agree(i, i + k))):
                i += 1
            spend(i - start)
            row[k + d + 1] = i
            step[k + d + 1] = (start, move)
        steps.append(step)
        if row[goal + d + 1 if -d <= goal <= d else 0] == n:
            return _traced(steps, n, goal)
        reach = row
    return None


def _traced(steps: list[list[tuple[int, int]]], n: int, goal: int) -> Anchors:
    """The equal items on the way from the last point back to the first."""
    anchors: Anchors = []
    i, k = n, goal
    for d in range(len(steps) - 1, -1, -1):
        start, move = steps[d][k + d + 1]
        anchors.extend((index, index + k) for index in range(i - 1, start - 1, -1))
        i = start if move == _CAME else start - 1
        k += (0, -1, 1)[move]
    anchors.reverse()
    return anchors
