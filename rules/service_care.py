"""How fig watches over a service: health checks, ejection of endpoints, the circuit breaker. Grammar and defaults only.

The machines that follow these blocks are the data plane's (proxy/dataplane): they take them as they stand here.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from rules.names import Block, Positive
from rules.quantities import Fraction

Off = Literal["off"]
Count = Annotated[int, Field(ge=1, le=1_000_000)]

_STATUSES = re.compile(r"([1-5])xx|([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")


def _statuses(value: object) -> object:
    """``200`` is ``"200"``, and one of them a list of it."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return tuple(str(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in values)


def parse_statuses(text: str) -> range:
    """Of ``2xx``, ``204`` or ``200-399``, both ends included. Raises ValueError."""
    found = _STATUSES.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text:.40}' is not a status; write it like 204, 2xx or 200-399")
    if found[1]:
        return range(int(found[1]) * 100, int(found[1]) * 100 + 100)
    first, last = int(found[2]), int(found[3] or found[2])
    if last < first:
        raise ValueError(f"'{text}' holds no status; write {last}-{first}")
    return range(first, last + 1)


class HealthCheck(Block):
    """How each endpoint is asked whether it is well. A path alone stands for the block with this path."""

    path: str
    """What is asked for, by GET."""
    every: Positive = 5.0
    """From one check to the next, by chance up to a tenth sooner."""
    timeout: Positive = 1.0
    """From the beginning of a check, connecting included, to the answer's head; later is a failure."""
    healthy: Annotated[int, Field(ge=1, le=100)] = 2
    """An endpoint that was ill is well after so many good checks in a row."""
    unhealthy: Annotated[int, Field(ge=1, le=100)] = 3
    """An endpoint that was well is ill after so many bad checks in a row."""
    status: Annotated[
        tuple[str, ...],
        BeforeValidator(_statuses, json_schema_input_type=int | str | list[int | str]),
        Field(min_length=1, max_length=32),
    ] = ("2xx",)
    """Statuses of a good check: ``204``, ``2xx``, ``200-399``, or a list of such."""
    host: str | None = None
    """The Host line of a check; by default the endpoint's own host and port."""

    @field_validator("path")
    @classmethod
    def _is_path(cls, path: str) -> str:
        if not re.fullmatch(r"/[!-~]*", path):
            raise ValueError(f"'{path:.80}' is not a path; write it like /healthz")
        return path

    @field_validator("status")
    @classmethod
    def _are_statuses(cls, status: tuple[str, ...]) -> tuple[str, ...]:
        for text in status:
            parse_statuses(text)
        return status

    @field_validator("host")
    @classmethod
    def _is_host(cls, host: str | None) -> str | None:
        if host is not None and not re.fullmatch(r"[A-Za-z0-9._:\[\]-]{1,255}", host):
            raise ValueError(f"'{host:.80}' is not a host; write it like shop.example or shop.example:8443")
        return host

    @model_validator(mode="after")
    def _ends_before_the_next(self) -> HealthCheck:
        if self.timeout > self.every:
            raise ValueError("'timeout' must not be longer than 'every': one check ends before the next begins")
        return self

    @property
    def good(self) -> frozenset[int]:
        """Every status of a good check."""
        return frozenset(status for text in self.status for status in parse_statuses(text))


def health_path(value: object) -> object:
    """``/healthz`` is ``{path: /healthz}``."""
    return {"path": value} if isinstance(value, str) else value


class SuccessRate(Block):
    """Ejects the endpoints that fail more than the others do, at every `interval`."""

    stdev_factor: Annotated[float, Field(gt=0, le=100)] = 1.9
    """How many standard deviations below the mean of all endpoints an endpoint's success rate must lie."""
    minimum_endpoints: Count = 5
    """With fewer endpoints that had enough requests, nothing is compared."""
    request_volume: Count = 100
    """An endpoint with fewer requests in the interval is left out."""


class FailurePercentage(Block):
    """Ejects the endpoints that fail at least so often, at every `interval`."""

    threshold: Fraction = 0.85
    """Failures among the interval's requests."""
    minimum_endpoints: Count = 5
    """With fewer endpoints in the service, nothing is looked at."""
    request_volume: Count = 50
    """An endpoint with fewer requests in the interval is left out."""


class Ejection(Block):
    """When an endpoint that fails is left alone for a while. Keys and defaults are those of Envoy's outlier detection.

    Envoy's v3 API reference, config.cluster.v3.OutlierDetection, and its architecture overview, "Outlier detection".
    What Envoy measures but does not enforce by default (enforcing_consecutive_gateway_failure and
    enforcing_failure_percentage are 0 there) is off here until it is given.
    """

    consecutive_5xx: Off | Count = 5
    """Failures in a row: answers with 5xx, and requests without an answer."""
    consecutive_gateway_failure: Off | Count = "off"
    """Gateway failures in a row: answers with 502, 503 or 504, and requests without an answer."""
    success_rate: Off | SuccessRate = SuccessRate()
    """Comparison of endpoints with each other."""
    failure_percentage: Off | FailurePercentage = "off"
    """A bound for every endpoint by itself."""
    interval: Positive = 10.0
    """From one comparison to the next; ejections that are over end at it too."""
    base_ejection_time: Positive = 30.0
    """How long the first ejection lasts; the second in a row twice as long, and so on."""
    max_ejection_time: Positive = 300.0
    """How long an ejection lasts at most."""
    max_ejection_percent: Fraction = 0.1
    """The part of the endpoints that may be out at once; one always may."""

    @model_validator(mode="after")
    def _lasts_as_long_as_it_may(self) -> Ejection:
        if self.max_ejection_time < self.base_ejection_time and "max_ejection_time" in self.model_fields_set:
            raise ValueError("'max_ejection_time' must not be shorter than 'base_ejection_time'")
        return self

    @property
    def longest(self) -> float:
        """Seconds: `max_ejection_time`, or a longer `base_ejection_time` where only that is given (as in Envoy)."""
        return max(self.max_ejection_time, self.base_ejection_time)


class CircuitBreaker(Block):
    """When a service that fails is left alone as a whole, and how it is tried again."""

    consecutive: Off | Count | None = None
    """It opens after so many failures in a row; 5, or ``off`` where `rate` is given."""
    rate: Annotated[Fraction, Field(gt=0)] | None = None
    """It opens when this part of the requests of the last `over` failed."""
    over: Annotated[Positive, Field(ge=1, le=600)] = 10.0
    """The time that `rate` looks back on."""
    at_least: Count = 20
    """With fewer requests in that time, `rate` is not looked at."""
    open_for: Positive = 5.0
    """How long every request is refused when it opens; twice as long each time that the service still fails."""
    max_open_for: Positive = 60.0
    """How long at most."""
    probes: Annotated[int, Field(ge=1, le=100)] = 1
    """Requests that try the service afterwards, no more of them at once; so many successes close it, one failure opens
    it again."""

    @model_validator(mode="after")
    def _opens_at_all(self) -> CircuitBreaker:
        if self.consecutive == "off" and self.rate is None:
            raise ValueError("never opens; give 'consecutive', 'rate' or both, or remove the block")
        if self.rate is None:
            idle = sorted(self.model_fields_set & {"over", "at_least"})
            if idle:
                raise ValueError(f"'{idle[0]}' has no meaning without 'rate'; give 'rate: 50%', or remove it")
        if self.max_open_for < self.open_for and "max_open_for" in self.model_fields_set:
            raise ValueError("'max_open_for' must not be shorter than 'open_for'")
        return self

    @property
    def in_a_row(self) -> int | None:
        """Failures in a row that open it; None where they do not count."""
        if self.consecutive is None:
            return 5 if self.rate is None else None
        return None if self.consecutive == "off" else self.consecutive

    @property
    def longest(self) -> float:
        """Seconds: `max_open_for`, or a longer `open_for` where only that is given."""
        return max(self.max_open_for, self.open_for)
