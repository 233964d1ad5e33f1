"""`fig restart`: ask the `fig serve` of a state folder to restart everyone in turn, and say how it went."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from proxy.restart import Report, ask
from proxy.settings import DEFAULT_STATE

LOOK_EVERY = 0.1
"""Seconds between two looks at the report."""


def restart(
    state: Annotated[str, typer.Option(envvar="FIG_STATE", help="The state folder of `fig serve`.")] = DEFAULT_STATE,
    patience: Annotated[int, typer.Option(help="Seconds to wait for the end; 0 only asks.")] = 300,
) -> None:
    """Restart control, shadower and workers in turn, with the code that is installed now; no request is lost.

    Each worker goes on until its successor is ready. Run it on the machine of `fig serve`, as the same account.
    """
    folder = Path(state)
    before = Report.read(folder)
    try:
        pid = ask(folder)
    except LookupError as exc:
        typer.echo(f"fig: {exc}; is --state right?", err=True)
        raise typer.Exit(2) from exc
    if not patience:
        typer.echo(f"asked process {pid}; its log tells how it goes")
        return
    report = _followed(folder, before.number, time.monotonic() + patience)
    if report.problem or report.running:
        typer.echo(f"fig: {report.problem or 'not over yet; the log tells how it goes on'}", err=True)
        raise typer.Exit(1)
    typer.echo("restarted")


def _followed(folder: Path, number: int, until: float) -> Report:
    """The report of the restart after `number`, each step told as it comes."""
    told = 0
    while True:
        report = Report.read(folder)
        if report.number > number:
            for name in report.restarted[told:]:
                typer.echo(name)
            told = len(report.restarted)
            if not report.running:
                return report
        if time.monotonic() > until:
            return Report(number, running=True)
        time.sleep(LOOK_EVERY)
