"""An attempt's page: verdict, every metric over time with its margin, both sides' times, and how the route was moved.

One file, nothing loaded from anywhere, no script. Jinja2 escapes every value, and a content security policy allows this
file's own style, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from canary import words
from canary.page import charts
from canary.page.charts import Moment, Step
from canary.verdict import Judgement, MetricJudgement, Verdict
from rules.quantities import share_text
from rules.stages import MILLION

_TEMPLATES = Path(__file__).parent / "templates"
_VERDICTS = {
    Verdict.PROMOTE: "May have more traffic",
    Verdict.ROLLBACK: "Is taken back",
    Verdict.KEEP_WATCHING: "Not decided yet",
    Verdict.FAULT: "The data cannot carry a verdict",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One metric with its drawings."""

    metric: MetricJudgement
    difference: Markup | None = None
    evidence: Markup | None = None
    values: Markup | None = None
    """Where a judgement is made once, with neither margins nor evidence over time."""


def render(
    judgement: Judgement, course: Mapping[str, Any] | None, history: Sequence[Mapping[str, Any]], made: float
) -> str:
    """The whole file. `course` as canary.course.Course.document gives it, None where there is none; `history` the lines
    of the route, newest first; `made` seconds since the epoch."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(when=_when, number="{:,}".format, duration=charts.duration, percent=words.percent)
    style = (_TEMPLATES / "page.css").read_text(encoding="utf-8")
    points = course["points"] if course is not None else []
    times = _times(course)
    return environment.get_template("page.html").render(
        judgement=judgement,
        once=judgement.is_once,
        title=_VERDICTS[judgement.verdict],
        metrics=[_shown(metric, judgement, points) for metric in judgement.metrics],
        steps=_moves(points),
        times=times,
        times_chart=_times_chart(times),
        quantiles=charts.QUANTILES,
        quantile=charts.quantile,
        history=history,
        place=_place,
        words=words,
        made=made,
        style=Markup(style),  # noqa: S704 (our own file)
        policy=f"default-src 'none'; style-src 'sha256-{_hash(style)}'; base-uri 'none'",
    )


def _shown(metric: MetricJudgement, judgement: Judgement, points: Sequence[Mapping[str, Any]]) -> Shown:
    found = [(point["at"] - judgement.since, point["metrics"].get(metric.name)) for point in points]
    series = [(at, one) for at, one in found if one is not None]
    if not series:
        return Shown(metric)
    until = max(at for at, _ in series)
    steps = _steps(points, judgement.since)
    if judgement.is_once:
        legacy, candidate = (
            [(at, one[side]) for at, one in series if one[side] is not None] for side in ("legacy", "candidate")
        )
        told = f"{metric.name}: {words.sides(metric)}"
        drawn = charts.values_chart(legacy, candidate, steps, unit=metric.unit, until=until, told=told)
        return Shown(metric, values=drawn)
    size, unit = _measure(metric)
    moments = [
        Moment(at, _times_size(one["estimate"], size), _times_size(one["low"], size), _times_size(one["high"], size))
        for at, one in series
    ]
    difference = charts.difference_chart(
        moments,
        steps,
        margin=metric.margin * size,
        harm=metric.harm * size,
        unit=unit,
        until=until,
        told=f"{metric.name}: worse by {words.difference(metric.estimate, metric)} {words.interval(metric)}, margin "
        f"{words.bound(metric.margin, metric)}",
    )
    evidence = charts.evidence_chart(
        [(at, one["evidence_promote"]) for at, one in series if one["evidence_promote"] is not None],
        [(at, one["evidence_rollback"]) for at, one in series if one["evidence_rollback"] is not None],
        steps,
        due=1 / judgement.alpha,
        due_rollback=metric.rollback_due,
        until=until,
        told=f"{metric.name}: evidence to promote {words.evidence(metric.evidence_promote)}, to roll back "
        f"{words.evidence(metric.evidence_rollback)}",
    )
    return Shown(metric, difference, evidence)


def _measure(metric: MetricJudgement) -> tuple[float, str]:
    """What a difference is multiplied by to be drawn, and its unit: as canary.words says it."""
    said = words.difference(1.0, metric).rsplit(" ", 1)
    unit = said[1] if len(said) == 2 else ""
    return {"%": 100.0, "pp": 100.0, "ms": 1000.0}.get(unit, 1.0), unit


def _times_size(value: float | None, size: float) -> float | None:
    return None if value is None else value * size


def _steps(points: Sequence[Mapping[str, Any]], since: float) -> list[Step]:
    return [Step(each["at"] - since, share_text(each["share"])) for each in _moves(points)]


def _moves(points: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The first point at each share."""
    return [
        point for number, point in enumerate(points) if number == 0 or points[number - 1]["share"] != point["share"]
    ]


def _times(course: Mapping[str, Any] | None) -> dict[str, list[tuple[float, int]]]:
    """Both sides' times; of a side without any, nothing."""
    found = course["times"] if course is not None else {}
    return {name: [(seconds, count) for seconds, count in pairs] for name, pairs in found.items() if pairs}


def _times_chart(times: Mapping[str, list[tuple[float, int]]]) -> Markup | None:
    if not times:
        return None
    told = "; ".join(
        f"{name}: half within {charts.duration(charts.quantile(side, 0.5) or 0.0)}" for name, side in times.items()
    )
    return charts.times_chart(times.get("legacy", []), times.get("candidate", []), told)


def _place(position: Mapping[str, Any] | None) -> str:
    """``canary 5%``; where a route was, or is, as the history has it (a share from 0 to 1)."""
    if position is None:
        return "-"
    share = share_text(round(position["share"] * MILLION))
    return f"canary {share}" if position["stage"] == "canary" else str(position["stage"])


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
