"""`fig canary simulate`: whether a route's traffic can ever decide its gate, and how soon, before a rollout."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from canary.page.charts import duration
from canary.simulating.attempts import Outcome, Patience, simulable
from canary.simulating.power import Power, advice, powers
from canary.simulating.traffic import Load
from canary.spec import Gate
from proxy import rulebook
from rules.problems import RulesError
from rules.quantities import parse_duration, parse_fraction, share_text

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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Play a route's rollout with made-up traffic: how often, and how soon, candidates go live or back.

    Exit 0: an equal candidate goes live in 80 % of attempts or more; 3: in fewer; 2: nothing to simulate.
    """
    try:
        gate, plan = _asked(rules, route)
        half, most = _times(p50, p99)
        load = Load(
            _positive(rate, "--rate"), half, most, parse_fraction(errors), per_unit, *_events(event or [], gate)
        )
        patience = Patience(parse_duration(within))
        _, _, notes = simulable(gate, plan)
        found = []
        for power in powers(gate, plan, load, runs, seed, patience):
            found.append(power)
            typer.echo(f"{len(found)}: {power.candidate}: {power.usual.value}", err=True)
    except RulesError as exc:
        typer.echo("\n".join(map(str, exc.problems)), err=True)
        raise typer.Exit(2) from exc
    except (ValueError, OSError) as exc:
        typer.echo(f"fig: {exc}", err=True)
        raise typer.Exit(2) from exc
    said = [*advice(found), *notes]
    if as_json:
        typer.echo(json.dumps({"load": dataclasses.asdict(load), "found": list(map(_plain, found)), "said": said}))
    else:
        typer.echo(_table(found, runs) + "\n\n" + "\n".join(f"- {each}" for each in said))
    raise typer.Exit(0 if found[0].part(Outcome.LIVE) >= 0.8 else 3)


def _asked(rules: Path, route: str) -> tuple[Gate, Any]:
    """Raises RulesError, ValueError."""
    loaded = rulebook.load(rules)
    plan = loaded.rollouts.get(route)
    if plan is None:
        known = ", ".join(sorted(loaded.rollouts)) or "none"
        raise ValueError(f"route '{route}' has no rollout in {rules}; those that have one: {known}")
    return loaded.gates[plan.gate], plan


def _events(given: list[str], gate: Gate) -> tuple[dict[str, float], dict[str, float]]:
    """How often each event happens, and what it is worth. Raises ValueError."""
    often, worth = {}, {}
    for text in given:
        name, equals, rest = text.partition("=")
        part, colon, value = rest.partition(":")
        if not equals:
            raise ValueError(f"--event {text}: write it like {_EVENT}")
        if name not in gate.events:
            raise ValueError(
                f"--event {text}: the gate names no such event; it names {', '.join(gate.events) or 'none'}"
            )
        often[name] = parse_fraction(part)
        if colon:
            worth[name] = _positive(value, "--event")
    missing = [name for name in gate.events if name not in often]
    if missing:
        raise ValueError(f"how often does '{missing[0]}' happen? say --event {missing[0]}=2%, of the route's requests")
    return often, worth


def _times(p50: str, p99: str) -> tuple[float, float]:
    half, most = parse_duration(p50), parse_duration(p99)
    if not 0 < half < most:
        raise ValueError(f"--p50 {p50} --p99 {p99}: the first must be positive, and less than the second")
    return half, most


def _positive(text: str, option: str) -> float:
    try:
        number = float(text.removesuffix("/s"))
    except ValueError:
        number = 0.0
    if not 0 < number < 1e6:
        raise ValueError(f"{option} {text}: write a positive number, like 50")
    return number


def _table(found: list[Power], runs: int) -> str:
    rows: list[tuple[str, ...]] = [
        ("candidate", "goes live", "goes back", "undecided", "after", "requests of it", "at a share of")
    ]
    for power in found:
        ends = [end for end in power.ends if end.outcome is power.usual]
        rows.append(
            (
                power.candidate,
                *(f"{power.part(outcome):.0%}" for outcome in Outcome),
                duration(median(end.seconds for end in ends)),
                f"{median(end.candidate for end in ends):,.0f}",
                share_text(int(median(end.share for end in ends))),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if not at else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(
        [
            *lines,
            "",
            f"{runs} {'attempt' if runs == 1 else 'attempts'} of each; medians of those that ended as most did",
        ]
    )


def _plain(power: Power) -> dict[str, Any]:
    return {"candidate": power.candidate, "ends": [dataclasses.asdict(end) for end in power.ends]}
