"""A judgement as a JUnit report: what is a failure, an error, skipped, and fine."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from canary.verdict import Judgement, Verdict
from proxy.cli import junit
from proxy.cli.canary.junit_cases import cases_of
from proxy.cli.canary.places import Places
from proxy.cli.canary.policy import Policy
from rules.problems import Place
from tests.fakes.judgements import judgement, metric


def outcomes(judged: Judgement, policy: Policy | None = None) -> dict[str, str]:
    """Case -> what came of it, as a reader of the XML sees it; ``""`` for fine."""
    report = ET.fromstring(junit.render("gate", cases_of(judged, policy or Policy(), Places())))
    return {str(case.get("name")): "".join(child.tag for child in case) for case in report.iter("testcase")}


MIXED = judgement(
    Verdict.ROLLBACK,
    metric("errors", Verdict.ROLLBACK),
    metric("p99", Verdict.PROMOTE),
    metric("p50", Verdict.KEEP_WATCHING),
    metric("conversion", Verdict.FAULT),
    metric("revenue", Verdict.FAULT, required=False),
)


def test_there_is_a_case_for_the_verdict_and_one_for_each_metric() -> None:
    assert outcomes(MIXED) == {
        "verdict": "failure",
        "errors": "failure",
        "p99": "",
        "p50": "skipped",
        "conversion": "error",
        "revenue": "skipped",
    }


@pytest.mark.parametrize(
    ("verdict", "policy", "outcome"),
    [
        (Verdict.PROMOTE, Policy(), ""),
        (Verdict.FAULT, Policy(), "error"),
        (Verdict.FAULT, Policy(inconclusive=0), "error"),
        (Verdict.KEEP_WATCHING, Policy(), "failure"),
        (Verdict.KEEP_WATCHING, Policy(inconclusive=1), "failure"),
        (Verdict.KEEP_WATCHING, Policy(inconclusive=0), "skipped"),
        (Verdict.ROLLBACK, Policy(inconclusive=0), "failure"),
    ],
)
def test_the_case_of_the_verdict_fails_exactly_when_the_command_does(
    verdict: Verdict, policy: Policy, outcome: str
) -> None:
    assert outcomes(judgement(verdict), policy) == {"verdict": outcome}
    assert (outcome in ("", "skipped")) == (policy.exit_code(verdict) == 0)


def test_a_dry_run_fails_nothing_and_says_what_it_found() -> None:
    assert set(outcomes(MIXED, Policy(dry_run=True)).values()) == {"", "skipped"}
    [verdict, *_] = cases_of(MIXED, Policy(dry_run=True), Places())
    assert (
        verdict.skipped == "rollback: because of rollback\ndry run: exit code 0 whatever the verdict; rollback would "
        "have been 1"
    )


def test_a_failure_holds_the_numbers_and_the_line_of_its_metric() -> None:
    places = Places(Place("fig.yaml", 30, 3), {"errors": Place("fig.yaml", 32, 14)})
    verdict, errors, p99, *_ = cases_of(MIXED, Policy(), places)

    assert (verdict.file, verdict.line) == ("fig.yaml", 30)
    assert (errors.file, errors.line, p99.line) == ("fig.yaml", 32, 30)
    assert errors.failure is not None
    for part in ("legacy: 0.2 % of 812", "candidate: 20 % of 90", "+19.8 pp [+5 pp, ...]", "margin 0.5 pp"):
        assert part in errors.failure
