"""`fig rules`: check and explain a rules file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn
from urllib.parse import urlsplit

import typer

from proxy.rulebook import Rulebook, load, schema
from proxy.settings import DEFAULT_RULES
from rules.effective import Effective
from rules.explain import Asked, explain, render
from rules.path import normalise, why_refused
from rules.problems import Problem, RulesError
from rules.table import Table, compile_table

app = typer.Typer(no_args_is_help=True, help="Check and explain routing rules.")

_JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("check")
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


@app.command("explain")
def explain_request(
    method: Annotated[str, typer.Argument(help="GET, POST, ...")],
    url: Annotated[str, typer.Argument(help="A URL, or a path with or without query.")],
    header: Annotated[list[str] | None, typer.Option("-H", "--header", help="'Name: value'; may be repeated.")] = None,
    unit: Annotated[str | None, typer.Option(help="Ask as this unit, however the route reads it.")] = None,
    client: Annotated[str, typer.Option(help="The client's address.")] = "127.0.0.1",
    rules: Annotated[Path, typer.Option("-c", "--config", help="The rules file.", envvar="FIG_CONFIG")] = Path(
        DEFAULT_RULES
    ),
    state: Annotated[
        Path | None,
        typer.Option(help="State folder of a running fig: its rules, stages and shares instead of the file's."),
    ] = None,
    as_json: _JSON = False,
) -> None:
    """Say which route takes a request, why not the earlier ones, and which side answers."""
    table = _table(rules, state)
    asked = _asked(method, url, header or [], client)
    if unit is not None:
        asked = asked.with_unit(table.route(asked), unit)
    explanation = explain(table, asked)
    if as_json:
        typer.echo(json.dumps(explanation.as_json(), indent=2))
    else:
        typer.echo("\n".join(render(explanation)))


@app.command("schema")
def print_schema() -> None:
    """Print the JSON Schema of rules files, for editors."""
    typer.echo(json.dumps(schema(), indent=2))


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


def _table(rules: Path, state: Path | None) -> Table:
    if state is not None:
        try:
            return compile_table(Effective.decode((state / "effective.json").read_bytes()))
        except (OSError, ValueError) as exc:
            _refuse(f"{state} holds no effective table that this fig can read: {exc}")
    try:
        return compile_table(Effective(generation=1, rules=load(rules).rules))
    except RulesError as exc:
        _refuse("\n".join(str(problem) for problem in exc.problems))


def _asked(method: str, url: str, headers: list[str], client: str) -> Asked:
    """The request that the arguments describe; a URL beyond ASCII is taken as a browser would send it."""
    encoded = "".join(chr(byte) for byte in url.encode())
    try:
        parts = urlsplit(encoded if "://" in encoded else "")
    except ValueError as exc:
        _refuse(f"'{url}' is no URL ({exc}); write it like http://shop:8080/api/products, or only its path")
    target = encoded if "://" not in encoded else encoded.split("://", 1)[1].removeprefix(parts.netloc)
    raw, _, query = target.partition("#")[0].partition("?")
    raw = raw or "/"
    path = normalise(raw)
    if path is None:
        _refuse(f"fig answers 400: the path {raw} is refused, because {why_refused(raw)}")
    values: dict[str, list[str]] = {}
    for line in headers:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            _refuse(f"-H '{line}': write it like 'Name: value'")
        values.setdefault(name.strip().lower(), []).append(value.strip())
    host = values.get("host", [parts.netloc.rpartition("@")[2] or "localhost"])[0].lower()
    bare = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and ":" in host else host
    return Asked(method, bare, path, query, client, values)


def _refuse(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(2)
