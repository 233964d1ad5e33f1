"""`fig shadow doubts`: writes of which nobody knows whether a side applied them, and what a person says of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from proxy.cli.admin import Admin, AdminError, AdminOption, TokenOption
from proxy.cli.shadow.reading import StateOption, key_of, know_route, problem_of, refuse, state_folder, visible
from proxy.settings import DEFAULT_ADMIN, DEFAULT_STATE
from shadow.journal.doubts import Asked, Doubt, asked_of, list_doubts
from shadow.journal.journal import JournalError
from shadow.journal.reader import JournalReader
from shadow.sealing import Sealer, SealError

app = typer.Typer(
    no_args_is_help=False,
    invoke_without_command=True,
    help="List writes that may or may not have been applied, and settle them.",
)
MOST = 1000
"""Doubts that are listed."""
_SHOWN = 50


@dataclass(frozen=True, slots=True)
class _Listed:
    doubt: Doubt
    asked: Asked | None


@app.callback()
def doubts(
    context: typer.Context,
    route: Annotated[str | None, typer.Option(help="Only this route's.", show_default=False)] = None,
    state: StateOption = Path(DEFAULT_STATE),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List writes that may or may not have been applied: which side is in question, what was asked and answered.

    Exit 0: there are none; 2: nothing to read; 4: there are some.
    """
    if context.invoked_subcommand is not None:
        return
    found = _read(state_folder(state), route)
    if not found:
        know_route(state, route)
    if as_json:
        typer.echo(json.dumps([_document(one) for one in found], indent=2))
    elif not found:
        typer.echo("nothing is in doubt")
    else:
        _print(found)
    raise typer.Exit(4 if found else 0)


@app.command("settle")
def settle(
    sequences: Annotated[list[int], typer.Argument(metavar="SEQ...", help="Writes, by their number.", min=1)],
    applied: Annotated[
        bool | None,
        typer.Option(
            "--applied/--not-applied", help="Whether the side in question has applied them.", show_default=False
        ),
    ] = None,
    why: Annotated[str, typer.Option("--why", help="How you know; it stays told.", show_default=False)] = "",
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """Say of writes in doubt whether they were applied.

    What is applied at the side that was to answer is then copied to the other one; a copy that is not applied is sent
    again; neither where a later write of the same key has gone before: such a copy is dead (`fig shadow deliveries`).
    """
    if applied is None:
        refuse("say --applied or --not-applied")
    if not why.strip():
        refuse("say why (--why): it stands in the history and in the certificate")
    try:
        done: dict[str, Any] = Admin(admin, token).command(
            "doubts-settle", why, sequences=list(sequences), applied=applied
        )
    except AdminError as exc:
        typer.echo(f"fig: {exc}", err=True)
        raise typer.Exit(exc.code) from exc
    for one in done["settled"]:
        typer.echo(f"write {one['sequence']}: {_BECAME.get(one['state'], one['state'])}")


_BECAME = {
    "answered": "its copy is owed now",
    "delivered": "the copy counts as delivered, without a pair",
    "void": "nothing is owed",
    "dead": "its copy is dead, for a later write of its key has gone before (`fig shadow deliveries`)",
}


def _read(state: Path, route: str | None) -> list[_Listed]:
    journal = state / "journal.db"
    if not journal.exists():
        return []
    try:
        sealer = Sealer(key_of(state))
        reader = JournalReader(journal, sealer)
        try:
            return [_Listed(doubt, _asked(reader, sealer, doubt)) for doubt in list_doubts(reader, route, MOST)]
        finally:
            reader.close()
    except (JournalError, SealError, OSError) as exc:
        refuse(problem_of(exc))


def _asked(reader: JournalReader, sealer: Sealer, doubt: Doubt) -> Asked | None:
    return asked_of(reader, sealer, doubt.sequence)


def _document(one: _Listed) -> dict[str, Any]:
    doubt, asked = one.doubt, one.asked
    return {
        "sequence": doubt.sequence,
        "route": doubt.route,
        "method": doubt.method,
        "in_question": doubt.asks.value,
        "what": "copy" if doubt.of_copy else "write",
        "reason": doubt.reason,
        "arrived": _when(doubt.arrival),
        "overtaken": doubt.overtaken,
        "asked": None
        if asked is None
        else {
            "side": asked.side.value,
            "target": asked.target,
            "finding": asked.finding,
            "why": asked.why,
            "times": asked.times,
            "last": _when(asked.at),
        },
    }


def _print(found: list[_Listed]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns: list[tuple[str, Callable[[_Listed], str]]] = [
        ("WRITE", lambda one: str(one.doubt.sequence)),
        ("ROUTE", lambda one: one.doubt.route),
        ("ARRIVED", lambda one: _when(one.doubt.arrival)),
        ("IN QUESTION", lambda one: f"{one.doubt.asks.value} ({'copy' if one.doubt.of_copy else one.doubt.method})"),
        ("BECAUSE", lambda one: one.doubt.reason + (", overtaken" if one.doubt.overtaken else "")),
        ("ASKED", lambda one: f"GET {one.asked.target}, {one.asked.times} times" if one.asked else "-"),
        ("ANSWER", lambda one: one.asked.why if one.asked else "-"),
    ]
    for title, _ in columns:
        table.add_column(title, overflow="fold")
    for one in found[:_SHOWN]:
        table.add_row(*(visible(text(one)) for _, text in columns))
    console = Console(soft_wrap=False, highlight=False)
    console.print(table)
    if len(found) > _SHOWN:
        console.print(f"and {len(found) - _SHOWN}{' or more' if len(found) == MOST else ''} others; --json shows them")


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
