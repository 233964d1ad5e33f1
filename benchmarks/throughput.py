"""Requests a second of one fig worker on one processor, beside no proxy at all and its peers, in one run.

64 kept-alive connections, answers of 400 to 600 bytes whose Content-Length, ETag and Set-Cookie vary, requests of nine
headers with varying paths and cookies. fig does all it does in production (100 routes, sticky units, ids, traceparent,
forwarded headers, histograms, rows, sampled log); the peers only forward. Rounds go through all programs in turn, so
that a noisy minute hits every one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median

from benchmarks import load, programs
from benchmarks.figures import Goal, Part, ratio, spread, table

CONNECTIONS = 64
PROGRAMS = ("direct", "nginx", "haproxy", "envoy", "caddy", "aiohttp", "nginx_alike", "fig", "fig_compiled")
GOALS = (("envoy", 1.6), ("caddy", 3.0), ("aiohttp", 5.0), ("nginx", 0.42))
"""Peer, and what fig's requests a second are to be of its at least."""
STRETCH = ("nginx", 0.6)
BUSY = 0.93
"""Who uses more of a processor than this in a round (which wrk needs some of to start) is limited by it."""


@dataclass
class Rounds:
    """What the rounds of one program showed, one number a round."""

    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    """Microseconds of processor time per request, of all the program's processes."""
    used: list[float] = field(default_factory=list)
    """Part of processor 0 that the program used, and of processor 1 that load and service did."""
    load_used: list[float] = field(default_factory=list)

    @property
    def limit(self) -> str:
        """Which side had nothing left to give."""
        sides = []
        if median(self.used) > BUSY:
            sides.append("itself")
        if median(self.load_used) > BUSY:
            sides.append("load and service")
        return " and ".join(sides) or "others on this machine, or waiting"


def measure(folder: Path, names: Sequence[str], rounds: int, seconds: float, routes: int) -> Part:
    """Every program of `names` in turn, `rounds` times `seconds`, after one round to warm up."""
    requests = load.shop_requests(routes)
    file = folder / "requests"
    load.write_requests(requests, file)
    seen = {name: Rounds() for name in names}
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(programs.service(folder))
        running = []
        for name in names:
            place = programs.Place(folder, programs.free_port(), service.port, routes=routes)
            running.append(stack.enter_context(programs.started(name, place)))
            load.check(running[-1].port, requests)
        for turn in range(rounds + 1):
            for one in running:
                _round(one, service, seconds if turn else 1, file, seen[one.name] if turn else Rounds())
    return Part(
        f"Throughput: {CONNECTIONS} connections, {rounds} rounds of {seconds:g} s, {routes} routes",
        tuple(_table(seen)),
        tuple(_goals(seen)),
    )


def _round(one: programs.Started, service: programs.Started, seconds: float, requests: Path, into: Rounds) -> None:
    before, service_before = one.cpu_seconds(), service.cpu_seconds()
    seen = load.wrk(str(programs.program("wrk")), one.port, seconds, CONNECTIONS, requests, programs.LOAD_CPU)
    used = one.cpu_seconds() - before
    into.rates.append(seen.rate)
    into.costs.append(used / seen.requests * 1e6)
    into.used.append(used / seen.seconds)
    into.load_used.append((service.cpu_seconds() - service_before + seen.cpu_seconds) / seen.seconds)


def _table(seen: dict[str, Rounds]) -> list[str]:
    rows = []
    ours = seen.get("fig")
    for name, rounds in seen.items():
        rate = spread(rounds.rates)
        cells = [programs.label(name), f"{rate.value:,.0f} ({rate.low:,.0f} to {rate.high:,.0f})"]
        cells += ["", ""] if name == "direct" else [f"{median(rounds.costs):.1f}", f"{median(rounds.used):.0%}"]
        cells += [f"{median(rounds.load_used):.0%}", rounds.limit]
        if ours is not None:
            times = ratio(ours.rates, rounds.rates, Random(0))
            cells.append(f"{times.value:.2f}x")
            cells.append(f"{median(rounds.costs) / median(ours.costs):.2f}x" if name != "direct" else "")
        rows.append(cells)
    headings = [
        "program",
        "requests/s, median (min to max)",
        "CPU us/request",
        "of its processor",
        "of the other, load and service",
    ]
    headings += ["limited by", "fig's requests/s over its", "its CPU over fig's"]
    return table(headings[: 6 if ours is None else 8], rows)


def _goals(seen: dict[str, Rounds]) -> list[Goal]:
    """For fig, and for fig with its hot path compiled where that was measured too."""
    goals = []
    for name in seen:
        if programs.label(name) not in ("fig", "fig_compiled"):
            continue
        for peer, bound in (*GOALS, STRETCH):
            if peer in seen:
                is_stretch = (peer, bound) == STRETCH
                text = f"{programs.label(name)}: throughput over {peer}{' (stretch)' if is_stretch else ''}"
                note = f"limited by {seen[name].limit}; {peer} by {seen[peer].limit}"
                figure = ratio(seen[name].rates, seen[peer].rates, Random(0))
                goals.append(Goal(text, figure, bound, note=note, is_stretch=is_stretch))
    return goals
