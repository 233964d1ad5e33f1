"""`fig rules diff`: the command. Reads, compares, writes; what it says is in the files beside it."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from proxy.cli import junit
from proxy.cli.rules.diff import data, markdown, terminal
from proxy.cli.rules.diff.editions import editions
from proxy.cli.rules.diff.limits import Answer, Judged, Limit, judge, parse_limit
from proxy.cli.rules.diff.logs import Reading, UnreadableLogError, read_log
from proxy.cli.rules.diff.report import Report
from proxy.cli.rules.reading import effective_in, rulebook_of
from proxy.cli.rules.screen import refuse, refuse_one_file, save, show, write
from proxy.rulebook import Rulebook, load
from rules.changes.difference import Attribution, Difference, difference
from rules.changes.replay import Replay, Traffic
from rules.changes.traffic_log import LogFormat
from rules.problems import RulesError
from rules.reading.nodes import LARGEST_FILE

_HOST = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]")


def diff_rules(
    before: Annotated[Path, typer.Argument(metavar="OLD", help="The rules file or folder as it was; - for stdin.")],
    after: Annotated[Path, typer.Argument(metavar="NEW", help="As it is to be.")],
    log: Annotated[
        list[str] | None, typer.Option(help="An access log (may be packed by gzip; - for stdin); may be repeated.")
    ] = None,
    log_format: Annotated[
        LogFormat | None, typer.Option(help="Of the logs; told from their first lines otherwise.")
    ] = None,
    host: Annotated[str, typer.Option(help="The host that was asked, where a log does not tell it.")] = "",
    state: Annotated[
        Path | None, typer.Option(help="State folder of a running fig: routes of OLD stand where it has them.")
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            help="Exit 1 when it holds: moved>1%, moved>0, clients>0.5%, undecidable>5%, added>0; may be repeated."
        ),
    ] = None,
    markdown_file: Annotated[
        str | None, typer.Option("--markdown", help="Write a comment for a pull request; - for stdout.")
    ] = None,
    junit_file: Annotated[Path | None, typer.Option("--junit", help="Write a JUnit report.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which requests would go elsewhere by a change of the rules; with logs, how many would have.

    Exit 1 when a --fail-on holds, 4 when the logs cannot tell, 2 for what cannot be read or means nothing, else 0.
    """
    if as_json and markdown_file == "-":
        refuse("--json and --markdown - both write to standard output; give one of them, or a file")
    if markdown_file not in (None, "-"):
        refuse_one_file(junit_file, Path(str(markdown_file)))
    if not log and (host or log_format is not None):
        refuse("--host and --log-format say how to read a log; give --log, or leave them out")
    if host and not _HOST.fullmatch(host.lower()):
        refuse(f"--host '{host:.80}' is no host name; write it like shop.example, without a port")
    limits = _limits(fail_on or [], bool(log))
    running = effective_in(state).positions if state is not None else {}
    found = difference(*editions(_rulebook(before, log or []), rulebook_of(after), running))
    traffic, readings = _replayed(found, log or [], log_format, host)
    answers = tuple(judge(limit, found, traffic) for limit in limits)
    report = Report(str(before), str(after), found, state is not None, traffic, tuple(readings), answers)
    _write(report, markdown_file, junit_file, as_json)
    raise typer.Exit(_exit_code(answers))


def _rulebook(path: Path, logs: list[str]) -> Rulebook:
    """The rules at `path`; ``-`` is standard input, so that `git show HEAD:fig.yaml` can be compared."""
    if str(path) != "-":
        return rulebook_of(path)
    if "-" in logs:
        refuse("OLD and --log cannot both be standard input")
    with TemporaryDirectory() as folder:
        file = Path(folder) / "fig.yaml"
        file.write_bytes(sys.stdin.buffer.read(LARGEST_FILE + 1))
        try:
            return load(file)
        except RulesError as exc:
            told = (replace(each, place=replace(each.place, file="(stdin)")) for each in exc.problems)
            refuse(*map(str, told))


def _limits(texts: list[str], has_log: bool) -> list[Limit]:
    try:
        limits = [parse_limit(text) for text in texts]
    except ValueError as exc:
        refuse(str(exc))
    for limit in limits:
        if limit.needs_log and not has_log:
            refuse(
                f"--fail-on '{limit.text}' needs --log: from the rules alone nobody knows how many requests a route "
                "gets; without a log 'moved>0' and counts of routes such as 'added>0' can be judged"
            )
    return limits


def _replayed(
    found: Difference, logs: list[str], log_format: LogFormat | None, host: str
) -> tuple[Traffic | None, list[Reading]]:
    if not logs:
        return None, []
    replay = Replay(found.before.table, found.after.table, Attribution(found), host.lower())
    try:
        readings = [read_log(name, log_format, replay) for name in logs]
    except UnreadableLogError as exc:
        refuse(str(exc))
    return replay.traffic, readings


def _write(report: Report, markdown_file: str | None, junit_file: Path | None, as_json: bool) -> None:
    if as_json:
        write(json.dumps(data.as_json(report), indent=2) + "\n")
    elif markdown_file == "-":
        write(markdown.render(report))
    else:
        show(terminal.render(report))
    if junit_file is not None:
        save(junit_file, junit.render("fig rules diff", data.junit_cases(report)))
    if markdown_file is not None and markdown_file != "-":
        save(Path(markdown_file), markdown.render(report))


def _exit_code(answers: tuple[Answer, ...]) -> int:
    """1 when a limit is passed, 4 when the logs cannot tell."""
    judged = {answer.judged for answer in answers}
    return 1 if Judged.HOLDS in judged else 4 if Judged.OPEN in judged else 0
