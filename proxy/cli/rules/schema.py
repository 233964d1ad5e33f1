"""`fig rules schema`: what editors complete and underline by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.rules.screen import save, write
from proxy.rulebook import schema
from rules.expecting.expectations_schema import schema as schema_of_tests


def print_schema(
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write it to this file.")] = None,
    part: Annotated[
        bool, typer.Option("--part", help="For one file of a folder: no key of the file is required.")
    ] = False,
    tests: Annotated[bool, typer.Option("--tests", help="Of files for `fig rules test` instead.")] = False,
) -> None:
    """Print the JSON Schema of rules files; "# yaml-language-server: $schema=FILE" shows an editor where it is."""
    found = schema_of_tests() if tests else schema()
    if part:
        found.pop("required", None)
    text = json.dumps(found, indent=2) + "\n"
    if output is None:
        write(text)
    else:
        save(output, text)
