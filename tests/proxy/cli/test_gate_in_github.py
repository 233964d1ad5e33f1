"""`--github`: annotations on the metric's line, a summary within GitHub's limit, outputs that nothing can forge."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from canary.verdict import Verdict
from proxy.cli import workflow
from proxy.cli.canary.github import annotate, append_files
from proxy.cli.canary.places import Places, places_of
from proxy.cli.canary.policy import Policy
from rules.problems import Place
from tests.fakes.judgements import judgement, metric

RULES = """version: 1
gates:
  storefront:
    alpha: 5%
    metrics:
      - {name: errors, kind: error_rate, margin: 0.5pp}
      - name: p99
        kind: latency
        quantile: ${FIG_QUANTILE}
        margin: [this, is, wrong]
"""


def lines(*words: str) -> Places:
    return Places(Place("fig.yaml", 3, 3), {word: Place("fig.yaml", 10 + at, 7) for at, word in enumerate(words)})


def test_places_are_found_though_variables_are_unset_and_the_file_has_errors(tmp_path: Path) -> None:
    rules = tmp_path / "repository" / "deploy" / "fig.yaml"
    rules.parent.mkdir(parents=True)
    rules.write_text(RULES)
    (tmp_path / "repository" / "odd.yaml").write_text("gates: [")

    places = places_of(rules, "storefront", str(tmp_path / "repository"))

    assert places.gate == Place("deploy/fig.yaml", 3, 3)
    assert places.of("errors") == Place("deploy/fig.yaml", 6, 16)
    assert places.of("p99") == Place("deploy/fig.yaml", 7, 15)
    assert places.of("conversion") == places.gate
    assert places_of(rules, "another") == Places()
    assert places_of(tmp_path / "repository" / "odd.yaml", "storefront") == Places()


def test_a_file_outside_the_repository_keeps_its_name(tmp_path: Path) -> None:
    rules = tmp_path / "fig.yaml"
    rules.write_text(RULES)
    (tmp_path / "repository").mkdir()

    found = places_of(rules, "storefront", str(tmp_path / "repository")).gate

    assert found is not None and found.file == str(rules)


def test_each_unsatisfied_metric_is_annotated_on_its_line() -> None:
    judged = judgement(
        Verdict.ROLLBACK,
        metric("errors", Verdict.ROLLBACK),
        metric("p99", Verdict.PROMOTE),
        metric("p50", Verdict.KEEP_WATCHING),
        metric("p10", Verdict.KEEP_WATCHING, required=False),
        metric("conversion", Verdict.FAULT),
        metric("revenue", Verdict.FAULT, required=False),
    )
    told = list(annotate(judged, Policy(), lines("errors", "p99", "p50", "p10", "conversion", "revenue")))

    assert [line.split("::")[1] for line in told] == [
        "error file=fig.yaml,line=3,col=3,title=fig%3A shop%3A rollback",
        "error file=fig.yaml,line=10,col=7,title=fig%3A shop%3A errors%3A rollback",
        "warning file=fig.yaml,line=12,col=7,title=fig%3A shop%3A p50%3A keep_watching",
        "error file=fig.yaml,line=14,col=7,title=fig%3A shop%3A conversion%3A fault",
        "warning file=fig.yaml,line=15,col=7,title=fig%3A shop%3A revenue%3A fault",
    ]
    assert "0.2 %25 of 812%0Acandidate: 20 %25 of 90" in told[1]


@pytest.mark.parametrize(
    ("verdict", "policy", "level"),
    [
        (Verdict.PROMOTE, Policy(), "notice"),
        (Verdict.KEEP_WATCHING, Policy(), "error"),
        (Verdict.KEEP_WATCHING, Policy(inconclusive=0), "warning"),
        (Verdict.FAULT, Policy(), "error"),
        (Verdict.ROLLBACK, Policy(dry_run=True), "warning"),
    ],
)
def test_the_verdict_is_an_error_exactly_when_the_step_fails(verdict: Verdict, policy: Policy, level: str) -> None:
    [line] = annotate(judgement(verdict), policy, Places())

    assert line.startswith(f"::{level} title=fig%3A shop%3A {verdict.value}::because of {verdict}")
    assert ("dry run" in line) == policy.dry_run


def test_no_more_annotations_of_a_level_than_github_shows() -> None:
    many = judgement(Verdict.FAULT, *(metric(f"m{number}", Verdict.FAULT) for number in range(40)))

    assert len(list(annotate(many, Policy(), Places()))) == workflow.SHOWN_MOST


def test_what_a_reason_holds_starts_no_command_of_its_own() -> None:
    [line] = annotate(judgement(Verdict.FAULT, reason="down\n::set-output name=x::y\r\n100%"), Policy(), Places())

    assert line.count("\n") == 0
    assert line.endswith("::down%0A::set-output name=x::y%0D%0A100%25")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("::add-mask::x", ": :add-mask::x"),
        ("  \t::error::x", "  \t: :error::x"),
        ("reason ::error::x", "reason ::error::x"),
        ("a ##[add-path]/x ###[x", "a # #[add-path]/x ## #[x"),
        ("##vso[task.setvariable variable=x]y", "# #vso[task.setvariable variable=x]y"),
        ("## a heading", "## a heading"),
    ],
)
def test_a_printed_line_holds_no_command(line: str, shown: str) -> None:
    assert workflow.harmless(line) == shown
    assert json.loads(workflow.harmless_json(json.dumps([line]))) == [line]
    assert "##" not in workflow.harmless_json(json.dumps([line]))


def test_summary_and_outputs_are_appended_to_the_step(tmp_path: Path) -> None:
    environment = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "GITHUB_OUTPUT": str(tmp_path / "output")}
    (tmp_path / "summary").write_text("# Before\n")

    missing = append_files(judgement(Verdict.ROLLBACK, metric()), Policy(dry_run=True), environment)

    assert missing == []
    page = (tmp_path / "summary").read_text()
    assert page.startswith("# Before\n### ❌ shop: rollback")
    assert "**dry run: exit code 0" in page
    assert outputs(tmp_path / "output") == {"verdict": "rollback", "reason": "because of rollback", "exit-code": "0"}


def outputs(file: Path) -> dict[str, str]:
    """As the runner reads them."""
    found = re.findall(r"(?ms)^([\w-]+)<<(fig-[0-9a-f]{32})\n(.*?)\n\2$", file.read_text())
    return {name: value for name, _, value in found}


def test_a_reason_of_several_lines_forges_no_output(tmp_path: Path) -> None:
    forged = judgement(Verdict.FAULT, reason="down\nverdict=promote\nEOF\nverdict<<EOF\npromote\nEOF")

    append_files(forged, Policy(), {"GITHUB_OUTPUT": str(tmp_path / "output")})

    assert outputs(tmp_path / "output")["verdict"] == "fault"
    assert outputs(tmp_path / "output")["reason"] == forged.reason


def test_outside_of_a_workflow_it_is_said_what_is_not_written() -> None:
    missing = append_files(judgement(Verdict.PROMOTE), Policy(), {})

    assert [word for line in missing for word in line.split() if word.startswith("GITHUB")] == [
        "GITHUB_STEP_SUMMARY",
        "GITHUB_OUTPUT",
    ]


@pytest.mark.parametrize("taken", [0, 5000, workflow.SUMMARY_MOST - 300])
def test_a_summary_never_passes_the_limit_and_says_that_it_was_cut(taken: int) -> None:
    page = "".join(f"| line {number} | ❌ |\n" for number in range(80_000))

    kept = workflow.summary(page, taken)

    assert len(kept.encode()) + taken <= workflow.SUMMARY_MOST
    assert kept.endswith("The whole is in the log.\n")
    *whole, empty, _ = kept.splitlines()
    assert empty == ""
    assert all(line.endswith("| ❌ |") for line in whole)


def test_a_summary_that_fits_is_left_alone_and_one_without_room_is_left_out() -> None:
    assert workflow.summary("short\n") == "short\n"
    assert workflow.summary("short\n", workflow.SUMMARY_MOST) == ""
    assert workflow.summary("short\n", workflow.SUMMARY_MOST + 1) == ""
