"""Requests a second of one fig worker on one core, beside no proxy at all, nginx, HAProxy and Envoy, in one run.

64 kept-alive connections, answers of 0.5 KB, requests of nine headers with varying paths and cookies. fig does all it
does in production (routes, sticky units, ids, traceparent, forwarded headers, histograms, rows, sampled log); the peers
only forward. Rounds go through all programs in turn, so that a noisy minute hits every one; medians are compared.

    python benchmarks/throughput.py [--rounds 5] [--seconds 3] [--routes 20] [--output benchmarks/results.md]
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import programs

FIRST_PORT = 18901
PROGRAMS = ("direct", "nginx", "haproxy", "envoy", "fig")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--routes", type=int, default=20)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--output", type=Path, help="also write the table here, with the machine and the versions")
    parser.add_argument("--only", nargs="*", choices=PROGRAMS, default=list(PROGRAMS))
    given = parser.parse_args()
    lacking = programs.missing(["wrk", "nginx", *(p for p in given.only if p not in ("direct", "fig", "nginx"))])
    if lacking:
        print("not installed: " + ", ".join(lacking), file=sys.stderr)
        return 2
    rates: dict[str, list[float]] = {name: [] for name in given.only}
    costs: dict[str, list[float]] = {name: [] for name in given.only}
    with tempfile.TemporaryDirectory(prefix="fig-bench-") as scratch, contextlib.ExitStack() as stack:
        folder = Path(scratch)
        stack.enter_context(programs.service(folder))
        ports = {"direct": programs.SERVICE_PORT}
        started = {}
        for number, name in enumerate(n for n in given.only if n != "direct"):
            port = ports[name] = FIRST_PORT + number
            if name == "fig":
                started[name] = stack.enter_context(programs.fig(folder, port, given.routes))
            else:
                started[name] = stack.enter_context(programs.peer(name, folder, port))
        for round_number in range(given.rounds + 1):
            for name in given.only:
                before = programs.cpu_seconds(started[name]) if name in started else 0.0
                seen = programs.wrk(ports[name], given.seconds if round_number else 1, given.connections)
                if seen["failed"] or seen["refused"]:
                    print(f"{name}: {seen['failed']} failed, {seen['refused']} not 2xx", file=sys.stderr)
                    return 1
                if round_number:  # the first round warms up
                    rates[name].append(seen["rate"])
                    after = programs.cpu_seconds(started[name]) if name in started else 0.0
                    costs[name].append((after - before) / seen["requests"] * 1e6)
    lines = table(rates, costs)
    print("\n".join(lines))
    if given.output is not None:
        rounds = f"{given.rounds} rounds of {given.seconds:g} s, {given.connections} connections, {given.routes} routes"
        heading = ["# Throughput", "", f"Written by `make bench`: {rounds}.", "", *programs.machine(list(rates)), ""]
        given.output.write_text("\n".join([*heading, *lines]) + "\n")
    return 0


def table(rates: dict[str, list[float]], costs: dict[str, list[float]]) -> list[str]:
    """Medians; the ratio is of medians, fig over the peer."""
    fig = statistics.median(rates["fig"]) if rates.get("fig") else None
    lines = ["| program | requests/s, median (min to max) | CPU us/request | fig is |", "| --- | --- | --- | --- |"]
    for name, seen in rates.items():
        median = statistics.median(seen)
        ratio = f"{fig / median:.2f}x" if fig is not None else ""
        cost = f"{statistics.median(costs[name]):.1f}" if name != "direct" else ""
        lines.append(f"| {name} | {median:,.0f} ({min(seen):,.0f} to {max(seen):,.0f}) | {cost} | {ratio} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
