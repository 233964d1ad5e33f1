"""The arithmetic of the figures, and how they are shown: medians, ratios with their intervals, goals. Pure.

Programs are measured in turn, round by round, so round i of one stands beside round i of another: a ratio's interval
comes from drawing whole rounds anew (bootstrap, percentiles), which leaves in it what noise both had in common.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from random import Random
from statistics import median

DRAWS = 2000
COVERAGE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and between what it lies: the bootstrap's interval, or min and max where a docstring says so."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure that fig is to reach: at least, or at most, `bound`."""

    text: str
    figure: Estimate
    bound: float
    at_least: bool = True
    unit: str = "x"
    note: str = ""
    """What limits this figure, or how it is to be read; ``""`` for nothing to say."""
    is_stretch: bool = False
    """Wished for, not promised: the run succeeds without it."""

    @property
    def is_met(self) -> bool:
        return self.figure.value >= self.bound if self.at_least else self.figure.value <= self.bound

    @property
    def is_sure(self) -> bool:
        """Whether the whole interval lies on the same side of the bound as the value."""
        low, high = self.figure.low >= self.bound, self.figure.high >= self.bound
        return low == high == (self.is_met == self.at_least) or self.figure.low == self.figure.high


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of the measurement found, as it stands in results.md."""

    title: str
    lines: tuple[str, ...]
    goals: tuple[Goal, ...] = field(default=())


def quantile(values: Sequence[float], part: float) -> float:
    """The smallest value that `part` of all do not exceed (nearest rank). Raises ValueError for no values."""
    if not values:
        raise ValueError("there is no quantile of nothing")
    ordered = sorted(values)
    return ordered[max(ceil(part * len(ordered)), 1) - 1]


def spread(values: Sequence[float]) -> Estimate:
    """The median with min and max."""
    return Estimate(median(values), min(values), max(values))


def drawn(rounds: int, of: Callable[[Sequence[int]], float], chance: Random) -> Estimate:
    """`of` all rounds, with the percentiles of what it is of rounds drawn anew. It gets their numbers."""
    draws = sorted(of([chance.randrange(rounds) for _ in range(rounds)]) for _ in range(DRAWS))
    tail = (1 - COVERAGE) / 2
    return Estimate(of(range(rounds)), quantile(draws, tail), quantile(draws, 1 - tail))


def ratio(ours: Sequence[float], theirs: Sequence[float], chance: Random) -> Estimate:
    """Our median over theirs, both of the same rounds. Raises ValueError where their numbers of rounds differ."""
    if len(ours) != len(theirs):
        raise ValueError("a ratio needs the same rounds of both")
    return drawn(len(ours), lambda rounds: median(ours[n] for n in rounds) / median(theirs[n] for n in rounds), chance)


def added_ratio(ours: Sequence[float], theirs: Sequence[float], direct: Sequence[float], chance: Random) -> Estimate:
    """What we add to going direct, over what they add: of medians of the same rounds."""
    if not len(ours) == len(theirs) == len(direct):
        raise ValueError("a ratio needs the same rounds of all")

    def of(rounds: Sequence[int]) -> float:
        base = median(direct[n] for n in rounds)
        added = median(theirs[n] for n in rounds) - base
        mine = median(ours[n] for n in rounds) - base
        return mine / added if added > 0 else float("inf")

    return drawn(len(ours), of, chance)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Markdown."""
    shown = [headings, ["---"] * len(headings), *rows]
    return ["| " + " | ".join(row) + " |" for row in shown]


def shown_goals(goals: Sequence[Goal]) -> list[str]:
    """The goals as a table, met or not; 'about' says that the interval holds the bound."""
    rows = []
    for goal in goals:
        value, low, high = (f"{number:,.2f}" for number in (goal.figure.value, goal.figure.low, goal.figure.high))
        figure = f"{value} {goal.unit}" if low == high else f"{value} {goal.unit} ({low} to {high})"
        asked = f"{'at least' if goal.at_least else 'at most'} {goal.bound:g} {goal.unit}"
        verdict = ("met" if goal.is_met else "**not met**") + ("" if goal.is_sure else ", within noise")
        rows.append([goal.text, asked, figure, verdict, goal.note])
    return table(["goal", "asked", "measured", "", "note"], rows)
