"""`fig shadow show`: one pair, both answers side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from proxy.cli.shadow.reading import StateOption, kept_pair, key_history, visible
from proxy.settings import DEFAULT_STATE
from shadow.comparing.aligned import Fold, Mark, Row
from shadow.journal.key_history import KeyWrite
from shadow.pair import Answer
from shadow.report.pair_document import pair_document
from shadow.report.pair_view import PairView, view
from shadow.report.wording import sentence

PairArgument = Annotated[str, typer.Argument(metavar="PAIR", help="Name of the pair, as reports show it.")]

_LEGACY = {Mark.CHANGED: "red", Mark.MISSING: "red", Mark.EXCUSED: "yellow"}
_CANDIDATE = {Mark.CHANGED: "green", Mark.ADDED: "green", Mark.EXCUSED: "yellow"}
_SIGNS = {Mark.SAME: " ", Mark.CHANGED: "≠", Mark.MISSING: "-", Mark.ADDED: "+", Mark.EXCUSED: "~"}
_MEANINGS = {
    Mark.CHANGED: "differs",
    Mark.MISSING: "only legacy has it",
    Mark.ADDED: "only the candidate has it",
    Mark.EXCUSED: "differs, but a mask excuses it or it is not compared",
}
_SHOWN_DIFFERENCES = 20


def show_pair(
    pair: PairArgument,
    state: StateOption = Path(DEFAULT_STATE),
    everything: Annotated[bool, typer.Option("--all", help="Show what is equal too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show one pair: what differs, both bodies side by side, headers, timing, the request, the writes of its key.

    Exit 0: the pair agrees; 1: it differs; 2: there is no such pair.
    """
    kept = kept_pair(state, pair)
    shown = view(kept, key_history(state)(kept.pair.sequence) if kept.pair.sequence else ())
    if as_json:
        typer.echo(json.dumps(pair_document(shown), indent=2))
    else:
        Console(soft_wrap=False, highlight=False).print(_rendered(shown, everything))
    raise typer.Exit(1 if kept.differences else 0)


def _rendered(shown: PairView, everything: bool) -> RenderableType:
    kept = shown.kept
    pair = kept.pair
    parts: list[RenderableType] = [
        Text(visible(f"{pair.method} {pair.target}"), "bold", overflow="fold"),
        Text(
            visible(f"{_when(pair.started)}, route {pair.route}, {pair.kind}; the client got {pair.side}'s answer"),
            "dim",
        ),
        _sides(shown),
    ]
    for each in kept.differences[:_SHOWN_DIFFERENCES]:
        where = f"  at {each.pointer}" if each.pointer != each.path else ""
        parts.append(Text(visible(f"  {sentence(each.kind, each.path)}{where}"), "bold", overflow="fold"))
    if len(kept.differences) > _SHOWN_DIFFERENCES:
        parts.append(Text(f"  and {len(kept.differences) - _SHOWN_DIFFERENCES} more", "dim"))
    if not kept.differences:
        parts.append(Text("  they agree", "green"))
    parts += [Text(), _bodies(shown, everything), Text("\nheaders", "bold"), _headers(shown)]
    if legend := _legend(shown, everything):
        parts.append(Text(f"\n{legend}", "dim", overflow="fold"))
    parts += [Text("\nrequest", "bold"), *(_line(name, value) for name, value in pair.request_headers)]
    if shown.history:
        parts += [Text("\nwrites of the same key", "bold"), _history(shown.history, pair.sequence)]
    return Group(*parts)


def _sides(shown: PairView) -> Text:
    pair = shown.kept.pair
    told = f"legacy {_answered(pair.legacy)}, candidate {_answered(pair.candidate)}"
    if shown.slower is not None:
        told += f", {abs(shown.slower) * 1000:.1f} ms {'slower' if shown.slower > 0 else 'faster'}"
    return Text(visible(told))


def _answered(answer: Answer) -> str:
    return f"no answer: {answer.failure}" if answer.failure else f"{answer.status} in {answer.seconds * 1000:.1f} ms"


def _bodies(shown: PairView, everything: bool) -> Table:
    table = Table(box=None, pad_edge=False, expand=True, header_style="bold")
    table.add_column("", width=1)
    table.add_column("legacy", ratio=1, overflow="fold")
    table.add_column("candidate", ratio=1, overflow="fold")
    for row, folded in _unfolded(shown.rows, everything):
        if folded:
            table.add_row("", Text(f"… {folded:,} equal lines", "dim"), "")
            continue
        left, right = (Text(visible(text or ""), overflow="fold") for text in (row.legacy, row.candidate))
        left.stylize(_LEGACY.get(row.mark, ""))
        right.stylize(_CANDIDATE.get(row.mark, ""))
        table.add_row(_SIGNS[row.mark], left, right)
    return table


def _legend(shown: PairView, everything: bool) -> str:
    """What the signs mean that are shown."""
    used = {row.mark for row, _ in _unfolded(shown.rows, everything)} | {each.mark for each in shown.headers}
    return "   ".join(f"{_SIGNS[mark]} {meaning}" for mark, meaning in _MEANINGS.items() if mark in used)


def _unfolded(rows: tuple[Row | Fold, ...], everything: bool) -> Iterator[tuple[Row, int]]:
    """Rows, and how many of them one stands for where they are folded."""
    for row in rows:
        if isinstance(row, Row):
            yield row, 0
        elif everything:
            yield from ((each, 0) for each in row.rows)
        else:
            yield row.rows[0], len(row.rows)


def _headers(shown: PairView) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for width in (1, None, None, None):
        table.add_column(width=width, overflow="fold")
    for each in shown.headers:
        table.add_row(
            _SIGNS[each.mark],
            Text(visible(each.name)),
            Text(visible(each.legacy if each.legacy is not None else "(none)"), _LEGACY.get(each.mark, "dim")),
            Text(visible(each.candidate if each.candidate is not None else "(none)"), _CANDIDATE.get(each.mark, "dim")),
        )
    return table


def _line(name: str, value: str) -> Text:
    return Text(visible(f"  {name}: {value}"), "dim", overflow="fold")


def _history(writes: tuple[KeyWrite, ...], sequence: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "when", "write", "client got", "copy got", "stands"):
        table.add_column(name, overflow="fold")
    for each in writes:
        stands = f"{each.state.replace('_', ' ')}{f' ({each.reason})' if each.reason else ''}"
        table.add_row(
            ">" if each.sequence == sequence else "",
            _when(each.arrival),
            visible(f"{each.method} #{each.sequence}"),
            f"{each.status or 'nothing'} from {each.side}",
            f"{each.copy_status or 'nothing'}{f' after {each.attempts} failing' if each.attempts else ''}",
            Text(visible(stands)),
        )
    return table


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
