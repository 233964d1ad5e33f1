"""`fig canary`: ask a gate."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="Ask whether a route may have more traffic.")
