"""What two sides' runs of a probe say together."""

from __future__ import annotations

import itertools

import pytest

from proxy.probing.findings import Check, Finding, Outcome, Result, SideFinding, StepFinding, exit_code
from rules.stages import Side

PASSED, FAILED, AWAY, UNASKED, ELSEWHERE = Outcome

BLAMED = {(PASSED, FAILED), (PASSED, AWAY), (None, FAILED), (None, AWAY), (PASSED, UNASKED)}
"""(legacy, candidate). The last one: the same script could be asked of legacy."""


def side(which: Side, outcome: Outcome) -> SideFinding:
    checks = (Check("status", "2xx", "500", outcome is PASSED),)
    return SideFinding(which, outcome, (StepFinding("1", "shop", "GET", "/", status=500, checks=checks),), 0, 0.1)


def finding(legacy: Outcome | None, candidate: Outcome | None) -> Finding:
    asked = ((Side.LEGACY, legacy), (Side.CANDIDATE, candidate))
    sides = tuple(side(which, outcome) for which, outcome in asked if outcome is not None)
    return Finding("buy", ("cart",), False, 0.0, sides)


@pytest.mark.parametrize(("legacy", "candidate"), list(itertools.product((*Outcome, None), repeat=2)))
def test_only_a_candidate_that_fails_what_legacy_passes_is_to_blame(
    legacy: Outcome | None, candidate: Outcome | None
) -> None:
    """Every pair of outcomes: none but passes is a pass, and what legacy does not pass is nobody's fault."""
    found = finding(legacy, candidate)
    asked = [each for each in (legacy, candidate) if each is not None]
    if asked and set(asked) == {PASSED}:
        assert found.result is Result.PASSED
    elif (legacy, candidate) in BLAMED:
        assert found.result is Result.CANDIDATE_FAILS
    else:
        assert found.result is Result.FAULT
    assert found.passes == (candidate is PASSED)
    assert found.reason.startswith("probe 'buy' ")


def test_a_certain_failure_outweighs_what_says_nothing() -> None:
    fine, failing, fault = finding(PASSED, PASSED), finding(PASSED, FAILED), finding(FAILED, FAILED)
    assert exit_code([fine]) == 0
    assert exit_code([fine, fault]) == 4
    assert exit_code([fault, failing, fine]) == 1
