"""Bodies of a gigabyte up and down, with length and chunked: megabytes a second, and what memory the program grows by.

`nginx` passes bodies on as they come (`proxy_buffering off; proxy_request_buffering off`), as fig does, in pieces of
4 KB; `nginx_buffering` is nginx with its defaults: larger pieces, and an upload lies in a file before the service sees
its first byte. fig is held against the faster of the two.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

from benchmarks import programs
from benchmarks.figures import Estimate, Goal, Part, ratio, spread, table
from benchmarks.large import MB, LargeService, download, upload

PROGRAMS = ("direct", "nginx", "nginx_buffering", "envoy", "fig")
GOAL = 0.5
GROWTH_GOAL = 16.0
"""MB, of 2**20 bytes."""


class Kind(NamedTuple):
    """One way that a body goes."""

    up: bool
    chunked: bool

    @property
    def name(self) -> str:
        return f"{'upload' if self.up else 'download'}, {'chunked' if self.chunked else 'with length'}"


KINDS = tuple(Kind(up, chunked) for up in (False, True) for chunked in (False, True))


def measure(folder: Path, names: Sequence[str], rounds: int, megabytes: int) -> Part:
    """Every kind through every program of `names` in turn, `rounds` times, after one of 64 MB to warm up."""
    speeds: dict[tuple[str, Kind], list[float]] = {(name, kind): [] for name in names for kind in KINDS}
    growth = dict.fromkeys(names, 0)
    service = LargeService()
    try:
        with contextlib.ExitStack() as stack:
            running = []
            for name in names:
                place = programs.Place(folder, programs.free_port(), service.port)
                running.append(stack.enter_context(programs.started(name, place)))
            for turn in range(rounds + 1):
                for kind in KINDS:
                    for one in running:
                        size = MB * (megabytes if turn else min(megabytes, 64))
                        before = one.resident()
                        one.forget_peak()
                        move = upload if kind.up else download
                        seconds = move(one.port, size, chunked=kind.chunked)
                        if turn:
                            speeds[one.name, kind].append(size / MB / seconds)
                            growth[one.name] = max(growth[one.name], one.peak() - before)
    finally:
        service.close()
    title = f"Bodies of {megabytes:,} MB: {rounds} rounds"
    return Part(title, tuple(_table(names, speeds, growth)), tuple(_goals(names, speeds, growth)))


def _table(names: Sequence[str], speeds: dict[tuple[str, Kind], list[float]], growth: dict[str, int]) -> list[str]:
    rows = []
    for name in names:
        shown = [spread(speeds[name, kind]) for kind in KINDS]
        cells = [f"{each.value:,.0f} ({each.low:,.0f} to {each.high:,.0f})" for each in shown]
        rows.append([programs.label(name), *cells, "" if name == "direct" else f"{growth[name] / MB:.1f}"])
    return table(["program", *(f"{kind.name}, MB/s" for kind in KINDS), "grew at most by, MB"], rows)


def _goals(names: Sequence[str], speeds: dict[tuple[str, Kind], list[float]], growth: dict[str, int]) -> list[Goal]:
    if "fig" not in names:
        return []
    goals = []
    peers = [name for name in names if name.startswith("nginx")]
    for kind in KINDS if peers else ():
        faster = max(peers, key=lambda name: median(speeds[name, kind]))
        figure = ratio(speeds["fig", kind], speeds[faster, kind], Random(0))
        goals.append(Goal(f"{kind.name}, over nginx", figure, GOAL, note=f"the faster of the two: {faster}"))
    grown = growth["fig"] / MB
    figure = Estimate(grown, grown, grown)
    goals.append(Goal("growth of memory while a body passes", figure, GROWTH_GOAL, at_least=False, unit="MB"))
    return goals
