"""`fig demo`: watch a whole migration happen on this machine."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated

import typer

from proxy.demo.example import ExampleError
from proxy.demo.pace import FAST, FULL
from proxy.demo.processes import StartError
from proxy.demo.run import run
from proxy.demo.screen import console
from proxy.demo.shop import Plan
from proxy.demo.story import Fault


def demo(
    fast: Annotated[bool, typer.Option("--fast", help="At most 30 seconds instead of 2 minutes.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave it running at the end, until Ctrl-C.")] = False,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="Where the shop listens (default: any free port).")
    ] = None,
    without: Annotated[
        list[Fault] | None, typer.Option("--without", help="Do not plant this fault; then there is nothing to catch.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of what the shoppers choose.")] = 1,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="Seconds until the shoppers go home at the latest, for a slow machine."),
    ] = None,
) -> None:
    """Watch a whole migration on this machine: a monolith, its four successors, shoppers, and fig in between.

    Exits 0 only if every route ended where its evidence leads, both planted faults were caught and no request failed.
    """
    faults = frozenset(Fault) - frozenset(without or ())
    pace = FAST if fast else FULL
    if limit is not None:
        pace = replace(pace, limit=float(limit))
    plan = Plan(pace, faults, port=port, keep=keep, seed=seed)
    try:
        code = asyncio.run(run(plan, console()))
    except (StartError, ExampleError) as exc:
        typer.echo(f"fig demo: {exc}", err=True)
        code = 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        typer.echo("interrupted; every program that the demo started is ended", err=True)
        code = 130
    raise typer.Exit(code)
