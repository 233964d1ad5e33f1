"""Waiting for a verdict on a clock of the test's own: what ends it, what is said meanwhile, and a control that is
away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from canary.verdict import Judgement, Verdict
from proxy.cli.admin import AdminError, UnreachableError
from proxy.cli.canary.waiting import PATIENCE, REMIND, spoken, wait
from tests.fakes.judgements import judgement, metric

WATCHING = judgement(Verdict.KEEP_WATCHING, metric(more_needed=1200))
AWAY = UnreachableError("control is not reachable", 2)


@dataclass
class Clock:
    """Time that passes by sleeping, and by asking where asking takes time."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += max(seconds, 0.001)


@dataclass
class Told:
    judgement: Judgement | None
    lines: list[str]
    waited: float
    error: Exception | None = None


def waited(says: Callable[[float], Judgement | Exception], seconds: float) -> Told:
    """What came of waiting, where `says` answers by the seconds since the beginning."""
    clock, lines = Clock(), list[str]()

    def ask() -> Judgement:
        answer = says(clock.now - 1000)
        if isinstance(answer, Exception):
            raise answer
        return answer

    try:
        found = wait(ask, seconds, lines.append, clock, clock.sleep)
    except AdminError as exc:
        return Told(None, lines, clock.now - 1000, exc)
    return Told(found, lines, clock.now - 1000)


@pytest.mark.parametrize("verdict", [Verdict.PROMOTE, Verdict.ROLLBACK])
def test_a_decision_ends_the_wait(verdict: Verdict) -> None:
    told = waited(lambda at: judgement(verdict) if at >= 10 else WATCHING, 1800)

    assert told.judgement is not None and told.judgement.verdict is verdict
    assert told.waited == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize("verdict", [Verdict.KEEP_WATCHING, Verdict.FAULT])
def test_without_a_decision_the_last_word_counts_when_the_time_is_over(verdict: Verdict) -> None:
    told = waited(lambda at: judgement(verdict), 90)

    assert told.judgement is not None and told.judgement.verdict is verdict
    assert told.waited == pytest.approx(90, abs=0.01)


def test_without_waiting_it_is_asked_once() -> None:
    told = waited(lambda at: WATCHING, 0)

    assert (told.judgement, told.lines, told.waited) == (WATCHING, [], 0)


def test_what_does_not_change_is_said_once_and_then_each_minute_with_its_numbers() -> None:
    told = waited(lambda at: WATCHING, 2 * REMIND + 5)

    first, *rest = told.lines
    assert first == "0s keep_watching: because of keep_watching"
    assert rest[::2] == [
        "1m00s keep_watching, 1m05s left; 812 requests of legacy, 90 of the candidate",
        "2m00s keep_watching, 5s left; 812 requests of legacy, 90 of the candidate",
    ]
    for part in ("errors: legacy 0.2 % of 812, candidate 20 % of 90", "+19.8 pp [+5 pp, ...]", "of 0.5 pp"):
        assert part in rest[1]
    assert rest[1].endswith("; about 1,200 more requests a side, some 13 min at this rate")


def test_a_gate_that_judges_once_has_no_margins_to_tell() -> None:
    told = waited(lambda at: replace(WATCHING, method="kayenta"), REMIND + 5)

    assert told.lines[-1] == "    errors: legacy 0.2 % of 812, candidate 20 % of 90; errors is so"


def test_numbers_that_move_are_no_change_and_another_verdict_is() -> None:
    def says(at: float) -> Judgement:
        if at < 20:
            return judgement(Verdict.FAULT, reason=f"no counted request of legacy for {at:.0f} s (silence: 30 s)")
        standing = Verdict.PROMOTE if at >= 40 else Verdict.KEEP_WATCHING
        return judgement(Verdict.KEEP_WATCHING, metric(verdict=standing), reason=f"{at:.1f} of 20 [..., +{at:.0f} %]")

    told = waited(says, 50)

    assert [line.split(" ")[:2] for line in told.lines] == [
        ["0s", "fault:"],
        ["20s", "keep_watching:"],
        ["40s", "keep_watching:"],
    ]


def test_a_control_that_restarts_is_waited_for_and_it_is_said() -> None:
    told = waited(lambda at: AWAY if 10 <= at < 40 else judgement(Verdict.PROMOTE) if at > 50 else WATCHING, 1800)

    assert told.judgement is not None and told.judgement.verdict is Verdict.PROMOTE
    assert told.lines[1:] == [
        "10s control is not reachable; trying again for 2m00s",
        "40s control answers again",
    ]


def test_a_control_that_stays_away_ends_the_wait_with_what_the_gate_said_before() -> None:
    told = waited(lambda at: AWAY if at >= 30 else WATCHING, 1800)

    assert told.waited == pytest.approx(30 + PATIENCE, abs=0.1)
    assert (
        str(told.error) == "control is not reachable; before that the gate said keep_watching: because of keep_watching"
    )


def test_each_absence_has_the_whole_patience() -> None:
    told = waited(lambda at: AWAY if at % 110 > 10 else WATCHING, 440)

    assert (told.judgement, told.error) == (WATCHING, None)


def test_nobody_is_waited_for_longer_than_asked() -> None:
    assert waited(lambda at: AWAY, 0).lines == []
    told = waited(lambda at: AWAY, 15)

    assert told.error is AWAY
    assert told.waited == pytest.approx(15, abs=0.01)
    assert told.lines == ["0s control is not reachable; trying again for 15s"]


def test_what_waiting_cannot_mend_ends_it_at_once() -> None:
    told = waited(lambda at: AdminError("no route 'shpo'", 2), 1800)

    assert (told.waited, str(told.error)) == (0, "no route 'shpo'")


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (59.6, "1m00s"), (125, "2m05s"), (3720, "1h02m"), (-1, "0s")])
def test_times_are_short(seconds: float, text: str) -> None:
    assert spoken(seconds) == text
