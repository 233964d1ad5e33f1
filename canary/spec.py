"""The block `gates.*` of the rules file: what is asked before a route gets more traffic (canary.plan: how it goes).

Frozen pydantic models; unknown keys are refused. rules.reading.loader validates nodes against them and maps every error
to its line, so messages here say what is wrong and show what would be right. Shares are millionths, durations seconds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from canary.kayenta.terms import KayentaGate, KayentaMetric
from canary.query_spec import QUERY_KEYS, Asked, Direction
from rules.quantities import Duration, Fraction, Margin, margin_text

DEFAULT_MARGIN = Margin(0.10, True, "%")
"""For metrics that are watched only (`required: false`) and name none."""


LEAST_WINDOWS_WITHIN = 10
"""A metric's `within` is at least so many windows long."""
LEAST_SLACK = 5.0
"""Seconds that are waited beyond `within` at least: as long as an event waits for its unit (happenings.PATIENCE)."""
SLACK_WINDOWS = 4
"""The same, in windows: such as last longer than the slack tell no ages."""
SLACK_PART = 0.1
"""The same, as a part of `within`."""
LEAST_WEIGHT = 1e-6
"""Of 100: a group of no more than this has no say, as weights that are off 100 by no more count as 100."""


class Block(BaseModel):
    """Frozen, and refuses keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MetricKind(StrEnum):
    """What a metric counts or measures."""

    ERROR_RATE = "error_rate"
    """Exchanges that failed, of all exchanges."""
    LATENCY = "latency"
    """Service time: a quantile, or the mean when none is named."""
    RATE = "rate"
    """Units with a business event, of all units."""
    MEAN_PER_UNIT = "mean_per_unit"
    """The value of business events, per unit."""
    MEAN_PER_EVENT = "mean_per_event"
    """The value of business events, per event."""
    THROUGHPUT = "throughput"
    """Exchanges that did not fail, or events, per unit."""
    QUERY = "query"
    """Numbers of a source under `sources:`: Prometheus, SQL, files."""

    @property
    def is_business(self) -> bool:
        """Whether it is about events under `events:`."""
        return self in (MetricKind.RATE, MetricKind.MEAN_PER_UNIT, MetricKind.MEAN_PER_EVENT)

    @property
    def is_of_values(self) -> bool:
        """Whether its events need a value."""
        return self in (MetricKind.MEAN_PER_UNIT, MetricKind.MEAN_PER_EVENT)

    @property
    def counted_in(self) -> str:
        """What its numbers and absolute margins are in, where neither percent nor a time says so."""
        return {
            MetricKind.MEAN_PER_UNIT: "per unit",
            MetricKind.MEAN_PER_EVENT: "per event",
            MetricKind.THROUGHPUT: "requests per unit",
        }.get(self, "")

    @property
    def is_of_units(self) -> bool:
        """Whether it is about what units do after they came; of that more is better, if nothing else is said."""
        return self.is_business or self is MetricKind.THROUGHPUT


_MEASURES = {
    MetricKind.ERROR_RATE: (("pp", "%"), "0.5pp (percentage points) or 10% (relative)"),
    MetricKind.LATENCY: (("%", "s"), "20% (relative) or 20ms"),
    MetricKind.RATE: (("%", "pp"), "10% (relative) or 0.2pp (percentage points, with 'within')"),
    MetricKind.MEAN_PER_UNIT: (("%", "absolute"), "10% (relative) or 0.5 absolute (with 'within')"),
    MetricKind.MEAN_PER_EVENT: (("%", "absolute"), "10% (relative) or 0.5 absolute"),
    MetricKind.THROUGHPUT: (("%", "absolute"), "10% (relative) or 0.5 absolute (with 'within')"),
    MetricKind.QUERY: (("%", "pp", "s"), "10% (relative), 0.5pp (of numbers from 0 to 1) or 20ms (of seconds)"),
}
"""Kind -> the measures that its margin and harm may be written in, and examples."""


FailureKind = Literal[
    "connect", "tls", "timeout", "reset", "malformed", "status", "fallback", "overloaded", "left", "rewrite", "breaker"
]
"""See rules.failures, whose names these are."""


class _Named(Block):
    """What every metric has; a class of its own so that these keys come first in the canonical layout."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    """What reports call it; unique within its gate."""
    kind: MetricKind
    """What is counted or measured."""


class Metric(Asked, _Named):
    """One question of a gate: is the candidate worse than legacy here?"""

    quantile: float | None = Field(default=None, gt=0, lt=1)
    """`latency`: which quantile is compared (0.99); the mean without it."""
    failures: tuple[FailureKind, ...] = ()
    """`error_rate`: which kinds of failure count (``[timeout, reset]``); every one without it."""
    event: str | None = None
    """`rate`, `mean_per_unit` and `mean_per_event`: the name of the event under `events:`; `throughput`: how many of it
    a unit has, requests without it."""
    within: Duration | None = None
    """`rate`, `mean_per_unit` and `throughput` with an absolute margin: how long after a unit's first request what it
    does counts. A difference that is still growing has no size."""
    margin: Margin = DEFAULT_MARGIN
    """Promote only when 'worse by this much' is excluded: ``10%`` relative, ``0.5pp``, ``20ms``, ``0.5 absolute``."""
    harm: Margin | None = None
    """Roll back when 'worse by more than this' is proven; nothing (0) by default."""
    critical: bool = False
    """Whether this metric alone can roll the route back."""
    required: bool = True
    """Whether promotion waits for this metric; otherwise it is only watched (and can still speak for rollback)."""
    weight: float = Field(default=1.0, gt=0, le=1000)
    """Its part in the average that can roll the route back."""
    min_samples: int = Field(default=0, ge=0, le=1_000_000_000)
    """What must be counted of this metric a side before anything is promoted: requests, units, steps..."""
    kayenta: KayentaMetric | None = None
    """In a gate with `method: kayenta`: how it is classified. `margin`, `harm` and `weight` are not used there."""

    @property
    def counted_in(self) -> str:
        """As of its kind; of events, where those are counted."""
        of_events = self.kind is MetricKind.THROUGHPUT and self.event is not None
        return "events per unit" if of_events else self.kind.counted_in

    def slack(self, window: float) -> float:
        """Seconds that are waited beyond `within`, in a gate with such windows: measures/aging.py."""
        return max(LEAST_SLACK, SLACK_WINDOWS * window, SLACK_PART * (self.within or 0.0))

    def counted_after(self, window: float) -> float:
        """Seconds after its first request at which a unit counts, at least; 0 without `within`."""
        return 0.0 if self.within is None else self.within + self.slack(window)

    @property
    def tolerated(self) -> Margin:
        """`harm`, in the measure of `margin`."""
        if self.harm is None or self.harm.value == 0:
            return Margin(0.0, self.margin.relative, self.margin.measure)
        return self.harm

    @property
    def lower_is_worse(self) -> bool:
        """Whether the candidate is worse where its number is lower."""
        if self.direction is None:
            return self.kind.is_of_units
        return self.direction is Direction.LOWER_IS_WORSE

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.quantile is not None and self.kind is not MetricKind.LATENCY:
            raise ValueError(f"metric '{self.name}': 'quantile' belongs to kind latency, not {self.kind}; remove it")
        if self.failures and self.kind is not MetricKind.ERROR_RATE:
            raise ValueError(f"metric '{self.name}': 'failures' belongs to kind error_rate, not {self.kind}; remove it")
        if self.kind.is_business and self.event is None:
            raise ValueError(f"metric '{self.name}': kind {self.kind} needs 'event', the name of one under 'events:'")
        if not self.kind.is_of_units and self.event is not None:
            raise ValueError(
                f"metric '{self.name}': 'event' belongs to kinds rate, mean_per_unit, mean_per_event and throughput; "
                "remove it"
            )
        if self.direction is not None and not (self.kind.is_of_units or self.kind is MetricKind.QUERY):
            raise ValueError(f"metric '{self.name}': more is always worse of kind {self.kind}; remove 'direction'")
        if self.required and self.kayenta is None and "margin" not in self.model_fields_set:
            _, examples = _MEASURES[self.kind]
            raise ValueError(
                f"metric '{self.name}': a required metric needs 'margin'; write it like {examples}; "
                "in a gate with 'method: kayenta' it needs 'kayenta' instead, like kayenta: {direction: increase}"
            )
        return self

    @model_validator(mode="after")
    def _absolute_differences_have_a_size(self) -> Self:
        grows = self.kind.is_of_units and self.kind is not MetricKind.MEAN_PER_EVENT
        if grows and not self.margin.relative and self.within is None:
            raise ValueError(
                f"metric '{self.name}': units do more with time, and so grows an absolute difference; say until when "
                "they count, after their first request: within: 30m"
            )
        if self.within is not None and (self.margin.relative or not grows):
            raise ValueError(
                f"metric '{self.name}': 'within' belongs to absolute margins of kinds rate, mean_per_unit and "
                "throughput; remove it"
            )
        return self

    @model_validator(mode="after")
    def _is_asked_of_a_source(self) -> Self:
        if self.kind is MetricKind.QUERY and self.source is None:
            raise ValueError(f"metric '{self.name}': kind query needs 'source', the name of one under 'sources:'")
        foreign = self.keys_given(*QUERY_KEYS)
        if self.kind is not MetricKind.QUERY and foreign:
            raise ValueError(f"metric '{self.name}': '{foreign[0]}' belongs to kind query, not {self.kind}; remove it")
        return self

    @model_validator(mode="after")
    def _margin_and_harm_agree(self) -> Self:
        measures, examples = _MEASURES[self.kind]
        for key, value in (("margin", self.margin), ("harm", self.harm)):
            if value is not None and value.measure not in measures and not (key == "harm" and value.value == 0):
                raise ValueError(
                    f"metric '{self.name}': {key} {margin_text(value)} does not suit kind {self.kind}; "
                    f"write it like {examples}"
                )
        if self.tolerated.measure != self.margin.measure:
            raise ValueError(
                f"metric '{self.name}': margin {margin_text(self.margin)} and harm {margin_text(self.tolerated)} "
                "are in different measures; write both in one"
            )
        if self.margin.value <= self.tolerated.value:
            raise ValueError(
                f"metric '{self.name}': margin {margin_text(self.margin)} must be larger than harm "
                f"{margin_text(self.tolerated)}, or nothing could ever be rolled back or promoted"
            )
        if self.margin.measure == "pp" and self.margin.value >= 1:
            raise ValueError(f"metric '{self.name}': {margin_text(self.margin)} excludes nothing; try 0.5pp")
        if self.kind.is_of_units and self.lower_is_worse and self.margin.relative and self.margin.value >= 1:
            raise ValueError(f"metric '{self.name}': nothing can drop by {margin_text(self.margin)} or more; try 10%")
        return self


class Method(StrEnum):
    """How a gate judges."""

    SEQUENTIAL = "sequential"
    """By e-values, at any time, as often as one likes."""
    KAYENTA = "kayenta"
    """As Kayenta's judge does, once, when the windows that it asks for are complete."""


class Gate(Block):
    """A question whose answer lets a route have more traffic, or takes it away."""

    metrics: tuple[Metric, ...] = Field(min_length=1, max_length=64)
    """What is compared."""
    alpha: Fraction = 0.05
    """Probability of rolling back a candidate that is not worse, and of promoting one that is worse by its margin."""
    window: Duration = 1.0
    """How long a window of evidence lasts at least; at least as long as bursts that hit one side only."""
    min_requests: int = Field(default=100, ge=1, le=1_000_000_000)
    """Requests a side before anything is promoted."""
    min_units: int = Field(default=3, ge=1, le=128)
    """Different units a side (as far as 256 clusters can tell) before anything is promoted."""
    silence: Duration = 30.0
    """A side without requests for this long is a fault, not a reason to go on."""
    method: Method = Method.SEQUENTIAL
    """How it judges: `sequential`, at any time, or `kayenta`, once, for whoever moves from there."""
    kayenta: KayentaGate | None = None
    """`method: kayenta`: how many windows, the thresholds of the score, the groups' weights."""

    @property
    def events(self) -> tuple[str, ...]:
        """The business events that its metrics name; an event's number is its place here."""
        return tuple(dict.fromkeys(metric.event for metric in self.metrics if metric.event is not None))

    @field_validator("alpha")
    @classmethod
    def _alpha_is_an_error_rate(cls, alpha: float) -> float:
        if not 1e-6 <= alpha <= 0.5:
            raise ValueError("alpha is the share of wrong verdicts that you accept; write it like 5% (0.0001% to 50%)")
        return alpha

    @field_validator("window")
    @classmethod
    def _window_is_short(cls, window: float) -> float:
        if not 0.1 <= window <= 3600:
            raise ValueError("a window lasts from 100ms to 1h; write it like 1s")
        return window

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [metric.name for metric in self.metrics]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two metrics are named '{name}'; give each its own name")
        if not any(metric.required for metric in self.metrics):
            raise ValueError("no metric is required, so nothing would ever be asked before promoting; require one")
        if self.silence < self.window:
            raise ValueError("silence is shorter than window, so every quiet window would be a fault; make it longer")
        return self

    @model_validator(mode="after")
    def _ages_are_told_by_windows(self) -> Self:
        for metric in self.metrics:
            if metric.within is not None and metric.within < LEAST_WINDOWS_WITHIN * self.window:
                raise ValueError(
                    f"metric '{metric.name}': within lasts less than {LEAST_WINDOWS_WITHIN} windows, by which the ages "
                    "of units are told; make it longer, or the gate's window shorter"
                )
        return self

    @model_validator(mode="after")
    def _keys_fit_the_method(self) -> Self:
        if self.method is Method.SEQUENTIAL:
            asked = next((metric.name for metric in self.metrics if metric.kayenta is not None), None)
            if asked is not None or self.kayenta is not None:
                where = f"metric '{asked}': " if asked is not None else ""
                raise ValueError(f"{where}'kayenta' belongs to 'method: kayenta'; write that too, or remove it")
            return self
        for metric in self.metrics:
            _check_kayenta(metric)
        groups = {group for metric in self.metrics if metric.kayenta for group in metric.kayenta.groups}
        weights = self.kayenta.groups if self.kayenta is not None else {}
        for name in weights:
            if name not in groups:
                raise ValueError(f"no metric is in the group '{name}' that 'kayenta.groups' weighs; remove it")
        if weights and groups == set(weights) and abs(sum(weights.values()) - 100) > 1e-6:
            raise ValueError(
                f"the weights of 'kayenta.groups' sum to {sum(weights.values()):g}; where every group has one they "
                "must sum to 100"
            )
        _check_says(self.metrics, self.kayenta or KayentaGate())
        return self


def _check_says(metrics: tuple[Metric, ...], terms: KayentaGate) -> None:
    """Raises ValueError where a required metric could fail without any effect on the score."""
    groups = {one.name: one.kayenta.groups for one in metrics if one.required and one.kayenta is not None}
    weights = terms.weights({group for each in groups.values() for group in each})
    for metric in metrics:
        found = groups.get(metric.name)
        if found is not None and not metric.critical and sum(weights[group] for group in found) <= LEAST_WEIGHT:
            raise ValueError(
                f"the group '{found[0]}' weighs 0, so the required metric '{metric.name}' would have no say; give the "
                "group a weight under 'kayenta.groups', or write 'critical: true' or 'required: false' at the metric"
            )


def _check_kayenta(metric: Metric) -> None:
    """Raises ValueError for what a metric of a gate with `method: kayenta` cannot be or say."""
    if metric.kayenta is None:
        raise ValueError(
            f"metric '{metric.name}': in a gate with 'method: kayenta' it needs 'kayenta', which says what speaks "
            "against the candidate; write it like kayenta: {direction: increase}"
        )
    if metric.kind not in (MetricKind.ERROR_RATE, MetricKind.LATENCY, MetricKind.QUERY):
        raise ValueError(
            f"metric '{metric.name}': the method kayenta judges series of windows, which kind {metric.kind} has none "
            "of; ask a source for it with kind query, or judge it by the method sequential"
        )
    given = {"margin": metric.margin != DEFAULT_MARGIN, "harm": metric.harm is not None, "weight": metric.weight != 1}
    given["direction"] = bool(metric.keys_given("direction"))
    unused = next((key for key, is_given in given.items() if is_given), None)
    if unused is not None:
        raise ValueError(
            f"metric '{metric.name}': '{unused}' is not used by the method kayenta; write what speaks against "
            "the candidate under its 'kayenta', and weights of groups under the gate's 'kayenta.groups'"
        )
    if metric.critical and not metric.required:
        raise ValueError(f"metric '{metric.name}': watched only, so it cannot be critical; remove 'critical'")
