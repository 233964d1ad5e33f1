"""What a proxy adds to the latency of going direct, at 5,000 requests a second, under two loads.

`open loop` (pacing.py) sends each request at its own moment, as many clients would, and counts from that moment.
`h2load --h1 --rps` sends at once what is due at a tick of its timer, on all its connections: what a proxy adds there is
above all the time in which it works off the bunch.

Every round goes through all programs, direct among them; p50 and p99 of each are of one round, and what is compared is
the median over the rounds less that of direct.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import median

from benchmarks import load, pacing, programs
from benchmarks.figures import Estimate, Goal, Part, added_ratio, drawn, quantile, table

RATE = 5000.0
CONNECTIONS = 50
PROGRAMS = ("direct", "nginx", "haproxy", "envoy", "fig", "fig_compiled")
QUANTILES = (0.5, 0.99)
GOALS = ((0.5, "nginx", 1.7), (0.99, "nginx", 1.3), (0.5, "envoy", 0.5), (0.99, "envoy", 0.5))
"""Quantile, peer, and what fig may add at most, as a part of what the peer adds."""

LOADS = ("open loop", "h2load")
H2LOAD = str(programs.program("h2load"))

Rounds = dict[float, list[float]]
"""Quantile -> microseconds, one a round."""


def measure(folder: Path, names: Sequence[str], rounds: int, seconds: float, routes: int) -> Part:
    """Every program of `names` in turn under either load, `rounds` times `seconds`, after one short round."""
    requests = load.shop_requests(routes)
    seen: dict[str, dict[str, Rounds]] = {
        kind: {name: {part: [] for part in QUANTILES} for name in names} for kind in LOADS
    }
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(programs.service(folder))
        running = []
        for name in names:
            place = programs.Place(folder, programs.free_port(), service.port, routes=routes)
            running.append(stack.enter_context(programs.started(name, place)))
            load.check(running[-1].port, requests)
        for turn in range(rounds + 1):
            length = seconds if turn else 0.5
            due = pacing.schedule(RATE, length, Random(turn))  # the same for every program
            for one in running:
                open_loop = pacing.latencies(one.port, requests, due, CONNECTIONS)
                bunched = load.h2load(H2LOAD, one.port, requests, RATE, length, CONNECTIONS, folder, programs.LOAD_CPU)
                for kind, found in zip(LOADS, (open_loop, bunched), strict=True):
                    for part in QUANTILES if turn else ():
                        seen[kind][one.name][part].append(quantile(found, part) * 1e6)
    lines, goals = [], []
    for kind in LOADS:
        lines += [f"{kind}:", "", *_table(seen[kind]), ""]
        goals += _goals(kind, seen[kind])
    title = f"Latency at {RATE:,.0f} requests/s: {CONNECTIONS} connections, {rounds} rounds of {seconds:g} s"
    return Part(title, tuple(lines[:-1]), tuple(goals))


def _table(seen: dict[str, Rounds]) -> list[str]:
    rows = []
    for name, rounds in seen.items():
        cells = [programs.label(name)]
        for part in QUANTILES:
            cells.append(f"{median(rounds[part]):,.0f} ({min(rounds[part]):,.0f} to {max(rounds[part]):,.0f})")
        if name != "direct" and "direct" in seen:
            cells += [_shown(_added(rounds[part], seen["direct"][part])) for part in QUANTILES]
        rows.append(cells)
    for row in rows:
        row += [""] * (5 - len(row))
    headings = ["program", "p50 us, median (min to max)", "p99 us", "p50 added over direct (interval)", "p99 added"]
    return table(headings, rows)


def _added(ours: list[float], direct: list[float]) -> Estimate:
    return drawn(len(ours), lambda ns: median(ours[n] for n in ns) - median(direct[n] for n in ns), Random(0))


def _shown(added: Estimate) -> str:
    return f"{added.value:+,.0f} ({added.low:+,.0f} to {added.high:+,.0f})"


def _goals(kind: str, seen: dict[str, Rounds]) -> list[Goal]:
    goals = []
    for name in seen:
        for part, peer, bound in GOALS:
            if programs.label(name) in ("fig", "fig_compiled") and {"direct", peer} <= seen.keys():
                figure = added_ratio(seen[name][part], seen[peer][part], seen["direct"][part], Random(0))
                text = f"{programs.label(name)}: p{part * 100:g} added, over {peer}'s ({kind})"
                goals.append(Goal(text, figure, bound, at_least=False))
    return goals
