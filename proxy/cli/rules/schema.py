"""`fig rules schema`: what editors complete and underline by."""

from __future__ import annotations

import json

import typer

from proxy.rulebook import schema


def print_schema() -> None:
    """Print the JSON Schema of rules files, for editors."""
    typer.echo(json.dumps(schema(), indent=2))
