"""What a pipeline makes of a verdict: exit codes, and the sentence where one is not the verdict's own."""

from __future__ import annotations

import pytest

from canary.verdict import Verdict
from proxy.cli.canary.policy import Policy, parse_inconclusive


@pytest.mark.parametrize(("text", "code"), [("fail", 1), ("pass", 0), ("3", 3), ("78", 78), ("0", 0), ("255", 255)])
def test_what_no_decision_ends_with_is_a_word_or_a_code(text: str, code: int) -> None:
    assert parse_inconclusive(text) == code


@pytest.mark.parametrize("text", ["", "maybe", "code", "CODE", "-1", "256", "1.5", "\u0663", "FAIL"])
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' is neither fail, nor pass, nor a number from 0 to 255"):
        parse_inconclusive(text)


def test_only_a_missing_decision_can_be_made_light_of() -> None:
    lenient = Policy(inconclusive=0)

    assert {verdict: lenient.exit_code(verdict) for verdict in Verdict} == {
        Verdict.PROMOTE: 0,
        Verdict.ROLLBACK: 1,
        Verdict.KEEP_WATCHING: 0,
        Verdict.FAULT: 4,
    }
    assert "passes" in lenient.note(Verdict.KEEP_WATCHING)
    assert lenient.note(Verdict.FAULT) == lenient.note(Verdict.ROLLBACK) == ""


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_dry_run_ends_with_zero_and_says_what_it_would_have_been(verdict: Verdict) -> None:
    trial = Policy(inconclusive=9, dry_run=True)

    assert trial.exit_code(verdict) == 0
    assert trial.note(verdict).endswith(f"{verdict.value} would have been {Policy(9).exit_code(verdict)}")


def test_without_options_nothing_is_said() -> None:
    assert [Policy().note(verdict) for verdict in Verdict] == [""] * 4
    assert [Policy().exit_code(verdict) for verdict in Verdict] == [verdict.exit_code for verdict in Verdict]
