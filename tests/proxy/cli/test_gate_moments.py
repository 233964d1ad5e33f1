"""Since when evidence counts: times as they are written, and attempts of a former candidate."""

from __future__ import annotations

import pytest

from canary.verdict import Verdict
from proxy.cli.canary.moments import MomentError, begun_since, parse_when
from tests.fakes.judgements import judgement

SINCE = 1_700_000_000.0
"""When the attempt of those judgements began."""


def test_times_are_ago_or_absolute() -> None:
    assert parse_when("30m", 10_000.0) == 8_200.0
    assert parse_when("now", 10_000.0) == 10_000.0
    assert parse_when("1970-01-01T01:00:00+01:00", 10_000.0) == 0.0


@pytest.mark.parametrize("text", ["30 minutes", "yesterday", "", "2026-11-23T09:00:00", "5y", "nan"])
def test_what_is_no_time_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(MomentError, match="2026-11-23T09:00:00Z"):
        parse_when(text, 10_000.0)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_what_an_attempt_from_before_shows_decides_nothing(verdict: Verdict) -> None:
    former = begun_since(judgement(verdict), SINCE + 1)

    assert former.verdict is Verdict.FAULT
    assert f"({verdict.value}) began at 2023-11-14 22:13:20 UTC, before 2023-11-14 22:13:21" in former.reason
    assert begun_since(judgement(verdict), SINCE) == judgement(verdict)
