"""Where a gate's judgement goes: the screen, JSON, JUnit and Markdown, with what the pipeline makes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from canary import report
from canary.verdict import Judgement
from proxy.cli import junit as junit_report
from proxy.cli.canary.junit_cases import cases_of
from proxy.cli.canary.places import Places
from proxy.cli.canary.policy import Policy
from proxy.cli.junit import Case
from rules.problems import one_line


def tell(judgement: Judgement, policy: Policy, as_json: bool) -> None:
    """The judgement on standard output, and what the pipeline makes of it."""
    if as_json:
        typer.echo(json.dumps(document(judgement, policy), indent=2))
        return
    typer.echo("\n".join(map(one_line, report.to_text(judgement).split("\n"))))
    if note := policy.note(judgement.verdict):
        typer.echo(f"  {note}")


def document(judgement: Judgement, policy: Policy) -> Mapping[str, Any]:
    """The judgement as JSON has it; `exit_code` is that of the command, `verdict_exit_code` what the verdict's is."""
    return {
        **report.to_dict(judgement),
        "exit_code": policy.exit_code(judgement.verdict),
        "verdict_exit_code": judgement.verdict.exit_code,
        "dry_run": policy.dry_run,
        "note": policy.note(judgement.verdict),
    }


def write_reports(
    judgement: Judgement, policy: Policy, places: Places, junit: Path | None, markdown: Path | None
) -> None:
    """Raises OSError."""
    if junit is not None:
        name = f"gate {judgement.gate} of route {judgement.route}"
        page = junit_report.render(name, cases_of(judgement, policy, places), report.to_text(judgement))
        junit.write_text(page, encoding="utf-8")
    if markdown is not None:
        markdown.write_text(policy.page(judgement), encoding="utf-8")


def write_refusal(problem: str, route: str, junit: Path | None, markdown: Path | None) -> None:
    """Reports of a gate that could not be asked: without them, those of a run before would be taken for this one's."""
    case = Case("asked", f"fig.canary.{route}", error=problem)
    pages = (
        (junit, junit_report.render(f"gate of route {route}", [case])),
        (markdown, report.refusal_to_markdown(route, problem)),
    )
    for path, page in pages:
        if path is not None:
            try:
                path.write_text(page, encoding="utf-8")
            except OSError as exc:
                typer.echo(f"fig: {exc}", err=True)
