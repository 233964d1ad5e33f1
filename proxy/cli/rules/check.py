"""`fig rules check`: everything that is wrong with a rules file, and what is allowed but probably not meant."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from proxy.rulebook import Rulebook, load
from rules.problems import Problem, RulesError

_JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def check_rules(
    file: Annotated[Path, typer.Argument(help="The rules file, or a folder of them.")],
    as_json: _JSON = False,
) -> None:
    """Say everything that is wrong with a rules file; exit 0 when nothing is (warnings allowed), else 2."""
    try:
        rulebook = load(file)
    except RulesError as exc:
        _report(exc.problems, f"{file}: {_count(len(exc.problems), 'problem')}", False, as_json)
        raise typer.Exit(2) from exc
    _report(rulebook.warnings, _summary(file, rulebook), True, as_json)


def _report(problems: Sequence[Problem], summary: str, ok: bool, as_json: bool) -> None:
    if as_json:
        report = {"ok": ok, "summary": summary, "problems": [_as_json(each) for each in problems]}
        typer.echo(json.dumps(report, indent=2))
        return
    for problem in problems:
        typer.echo(str(problem))
    typer.echo(summary, err=not ok)


def _summary(file: Path, rulebook: Rulebook) -> str:
    stages = Counter(route.stage.value for route in rulebook.rules.routes)
    routes = _count(len(rulebook.rules.routes), "route")
    if stages:
        routes += " (" + ", ".join(f"{count} {stage}" for stage, count in stages.items()) + ")"
    services = _count(len(rulebook.rules.services), "service")
    return f"{file}: fine: {services}, {routes}, {_count(len(rulebook.warnings), 'warning')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _as_json(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.place.file,
        "line": problem.place.line,
        "column": problem.place.column,
        "severity": problem.severity.value,
        "code": problem.code,
        "route": problem.route,
        "message": problem.message,
    }
