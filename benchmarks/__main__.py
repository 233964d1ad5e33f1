"""Everything that fig is measured by, in one run, beside its peers: prints the figures, and writes them as Markdown.

    python -m benchmarks                                 # all parts, about a quarter of an hour
    python -m benchmarks throughput latency --quick      # some parts, short rounds: to see that everything works
    python -m benchmarks throughput --beside ../other    # the fig of another checkout as one more program
    python -m benchmarks throughput --only nginx fig     # some programs
    python -m benchmarks --output benchmarks/results.md  # what `make bench` does

Exit code 0 when every goal but the stretch was met, 1 when not, 2 when a program that is needed is not installed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import bodies, latency, memory, programs, scaling, throughput
from benchmarks.figures import Goal, Part, shown_goals

PARTS = {"throughput": throughput, "latency": latency, "scaling": scaling, "memory": memory, "bodies": bodies}
READING = """\
How to read this: all programs of a part were measured in one run on one machine, in turn, round by round; a ratio is
of medians, with the interval (95 %) that drawing whole rounds anew gives. Processor 0 carries the program alone,
processor 1 the load and the service that answers, except where it says that nobody is pinned. Everyone has one
processor, so everyone has one worker or thread. Where "limited by" names load and service, the program could do more:
its CPU per request tells how much. Compare ratios, not numbers of different runs. The peers' configurations lie in
[peers/](peers/), what is measured and how in the module of each part; every answer was checked."""


def main() -> int:
    given = _arguments()
    with tempfile.TemporaryDirectory(prefix="fig-compiled-") as folder:
        wants_it = any("fig_compiled" in PARTS[name].PROGRAMS for name in given.parts)
        wants_it = wants_it and (not given.only or "fig_compiled" in given.only)
        return _run(given, _compiled(Path(folder) / "fig") if wants_it else None)


def _run(given: argparse.Namespace, compiled: Path | None) -> int:
    wanted = {name: _programs(PARTS[name].PROGRAMS, given, compiled) for name in given.parts}
    names = sorted({"wrk", "h2load", "nginx", *(name for several in wanted.values() for name in several)})
    lacking = programs.missing(names)
    if lacking:
        print("not installed: " + ", ".join(lacking), file=sys.stderr)
        return 2
    os.sched_setaffinity(0, {int(programs.LOAD_CPU)})  # parts of the load run in this process
    began = time.monotonic()
    parts = []
    for name, several in wanted.items():
        with tempfile.TemporaryDirectory(prefix="fig-bench-") as folder:
            part = _measured(name, Path(folder), several, given)
        print("\n".join([f"\n{part.title}\n", *part.lines]), flush=True)
        parts.append(part)
    goals = [goal for part in parts for goal in part.goals]
    print("\n".join(["", *shown_goals(goals)]))
    if given.output is not None:
        given.output.write_text(_document(parts, goals, programs.machine(names), time.monotonic() - began))
    return 0 if all(goal.is_met or goal.is_stretch for goal in goals) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="few short rounds: the figures mean little")
    parser.add_argument("--routes", type=int, default=100)
    parser.add_argument("--only", nargs="+", default=[], metavar="PROGRAM", help="leave the other programs out")
    parser.add_argument("--beside", type=Path, help="another checkout, whose fig is one more program")
    parser.add_argument("--output", type=Path, help="also write the figures here, with the machine and the versions")
    given = parser.parse_args()
    unknown = set(given.parts) - PARTS.keys()
    if unknown:
        parser.error(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return given


def _compiled(folder: Path) -> Path | None:
    """fig with its hot path compiled, in `folder`; None where there is no compiler."""
    if shutil.which("cc") is None:
        print("no C compiler: fig_compiled is left out", file=sys.stderr)
        return None
    command = [sys.executable, str(programs.ROOT / "deploy" / "compiled.py"), str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def _programs(known: tuple[str, ...], given: argparse.Namespace, compiled: Path | None) -> list[str]:
    """As `programs.started` takes them."""
    chosen = [name for name in known if not given.only or name in given.only]
    folders = {"fig_compiled": compiled}
    if given.beside:
        chosen.append("fig_beside")
        folders["fig_beside"] = given.beside.resolve()
    return [f"{name}@{folders[name]}" if name in folders else name for name in chosen if folders.get(name, name)]


def _measured(name: str, folder: Path, several: list[str], given: argparse.Namespace) -> Part:
    quick, routes = given.quick, given.routes
    match name:
        case "throughput":
            return throughput.measure(folder, several, 2 if quick else 5, 1 if quick else 3, routes)
        case "latency":
            return latency.measure(folder, several, 3 if quick else 7, 1 if quick else 3, routes)
        case "scaling":
            return scaling.measure(folder, several, 2 if quick else 7, 1 if quick else 3, routes)
        case "memory":
            return memory.measure(folder, several, routes, *((200, 500), 300) if quick else ())
    return bodies.measure(folder, several, 2 if quick else 5, 128 if quick else 1024)


def _document(parts: list[Part], goals: list[Goal], machine: list[str], seconds: float) -> str:
    lines = ["# Results", "", f"Written by `make bench` in {seconds / 60:.0f} minutes.", "", *machine, "", READING, ""]
    lines += ["## Goals", "", *shown_goals(goals), ""]
    for part in parts:
        lines += [f"## {part.title}", "", *part.lines, ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
