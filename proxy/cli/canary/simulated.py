"""What `fig canary simulate` plays and prints. Apart from the command, which every start of `fig` imports."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import typer

from canary.page.charts import duration
from canary.plan import RolloutPlan
from canary.simulating.attempts import Outcome, Patience, simulable
from canary.simulating.power import FAILING, Power, advice, powers
from canary.simulating.traffic import Load
from canary.spec import Gate
from proxy import rulebook
from rules.quantities import parse_duration, parse_fraction, share_text

EVENT = "NAME=2% or NAME=2%:80 (how many of the requests make one, and the mean of its value)"


class Question(NamedTuple):
    """The command's words, as they were written."""

    rules: Path
    route: str
    rate: str
    errors: str
    p50: str
    p99: str
    per_unit: float
    events: list[str]
    runs: int
    seed: int
    within: str
    requests: int
    as_json: bool


def play(asked: Question) -> int:
    """Print what comes of it; the exit code. Raises RulesError, ValueError, OSError."""
    gate, plan = _found(asked.rules, asked.route)
    half, most = _times(asked.p50, asked.p99)
    often, worth = _events(asked.events, gate)
    rate, failing = _positive(asked.rate, "--rate"), _failing(asked.errors)
    load = Load(rate, half, most, failing, asked.per_unit, often, worth)
    patience = Patience(_patience(asked.within), asked.requests)
    _, _, notes = simulable(gate, plan)
    found = []
    for power in powers(gate, plan, load, asked.runs, asked.seed, patience):
        found.append(power)
        typer.echo(f"{len(found)}: {power.candidate}: {power.usual.value}", err=True)
    said = [*advice(found), *notes]
    if asked.as_json:
        typer.echo(json.dumps({"load": dataclasses.asdict(load), "found": list(map(_plain, found)), "said": said}))
    else:
        typer.echo(_table(found, asked.runs) + "\n\n" + "\n".join(f"- {each}" for each in said))
    return 0 if found[0].part(Outcome.LIVE) >= 0.8 else 3


def _found(rules: Path, route: str) -> tuple[Gate, RolloutPlan]:
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
            raise ValueError(f"--event {text}: write it like {EVENT}")
        if name not in gate.events:
            raise ValueError(
                f"--event {text}: the gate names no such event; it names {', '.join(gate.events) or 'none'}"
            )
        often[name] = parse_fraction(part)
        if not often[name]:
            raise ValueError(f"--event {text}: nothing can be judged by an event that never happens; say more than 0%")
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


def _failing(errors: str) -> float:
    """Raises ValueError, where the candidates that are made to fail more often could not."""
    failing = parse_fraction(errors)
    if failing > 1 - FAILING:
        raise ValueError(
            f"--errors {errors}: candidates are tried of which {FAILING:.0%} more fail; say "
            f"at most {1 - FAILING:.0%} of legacy's"
        )
    return failing


def _patience(within: str) -> float:
    seconds = parse_duration(within)
    if not seconds:
        raise ValueError(f"--within {within}: an attempt needs time; write it like 7d")
    return seconds


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
