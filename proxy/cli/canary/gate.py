"""`fig canary gate`: ask a gate for its verdict, so that a pipeline can act on it."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from canary import report
from canary.verdict import Judgement
from proxy.cli.admin import Admin, AdminError, AdminOption, TokenOption, check_route, of_route
from proxy.cli.canary.accidents import INTERRUPTED, without_finding
from proxy.cli.canary.alone import LOOK_EVERY, read_asked
from proxy.cli.canary.github import annotate, append_files, append_refusal
from proxy.cli.canary.moments import begun_since, parse_when
from proxy.cli.canary.outputs import THE_GATE, begin_reports, tell, write_refusal, write_reports
from proxy.cli.canary.places import Places, places_of
from proxy.cli.canary.policy import Policy, parse_inconclusive
from proxy.cli.canary.waiting import wait
from proxy.cli.rules.screen import UnwritableError, leave_the_rest, refuse_one_file, write
from proxy.cli.workflow import annotation, harmless
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
            help="What keep_watching ends with: fail (1), pass (0), or an exit code as a number from 0 to 255.",
            metavar="fail|pass|NUMBER",
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

    route = route or None  # "" is a variable of a pipeline that is not set
    asked_of = route or str(config or THE_GATE)

    def end_without_verdict(problem: str, code: int) -> NoReturn:
        if github:
            write(annotation("error", problem, f"fig: {asked_of} was not asked") + "\n", err=True)
            _put_out(lambda: append_refusal(problem, asked_of, code, os.environ))
        write_refusal(problem, asked_of, junit, markdown)
        _say(f"fig: {problem}")
        raise typer.Exit(code)

    with without_finding("nothing is known of the candidate"):
        refuse_one_file(junit, markdown)
        try:
            policy = Policy(parse_inconclusive(inconclusive), dry_run)
            seconds = parse_duration(wait_for)
            if route is not None:
                check_route(route)
            if config is None:
                ask, every = _of_control(Admin(admin, token), route, since, gate or until), None
            else:
                ask, every = _of_sources(config, route, gate, since, until), LOOK_EVERY
                rules = config
            begin_reports(asked_of, junit, markdown)
            judgement = wait(ask, seconds, _say, time.monotonic, time.sleep, every)
        except (AdminError, RulesError, report.ReportError, ValueError, OSError) as exc:
            end_without_verdict(str(exc), 2)
        except Exception as exc:
            _say(traceback.format_exc())
            end_without_verdict(f"fig itself failed: {type(exc).__name__}", 2)
        except KeyboardInterrupt:
            end_without_verdict("interrupted before there was a verdict", INTERRUPTED)
        tell(judgement, policy, as_json)
        try:
            top = os.environ.get("GITHUB_WORKSPACE", "")
            places = places_of(rules, judgement.gate, top) if rules.exists() else Places()
            write_reports(judgement, policy, places, junit, markdown)
            if github:
                for line in annotate(judgement, policy, places):
                    write(f"{line}\n", err=as_json)
        except (UnwritableError, OSError) as exc:
            _say(f"fig: {exc}")
            raise typer.Exit(2) from exc
        if github and not _put_out(lambda: append_files(judgement, policy, os.environ)):
            raise typer.Exit(2)
        raise typer.Exit(policy.exit_code(judgement.verdict))


def _put_out(append: Callable[[], list[str]]) -> bool:
    """Have the step's files written, and say which are not there. False where one cannot be written, which is said."""
    try:
        for missing in append():
            _say(f"fig: {missing}")
    except OSError as exc:
        _say(f"fig: {exc.filename or 'a file of the step'}: cannot be written: {exc.strerror or exc}")
        return False
    return True


def _of_control(admin: Admin, route: str | None, since: str | None, of_files: str | None) -> Ask:
    """Asks a running fig. Raises ValueError."""
    if route is None:
        raise ValueError("say which route's gate is asked, or --config FILE")
    if of_files:
        raise ValueError("--gate and --until belong to --config FILE: a running fig knows its own")
    path, began = of_route(route, "gate"), parse_when(since, time.time()) if since else 0.0
    return lambda: begun_since(report.from_dict(admin.get(path)), began)


def _of_sources(config: Path, route: str | None, gate: str | None, since: str | None, until: str | None) -> Ask:
    """Asks the sources of a file. Raises RulesError and ValueError."""
    asked = read_asked(config, os.environ, time.time(), route, gate, since, until)
    for warning in asked.warnings:
        _say(warning)
    return lambda: asked.judge(time.time())


def _say(text: str) -> None:
    """On standard error; where nobody listens there, the verdict's exit code tells enough."""
    try:
        for line in text.split("\n"):
            typer.echo(harmless(one_line(line)), err=True)
    except OSError:
        leave_the_rest(sys.stderr)  # Python flushes what is left at its end, and may exit with 120 where it cannot
