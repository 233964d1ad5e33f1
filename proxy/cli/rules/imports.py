"""`fig rules import`: draft rules from another proxy's configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.rules.reading import refuse
from rules.imports.draft import Draft, ImportFailed, printable, render
from rules.imports.httproute import import_httproutes
from rules.imports.nginx import import_nginx

_JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def import_rules(
    file: Annotated[Path, typer.Argument(help="An nginx configuration, or HTTPRoute manifests (.yaml, .yml, .json).")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the draft here.")] = None,
    legacy: Annotated[str | None, typer.Option(help="The service that is to be the file's legacy.")] = None,
    as_json: _JSON = False,
) -> None:
    """Draft rules from another proxy's configuration; exit 0 when all of it was carried, 1 when something was not."""
    reads = import_httproutes if file.suffix in (".yaml", ".yml", ".json") else import_nginx
    try:
        draft = reads(file, legacy)
    except ImportFailed as exc:
        refuse(printable(str(exc)))
    for each in draft.not_carried:
        typer.echo(f"not carried: {each}", err=True)
    text = json.dumps(draft.as_json(), indent=2) + "\n" if as_json else render(draft)
    if output is None:
        typer.echo(text, nl=False)
    else:
        _write(output, text)
        typer.echo(_summary(draft, output), err=True)
    if draft.not_carried:
        raise typer.Exit(1)


def _write(output: Path, text: str) -> None:
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        refuse(f"{output} is there already; a draft never overwrites a file")
    except OSError as exc:
        refuse(f"{output}: cannot be written: {exc.strerror}")


def _summary(draft: Draft, output: Path) -> str:
    counts = f"{len(draft.routes)} routes, {len(draft.services)} services, {len(draft.not_carried)} not carried"
    return f"{output}: {counts}; legacy is '{draft.legacy}': {draft.chosen}"
