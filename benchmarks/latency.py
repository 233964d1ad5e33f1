"""What a proxy adds to the latency of going direct, at 5,000 requests a second.

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

Rounds = dict[float, list[float]]
"""Quantile -> microseconds, one a round."""


def measure(folder: Path, names: Sequence[str], rounds: int, seconds: float, routes: int) -> Part:
    """Every program of `names` in turn, `rounds` times `seconds`, after one short round to warm up."""
    requests = load.shop_requests(routes)
    seen: dict[str, Rounds] = {name: {part: [] for part in QUANTILES} for name in names}
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(programs.service(folder))
        running = []
        for name in names:
            place = programs.Place(folder, programs.free_port(), service.port, routes=routes)
            running.append(stack.enter_context(programs.started(name, place)))
            load.check(running[-1].port, requests)
        for turn in range(rounds + 1):
            due = pacing.schedule(RATE, seconds if turn else 0.5, Random(turn))  # the same for every program
            for one in running:
                found = pacing.latencies(one.port, requests, due, CONNECTIONS)
                if turn:
                    for part in QUANTILES:
                        seen[one.name][part].append(quantile(found, part) * 1e6)
    return Part(
        f"Latency at {RATE:,.0f} requests/s: {CONNECTIONS} connections, {rounds} rounds of {seconds:g} s",
        tuple(_table(seen)),
        tuple(_goals(seen)),
    )


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


def _goals(seen: dict[str, Rounds]) -> list[Goal]:
    goals = []
    for name in seen:
        for part, peer, bound in GOALS:
            if programs.label(name) in ("fig", "fig_compiled") and {"direct", peer} <= seen.keys():
                figure = added_ratio(seen[name][part], seen[peer][part], seen["direct"][part], Random(0))
                text = f"{programs.label(name)}: p{part * 100:g} added, over {peer}'s"
                goals.append(Goal(text, figure, bound, at_least=False))
    return goals
