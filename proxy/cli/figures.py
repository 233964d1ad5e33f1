"""Figures as people read them: durations, ages, shares, and the tables of `fig status` and `fig history`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

NARROWEST, WIDTH = 120, 160
"""Columns that the tables need at least, and those that they get where there are fewer."""
STAGE_STYLES = {"legacy": "dim", "shadow": "cyan", "canary": "yellow", "live": "green", "retired": "dim green"}
OWED = {"undelivered": "undelivered", "gaps": "not recorded", "doubts": "in doubt"}
VERDICT_STYLES = {"promote": "green", "rollback": "bold red", "keep_watching": "yellow", "fault": "bold magenta"}


def duration(seconds: float | None) -> str:
    """``870 us``, ``12.3 ms``, ``1.25 s``, ``-`` for none."""
    if seconds is None:
        return "-"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 60 else age(seconds)


def age(seconds: float) -> str:
    """``42 s``, ``3 min``, ``5 h``, ``2 d``."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def share(part: float) -> str:
    """``5%`` of 0.05; down to a millionth."""
    return f"{part * 100:.6g}%"


def position(where: Mapping[str, Any] | None) -> str:
    """``canary 5%``, ``shadow, frozen``, ``-`` for none."""
    if where is None:
        return "-"
    text = str(where["stage"])
    if text == "canary":
        text += f" {share(where['share'])}"
    return f"{text}, frozen" if where["frozen"] else text


def wide_console() -> Console:
    """Where tables go. A pipe, or a terminal too narrow for them, gets whole lines rather than cut words."""
    console = Console(highlight=False)
    return console if console.width >= NARROWEST else Console(highlight=False, width=WIDTH)


def status_table(status: Mapping[str, Any]) -> Table:
    """One row per route; latencies are those of the last seconds."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("ROUTE", "STAGE", "FOR"):
        table.add_column(name, no_wrap=True)
    for name in ("LEGACY", "CANDIDATE", "ERRORS", "P50", "P99"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("VERDICT", overflow="fold")
    for route in status["routes"]:
        legacy, candidate = route["sides"]["legacy"], route["sides"]["candidate"]
        table.add_row(
            route["name"],
            Text(_stage(route), STAGE_STYLES[route["stage"]]),
            age(status["at"] - route["since"]),
            f"{legacy['requests']:,}",
            f"{candidate['requests']:,}",
            f"{legacy['errors']:,} / {candidate['errors']:,}",
            f"{duration(legacy['recent']['p50'])} / {duration(candidate['recent']['p50'])}",
            f"{duration(legacy['recent']['p99'])} / {duration(candidate['recent']['p99'])}",
            _verdict(route),
        )
    for route in status.get("unsided", ()):
        none = ["-"] * 4
        answers = Text(f"{route['answers']} answers", "dim")
        table.add_row(route["name"], "-", "-", f"{route['requests']:,}", *none, answers)
    return table


def _stage(route: Mapping[str, Any]) -> str:
    step = route["step"]
    where = position(route) + (" against rollback too" if route.get("pinned") else "")
    where += ", watched" if route.get("watched") else ""
    return where + (f" ({step['number']} of {step['of']})" if step else "")


def _verdict(route: Mapping[str, Any]) -> Text:
    text, writes = _judged(route), route["writes"] or {}
    if route.get("ended"):
        text.append(f"; attempt over: {route['ended']}", "dim")
    for reason in route.get("waiting", ()):
        text.append(f"; waits: {reason}", "cyan")
    for probe in route.get("probes", ()):
        if probe["result"] not in (None, "passed") and probe["reason"] not in route.get("waiting", ()):
            text.append(f"; {probe['reason']}", "yellow")
    owed = [f"{writes[name]:,} {words}" for name, words in OWED.items() if writes.get(name)]
    return text.append(f"; writes: {', '.join(owed)}", "bold magenta") if owed else text


def _judged(route: Mapping[str, Any]) -> Text:
    if route["verdict"] is not None:
        verdict = route["verdict"]
        said = (verdict["verdict"], VERDICT_STYLES[verdict["verdict"]])
        return Text.assemble(said, f": {verdict['reason']}", (_answered(verdict), "dim"))
    if route["certificate"] is not None:
        return Text(f"certificate {route['certificate']['verdict']}: {route['certificate']['reason']}")
    return Text("-", "dim")


def _answered(verdict: Mapping[str, Any]) -> str:
    """``; sources: 'queue' answered 12 s ago``: how old the numbers are that fig did not measure itself."""
    told = [
        f"'{metric['name']}' "
        + ("has no answer yet" if metric["age"] is None else f"answered {age(metric['age'])} ago")
        for metric in verdict.get("metrics", ())
        if metric["kind"] == "query"
    ]
    return f"; sources: {', '.join(told)}" if told else ""


def _happened(entry: Mapping[str, Any]) -> str:
    """``rollback: canary 5% -> shadow``; a line that moved nothing is its action alone."""
    if entry["action"] == "probe" or entry["action"].startswith("shadow "):
        return str(entry["action"])
    return f"{entry['action']}: {position(entry['before'])} -> {position(entry['after'])}"


def history_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    """One row per line of the history, as given."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("TIME", "ROUTE", "WHO", "WHAT"):
        table.add_column(name, no_wrap=True)
    table.add_column("WHY", overflow="fold", min_width=24)
    for entry in entries:
        table.add_row(
            datetime.fromtimestamp(entry["at"], UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            entry["route"],
            entry["actor"],
            _happened(entry),
            entry["why"],
        )
    return table
