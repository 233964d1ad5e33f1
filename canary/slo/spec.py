"""The block `slo.*` of the rules file: what is promised to clients of a route or of a service, and over how long."""

from __future__ import annotations

from typing import Self

from pydantic import Field, field_validator, model_validator

from rules.names import Block, Name, Positive
from rules.quantities import Duration, Fraction

DAY = 86_400.0
PERIOD = 30 * DAY


def _is_goal(goal: float | None) -> float | None:
    if goal is not None and not 0.5 <= goal <= 0.999999:
        raise ValueError("an objective lies from 50% to 99.9999% (100% leaves no budget at all); write it like 99.9%")
    return goal


class LatencyObjective(Block):
    """Which part of the requests is answered how fast."""

    part: Fraction
    """The part of requests that is to be answered in time."""
    under: Positive
    """The time: from the request sent to the service until the answer's head received."""

    @field_validator("part")
    @classmethod
    def _part_is_a_goal(cls, part: float) -> float | None:
        return _is_goal(part)


class Objective(Block):
    """What clients of a route (whichever side answers them) or of a service may expect."""

    route: Name | None = None
    """The route whose clients count, whichever side answers them."""
    service: Name | None = None
    """Or the service, on every route that asks it."""
    availability: Fraction | None = None
    """The part of requests that is answered, and not with a 5xx."""
    latency: LatencyObjective | None = None
    """The part of requests that is answered in time."""
    period: Duration = PERIOD
    """How long the error budget has to last: 7 to 90 days."""
    min_requests: int = Field(default=100, ge=1, le=1_000_000_000)
    """Requests in a window before it can raise an alert."""
    blocks: bool = True
    """Whether a budget that burns fast, or is used up, stops the pilot from promoting."""

    @field_validator("availability")
    @classmethod
    def _availability_is_a_goal(cls, availability: float | None) -> float | None:
        return _is_goal(availability)

    @field_validator("period")
    @classmethod
    def _period_is_long(cls, period: float) -> float:
        if not 7 * DAY <= period <= 90 * DAY:
            raise ValueError("a budget lasts 7 to 90 days, or its windows do not fit into it; write it like 30d")
        return period

    @model_validator(mode="after")
    def _speaks_of_one_thing(self) -> Self:
        if (self.route is None) == (self.service is None):
            raise ValueError("needs exactly one of 'route: NAME' and 'service: NAME'")
        if self.availability is None and self.latency is None:
            raise ValueError(
                "promises nothing; add 'availability: 99.9%' or 'latency: {part: 95%, under: 300ms}', or both"
            )
        return self

    @property
    def about(self) -> str:
        """``route products``, ``service shop``."""
        return f"route {self.route}" if self.route is not None else f"service {self.service}"
