"""`fig canary gate`: ask a gate for its verdict."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from canary import report
from canary.verdict import Judgement, Verdict
from proxy.cli.admin import Admin, AdminError, AdminOption, TokenOption
from proxy.settings import DEFAULT_ADMIN
from rules.quantities import parse_duration

POLL = 1.0
"""Seconds between two looks while waiting. The statistics hold however often one looks."""


def ask_gate(
    route: Annotated[str, typer.Argument(help="The route's name in the rules file.", show_default=False)],
    wait: Annotated[
        str, typer.Option(help="Look again until the verdict is promote or rollback, at most this long: 10m.")
    ] = "0s",
    as_json: Annotated[bool, typer.Option("--json", help="Print the judgement as JSON.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Also write JUnit XML there.", show_default=False)] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write Markdown there.", show_default=False)] = None,
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """Ask a route's gate for its verdict.

    Exit code 0: promote, 1: rollback, 3: keep watching, 4: fault in the data, 2: control cannot be asked.
    """
    try:
        judgement = _wait(Admin(admin, token), route, parse_duration(wait))
        for path, text in ((junit, report.to_junit(judgement)), (markdown, report.to_markdown(judgement))):
            if path is not None:
                path.write_text(text, encoding="utf-8")
    except (AdminError, report.ReportError, ValueError, OSError) as exc:
        typer.echo(f"fig: {exc}", err=True)
        raise typer.Exit(2) from exc
    typer.echo(json.dumps(report.to_dict(judgement), indent=2) if as_json else report.to_text(judgement))
    raise typer.Exit(judgement.verdict.exit_code)


def _wait(admin: Admin, route: str, seconds: float) -> Judgement:
    """The first judgement that decides, or the last one when the time is over. Raises AdminError and ReportError."""
    until = time.monotonic() + seconds
    told = ""
    while True:
        judgement = report.from_dict(admin.get(f"/api/routes/{route}/gate"))
        left = until - time.monotonic()
        if judgement.verdict in (Verdict.PROMOTE, Verdict.ROLLBACK) or left <= 0:
            return judgement
        if judgement.reason != told:
            told = judgement.reason
            typer.echo(f"{judgement.verdict.value}: {told}", err=True)
        time.sleep(min(POLL, left))
