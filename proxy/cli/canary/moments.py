"""Times as people and pipelines write them, and judgements that rest on evidence from before one."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from canary import words
from canary.verdict import Judgement, Verdict
from rules.quantities import parse_duration

_DURATION = re.compile(r"[0-9.]+[a-z]+")


class MomentError(ValueError):
    """A text that is no time; says how to write one."""


def parse_when(text: str, now: float) -> float:
    """Seconds since the epoch of ``30m`` (ago), ``now`` and ``2026-11-23T09:00:00Z``. Raises MomentError."""
    if text == "now":
        return now
    try:
        if _DURATION.fullmatch(text):
            return now - parse_duration(text)
        when = datetime.fromisoformat(text)
    except ValueError as exc:
        raise MomentError(f"'{text}' is no time; write 30m (ago) or 2026-11-23T09:00:00Z") from exc
    if when.tzinfo is None:
        raise MomentError(f"'{text}' does not say in which time zone; write 2026-11-23T09:00:00Z")
    return when.timestamp()


def begun_since(judgement: Judgement, since: float) -> Judgement:
    """The judgement, or a fault where its attempt began before `since`: what it says is of a former candidate."""
    if judgement.since >= since:
        return judgement
    reason = (
        f"the attempt that is judged ({judgement.verdict.value}) began at {words.moment(judgement.since)}, before "
        f"{words.moment(since)} (--since): what it shows is of a former candidate; name the release in "
        "the rules file, or move the route anew"
    )
    return replace(judgement, verdict=Verdict.FAULT, reason=reason, metrics=())
