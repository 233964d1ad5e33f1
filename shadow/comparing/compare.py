"""Do two answers agree? Bytes first, then what they mean, then where they differ. Pure.

In order, and each only if the one before agrees: both answered, the status, then headers and body together: answers of
different status are different outcomes, and their bodies have nothing to say to each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache, partial

from shadow.comparing.compare_bodies import compare_bodies
from shadow.comparing.differences import Difference, DifferenceKind, Outcome
from shadow.comparing.findings import Findings
from shadow.comparing.headers import compare_header, url_of
from shadow.comparing.layouts import Layouts
from shadow.comparing.masks import Masks
from shadow.comparing.values import Json
from shadow.pair import Answer, Pair
from shadow.spec import Comparison

EQUAL = Outcome()
"""The outcome of answers that agree without any mask's help."""


_FAILED = "fig failed to compare it; its log says how"
UNJUDGED = Outcome((Difference(DifferenceKind.NOT_COMPARED, "body", "body", _FAILED, _FAILED),))
"""Of answers on which the comparison itself fails: nobody has seen that they agree."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair with what its comparison found, ready for the store."""

    pair: Pair
    outcome: Outcome
    comparison: Comparison


def judge(pair: Pair, comparison: Comparison) -> Judged:
    """Compare both sides of a pair, under the masks in force on the day that it was made."""
    on = datetime.fromtimestamp(pair.started, UTC).date()
    outcome = compare(pair.legacy, pair.candidate, comparison, on, partial(url_of, pair))
    return Judged(pair, outcome, comparison)


def compare(
    legacy: Answer,
    candidate: Answer,
    comparison: Comparison,
    on: date | None = None,
    url: Callable[[], str] = str,
) -> Outcome:
    """Everything that differs between two answers and that no mask excuses.

    `on` is the day (UTC) that the masks' `expires` are held against; without it no mask has expired. `url` gives what
    the client asked for, which relative redirects lead on from. Never raises on any answer; time is linear in the
    bodies plus a fixed budget.
    """
    return _comparer(comparison, on).compare(legacy, candidate, url)


@lru_cache(maxsize=256)
def _comparer(comparison: Comparison, on: date | None) -> Comparer:
    return Comparer(comparison, on)


class Comparer:
    """A comparison with its masks compiled, and what it has learnt of how to be quick."""

    def __init__(self, comparison: Comparison, on: date | None = None) -> None:
        self._status = comparison.status
        self._headers = comparison.headers
        self._masks = Masks(comparison.masks, on)
        self._layouts = Layouts()

    def compare(self, legacy: Answer, candidate: Answer, url: Callable[[], str] = str) -> Outcome:
        """As the function `compare`."""
        # Most pairs are equal to the byte; they cost no more than this.
        if (
            legacy.body == candidate.body
            and legacy.status == candidate.status
            and legacy.headers == candidate.headers
            and not (legacy.failure or candidate.failure or legacy.truncated or candidate.truncated)
        ):
            return EQUAL
        findings = Findings(self._masks)
        self._compare(legacy, candidate, url, findings)
        return findings.outcome() if findings.count or findings.excused else EQUAL

    def _compare(self, legacy: Answer, candidate: Answer, url: Callable[[], str], findings: Findings) -> None:
        if legacy.failure or candidate.failure:
            findings.add(DifferenceKind.NO_ANSWER, "status", "status", _result(legacy), _result(candidate))
            return
        if self._status and legacy.status != candidate.status:
            findings.add(DifferenceKind.STATUS, "status", "status", legacy.status, candidate.status)
            if findings.count:
                return
        if legacy.headers != candidate.headers:
            for name in self._headers:
                compare_header(name, legacy.values(name), candidate.values(name), url, findings)
        compare_bodies(legacy, candidate, findings, self._layouts)


def _result(answer: Answer) -> Json:
    return f"no answer: {answer.failure}" if answer.failure else answer.status
