"""`fig shadow deliveries`: copies of writes that have not arrived, and what a person decides about them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from proxy.cli.admin import Admin, AdminOption, TokenOption
from proxy.cli.shadow.reading import StateOption, asking, journal_reader, know_route, refuse, visible
from proxy.settings import DEFAULT_ADMIN, DEFAULT_STATE
from shadow.journal.journal import JournalError
from shadow.journal.writes import Listed, Settlement, State

app = typer.Typer(
    no_args_is_help=False,
    invoke_without_command=True,
    help="List copies that have not arrived; send dead ones again, or drop them.",
)
MOST = 10_000
"""Copies that are listed, and decisions."""
_SHOWN = 50
_WORDS = {State.ANSWERED: "owed", State.IN_DOUBT: "in doubt", State.DEAD: "dead"}

SequencesArgument = Annotated[list[int], typer.Argument(metavar="SEQ...", help="Writes, by their number.", min=1)]


@app.callback()
def deliveries(
    context: typer.Context,
    route: Annotated[str | None, typer.Option(help="Only this route's.", show_default=False)] = None,
    state: StateOption = Path(DEFAULT_STATE),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List copies of writes that are dead, in doubt, or still owed, in that order; nothing of what the writes said.

    Exit 0: none is dead or in doubt; 2: nothing to read; 4: some are.
    """
    if context.invoked_subcommand is not None:
        return
    try:
        with journal_reader(state) as reader:
            found = reader.unarrived(route, MOST) if reader is not None else []
            decided = reader.settlements(route, MOST) if reader is not None else []
    except JournalError as exc:
        refuse(str(exc))
    if not found and not decided:
        know_route(state, route)
    dropped = [one for one in decided if one.kind == "copy"]
    if as_json:
        document = {"deliveries": [_document(one) for one in found], "dropped": [asdict(one) for one in dropped]}
        typer.echo(json.dumps(document, indent=2))
    else:
        _print(found, dropped, time.time())
    raise typer.Exit(4 if any(one.state is not State.ANSWERED for one in found) else 0)


@app.command("retry")
def retry(
    sequences: SequencesArgument,
    out_of_order: Annotated[
        bool,
        typer.Option("--out-of-order", help="Even where a later write of the same key has been copied already."),
    ] = False,
    why: Annotated[str, typer.Option("--why", help="Reason, for the history.", show_default=False)] = "",
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """Send dead copies again, with the idempotency key that they had. All of them, or with a reason none."""
    done: dict[str, Any] = asking(
        lambda: Admin(admin, token).command(
            "deliveries-retry", why, sequences=list(sequences), out_of_order=out_of_order
        )
    )
    typer.echo(f"owed again: {_numbers(done['sequences'])}")


@app.command("drop")
def drop(
    sequences: SequencesArgument,
    why: Annotated[
        str, typer.Option("--why", help="Reason; it stays told, also in certificates.", show_default=False)
    ] = "",
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """Give up copies, dead or owed, for good: the other side will never have them from fig."""
    if not why.strip():
        refuse("say why (--why): it stands in the history and in the certificate")
    done: dict[str, Any] = asking(
        lambda: Admin(admin, token).command("deliveries-drop", why, sequences=list(sequences))
    )
    typer.echo(f"dropped: {_numbers(done['sequences'])}")


def _numbers(sequences: Sequence[int]) -> str:
    return ", ".join(map(str, sequences))


def _document(one: Listed) -> dict[str, Any]:
    return {
        "sequence": one.sequence,
        "route": one.route,
        "method": one.method,
        "to": one.to.value,
        "state": _WORDS[one.state],
        "reason": one.reason,
        "key": one.key,
        "arrived": one.arrival,
        "attempts": one.attempts,
        "status": one.copy_status,
    }


def _print(found: Sequence[Listed], dropped: Sequence[Settlement], now: float) -> None:
    console = Console(soft_wrap=False, highlight=False)
    if not found:
        console.print("every copy has arrived")
    else:
        columns: list[tuple[str, Callable[[Listed], str]]] = [
            ("WRITE", lambda one: str(one.sequence)),
            ("ROUTE", lambda one: one.route),
            ("COPY", lambda one: f"{one.method} to {one.to.value}"),
            ("IS", lambda one: _WORDS[one.state]),
            ("BECAUSE", lambda one: one.reason or "-"),
            ("AGE", lambda one: age(now - one.arrival)),
            ("FAILED", lambda one: f"{one.attempts} times" if one.attempts else "-"),
            ("KEY", lambda one: one.key or "-"),
        ]
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title, _ in columns:
            table.add_column(title, overflow="fold")
        for one in found[:_SHOWN]:
            table.add_row(*(visible(text(one)) for _, text in columns))
        console.print(table)
        if len(found) > _SHOWN:
            more = " or more" if len(found) == MOST else ""
            console.print(f"and {len(found) - _SHOWN}{more} others; --json shows them")
    if dropped:
        last = dropped[0]
        said = f"{len(dropped)} dropped for good, the last one by {visible(last.who)}: {visible(last.why)}"
        console.print(said, markup=False)


def age(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3.5 h`` or ``2 d``."""
    for unit, size, most in (("s", 1.0, 120.0), ("min", 60.0, 7200.0), ("h", 3600.0, 172_800.0)):
        if seconds < most:
            return f"{seconds / size:.0f} {unit}" if unit != "h" else f"{seconds / size:.1f} h"
    return f"{seconds / 86_400:.0f} d"
