"""What came of probes, as values: checks, steps, sides, and what they mean together. All texts may be shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from rules.stages import Side


class Outcome(StrEnum):
    """What one side made of a probe."""

    PASSED = "passed"
    FAILED = "failed"
    """It answered something else than was expected, or not in time."""
    UNREACHABLE = "unreachable"
    """No connection came about."""
    UNASKED = "unasked"
    """No request could be made of the script: neither side is to blame."""
    ELSEWHERE = "fails elsewhere"
    """A step failed whose route the probe does not guard, and so not the side that is probed."""


class Result(StrEnum):
    """What the sides say together."""

    PASSED = "passed"
    CANDIDATE_FAILS = "candidate fails"
    """What legacy passes, or was not asked."""
    FAULT = "fault"
    """Legacy fails it itself, nobody can be reached, or nothing can be asked: it says nothing of the candidate."""

    @property
    def exit_code(self) -> int:
        return {Result.PASSED: 0, Result.CANDIDATE_FAILS: 1, Result.FAULT: 4}[self]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that an answer had to be."""

    what: str
    """``status``, ``header content-type``, ``json /total``, ``body``, ``latency``, ``take order``."""
    expected: str
    got: str
    ok: bool


@dataclass(frozen=True, slots=True)
class StepFinding:
    """One request and what came of it."""

    name: str
    service: str
    """``""`` where no request could be made."""
    method: str
    target: str
    """Path and query as the service got them."""
    headers: tuple[tuple[str, str], ...] = ()
    """That the script gives."""
    body: str = ""
    """The beginning of what was sent."""
    status: int | None = None
    seconds: float | None = None
    """From the request's start to the answer's end."""
    problem: str = ""
    """Why there is no answer; ``""`` where there is one."""
    checks: tuple[Check, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problem and all(check.ok for check in self.checks)

    @property
    def why(self) -> str:
        """What is wrong, in one line; ``""`` where nothing is."""
        wrong = [f"{check.what}: expected {check.expected}, got {check.got}" for check in self.checks if not check.ok]
        return self.problem or "; ".join(wrong)


@dataclass(frozen=True, slots=True)
class SideFinding:
    """One run of a script on one side."""

    side: Side
    outcome: Outcome
    steps: tuple[StepFinding, ...]
    """Those that were asked; all but the last one are fine."""
    left: int
    """Steps that were not asked, because one before them failed."""
    seconds: float

    @property
    def why(self) -> str:
        """``step sign-in: status: expected 2xx, got 500``; ``""`` where it passed."""
        if self.outcome is Outcome.PASSED or not self.steps:
            return ""
        return f"step {self.steps[-1].name}: {self.steps[-1].why}"


_NOBODYS = {Outcome.UNASKED: "cannot be asked", Outcome.ELSEWHERE: "fails on a route that it does not guard"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One run of a probe on the sides that were asked."""

    probe: str
    routes: tuple[str, ...]
    critical: bool
    at: float
    """When it began, seconds since the epoch."""
    sides: tuple[SideFinding, ...]

    def of(self, side: Side) -> SideFinding | None:
        return next((each for each in self.sides if each.side is side), None)

    @property
    def passes(self) -> bool:
        """Whether the candidate was asked and passed."""
        found = self.of(Side.CANDIDATE)
        return found is not None and found.outcome is Outcome.PASSED

    @property
    def result(self) -> Result:
        legacy, candidate = self.of(Side.LEGACY), self.of(Side.CANDIDATE)
        if all(each.outcome is Outcome.PASSED for each in self.sides):
            return Result.PASSED if self.sides else Result.FAULT
        if candidate is None or candidate.outcome is Outcome.ELSEWHERE:
            return Result.FAULT
        if legacy is None:
            return Result.FAULT if candidate.outcome is Outcome.UNASKED else Result.CANDIDATE_FAILS
        # Where legacy passes, a step that cannot be asked is of what the candidate answered to the steps before it.
        return Result.CANDIDATE_FAILS if legacy.outcome is Outcome.PASSED else Result.FAULT

    @property
    def reason(self) -> str:
        """One sentence: what came of it."""
        legacy, candidate = self.of(Side.LEGACY), self.of(Side.CANDIDATE)
        if self.result is Result.PASSED:
            return f"probe '{self.probe}' passed on {' and '.join(each.side.value for each in self.sides)}"
        if self.result is Result.CANDIDATE_FAILS and candidate is not None:
            other = ", legacy passes" if legacy is not None else ""
            return f"probe '{self.probe}' fails on the candidate{other}: {candidate.why}"
        for outcome, said in _NOBODYS.items():
            found = next((each for each in self.sides if each.outcome is outcome), None)
            if found is not None:
                return f"probe '{self.probe}' {said}: {found.why}"
        if legacy is not None and candidate is not None:
            if legacy.outcome is candidate.outcome is Outcome.UNREACHABLE:
                return f"probe '{self.probe}' reaches neither side: {legacy.why}"
            too = "too" if candidate.outcome is not Outcome.PASSED else "only"
            return f"probe '{self.probe}' fails on legacy {too}: {legacy.why}"
        why = legacy.why if legacy is not None else "nobody was asked"
        return f"probe '{self.probe}' fails on legacy: {why}"


def exit_code(findings: Iterable[Finding]) -> int:
    """Of several probes: a candidate that certainly fails outweighs what says nothing of it."""
    codes = {finding.result.exit_code for finding in findings}
    return 1 if 1 in codes else max(codes, default=0)
