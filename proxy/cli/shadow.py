"""`fig shadow`: read what the pairs say."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="Read what legacy and candidate answered differently.")
