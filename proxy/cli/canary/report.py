"""`fig canary report`: how a route's attempt goes, or went, in a terminal or as one file for a browser."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from canary import report
from canary.page.page import render
from proxy.cli.admin import Admin, AdminError, AdminOption, TokenOption, of_route
from proxy.cli.rules.screen import UnwritableError, put
from proxy.settings import DEFAULT_ADMIN
from rules.quantities import share_text

LINES = 100
"""Of the route's history that are shown."""


def show_report(
    route: Annotated[str, typer.Argument(help="The route's name in the rules file.", show_default=False)],
    html: Annotated[
        Path | None,
        typer.Option(help="Also write the report into this file, to open in a browser.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """Show how a route's attempt goes, or went: verdict, metrics, shares, and how it was moved.

    Exit code 0, whatever the verdict is (`fig canary gate` asks for that); 2: control cannot be asked.
    """
    try:
        asked = Admin(admin, token)
        found = asked.get(of_route(route, "course"))
        history = asked.get("/api/history", route=route, limit=str(LINES))["history"]
        judgement = report.from_dict(found["judgement"])
        if html is not None:
            put(html, render(judgement, found["course"], history, time.time()))
    except (AdminError, report.ReportError, UnwritableError) as exc:
        typer.echo(f"fig: {exc}", err=True)
        raise typer.Exit(2) from exc
    if as_json:
        typer.echo(json.dumps({**found, "history": history}, indent=2))
        return
    typer.echo(report.to_text(judgement))
    typer.echo(f"\n{_shares(found['course'])}\n{_moves(history)}")
    if html is not None:
        typer.echo(f"\nas a page: {html}")


def _shares(course: dict[str, Any] | None) -> str:
    points = course["points"] if course is not None else []
    firsts = [
        point for number, point in enumerate(points) if number == 0 or points[number - 1]["share"] != point["share"]
    ]
    if not firsts:
        return "  no share was noted yet"
    return "\n".join(f"  {_when(point['at'])}  share {share_text(point['share'])}" for point in firsts)


def _moves(history: list[dict[str, Any]]) -> str:
    return "\n".join(
        f"  {_when(line['at'])}  {line['action']} by {line['actor']}: {line['why']}" for line in reversed(history)
    )


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(seconds))
