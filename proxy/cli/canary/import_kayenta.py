"""`fig canary import`: a draft of gates and sources from a Kayenta canary configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from canary.kayenta.importing import ImportFailed, import_config, render
from proxy.cli.rules.screen import refuse
from rules.problems import Problem
from rules.reading.source import read_text

LARGEST = 4 * 1024 * 1024
"""Bytes."""


def import_kayenta(
    file: Annotated[Path, typer.Argument(help="A canary configuration of Kayenta, or a request with one, as JSON.")],
    legacy: Annotated[str, typer.Option(help="What Prometheus calls legacy.")] = "",
    candidate: Annotated[str, typer.Option(help="What Prometheus calls the candidate.")] = "",
    given: Annotated[
        list[str] | None, typer.Option("--set", help="What a variable of the queries stands for: location=eu-1.")
    ] = None,
) -> None:
    """Draft gates and sources from a Kayenta configuration; exit 0 when all of it was carried, 1 when something was
    not."""
    values = dict(one.partition("=")[::2] for one in given or ())
    text = read_text(file, LARGEST, "the file is larger than 4 MB, as no canary configuration is")
    if isinstance(text, Problem):
        refuse(f"fig: {text}")
    try:
        draft = import_config(json.loads(text), legacy=legacy, candidate=candidate, values=values)
    except (ValueError, RecursionError, ImportFailed) as exc:
        typer.echo(f"fig: {file}: {exc}", err=True)
        raise typer.Exit(2) from exc
    typer.echo(render(draft), nl=False)
    for each in draft.not_carried:
        typer.echo(f"not carried: {each}", err=True)
    if draft.not_carried:
        raise typer.Exit(1)
