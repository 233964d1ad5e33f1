"""`fig canary simulate`: whether a route's traffic can ever decide its gate, and how soon, before a rollout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rules.problems import RulesError

_EVENT = "NAME=2% or NAME=2%:80 (how many of the requests make one, and the mean of its value)"


def simulate(
    route: Annotated[str, typer.Argument(help="A route with a rollout.", show_default=False)],
    rules: Annotated[
        Path, typer.Option("-c", "--config", help="The rules file, or folder.", envvar="FIG_CONFIG")
    ] = Path("fig.yaml"),
    rate: Annotated[str, typer.Option(help="Requests a second of the route, of both sides together.")] = "50",
    errors: Annotated[str, typer.Option(help="Part of legacy's requests that fail.")] = "0.2%",
    p50: Annotated[str, typer.Option("--p50", help="Half of legacy's requests take no longer.")] = "50ms",
    p99: Annotated[str, typer.Option("--p99", help="99 % of legacy's requests take no longer.")] = "300ms",
    per_unit: Annotated[float, typer.Option(help="Requests of a unit within a step.", min=1, max=10_000)] = 5.0,
    event: Annotated[
        list[str] | None, typer.Option("--event", help=f"A business event: {_EVENT}.", show_default=False)
    ] = None,
    runs: Annotated[int, typer.Option(help="Attempts of each kind of candidate.", min=1, max=10_000)] = 10,
    seed: Annotated[int, typer.Option(help="The same seed, the same attempts.")] = 1,
    within: Annotated[str, typer.Option(help="An attempt that takes longer is undecided.")] = "7d",
    requests: Annotated[int, typer.Option(help="So is one that takes more requests.", min=1)] = 3_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Play a route's rollout with made-up traffic: how often, and how soon, candidates go live or back.

    Exit 0: an equal candidate goes live in 80 % of attempts or more; 3: in fewer; 2: nothing to simulate.
    """
    from proxy.cli.canary.simulated import Question, play  # numpy and scipy: half a second, for this command alone

    asked = Question(rules, route, rate, errors, p50, p99, per_unit, event or [], runs, seed, within, requests, as_json)
    try:
        code = play(asked)
    except RulesError as exc:
        typer.echo("\n".join(map(str, exc.problems)), err=True)
        raise typer.Exit(2) from exc
    except (ValueError, OSError) as exc:
        typer.echo(f"fig: {exc}", err=True)
        raise typer.Exit(2) from exc
    raise typer.Exit(code)
