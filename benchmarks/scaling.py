"""Two workers beside one, where load and service have the same two processors: nobody is pinned.

The two processors carry everything here, so that this is a lower bound of what a second worker brings on a machine
with processors to spare: what load and service cost per request does not become less with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import median

from benchmarks import load, programs
from benchmarks.figures import Goal, Part, ratio, spread, table
from benchmarks.throughput import CONNECTIONS

PROGRAMS = ("nginx", "fig", "fig_compiled")
GOAL = 1.25


def measure(folder: Path, names: Sequence[str], rounds: int, seconds: float, routes: int) -> Part:
    """Every program of `names` with one worker and with two in turn, `rounds` times `seconds`."""
    requests = load.shop_requests(routes)
    file = folder / "requests"
    load.write_requests(requests, file)
    kinds = [(name, workers) for name in names for workers in (1, 2)]
    rates: dict[tuple[str, int], list[float]] = {kind: [] for kind in kinds}
    costs: dict[tuple[str, int], list[float]] = {kind: [] for kind in kinds}
    everything: dict[tuple[str, int], list[float]] = {kind: [] for kind in kinds}
    wrk = str(programs.program("wrk"))
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(programs.service(folder, programs.EVERY_CPU))
        running = {}
        for name, workers in kinds:
            place = programs.Place(
                folder, programs.free_port(), service.port, cpus=programs.EVERY_CPU, workers=workers, routes=routes
            )
            running[name, workers] = stack.enter_context(programs.started(name, place))
            load.check(place.port, requests)
        for turn in range(rounds + 1):
            for kind, one in running.items():
                before, service_before = one.cpu_seconds(), service.cpu_seconds()
                length = seconds if turn else 1
                seen = load.wrk(wrk, one.port, length, CONNECTIONS, file, programs.EVERY_CPU)
                if turn:
                    used = one.cpu_seconds() - before
                    rates[kind].append(seen.rate)
                    costs[kind].append(used / seen.requests * 1e6)
                    total = used + service.cpu_seconds() - service_before + seen.cpu_seconds
                    everything[kind].append(total / seen.requests * 1e6)
    rows = []
    goals = []
    for name in names:
        alone, two = spread(rates[name, 1]), spread(rates[name, 2])
        gain = ratio(rates[name, 2], rates[name, 1], Random(0))
        shown = [f"{each.value:,.0f} ({each.low:,.0f} to {each.high:,.0f})" for each in (alone, two)]
        spent = f"{median(costs[name, 1]):.1f} and {median(costs[name, 2]):.1f}"
        rows.append([programs.label(name), *shown, f"{gain.value:.2f}x ({gain.low:.2f} to {gain.high:.2f})", spent])
        if programs.label(name) in ("fig", "fig_compiled"):
            # Were both processors busy all the time, at what a request costs everyone with one worker.
            most = 2e6 / median(everything[name, 1]) / alone.value
            note = f"{most:.2f}x would be both processors without an idle moment"
            goals.append(Goal(f"{programs.label(name)}: two workers over one", gain, GOAL, note=note))
    headings = ["program", "requests/s, one worker", "two workers", "two over one (interval)", "CPU us/request"]
    title = f"Two workers on the two processors that load and service use: {rounds} rounds of {seconds:g} s"
    return Part(title, tuple(table(headings, rows)), tuple(goals))
