"""What every kind of source does: answer a question about one metric and a stretch of steps, or say why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from canary.spec import Metric
from canary.steps import Answer, Stretch


class SourceError(Exception):
    """No answer that could be used; the message says why. It may quote whoever was asked, at any length and with what
    is secret: nobody shows it before `canary.sources.hiding` has cleared it."""


@dataclass(frozen=True, slots=True)
class Question:
    """One metric of one route, and the steps that are asked for."""

    metric: Metric
    route: str
    stretch: Stretch

    def side(self, side: int) -> str:
        """What the source calls a side: 0 legacy, 1 candidate."""
        return self.metric.sides.of(side)


class Source(Protocol):
    """Something that has numbers. Whoever asks bounds how long it waits, and how many ask at once."""

    async def ask(self, question: Question, now: float) -> Answer:
        """The sums of both sides, step by step; steps without a number have none. Raises SourceError."""

    async def close(self) -> None:
        """Let go of connections."""
