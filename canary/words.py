"""Numbers of a judgement in words: margins, differences, values, e-values. Used by the gate's sentences and by
reports."""

from __future__ import annotations

from datetime import UTC, datetime

from canary.spec import MetricKind
from canary.verdict import Judgement, MetricJudgement


def difference(value: float | None, metric: MetricJudgement) -> str:
    """``+4.2 %`` (relative), ``+0.31 pp``, ``+12 ms`` or ``+0.5 per unit``; ``?`` for None."""
    if value is None:
        return "?"
    if metric.relative:
        return f"{_short(value * 100)} %"
    if metric.kind == MetricKind.LATENCY or metric.unit == "ms":
        return f"{_short(value * 1000)} ms"
    counted_in = MetricKind(metric.kind).counted_in
    return f"{_short(value)} {metric.unit or counted_in}" if counted_in else f"{_short(value * 100)} pp"


def _short(number: float) -> str:
    """Three digits, signed, without an exponent."""
    return f"{number:+,.0f}" if abs(number) >= 1000 else f"{number:+.3g}"


def bound(value: float, metric: MetricJudgement) -> str:
    """A margin or harm: as `difference`, without the plus."""
    return difference(value, metric).removeprefix("+")


def interval(metric: MetricJudgement) -> str:
    """``[-0.1 pp, +0.4 pp]``, open ends as ``...``."""
    low = "..." if metric.low is None else difference(metric.low, metric)
    high = "..." if metric.high is None else difference(metric.high, metric)
    return f"[{low}, {high}]"


def value(number: float | None, metric: MetricJudgement) -> str:
    """One side's value with its unit."""
    return "?" if number is None else f"{number:.4g} {metric.unit}".rstrip()


def side(number: float | None, count: int, metric: MetricJudgement) -> str:
    """One side's value and what it is of: ``0.2 % of 812``; ``0.41 of 70 steps`` where not of requests."""
    counted = "" if metric.counted == "requests" else f" {metric.counted}"
    return f"{value(number, metric)} of {count:,}{counted}"


def sides(metric: MetricJudgement) -> str:
    """``legacy 0.2 % of 812, candidate 20 % of 90``."""
    legacy = side(metric.legacy, metric.legacy_count, metric)
    return f"legacy {legacy}, candidate {side(metric.candidate, metric.candidate_count, metric)}"


def evidence(e_value: float) -> str:
    """An e-value, short: ``0.4``, ``57``, ``1.2e+08``."""
    return f"{e_value:.2g}" if e_value < 100 or e_value >= 1e6 else f"{e_value:,.0f}"


def percent(fraction: float) -> str:
    return f"{fraction * 100:.3g} %"


def lasting(metric: MetricJudgement, judgement: Judgement) -> str:
    """How long the requests that are missing take at the rate so far: ``, some 4 min at this rate``; empty where that
    cannot be said."""
    slower, passed = min(metric.legacy_count, metric.candidate_count), judgement.at - judgement.since
    if not metric.more_needed or slower <= 0 or not passed > 0:
        return ""
    seconds = metric.more_needed * passed / slower
    return (
        f", some {max(seconds, 1):.0f} s at this rate"
        if seconds < 90
        else f", some {seconds / 60:,.0f} min at this rate"
    )


def missing(metric: MetricJudgement, judgement: Judgement) -> str:
    """``about 90 more units a side, some 2 min at this rate``; empty where that cannot be said."""
    if not metric.more_needed:
        return ""
    return f"about {metric.more_needed:,} more {metric.counted} a side{lasting(metric, judgement)}"


def moment(at: float) -> str:
    """``2026-11-23 09:00:00 UTC`` of seconds since the epoch; ``?`` for what no calendar has."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return "?"
