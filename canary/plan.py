"""How a route's rollout goes: the block `routes[].rollout`, and `pilot`, what binds all of them.

Frozen pydantic models as in canary.spec. Shares are millionths, durations seconds.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, field_validator, model_serializer, model_validator
from pydantic_core.core_schema import SerializerFunctionWrapHandler

from canary.openings import Opening
from canary.spec import Block
from rules.quantities import Duration, Fraction, Share, share_text
from rules.stages import MILLION


class Step(Block):
    """A share that the candidate has for some time."""

    share: Share
    """The candidate's part of the units."""
    approval: bool = False
    """Whether a person must say `fig approve` before the route goes there."""

    @model_serializer(mode="wrap")
    def _plain_where_it_can_be(self, write: SerializerFunctionWrapHandler) -> dict[str, Any] | str:
        written: dict[str, Any] = write(self)
        return written if self.approval or not isinstance(written["share"], str) else str(written["share"])


def _step(value: object) -> object:
    """A step may be its share alone."""
    return {"share": value} if isinstance(value, str | int | float) else value


class Instant(Block):
    """When a candidate is so bad that nobody waits for evidence: rollback at once, without statistics."""

    enabled: bool = True
    """Whether the route is rolled back so."""
    error_rate: Fraction = 0.5
    """At least this part of the candidate's exchanges failed, and twice legacy's part."""
    requests: int = Field(default=20, ge=10, le=100_000)
    """Of at least this many."""
    within: Duration = 5.0
    """In so short a time."""
    breaker: Duration = 5.0
    """Or the candidate's circuit breaker has been open for so long on half of the workers, and legacy's has not."""

    @field_validator("error_rate")
    @classmethod
    def _is_fatal(cls, rate: float) -> float:
        if rate < 0.1:
            raise ValueError("below 10% nothing is fatal, and the gate decides with statistics; write it like 50%")
        return rate

    @field_validator("within", "breaker")
    @classmethod
    def _is_short(cls, seconds: float) -> float:
        if not 1 <= seconds <= 60:
            raise ValueError("must be from 1s to 60s; write it like 5s")
        return seconds


class DeadlineEnd(StrEnum):
    """What becomes of a route whose deadline passes. None of them gives the candidate more."""

    FREEZE = "freeze"
    """It stays where it stands, until a person moves it."""
    ROLLBACK = "rollback"
    """The attempt is over, as after harm: legacy answers every unit."""


def _one_or_many(value: object) -> object:
    """One text as a list of one. A tuple, for after this the value counts as Python's, and those are read strictly."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


class RolloutPlan(Block):
    """Shares over time. After the last step, and with the gate's `promote`, the route goes live."""

    steps: tuple[Annotated[Step, BeforeValidator(_step, json_schema_input_type=Share | Step)], ...] = Field(
        min_length=1, max_length=100
    )
    """The candidate's shares, rising: ``[1%, 5%, {share: 25%, approval: true}, 50%, 95%]``."""
    hold: Duration = 600.0
    """How long each step lasts at least."""
    gate: str = Field(min_length=1)
    """The name of the gate under `gates:`."""
    holdback: Share = 50_000
    """What legacy keeps, as comparison, until the route goes live."""
    deadline: Duration | None = None
    """From the first step; when it passes before the gate's first `promote`, `on_deadline` says what happens. After
    that `promote` it does not bind."""
    on_deadline: DeadlineEnd = DeadlineEnd.FREEZE
    """``freeze``: the route stays where it stands; ``rollback``: legacy answers, and the attempt is over."""
    only: Annotated[
        tuple[Opening, ...], BeforeValidator(_one_or_many, json_schema_input_type=Opening | tuple[Opening, ...])
    ] = Field(default=(), max_length=20)
    """When the candidate may get more traffic: ``Mon-Fri 09-16 Europe/Berlin``, or a list. Rollback is never bound."""
    approve_live: bool = False
    """Whether a person must say `fig approve` before the route goes live."""
    instant: Instant = Instant()
    """When the route is rolled back at once, without statistics."""
    watch: Duration | None = None
    """How long a route that went live is held against its own canary, and rolled back where it is worse."""

    @property
    def shares(self) -> tuple[int, ...]:
        """Of the steps, ascending."""
        return tuple(step.share for step in self.steps)

    def wants_approval(self, share: int) -> bool:
        """Whether a person must agree before the candidate has this share; MILLION is live."""
        if share == MILLION:
            return self.approve_live
        return any(step.approval for step in self.steps if step.share == share)

    @model_validator(mode="after")
    def _steps_rise(self) -> Self:
        shares = self.shares
        for earlier, later in pairwise(shares):
            if later <= earlier:
                raise ValueError(
                    f"steps must rise, but {share_text(later)} follows {share_text(earlier)}; "
                    "write them like [1%, 5%, 25%, 50%, 95%]"
                )
        if shares[0] == 0:
            raise ValueError("the first step gives the candidate nothing; begin with 1%, say")
        if self.holdback == 0:
            raise ValueError("without a holdback legacy gets no traffic to compare with; write it like 5%")
        most = MILLION - self.holdback
        if shares[-1] > most:
            raise ValueError(
                f"the last step, {share_text(shares[-1])}, leaves legacy less than its holdback of "
                f"{share_text(self.holdback)}; end with at most {share_text(most)} (live comes after it) "
                "or lower 'holdback'"
            )
        if self.deadline is None and self.on_deadline is not DeadlineEnd.FREEZE:
            raise ValueError("'on_deadline' without a 'deadline' never comes to pass; write 'deadline: 24h', say")
        if self.deadline is not None and self.deadline <= self.hold * len(shares):
            raise ValueError(
                f"the deadline passes before {len(shares)} steps of 'hold' can; make it longer than "
                f"{self.hold * len(shares):g}s"
            )
        return self


class Pace(Block):
    """What binds the pilot over all routes; people may go past it."""

    at_once: int | None = Field(default=None, ge=1, le=10_000)
    """How many routes may be under way: in canary with a rollout, or watched after it."""
    moves_per_hour: int | None = Field(default=None, ge=1, le=10_000)
    """How many moves forward the pilot makes in any hour, over all routes."""
