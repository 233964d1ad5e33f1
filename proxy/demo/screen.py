"""What the demo shows: a table of the routes, a line per event, and the summary. Values in, rich out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from proxy.demo.story import Ending, Move
from proxy.demo.watch import RouteView, SideView, View
from rules.stages import Stage

TABLE_WIDTH = 110
HEADINGS = {
    "share": 5,
    "legacy\nrequests": 8,
    "candidate\nrequests": 9,
    "\nerrors": 6,
    "legacy\np50/p99": 8,
    "candidate\np50/p99": 9,
}
"""Columns of figures and their least widths: with stage and name they fit 80 characters, the verdict takes the rest."""
COLOURS = {
    Stage.LEGACY: "white",
    Stage.SHADOW: "blue",
    Stage.CANARY: "yellow",
    Stage.LIVE: "green",
    Stage.RETIRED: "bright_black",
}


def milliseconds(side: SideView) -> str:
    """``4.1/12``: p50 and p99."""
    if side.p50 is None or side.p99 is None:
        return "-"
    return f"{1000 * side.p50:.1f}/{1000 * side.p99:.0f}"


def standing(route: RouteView) -> str:
    """What fig waits for, or what it answered last."""
    if route.frozen:
        return "frozen"
    if route.stage is Stage.CANARY:
        return route.gate or "gathering evidence"
    return route.certificate if route.stage is Stage.SHADOW else ""


def table_of(view: View, title: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False
    )
    table.add_column("route", style="bold", no_wrap=True, min_width=8)
    table.add_column("stage", no_wrap=True, min_width=6)
    for heading, width in HEADINGS.items():
        table.add_column(heading, justify="right", no_wrap=True, min_width=width)
    table.add_column("verdict", no_wrap=True)
    for route in view.routes:
        table.add_row(
            route.name,
            Text(route.stage.value, style=COLOURS[route.stage]),
            f"{100 * route.share:g}%",
            str(route.legacy.requests),
            str(route.candidate.requests),
            f"{route.legacy.errors}/{route.candidate.errors}",
            milliseconds(route.legacy),
            milliseconds(route.candidate),
            standing(route),
        )
    return table


def console() -> Console:
    """The terminal as it is; without one, lines as wide as the table needs, for files and CI."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=TABLE_WIDTH)


def clock(seconds: float) -> str:
    """``0:07.3`` since the start."""
    minutes, rest = divmod(max(0.0, seconds), 60)
    return f"{int(minutes)}:{rest:04.1f}"


def told(move: Move) -> Text:
    """One line of history, as people read it."""
    stage = move.stage.value if move.stage else "gone"
    share = f" {100 * move.share:g}%" if move.stage is Stage.CANARY else ""
    return Text.assemble(
        (f"{move.route:9} ", "bold"),
        (f"{move.action:8} ", "bold red" if move.action == "rollback" else ""),
        (f"{stage + share:11} ", COLOURS[move.stage] if move.stage else ""),
        (f"{move.why} ({move.actor})", "dim"),
    )


class Screen:
    """A live table below the events where there is a terminal; plain lines and a table now and then elsewhere."""

    def __init__(self, console: Console, began: float, shown_every: float) -> None:
        """`began` in seconds since the epoch."""
        self._console = console
        self._began = began
        self._every = shown_every
        self._shown = began
        self._live: Live | None = None

    def open(self) -> None:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=False)
            self._live.start()

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def event(self, at: float, what: Text | str) -> None:
        """One line; `at` in seconds since the epoch."""
        line = Text(f"{clock(at - self._began):>7}  ", style="cyan").append_text(Text.assemble(what))
        self._console.print(line, soft_wrap=True)

    def show(self, view: View, footer: str, now: float) -> None:
        title = f"Pinnacle, {timedelta(seconds=int(now - self._began))}, generation {view.generation}; times in ms"
        content = Group(table_of(view, title), Text(footer))
        if self._live is not None:
            self._live.update(content)
        elif now - self._shown >= self._every:
            self._shown = now
            self._console.print(content)

    def say(self, *lines: RenderableType) -> None:
        for line in lines:
            self._console.print(line, soft_wrap=True)


def summary(ending: Ending, seconds: float, files: Iterable[tuple[str, Path]]) -> Iterable[Text]:
    """The last lines; of `files`, by name, those that are there."""
    yield Text()
    for finding in ending.findings:
        mark = Text("  ok  ", style="green") if finding.ok else Text("  NOT ", style="bold red")
        yield mark.append(Text(f"{finding.subject:10}", style="bold")).append(finding.said, style="default")
    if ending.seconds_to_rollback is not None:
        yield Text(f"      time from the slow release to rollback: {ending.seconds_to_rollback:.1f} s")
    for name, path in files:
        if path.exists():
            yield Text(f"      the {name} lies in {path}")
    told = "it all happened as told" if ending.exit_code == 0 else "not all of it happened"
    style = "bold green" if ending.exit_code == 0 else "bold red"
    yield Text(f"{told}, in {seconds:.0f} s; exit code {ending.exit_code}", style=style)
