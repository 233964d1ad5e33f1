"""The report for a terminal: what moves first, a change to a block, each with a request that shows it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from proxy.cli.rules.diff import phrases
from proxy.cli.rules.diff.limits import Judged
from proxy.cli.rules.diff.report import Report, report_summary
from rules.changes.difference import Change
from rules.changes.pairs import Elsewhere

MOST_CHANGES = 50
MOST_CLASSES = 6
MOST_PATHS = 5
_MARKS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
_EFFECTS = {"moves": "bold", "may move": "bold magenta", "stays": "dim"}
_JUDGED = {Judged.HOLDS: ("FAILED", "bold red"), Judged.FINE: ("fine", "green"), Judged.OPEN: ("OPEN", "bold magenta")}


def render(report: Report) -> Iterator[Text]:
    """Line by line."""
    yield Text(report_summary(report))
    yield Text(report.headline(), "bold")
    changes = report.changes()
    for number, change in changes[:MOST_CHANGES]:
        yield Text()
        yield from _change(report, number, change)
    if len(changes) > MOST_CHANGES:
        yield Text(f"\n... and {len(changes) - MOST_CHANGES:,} more changes; --json has all of them", "dim")
    yield from _paths(report)
    remarks = [*report.remarks()]
    if remarks:
        yield Text()
    for remark in remarks:
        yield Text(remark, "dim")
    for answer in report.answers:
        word, style = _JUDGED[answer.judged]
        yield Text.assemble("\n", (word, style), f"  --fail-on {answer.limit.text}: {answer.why}")


def _change(report: Report, number: int, change: Change) -> Iterator[Text]:
    mark, style = _MARKS.get(change.kinds[0], _MARKS["changed"])
    line = Text.assemble((f"{mark} {phrases.subject(change)}", style))
    told = "; ".join([phrases.headline(change)] if phrases.headline(change) else [])
    if told:
        line.append(f"  {told}")
    line.append(f"  {phrases.effect(change)}", _EFFECTS[change.effect])
    yield line
    for key in phrases.keys(change):
        yield Text(f"    {key}")
    for note in change.notes:
        yield Text(f"    ! {note}", "bold yellow" if note.isupper() or note.startswith("THE ") else "yellow")
    for each in change.elsewhere[:MOST_CLASSES]:
        yield from _class(each)
    more = len(change.elsewhere) - MOST_CLASSES
    if more > 0:
        yield Text(
            f"    ... and {phrases.count(more, 'more class')}es of requests".replace("classses", "classes"), "dim"
        )
    if change.further:
        yield Text(f"    {phrases.further(change)}", "dim")
    of_log = report.of_log(number)
    if of_log and change.effect != "stays":
        yield Text(f"    in the logs: {of_log}", "cyan")


def _class(each: Elsewhere) -> Iterator[Text]:
    yield Text.assemble("    ", (each.words, "bold"))
    for movement in phrases.movements(each):
        yield Text(f"      {movement}")
    yield Text(f"      for example: {phrases.request(each.witness)}", "dim")


def _paths(report: Report) -> Iterator[Text]:
    paths = report.traffic.all.paths(MOST_PATHS) if report.traffic is not None else []
    if paths:
        yield Text("\nMost asked of the paths that go elsewhere", "bold")
        width = len(f"{paths[0][1]:,}")
        for path, requests in paths:
            yield Text(f"  {requests:>{width},}  {path[:100]}")
