"""The drawings of an attempt's page, as SVG. Pure.

Colours are classes of the page's style, so that light and dark follow the reader. What a drawing shows is told in its
`title` too, for those who cannot see it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from canary import histogram
from canary.page.scales import Scale, decades, round_ticks

WIDTH, HEIGHT = 720.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 76.0, 12.0, 22.0, 34.0
MOST_SHOWN = 4.0
"""Margins on either side of 0 that a chart of differences shows at most."""
QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)


@dataclass(frozen=True, slots=True)
class Moment:
    """One metric at one moment, in the units that are drawn."""

    at: float
    """Seconds since the attempt began."""
    estimate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """From when on the candidate had a share."""

    at: float
    """Seconds since the attempt began."""
    name: str
    """``5%``."""


def difference_chart(
    moments: Sequence[Moment], steps: Sequence[Step], *, margin: float, harm: float, unit: str, until: float, told: str
) -> Markup:
    """How much worse the candidate is, with its interval, over time; the band from `harm` to `margin` is what is
    tolerated and not waited for.

    `until`: seconds, the right edge.
    """
    x = _across(until)
    y = _reach(moments, margin, harm)
    parts = [
        f'<rect class="band" x="{LEFT}" width="{WIDTH - LEFT - RIGHT}" {_span(y, harm, margin)}/>',
        *_grid(y, round_ticks(y.low, y.high), unit),
        *_times(x, until),
        *_steps(x, steps),
        f'<line class="zero" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y.at(0):.1f}" y2="{y.at(0):.1f}"/>',
        _level(y, margin, "margin", "margin"),
    ]
    if harm:
        parts.append(_level(y, harm, "harm", "harm"))
    known = [one for one in moments if one.low is not None or one.high is not None]
    if known:
        upper = [(x.at(one.at), y.at(one.high if one.high is not None else math.inf)) for one in known]
        lower = [(x.at(one.at), y.at(one.low if one.low is not None else -math.inf)) for one in known]
        parts.append(f'<polygon class="interval" points="{_points([*upper, *reversed(lower)])}"/>')
    line = [(x.at(one.at), y.at(one.estimate)) for one in moments if one.estimate is not None]
    parts.append(f'<polyline class="estimate" points="{_points(line)}"/>')
    if line:
        parts.append(f'<circle class="estimate-end" cx="{line[-1][0]:.1f}" cy="{line[-1][1]:.1f}" r="3.5"/>')
    return _drawing(parts, told)


def evidence_chart(
    promote: Sequence[tuple[float, float]],
    rollback: Sequence[tuple[float, float]],
    steps: Sequence[Step],
    *,
    due: float,
    due_rollback: float | None,
    until: float,
    told: str,
) -> Markup:
    """Both e-values over time, on a logarithmic axis, with what they must reach. Pairs of (seconds, e-value)."""
    values = [value for _, value in (*promote, *rollback)]
    most = max([due * 10, due_rollback or 0.0, *(value for value in values if math.isfinite(value))])
    y = Scale(1e-3, min(most, 1e9), HEIGHT - BOTTOM, TOP, logarithmic=True)
    x = _across(until)
    parts = [
        *_grid(y, [10.0**power for power in range(-3, math.floor(math.log10(y.high)) + 1, 2)], ""),
        *_times(x, until),
        *_steps(x, steps),
    ]
    for name, series in (("promote", promote), ("rollback", rollback)):
        line = [(x.at(at), y.at(max(value, y.low))) for at, value in series]
        parts.append(f'<polyline class="{name}" points="{_points(line)}"/>')
    parts.append(_level(y, due, "margin", "to promote"))  # their words lie over the curves
    if due_rollback is not None and y.holds(due_rollback):
        parts.append(_level(y, due_rollback, "harm", "to roll back", "start"))
    return _drawing(parts, told)


def values_chart(
    legacy: Sequence[tuple[float, float]],
    candidate: Sequence[tuple[float, float]],
    steps: Sequence[Step],
    *,
    unit: str,
    until: float,
    told: str,
) -> Markup:
    """Both sides' values over time, where nothing is claimed of their difference. Pairs of (seconds, value)."""
    values = [value for _, value in (*legacy, *candidate)] or [0.0]
    low, high = min(0.0, *values), max(0.0, *values)
    y = Scale(low, high * 1.05 if high > low else 1.0, HEIGHT - BOTTOM, TOP)
    x = _across(until)
    parts = [*_grid(y, round_ticks(y.low, y.high), unit), *_times(x, until), *_steps(x, steps)]
    for name, series in (("legacy", legacy), ("candidate", candidate)):
        line = [(x.at(at), y.at(value)) for at, value in series]
        parts.append(f'<polyline class="times {name}" points="{_points(line)}"/>')
    return _drawing(parts, told)


def times_chart(legacy: Sequence[tuple[float, int]], candidate: Sequence[tuple[float, int]], told: str) -> Markup:
    """Which part of the exchanges takes how long, of both sides, on a logarithmic axis. Pairs of (seconds, count)."""
    both = [seconds for seconds, _ in (*legacy, *candidate)]
    low, high = min(both), max(both)
    if high < low * 1.5:
        low, high = low / 1.5, high * 1.5
    x = Scale(low, high, LEFT, WIDTH - RIGHT, logarithmic=True)
    shares = [_binned(side, low, high) for side in (legacy, candidate)]
    most = max(part for side in shares for _, part in side)
    y = Scale(0.0, most * 1.05, HEIGHT - BOTTOM, TOP)
    parts = [*_grid(y, round_ticks(0.0, y.high, 4), "%", times=100.0)]
    for value in decades(low, high):
        parts.append(_label(x.at(value), HEIGHT - BOTTOM + 16, duration(value), "middle"))
        parts.append(
            f'<line class="grid" x1="{x.at(value):.1f}" x2="{x.at(value):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        )
    for name, side in zip(("legacy", "candidate"), shares, strict=True):
        corners = [(x.at(low), y.at(0.0))]
        for (start, end), part in side:
            corners += [(x.at(start), y.at(part)), (x.at(end), y.at(part))]
        corners.append((x.at(high), y.at(0.0)))
        parts.append(f'<polyline class="times {name}" points="{_points(corners)}"/>')
    return _drawing(parts, told)


def quantile(times: Sequence[tuple[float, int]], part: float) -> float | None:
    """The time below which a part of the exchanges lies, in seconds; None without any."""
    due = part * sum(count for _, count in times)
    seen = 0
    for seconds, count in sorted(times):
        seen += count
        if seen >= due and count:
            return seconds
    return None


def duration(seconds: float) -> str:
    """``250 us``, ``12 ms``, ``3 s``, ``2 min``, ``5 h``, ``3 d``."""
    for least, size, unit in ((86400, 86400, "d"), (3600, 3600, "h"), (60, 60, "min"), (1, 1, "s"), (1e-3, 1e-3, "ms")):
        if seconds >= least * 0.9995:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def _binned(
    side: Sequence[tuple[float, int]], low: float, high: float, bins: int = 60
) -> list[tuple[tuple[float, float], float]]:
    """(from, to) in seconds, and the part of all exchanges that lies there. A count is spread over its bucket: bins are
    a few buckets wide, and not all of them hold as many."""
    width = math.log(high / low) / bins
    half = math.log(histogram.GAMMA) / 2
    counts = [0.0] * bins
    for seconds, count in side:
        middle = math.log(max(seconds, low) / low)
        start, end = middle - half, middle + half
        for at in range(max(0, int(start / width)), min(bins - 1, int(end / width)) + 1):
            inside = min(end, (at + 1) * width) - max(start, at * width)
            counts[at] += count * max(0.0, inside) / (2 * half)
    total = sum(counts) or 1.0
    edges = [low * (high / low) ** (number / bins) for number in range(bins + 1)]
    return [((edges[at], edges[at + 1]), counts[at] / total) for at in range(bins)]


def _reach(moments: Sequence[Moment], margin: float, harm: float) -> Scale:
    """What is seen, with 0 and the margin, and no more than MOST_SHOWN margins of it."""
    most = MOST_SHOWN * max(margin, harm)
    seen = [value for one in moments for value in (one.estimate, one.low, one.high) if value is not None]
    last = moments[-1].estimate if moments else None
    bound = max(most, 1.2 * abs(last)) if last is not None else most
    inside = [min(max(value, -bound), bound) for value in seen]
    low, high = min([0.0, *inside, -0.5 * margin]), max([*inside, 1.5 * margin])
    return Scale(low, high, HEIGHT - BOTTOM, TOP)


def _across(until: float) -> Scale:
    return Scale(0.0, max(until, 1e-3), LEFT, WIDTH - RIGHT)


def _span(y: Scale, low: float, high: float) -> str:
    top, bottom = y.at(high), y.at(low)
    return f'y="{top:.1f}" height="{max(0.0, bottom - top):.1f}"'


def _grid(y: Scale, ticks: Iterable[float], unit: str, times: float = 1.0) -> Iterator[str]:
    for value in ticks:
        at = y.at(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        yield _label(LEFT - 6, at + 4, f"{value * times:.4g} {unit}".rstrip(), "end")


def _times(x: Scale, until: float) -> Iterator[str]:
    unit, size = next(((u, s) for s, u in ((86400, "d"), (3600, "h"), (60, "min")) if until >= 2 * s), ("s", 1))
    for value in round_ticks(0.0, until / size, 7):
        at = x.at(value * size)
        anchor = "start" if value == 0 else "middle" if at < WIDTH - 40 else "end"
        yield _label(at, HEIGHT - BOTTOM + 18, f"{value:g} {unit}", anchor)


def _steps(x: Scale, steps: Sequence[Step]) -> Iterator[str]:
    free = 0.0
    for step in steps:
        at = x.at(step.at)
        yield f'<line class="step" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        if at >= free and at < WIDTH - 40:  # names that would lie upon each other are left out; the table has them
            yield _label(at + 3, TOP - 7, step.name, "start")
            free = at + 12 * len(step.name) + 10


def _level(y: Scale, value: float, kind: str, name: str, where: str = "end") -> str:
    if not y.holds(value):
        return ""
    at = y.at(value)
    x = WIDTH - RIGHT - 4 if where == "end" else LEFT + 4
    return f'<line class="level {kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>' + _label(
        x, at - 5, name, where
    )


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _points(corners: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)


def _drawing(parts: Iterable[str], told: str) -> Markup:
    inner = "".join(parts)
    return Markup(  # noqa: S704 (numbers of ours, and texts that were escaped)
        '<div class="scroll">'
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img"><title>{escape(told)}</title>{inner}</svg></div>'
    )
