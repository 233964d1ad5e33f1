"""How fast an error budget burns, and when somebody should know. Pure.

The alerts are those of Google's Site Reliability Workbook, chapter 5, "Multiwindow, multi-burn-rate alerts" (table
5-8): a page when 2 % of a 30-day budget went in an hour (14.4 times the pace that just uses it up) or 5 % in six hours
(6 times), a ticket when 10 % went in three days (1 time), each only while a window of a twelfth of that burns as fast,
so that an alert ends soon after its cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
WINDOWS = {"5m": 5 * MINUTE, "30m": 30 * MINUTE, "1h": HOUR, "6h": 6 * HOUR, "3d": 3 * DAY}
"""Name -> seconds."""


class Severity(StrEnum):
    PAGE = "page"
    TICKET = "ticket"


class BurnAlert(NamedTuple):
    severity: Severity
    long: str
    short: str
    spent: float
    """Part of the budget that burns in the long window at the pace from which the alert is raised."""

    def threshold(self, period: float) -> float:
        """That pace, as a multiple of the one that just uses the budget up in `period` seconds."""
        return self.spent * period / WINDOWS[self.long]


ALERTS = (
    BurnAlert(Severity.PAGE, "1h", "5m", 0.02),
    BurnAlert(Severity.PAGE, "6h", "30m", 0.05),
    BurnAlert(Severity.TICKET, "3d", "6h", 0.10),
)
"""The more urgent first."""


@dataclass(frozen=True, slots=True)
class Burn:
    """What one window says of one objective."""

    total: int
    bad: int
    rate: float | None
    """Multiple of the pace that just uses the budget up; None without requests."""


def budget(goal: float) -> float:
    """The part that may be bad: 0.001 of 0.999, and not the 0.0010000000000000009 that floats make of it."""
    return round(1 - goal, 9)


def burn(total: int, bad: int, goal: float) -> Burn:
    """The part of bad requests over the part that may be: ``(bad / total) / (1 - goal)``."""
    return Burn(total, bad, bad / total / budget(goal) if total else None)


def remaining(total: int, bad: int, goal: float, covered: float, period: float) -> float | None:
    """Which part of the budget is left, 1 to (without limit) below 0; None without requests.

    The budget is what may fail in a whole `period`. Of a period of which only `covered` seconds have been seen, the
    rest is taken to bring requests at the same pace: else one error among the first ten requests would exhaust 30 days'
    budget. So a burn rate b for a part p of the period takes b p of it, whatever the traffic.
    """
    if not total:
        return None
    seen = min(max(covered / period, 1e-9), 1.0)
    return 1 - bad / (budget(goal) * total / seen)


def raised(burns: dict[str, Burn], period: float, least: int) -> BurnAlert | None:
    """The most urgent alert whose two windows both burn at its pace or faster, on at least `least` requests."""
    for alert in ALERTS:
        long, short = burns[alert.long], burns[alert.short]
        pace = alert.threshold(period)
        if long.total >= least and (long.rate or 0.0) >= pace and (short.rate or 0.0) >= pace:
            return alert
    return None
