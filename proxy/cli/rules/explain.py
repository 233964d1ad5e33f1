"""`fig rules explain`: why a request goes where it goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.rules.reading import asked, table_of
from proxy.settings import DEFAULT_RULES
from rules.explain import explain
from rules.explain_text import render

_JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def explain_request(
    method: Annotated[str, typer.Argument(help="GET, POST, ...")],
    url: Annotated[str, typer.Argument(help="A URL, or a path with or without query.")],
    header: Annotated[list[str] | None, typer.Option("-H", "--header", help="'Name: value'; may be repeated.")] = None,
    unit: Annotated[str | None, typer.Option(help="Ask as this unit, however the route reads it.")] = None,
    client: Annotated[str, typer.Option(help="The client's address.")] = "127.0.0.1",
    rules: Annotated[Path, typer.Option("-c", "--config", help="The rules file.", envvar="FIG_CONFIG")] = Path(
        DEFAULT_RULES
    ),
    state: Annotated[
        Path | None,
        typer.Option(help="State folder of a running fig: its rules, stages and shares instead of the file's."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Tell of each earlier route, however many.")] = False,
    as_json: _JSON = False,
) -> None:
    """Say which route takes a request, why not the earlier ones, and which side answers."""
    table = table_of(rules, state)
    request = asked(method, url, header or [], client)
    explanation = explain(table, request, unit, "all" if every else "near")
    if as_json:
        typer.echo(json.dumps(explanation.as_json(), indent=2))
    else:
        typer.echo("\n".join(render(explanation)))
