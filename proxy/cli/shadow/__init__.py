"""`fig shadow`: what legacy and candidate answered differently, and what is done about it. A command per file."""

from __future__ import annotations

import typer

from proxy.cli.shadow.report import report_pairs

app = typer.Typer(no_args_is_help=True, help="Read what legacy and candidate answered differently.")
app.command("report")(report_pairs)


@app.callback()
def _shadow() -> None:
    """Read what legacy and candidate answered differently."""
