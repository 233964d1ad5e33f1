"""`fig slo`: what is left of the error budgets, and how fast they burn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from proxy.cli.admin import Admin, AdminError, AdminOption, TokenOption
from proxy.cli.figures import duration, share, wide_console
from proxy.settings import DEFAULT_ADMIN

WINDOWS = ("5m", "30m", "1h", "6h", "3d")
STYLES = {"": "green", "ticket": "yellow", "page": "bold red", "exhausted": "bold red"}


def slo(
    route: Annotated[str, typer.Argument(help="Only what can stop this route.", show_default=False)] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """Show service level objectives: what is left of their error budgets, and how fast they burn.

    Exit code 0: fine, 1: a budget burns so fast that somebody should know at once, or is used up, 3: no requests yet,
    2: control cannot be asked, or there is no objective.
    """
    try:
        document = Admin(admin, token).get("/api/slo", **({"route": route} if route else {}))
    except AdminError as exc:
        typer.echo(f"fig: {exc}", err=True)
        raise typer.Exit(2) from exc
    found = document["slo"]
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    elif found:
        console = wide_console()
        console.print(slo_table(found))
        for each in found:
            if each["level"]:
                console.print(each["sentence"], style=STYLES[each["level"]])
    if not found:
        about = f" that concerns route '{route}'" if route else ""
        typer.echo(f"fig: there is no objective{about}; write one under `slo:` of the rules file", err=True)
        raise typer.Exit(2)
    raise typer.Exit(exit_code(found))


def exit_code(found: Sequence[Mapping[str, Any]]) -> int:
    if any(each["level"] in ("page", "exhausted") for each in found):
        return 1
    return 0 if any(each["remaining"] is not None for each in found) else 3


def slo_table(found: Sequence[Mapping[str, Any]]) -> Table:
    """One row per promise."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("SLO", "OF", "OBJECTIVE"):
        table.add_column(name, no_wrap=True)
    for name in ("REQUESTS", "BAD", "BUDGET LEFT", *(f"BURN {window}" for window in WINDOWS)):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("ALERT", no_wrap=True)
    for each in found:
        left = each["remaining"]
        table.add_row(
            each["name"],
            each["route"] or f"{each['service']} (service)",
            f"{each['objective']} {share(each['goal'])}" + (f" < {duration(each['under'])}" if each["under"] else ""),
            f"{each['requests']:,}",
            f"{each['bad']:,}",
            "-" if left is None else Text(f"{left:.1%}", STYLES[each["level"]]),
            *(_rate(each["burn"][window]) for window in WINDOWS),
            Text(each["level"] or "-", STYLES[each["level"]]),
        )
    return table


def _rate(rate: float | None) -> str:
    """``14.4x``: how many times too fast."""
    return "-" if rate is None else f"{rate:.3g}x"
