"""Endpoints that fail and are left alone for a while: Envoy's outlier detection, for the endpoints of one service.

Pure: monotonic seconds are an argument. Endpoints are their numbers in the order of the file. The definitions are those
of Envoy's architecture overview, page "Outlier detection" (consecutive 5xx, consecutive gateway failure, success rate,
failure percentage; the ejection algorithm), and of its v3 API reference, config.cluster.v3.OutlierDetection.

What differs, on purpose: where more endpoints fail than may be out, the worst go first; and an ejection ends with its
time, or when health checks that had found the endpoint ill find it well again (`readmit`), but not at any good check,
because a health path that answers while requests fail is common.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from rules.service_care import Ejection, FailurePercentage, SuccessRate

ANSWERED: Final = 0
"""With any status below 500."""
ERROR: Final = 1
"""500 or above, but no gateway's."""
GATEWAY: Final = 2
"""502, 503 or 504."""
UNANSWERED: Final = 3
"""No connection, a reset, a timeout, no HTTP: counts as GATEWAY (Envoy's "locally originated" errors do likewise)."""


def kind_of(status: int) -> int:
    """Of an answer."""
    return ANSWERED if status < 500 else GATEWAY if 502 <= status <= 504 else ERROR


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep changed."""

    returned: tuple[int, ...] = ()
    ejected: tuple[int, ...] = ()


_NOTHING = Swept()


class _Record:
    """What is known of one endpoint."""

    __slots__ = ("errors", "failures", "gateways", "is_out", "requests", "times", "until", "why")

    def __init__(self) -> None:
        self.errors = 0
        """Failures in a row, of every kind."""
        self.gateways = 0
        """GATEWAY and UNANSWERED in a row."""
        self.requests = 0
        """In the current interval."""
        self.failures = 0
        """In the current interval."""
        self.is_out = False
        self.until = 0.0
        self.times = 0
        """Ejections in a row; one less for every interval that the endpoint is not out."""
        self.why = ""
        """What found it the last time, by the rules file's name."""


class Ejector:
    """Who is out. `result` is hot where a service has several URLs."""

    __slots__ = ("_5xx", "_gateway", "_records", "_spec", "at_most", "due", "out")

    def __init__(self, spec: Ejection, count: int) -> None:
        self._spec = spec
        self._records = [_Record() for _ in range(count)]
        never = 1 << 62
        self._5xx = spec.consecutive_5xx if isinstance(spec.consecutive_5xx, int) else never
        gateway = spec.consecutive_gateway_failure
        self._gateway = gateway if isinstance(gateway, int) else never
        self.at_most = max(1, int(count * spec.max_ejection_percent))
        """How many may be out at once."""
        self.out = 0
        """How many are."""
        self.due = 0.0
        """When the next sweep does something; set by the first one."""

    def is_out(self, endpoint: int) -> bool:
        return self._records[endpoint].is_out

    def why(self, endpoint: int) -> str:
        """What ejected it the last time: the rules file's key, ``consecutive_5xx``."""
        return self._records[endpoint].why

    def result(self, endpoint: int, kind: int, now: float) -> bool:
        """What a request to `endpoint` came to; whether it is ejected by that."""
        record = self._records[endpoint]
        record.requests += 1
        if not kind:
            record.errors = record.gateways = 0
            return False
        record.failures += 1
        record.errors += 1
        record.gateways = record.gateways + 1 if kind >= GATEWAY else 0
        if record.gateways >= self._gateway:
            return self._eject(record, "consecutive_gateway_failure", now)
        if record.errors >= self._5xx:
            return self._eject(record, "consecutive_5xx", now)
        return False

    def sweep(self, now: float) -> Swept:
        """Who came back and who went; to be called often: it does nothing until an `interval` is over."""
        if now < self.due:
            return _NOTHING
        is_first = not self.due
        self.due = now + self._spec.interval
        if is_first:
            return _NOTHING
        returned = tuple(number for number in range(len(self._records)) if self._returns(self._records[number], now))
        ejected = tuple(number for number, why in self._outliers() if self._eject(self._records[number], why, now))
        for record in self._records:
            record.requests = record.failures = 0
        return Swept(returned, ejected)

    def readmit(self, endpoint: int) -> bool:
        """Health checks found it ill and now well again: whatever it was ejected for is over. Whether it was out."""
        record = self._records[endpoint]
        if not record.is_out:
            return False
        self._return(record)
        return True

    def _returns(self, record: _Record, now: float) -> bool:
        if not record.is_out:
            record.times = max(0, record.times - 1)
            return False
        if now < record.until:
            return False
        self._return(record)
        return True

    def _return(self, record: _Record) -> None:
        record.is_out = False
        record.errors = record.gateways = 0  # a single failure would eject it again
        self.out -= 1

    def _eject(self, record: _Record, why: str, now: float) -> bool:
        record.errors = record.gateways = 0
        if record.is_out or self.out >= self.at_most:
            return False
        longest = self._spec.longest
        seconds = self._spec.base_ejection_time * (record.times + 1)
        if seconds <= longest:
            record.times += 1
        record.until = now + min(seconds, longest)
        record.is_out = True
        self.out += 1
        record.why = why
        return True

    def _outliers(self) -> Iterable[tuple[int, str]]:
        """(endpoint, what found it), the worst first."""
        spec = self._spec
        if isinstance(spec.success_rate, SuccessRate):
            for number in below_the_others(self._rates(spec.success_rate.request_volume), spec.success_rate):
                yield number, "success_rate"
        percentage = spec.failure_percentage
        if isinstance(percentage, FailurePercentage) and len(self._records) >= percentage.minimum_endpoints:
            bound = 1 - Fraction(str(percentage.threshold))
            rates = self._rates(percentage.request_volume)
            for number in sorted(rates, key=rates.__getitem__):
                if rates[number] <= bound:
                    yield number, "failure_percentage"

    def _rates(self, volume: int) -> dict[int, Fraction]:
        """Successes among the interval's requests, of the endpoints that are in and had at least `volume` of them."""
        return {
            number: Fraction(record.requests - record.failures, record.requests)
            for number, record in enumerate(self._records)
            if not record.is_out and record.requests >= volume
        }


def below_the_others(rates: dict[int, Fraction], spec: SuccessRate) -> list[int]:
    """The endpoints whose success rate lies below ``mean - stdev_factor * stdev``, the worst first.

    Mean and (population) standard deviation are of all `rates`, the outliers' own included, as in Envoy. Exact, by
    fractions: rounding must not eject one of many that are alike.
    """
    count = len(rates)
    if count < spec.minimum_endpoints:
        return []
    mean = sum(rates.values(), Fraction(0)) / count
    variance = sum(((rate - mean) ** 2 for rate in rates.values()), Fraction(0)) / count
    bound = Fraction(str(spec.stdev_factor)) ** 2 * variance
    found = [number for number, rate in rates.items() if rate < mean and (mean - rate) ** 2 > bound]
    return sorted(found, key=rates.__getitem__)
