"""Waiting for a gate's verdict: looks again and again, says what it sees, and bears with a control that is away.

The statistics hold however often one looks. Clock, sleep and where to tell things are given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from canary import words
from canary.verdict import Judgement, MetricJudgement, Verdict
from proxy.cli.admin import UnreachableError

POLL = 1.0
"""Seconds between two looks."""
REMIND = 60.0
"""Seconds after which the numbers are told though nothing has changed: CI servers end what is silent for long."""
PATIENCE = 120.0
"""Seconds in a row for which control may be away: a restart takes a few, an upgrade with its machine a minute."""


@dataclass(slots=True)
class Progress:
    """What is said while waiting: one line when something changes, the numbers once a minute."""

    _seen: tuple[object, ...] = ()
    _told_at: float = field(default=0.0)

    def lines(self, judgement: Judgement, waited: float, left: float) -> Iterator[str]:
        """What is new at this look, `waited` seconds after the first and `left` before the last."""
        shape = _shape(judgement)
        if shape != self._seen:
            self._seen, self._told_at = shape, waited
            yield f"{spoken(waited)} {judgement.verdict.value}: {judgement.reason}"
        elif waited - self._told_at >= REMIND:
            self._told_at = waited
            yield (
                f"{spoken(waited)} {judgement.verdict.value}, {spoken(left)} left; "
                f"{judgement.legacy_requests:,} requests of legacy, {judgement.candidate_requests:,} of the candidate"
            )
            yield from (f"    {_numbers(metric, judgement)}" for metric in judgement.metrics)


def _shape(judgement: Judgement) -> tuple[object, ...]:
    """What must be equal for nothing to have changed: verdicts, and the reason without its numbers."""
    wordy = re.sub(r"[-+]?[0-9][0-9.,]*(e[-+]?[0-9]+)?|\.\.\.|\?", "#", judgement.reason)
    return judgement.verdict, wordy, tuple(metric.verdict for metric in judgement.metrics)


def _numbers(metric: MetricJudgement, judgement: Judgement) -> str:
    if judgement.is_once:
        return f"{metric.name}: {words.sides(metric)}; {metric.reason}"
    standing = words.missing(metric, judgement) or metric.verdict.value
    return (
        f"{metric.name}: {words.sides(metric)}, worse by {words.difference(metric.estimate, metric)} "
        f"{words.interval(metric)} of {words.bound(metric.margin, metric)}; {standing}"
    )


def spoken(seconds: float) -> str:
    """``45s``, ``2m05s``, ``1h02m``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    return f"{whole // 60}m{whole % 60:02}s" if whole < 3600 else f"{whole // 3600}h{whole % 3600 // 60:02}m"


def wait(
    ask: Callable[[], Judgement],
    seconds: float,
    tell: Callable[[str], None],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    every: float | None = None,
) -> Judgement:
    """The first judgement that decides, or the last one when `seconds` are over; 0 asks once. Looks each `every` (POLL)
    seconds.

    Raises whatever `ask` raises; UnreachableError only when it went on for PATIENCE, or to the end.
    """
    began = clock()
    until, away, last = began + seconds, None, None
    progress = Progress()
    while True:
        try:
            judgement = last = ask()
        except UnreachableError as exc:
            now = clock()
            if away is None:
                away = now
                if now < until:
                    tell(f"{spoken(now - began)} {exc}; trying again for {spoken(min(PATIENCE, until - now))}")
            if now >= min(until, away + PATIENCE):
                raise _final(exc, last) from exc
        else:
            now = clock()
            if away is not None:
                away = None
                tell(f"{spoken(now - began)} control answers again")
            if judgement.verdict in (Verdict.PROMOTE, Verdict.ROLLBACK) or now >= until:
                return judgement
            for line in progress.lines(judgement, now - began, until - now):
                tell(line)
        sleep(min(POLL if every is None else every, max(0.0, until - now)))


def _final(exc: UnreachableError, last: Judgement | None) -> UnreachableError:
    if last is None:
        return exc
    return UnreachableError(f"{exc}; before that the gate said {last.verdict.value}: {last.reason}", exc.code)
