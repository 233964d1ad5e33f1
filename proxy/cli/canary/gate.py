"""`fig canary gate`: ask a gate for its verdict, so that a pipeline can act on it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn
from urllib.parse import quote

import typer

from canary import report
from canary.verdict import Judgement
from proxy.cli.admin import Admin, AdminError, AdminOption, TokenOption
from proxy.cli.canary.alone import LOOK_EVERY, read_asked
from proxy.cli.canary.github import annotate, append_files
from proxy.cli.canary.moments import begun_since, parse_when
from proxy.cli.canary.outputs import tell, write_refusal, write_reports
from proxy.cli.canary.places import Places, places_of
from proxy.cli.canary.policy import Policy, parse_inconclusive
from proxy.cli.canary.waiting import wait
from proxy.cli.workflow import annotation
from proxy.settings import DEFAULT_ADMIN, DEFAULT_RULES
from rules.problems import RulesError, one_line
from rules.quantities import parse_duration

Ask = Callable[[], Judgement]


def ask_gate(
    route: Annotated[str | None, typer.Argument(help="The route's name in the rules file.", show_default=False)] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Judge by the sources of this file alone, with no fig running: a rules file, or one of its own with "
            "gates, sources and since.",
            show_default=False,
        ),
    ] = None,
    gate: Annotated[str | None, typer.Option(help="With --config: the gate's name.", show_default=False)] = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="What began before counts for nothing: 30m (ago) or a time. Of a running fig, the whole attempt; with "
            "--config, each number.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="With --config: until when; now without it.", show_default=False)
    ] = None,
    wait_for: Annotated[
        str,
        typer.Option("--wait", help="Look again until the verdict is promote or rollback, at most this long: 30m."),
    ] = "0s",
    inconclusive: Annotated[
        str,
        typer.Option(
            help="What keep_watching ends with: fail (1), pass (0), or an exit code.", metavar="fail|pass|CODE"
        ),
    ] = "3",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Exit with 0 whatever the verdict, and say it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the judgement as JSON.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Also write JUnit XML there.", show_default=False)] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write Markdown there.", show_default=False)] = None,
    github: Annotated[
        bool,
        typer.Option("--github", help="Also write annotations, summary and outputs of a step of a GitHub workflow."),
    ] = False,
    rules: Annotated[
        Path,
        typer.Option(help="The rules file or folder, for the lines that reports point at.", envvar="FIG_CONFIG"),
    ] = Path(DEFAULT_RULES),
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """Ask a route's gate for its verdict.

    Exit code 0: promote, 1: rollback, 3: keep watching, 4: fault in the data, 2: it cannot be asked.
    """
    try:
        policy = Policy(parse_inconclusive(inconclusive), dry_run)
        seconds = parse_duration(wait_for)
        if config is None:
            ask, every = _of_control(Admin(admin, token), route, since, gate or until), None
        else:
            ask, every = _of_sources(config, route, gate, since, until), LOOK_EVERY
            rules = config
        judgement = wait(ask, seconds, _say, time.monotonic, time.sleep, every)
    except (AdminError, RulesError, report.ReportError, ValueError) as exc:
        if github:
            typer.echo(annotation("error", str(exc), f"fig: {route or 'the gate'} was not asked"), err=True)
        write_refusal(str(exc), route or "", junit, markdown)
        _refuse(exc)
    tell(judgement, policy, as_json)
    try:
        places = (
            places_of(rules, judgement.gate, os.environ.get("GITHUB_WORKSPACE", "")) if rules.exists() else Places()
        )
        write_reports(judgement, policy, places, junit, markdown)
        if github:
            for line in annotate(judgement, policy, places):
                typer.echo(line, err=as_json)
            for missing in append_files(judgement, policy, os.environ):
                typer.echo(f"fig: {missing}", err=True)
    except OSError as exc:
        _refuse(exc)
    raise typer.Exit(policy.exit_code(judgement.verdict))


def _refuse(exc: Exception) -> NoReturn:
    typer.echo(f"fig: {exc}", err=True)
    raise typer.Exit(2) from exc


def _of_control(admin: Admin, route: str | None, since: str | None, of_files: str | None) -> Ask:
    """Asks a running fig. Raises ValueError."""
    if route is None:
        raise ValueError("say which route's gate is asked, or --config FILE")
    if of_files:
        raise ValueError("--gate and --until belong to --config FILE: a running fig knows its own")
    path, began = f"/api/routes/{quote(route, safe='')}/gate", parse_when(since, time.time()) if since else 0.0
    return lambda: begun_since(report.from_dict(admin.get(path)), began)


def _of_sources(config: Path, route: str | None, gate: str | None, since: str | None, until: str | None) -> Ask:
    """Asks the sources of a file. Raises RulesError and ValueError."""
    asked = read_asked(config, os.environ, time.time(), route, gate, since, until)
    return lambda: asked.judge(time.time())


def _say(line: str) -> None:
    typer.echo(one_line(line), err=True)
