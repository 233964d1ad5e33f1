"""Where a gate's judgement goes: the screen, JSON, JUnit and Markdown, with what the pipeline makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from canary import report
from canary.verdict import Judgement
from proxy.cli import junit as junit_report
from proxy.cli.canary.junit_cases import cases_of
from proxy.cli.canary.places import Places
from proxy.cli.canary.policy import Policy
from proxy.cli.junit import Case
from proxy.cli.rules.screen import UnwritableError, put, write
from proxy.cli.rules.screen import tell as say
from proxy.cli.workflow import harmless, harmless_json
from rules.problems import one_line


def tell(judgement: Judgement, policy: Policy, as_json: bool) -> None:
    """The judgement on standard output, and what the pipeline makes of it. Exits 2 where it cannot be written."""
    if as_json:
        write(harmless_json(json.dumps(document(judgement, policy), indent=2)) + "\n")
        return
    note = policy.note(judgement.verdict)
    lines = [*report.to_text(judgement).split("\n"), *([f"  {note}"] if note else [])]
    write("".join(f"{harmless(one_line(line))}\n" for line in lines))


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
    """Raises UnwritableError."""
    if junit is not None:
        name = f"gate {judgement.gate} of route {judgement.route}"
        page = junit_report.render(name, cases_of(judgement, policy, places), report.to_text(judgement))
        put(junit, page)
    if markdown is not None:
        put(markdown, policy.page(judgement))


THE_GATE = "the gate"
"""What is asked where neither route nor file is named."""
BEGUN = "the gate was still being asked: whoever asked it ended without a word"


def begin_reports(asked_of: str, junit: Path | None, markdown: Path | None) -> None:
    """Reports that say that there is no verdict yet, before half an hour is waited for it: whoever is killed meanwhile
    leaves neither none nor those of a run before. Raises UnwritableError."""
    for path, page in _without_verdict(BEGUN, asked_of, junit, markdown):
        if path.is_file() or not path.exists():  # a pipe takes one page only
            put(path, page)


def write_refusal(problem: str, asked_of: str, junit: Path | None, markdown: Path | None) -> None:
    """Reports of a gate that could not be asked: without them, those of a run before would be taken for this one's."""
    for path, page in _without_verdict(problem, asked_of, junit, markdown):
        try:
            put(path, page)
        except UnwritableError as exc:
            if str(exc) != problem:  # that is said already
                say(f"fig: {exc}", err=True)


def _without_verdict(
    problem: str, asked_of: str, junit: Path | None, markdown: Path | None
) -> Iterator[tuple[Path, str]]:
    """`asked_of`: the route, the file of a gate alone, or THE_GATE."""
    if junit is not None:
        case = Case("asked", f"fig.canary.{asked_of}", error=problem)
        suite = THE_GATE if asked_of == THE_GATE else f"gate of {asked_of}"
        yield junit, junit_report.render(suite, [case])
    if markdown is not None:
        yield markdown, report.refusal_to_markdown(asked_of, problem)
