"""What became of each cause: new, acknowledged, fixed, came back. Pure: all of it follows from what was counted.

Nobody has to close a cause. It is fixed when none of so many comparable pairs in a row had a member that, had it gone
on at its rate, as long a silence would come by chance in less than one of a hundred cases: n pairs with
members x (1 - rate)^n < 1 %, as there is a silence behind each member, and never less than FEWEST. Pairs of a later
window (another candidate or comparison) count with them. A cause that was fixed and has a member again came back, and
who had acknowledged it before has to look again.

Acknowledging says that somebody knows; it excuses nothing, and no certificate passes for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from shadow.causes.grouping import Cause, last_ordinal
from shadow.pairs.kept import Window

FEWEST = 100
"""Pairs without a member before a cause can be called fixed, however frequent it was."""
BY_CHANCE = 0.01
"""How probable so long a silence may be, anywhere among the members, had nothing changed."""


class State(StrEnum):
    """What became of a cause."""

    NEW = "new"
    ACKNOWLEDGED = "acknowledged"
    FIXED = "fixed"
    CAME_BACK = "came back"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """That somebody knows of a cause."""

    cause: str
    who: str
    why: str
    at: float
    """Seconds since the epoch."""
    extent: tuple[str, ...]
    """What the cause was known to do then (Cause.extent); whatever it does beyond is new."""


@dataclass(frozen=True, slots=True)
class Known:
    """A cause, and what became of it."""

    cause: Cause
    """As the latest window that has it counted it."""
    window: Window
    """That window."""
    state: State
    why: str
    """Which rule says so, in a sentence; empty for what is simply new."""
    first: float
    """When it was first seen, in any window: seconds since the epoch."""
    last: float
    acknowledgement: Acknowledgement | None


def known_causes(
    windows: Sequence[Window], found: Mapping[int, Sequence[Cause]], acknowledged: Mapping[str, Acknowledgement]
) -> tuple[Known, ...]:
    """Every cause of a route, those of the current window first, then by pairs.

    `windows` are the latest first, `found` the causes by number of their window, `acknowledged` by cause.
    """
    seen: dict[str, list[tuple[Window, Cause]]] = {}
    for window in windows:
        for cause in found.get(window.number, ()):
            seen.setdefault(cause.id, []).append((window, cause))
    known = (_known(windows, history, acknowledged.get(id)) for id, history in seen.items())
    return tuple(sorted(known, key=lambda each: (-each.window.number, -each.cause.pairs, each.cause.id)))


def needed(pairs: int, among: int) -> int:
    """How many pairs in a row without a member say that a cause is gone that `pairs` of `among` had.

    Every member begins a silence, and each of them is looked at: together they may be mistaken once in a hundred times
    (Bonferroni).
    """
    rate = min(pairs / max(among, 1), 0.999)
    return max(FEWEST, math.ceil(math.log(BY_CHANCE / max(pairs, 1)) / math.log1p(-rate)))


def _known(
    windows: Sequence[Window], history: Sequence[tuple[Window, Cause]], acknowledgement: Acknowledgement | None
) -> Known:
    window, cause = history[0]
    state, why = _state(windows, history, acknowledgement)
    first = min(each.first for _, each in history)
    return Known(cause, window, state, why, first, cause.last, acknowledgement)


def _state(
    windows: Sequence[Window], history: Sequence[tuple[Window, Cause]], acknowledgement: Acknowledgement | None
) -> tuple[State, str]:
    window, cause = history[0]
    last = last_ordinal(cause)
    enough = needed(cause.pairs, last)
    # Pairs since its last member, later windows included: each of them was compared.
    later = sum(each.pairs for each in windows if each.number > window.number)
    quiet = window.pairs - last + later
    if quiet >= enough:
        since = "" if window is windows[0] else f", {later:,} of them since '{windows[0].reason}'"
        return State.FIXED, f"none in the last {quiet:,} pairs{since}; {enough:,} would be enough to tell"
    back = _back(windows, history)
    if back is not None and (acknowledgement is None or acknowledgement.at < back):
        return State.CAME_BACK, "it was fixed, and has been seen again"
    if acknowledgement is not None:
        if wider := [each for each in cause.extent if each not in acknowledgement.extent]:
            return State.NEW, f"acknowledged by {acknowledgement.who}, but since then also: {', '.join(wider[:3])}"
        return State.ACKNOWLEDGED, f"{acknowledgement.who}: {acknowledgement.why}"
    if window is not windows[0]:
        return State.NEW, f"not seen in the {later:,} pairs since '{windows[0].reason}'; {enough:,} are needed to tell"
    return State.NEW, ""


def _back(windows: Sequence[Window], history: Sequence[tuple[Window, Cause]]) -> float | None:
    """When it was last seen again after having been fixed, in seconds since the epoch; None when it never was."""
    _, cause = history[0]
    # Its longest silence in the window is known place by place; that of its most frequent place stands for all.
    row = max(cause.rows, key=lambda each: each.pairs)
    returns: list[float] = []
    if row.quiet >= needed(cause.pairs, last_ordinal(cause)):
        returns.append(row.back)
    for (later_window, later), (former_window, former) in pairwise(history):
        between = sum(each.pairs for each in windows if former_window.number < each.number < later_window.number)
        silence = between + former_window.pairs - last_ordinal(former) + min(r.first_ordinal for r in later.rows) - 1
        if silence >= needed(former.pairs, last_ordinal(former)):
            returns.append(later.first)
    return max(returns, default=None)
