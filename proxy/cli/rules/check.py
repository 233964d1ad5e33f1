"""`fig rules check`: everything that is wrong with a rules file, and what is allowed but probably not meant."""

from __future__ import annotations

import json
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli import junit
from proxy.cli.rules.annotations import annotation
from proxy.cli.rules.screen import refuse, save, tell, write
from proxy.rulebook import Rulebook, load_reviewed
from proxy.settings import DEFAULT_RULES
from rules.problems import Problem, RulesError, Severity
from rules.review.meanings import MEANINGS

MOST_TOLD = 100
"""Warnings of one code that are printed one by one."""


def check_rules(
    file: Annotated[Path, typer.Argument(help="The rules file, or a folder of them.", envvar="FIG_CONFIG")] = Path(
        DEFAULT_RULES
    ),
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 when there are warnings.")] = False,
    allow: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="Leave out warnings of this code; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    github: Annotated[bool, typer.Option("--github", help="Print annotations for a GitHub workflow.")] = False,
    report: Annotated[
        Path | None, typer.Option("--junit", help="Also write JUnit XML there.", show_default=False)
    ] = None,
    code: Annotated[
        str | None,
        typer.Option(
            "--explain", metavar="CODE", help="Only say what the code of a warning means.", show_default=False
        ),
    ] = None,
) -> None:
    """Say everything that is wrong with a rules file, and what is probably not meant.

    Exits with 0 when nothing is wrong, 2 when something is; with --strict 1 when there are warnings.
    """
    if as_json and github:
        refuse("--json and --github both write to standard output; give one of them")
    if code is not None:
        write(_meaning(code) + "\n")
        return
    allowed = frozenset(allow or ())
    for each in sorted(allowed):
        _meaning(each)
    try:
        rulebook, found = load_reviewed(file, today=datetime.now(UTC).date())
    except RulesError as exc:
        problems: Sequence[Problem] = exc.problems
        summary = f"{file}: {_count(len(problems), 'problem')}"
        status = 2
    else:
        warnings = (*rulebook.warnings, *found.problems)
        problems = _in_order([_asked_of(each, file) for each in warnings if each.code not in allowed])
        summary = _summary(file, rulebook, len(problems), strict)
        if not found.is_whole:
            summary += "; so many routes may overlap that not all pairs were looked at"
        status = 1 if strict and problems else 0
        if status:
            summary += ", and --strict allows none"
    if as_json:
        told = {"ok": status == 0, "summary": summary, "problems": [_as_json(each) for each in problems]}
        write(json.dumps(told, indent=2) + "\n")
    else:
        for line in _told(problems, github):
            tell(*line.split("\n"))
        tell(summary, err=status == 2)
    if report is not None:
        save(report, _junit(file, problems, strict))
    raise typer.Exit(status)


def _told(problems: Sequence[Problem], github: bool) -> Iterator[str]:
    """A line or two for each problem, but no more than a person reads of one kind of warning."""
    told: Counter[str] = Counter()
    for problem in problems:
        told[problem.code] += problem.severity is Severity.WARNING
        if told[problem.code] <= MOST_TOLD:
            yield annotation(problem) if github else _lines(problem)
    for code, count in told.items():
        if count > MOST_TOLD:
            yield f"and {count - MOST_TOLD} more warnings [{code}]; --json and --junit tell them all"


def _meaning(code: str) -> str:
    meaning = MEANINGS.get(code)
    if meaning is None:
        refuse(f"no warning has the code '{code}'; the codes are {', '.join(sorted(MEANINGS))}")
    return f"{code}: {meaning.means}\n{meaning.advice}"


def _asked_of(problem: Problem, file: Path) -> Problem:
    """With a witness that asks this file."""
    if problem.witness is None or file == Path(os.environ.get("FIG_CONFIG", DEFAULT_RULES)):
        return problem
    return replace(problem, witness=f"{problem.witness} -c {shlex.quote(str(file))}")


def _in_order(problems: Sequence[Problem]) -> list[Problem]:
    """As they stand in the files; files by name."""
    return sorted(problems, key=lambda each: (each.place.file, each.place.line, each.place.column))


def _lines(problem: Problem) -> str:
    told = str(problem)
    if problem.severity is Severity.WARNING:
        told += f" [{problem.code}]"
    return f"{told}\n    {problem.witness}" if problem.witness is not None else told


def _summary(file: Path, rulebook: Rulebook, warnings: int, strict: bool) -> str:
    stages = Counter(route.stage.value for route in rulebook.rules.routes)
    routes = _count(len(rulebook.rules.routes), "route")
    if stages:
        routes += " (" + ", ".join(f"{count} {stage}" for stage, count in stages.items()) + ")"
    services = _count(len(rulebook.rules.services), "service")
    fine = "" if strict and warnings else "fine: "
    return f"{file}: {fine}{services}, {routes}, {_count(warnings, 'warning')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _junit(file: Path, problems: Sequence[Problem], strict: bool) -> str:
    """A case for each problem, and one for the file as a whole; warnings fail with `strict` and are skipped without."""
    cases = [_case(problem, strict) for problem in problems]
    failed = sum(case.failure is not None for case in cases)
    whole = f"{_count(failed, 'problem')} in {file}" if failed else None
    return junit.render("fig rules check", [junit.Case("rules", str(file), str(file), 1, failure=whole), *cases])


def _case(problem: Problem, strict: bool) -> junit.Case:
    place = problem.place
    told = _lines(problem)
    fails = strict or problem.severity is Severity.ERROR
    return junit.Case(
        f"{problem.code} at {place}",
        problem.route or place.file,
        place.file,
        place.line,
        failure=told if fails else None,
        skipped=None if fails else told,
    )


def _as_json(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.place.file,
        "line": problem.place.line,
        "column": problem.place.column,
        "severity": problem.severity.value,
        "code": problem.code,
        "route": problem.route,
        "message": problem.message,
        "witness": problem.witness,
    }
