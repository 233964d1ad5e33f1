"""`fig shadow gaps`: writes that went by unrecorded, and a person's word that they were looked after."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from proxy.cli.admin import Admin, AdminOption, TokenOption
from proxy.cli.shadow.deliveries import age
from proxy.cli.shadow.reading import StateOption, asking, journal_reader, know_route, refuse, visible
from proxy.settings import DEFAULT_ADMIN, DEFAULT_STATE
from shadow.journal.journal import JournalError

app = typer.Typer(
    no_args_is_help=False,
    invoke_without_command=True,
    help="List writes that went by unrecorded, and settle them.",
)
MOST = 10_000
"""Gaps that are listed."""
_SHOWN = 50


@app.callback()
def gaps(
    context: typer.Context,
    route: Annotated[str | None, typer.Option(help="Only this route's.", show_default=False)] = None,
    state: StateOption = Path(DEFAULT_STATE),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List writes that were forwarded though the journal could not record them (`on_journal_failure: forward`).

    Exit 0: none, or all are settled; 2: nothing to read; 4: there are some.
    """
    if context.invoked_subcommand is not None:
        return
    try:
        with journal_reader(state) as reader:
            found = reader.gaps(route, MOST) if reader is not None else []
    except JournalError as exc:
        refuse(str(exc))
    if not found:
        know_route(state, route)
    console = Console(soft_wrap=False, highlight=False)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
    elif not found:
        console.print("no write went by unrecorded")
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("GAP", "ROUTE", "BECAUSE", "AGE", "KEY", ""):
            table.add_column(title, overflow="fold")
        now = time.time()
        for one in found[:_SHOWN]:
            cells = (one.id, one.route, one.reason, age(now - one.started), one.key or "-")
            table.add_row(*map(visible, cells), "settled" if one.settled else "")
        console.print(table)
        if len(found) > _SHOWN:
            console.print(f"and {len(found) - _SHOWN} others; --json shows them")
    raise typer.Exit(4 if any(not one.settled for one in found) else 0)


@app.command("settle")
def settle(
    identity: Annotated[str, typer.Argument(metavar="GAP", help="The gap, as it is listed.", show_default=False)],
    why: Annotated[str, typer.Option("--why", help="What was done about it; it stays told.", show_default=False)] = "",
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """Say that a gap has been looked after: it blocks nothing any more, and every certificate still tells of it."""
    if not why.strip():
        refuse("say why (--why): it stands in the history and in the certificate")
    asking(lambda: Admin(admin, token).command("gaps-settle", why, id=identity))
    typer.echo(f"settled: {identity}")
