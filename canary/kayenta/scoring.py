"""From classified metrics to one score, 0 to 100, as Kayenta's weighted sum scorer has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from canary.kayenta.classifying import Label

NODATA_MOST = 50.0
"""Per cent of metrics without data from which on the score is 0."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One classified metric, as far as the score needs it."""

    name: str
    label: Label
    critical: bool
    groups: tuple[str, ...]
    muted: bool = False
    """Reported, without a say."""


@dataclass(frozen=True, slots=True)
class GroupScore:
    name: str
    score: float
    """Per cent of its metrics that pass, of those that have data; 0 without any."""
    no_data: bool


@dataclass(frozen=True, slots=True)
class Score:
    """The whole."""

    value: float
    groups: tuple[GroupScore, ...]
    """By name."""
    reason: str = ""
    """Why it is 0 whatever the groups say; empty where they decide."""


class Outcome(StrEnum):
    PASS = "Pass"  # noqa: S105 a label, no password
    MARGINAL = "Marginal"
    FAIL = "Fail"


def group_scores(metrics: Sequence[Scored]) -> tuple[GroupScore, ...]:
    labels: dict[str, list[Label]] = {}
    for metric in metrics:
        for group in metric.groups:
            labels.setdefault(group, []).append(metric.label)
    return tuple(_group_score(name, labels[name]) for name in sorted(labels))


def _group_score(name: str, labels: list[Label]) -> GroupScore:
    counted = [label for label in labels if label not in (Label.NODATA, Label.ERROR)]
    if not counted:
        return GroupScore(name, 0.0, True)
    return GroupScore(name, 100.0 * counted.count(Label.PASS) / len(counted), False)


def score(metrics: Sequence[Scored], weights: Mapping[str, float]) -> Score:
    """The score of all metrics that are not muted; `weights`: group -> parts of 100.

    Groups without a weight share what the weights leave of 100. A group without data counts as 100. A critical failure,
    or data missing of half of the metrics, makes the score 0.
    """
    heard = [metric for metric in metrics if not metric.muted]
    groups = group_scores(heard)
    fatal = [metric for metric in heard if metric.critical and metric.label is not Label.PASS]
    if fatal:
        return Score(0.0, groups, f"critical metric '{fatal[0].name}' is {fatal[0].label}")
    if not heard or 100.0 * sum(one.label is Label.NODATA for one in heard) / len(heard) >= NODATA_MOST:
        return Score(0.0, groups, f"{NODATA_MOST:g} % or more of the metrics are without data")
    unweighted = [group.name for group in groups if group.name not in weights]
    rest = (100.0 - sum(weights.values())) / len(unweighted) if unweighted else 0.0
    total = sum((100.0 if one.no_data else one.score) * weights.get(one.name, rest) / 100 for one in groups)
    return Score(_rounded(total), groups)


def _rounded(value: float) -> float:
    """To two decimals, halves up."""
    return float(Decimal(repr(value)).quantize(Decimal("0.01"), ROUND_HALF_UP))


def outcome(value: float, passing: float, marginal: float) -> Outcome:
    """One judgement's score against its thresholds."""
    if value >= passing:
        return Outcome.PASS
    return Outcome.MARGINAL if value >= marginal else Outcome.FAIL


def passes(last: float, marginal: float | None, passing: float | None) -> bool:
    """Whether a whole analysis passes, from the score of its last judgement; without thresholds it always does."""
    if marginal is not None and last <= marginal:
        return False
    return passing is None or last >= passing
