"""How a rollout attempt went: its judgements over time, and both sides' times, in bounded space. For people who look.

Nothing is decided from it. However long an attempt lasts, it has at most MOST points: when there are more, every second
one goes, and from then on points are taken half as often.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import msgspec
import numpy as np
import numpy.typing as npt

from canary import histogram
from canary.verdict import Judgement, Verdict

MOST = 400
"""Points that are kept."""
FIRST_GAP = 0.5
"""Seconds between two points while there are few."""


class MetricPoint(NamedTuple):
    """One metric at one moment; what each number means stands at canary.verdict.MetricJudgement."""

    legacy: float | None
    candidate: float | None
    estimate: float | None
    low: float | None
    high: float | None
    evidence_promote: float
    evidence_rollback: float


class Point(NamedTuple):
    """One judgement."""

    at: float
    """Seconds since the epoch."""
    share: int
    """The candidate's, in millionths."""
    verdict: Verdict
    legacy_requests: int
    candidate_requests: int
    metrics: dict[str, MetricPoint]
    """By name."""


class _Kept(msgspec.Struct, array_like=True):
    since: float
    gap: float
    points: list[Point]
    times: list[dict[int, int]]


_decode = msgspec.msgpack.Decoder(_Kept).decode


def _number(value: object) -> object:
    """Of a number that a measure gave as numpy has it."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a course holds no {type(value).__name__}")


class Course:
    """Of one attempt."""

    def __init__(self, since: float) -> None:
        """`since`: when the attempt's evidence began, seconds since the epoch."""
        self.since = since
        self.points: list[Point] = []
        self.times = np.zeros((2, histogram.SIZE), np.int64)
        """Service times of legacy and candidate, by bucket of canary.histogram."""
        self._gap = FIRST_GAP

    def note(self, judgement: Judgement, share: int) -> None:
        """A judgement at a share in millionths. Another verdict or share always makes a point, else time does."""
        last = self.points[-1] if self.points else None
        alike = last is not None and (last.share, last.verdict) == (share, judgement.verdict)
        if alike and last is not None and 0 <= judgement.at - last.at < self._gap:
            return
        metrics = {
            one.name: MetricPoint(
                one.legacy,
                one.candidate,
                one.estimate,
                one.low,
                one.high,
                one.evidence_promote,
                one.evidence_rollback,
            )
            for one in judgement.metrics
        }
        self.points.append(
            Point(
                judgement.at,
                share,
                judgement.verdict,
                judgement.legacy_requests,
                judgement.candidate_requests,
                metrics,
            )
        )
        if len(self.points) > MOST:
            self._thin_out()

    def _thin_out(self) -> None:
        """Every second point goes, but for the first and the last of each share and verdict."""
        points = self.points
        kept = [
            point
            for number, point in enumerate(points)
            if number % 2 == 0
            or number == len(points) - 1
            or (points[number - 1].share, points[number - 1].verdict) != (point.share, point.verdict)
        ]
        # A verdict that changes at every look would leave nothing to thin out; then time alone decides.
        self.points = kept if len(kept) <= MOST * 3 // 4 else points[::2]
        self._gap *= 2

    def take(self, seconds: npt.NDArray[np.floating[Any]], side: npt.NDArray[np.integer[Any]]) -> None:
        """Service times, and their sides: 0 legacy, 1 candidate. What is no time, or no side, is passed over."""
        usable = np.isfinite(seconds) & (side <= 1)
        if not usable.all():
            seconds, side = seconds[usable], side[usable]
        places = histogram.offsets(seconds.astype(np.float64)) + histogram.SIZE * side.astype(np.intp)
        self.times += np.bincount(places, minlength=2 * histogram.SIZE).reshape(2, histogram.SIZE)

    def to_bytes(self) -> bytes:
        return msgspec.msgpack.encode(
            _Kept(self.since, self._gap, self.points, [histogram.sparse(row) for row in self.times]), enc_hook=_number
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The inverse of `to_bytes`. Raises ValueError on anything else."""
        try:
            kept = _decode(data)
            course = cls(kept.since)
            course.times = np.array([histogram.dense(each) for each in kept.times]).reshape(2, histogram.SIZE)
        except (msgspec.MsgspecError, IndexError, ValueError) as exc:
            raise ValueError(f"no course of an attempt: {exc}") from exc
        course.points, course._gap = kept.points, kept.gap
        return course

    def document(self) -> dict[str, Any]:
        """As plain JSON values: times as [bucket's value in seconds, count] of each side."""
        return {
            "since": self.since,
            "points": [
                {
                    **point._asdict(),
                    "verdict": point.verdict.value,
                    "metrics": {name: _plain(one) for name, one in point.metrics.items()},
                }
                for point in self.points
            ],
            "times": {
                name: [[histogram.seconds(place), count] for place, count in histogram.sparse(row).items()]
                for name, row in zip(("legacy", "candidate"), self.times, strict=True)
            },
        }


def _plain(metric: MetricPoint) -> dict[str, float | None]:
    return {name: value if value is None or np.isfinite(value) else None for name, value in metric._asdict().items()}
