"""`fig shadow replay`: asks the candidate again what a pair, or a cause's pairs, asked; did it get better?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from proxy.cli.admin import Admin, AdminError, AdminOption, TokenOption
from proxy.cli.shadow.reading import StateOption, refuse, state_folder, visible
from proxy.settings import DEFAULT_ADMIN, DEFAULT_STATE
from shadow.causes.grouping import Cause
from shadow.comparing.replayed import Replayed, Result, exit_code
from shadow.pairs.cause_reader import examples, read_causes
from shadow.pairs.kept import KeptPair
from shadow.pairs.reader import PairReader
from shadow.pairs.tables import StoreError
from shadow.report.wording import sentence

AT_ONCE = 8
"""Pairs of one command: it is to answer within control's patience, though the candidate is slow."""
_STYLES = {Result.FIXED: "green", Result.SAME: "", Result.CHANGED: "yellow", Result.UNASKED: "magenta"}
"""What is the same is fine where it agrees, and told in red where it differs."""
_SHOWN_DIFFERENCES = 3
_SHOWN_VALUES = 160


def replay_pairs(
    name: Annotated[str, typer.Argument(metavar="PAIR|CAUSE", help="A pair, or a cause: the pairs kept of it.")],
    state: StateOption = Path(DEFAULT_STATE),
    force: Annotated[
        bool, typer.Option("--force", help="Send writes again though nothing deduplicates them; say --why.")
    ] = False,
    why: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send a pair's request to the candidate again, and compare the answer with what legacy answered then.

    The request goes out as it did the first time, marked X-Fig-Copy, a write with its Idempotency-Key; a write only
    where its route has `dedupe`, or with --force.

    Of a cause, only the pairs that are kept can be sent: the first ten of each of its places, for as long as the
    route's shadow.keep. The output says of how many they are.

    Exit 0: the candidate agrees now; 1: something differs; 2: usage; 4: a pair could not be asked.
    """
    if force and not why.strip():
        refuse("--force may apply a write twice: say why with --why, it stands in the history")
    pairs, cause = _pairs(state_folder(state), name)
    control = Admin(admin, token)
    replayed: list[Replayed] = []
    try:
        for first in range(0, len(pairs), AT_ONCE):
            some = [each.pair.id for each in pairs[first : first + AT_ONCE]]
            answer = control.command("replay", why, pairs=some, force=force)
            replayed += msgspec.convert(answer["replayed"], list[Replayed])
    except AdminError as exc:
        typer.echo(f"fig: {exc}", err=True)
        raise typer.Exit(exc.code) from exc
    if as_json:
        typer.echo(json.dumps(_document(name, replayed, cause), indent=2))
    else:
        Console(soft_wrap=False, highlight=False).print(_rendered(pairs, replayed, cause))
    raise typer.Exit(exit_code(replayed))


def _pairs(state: Path, name: str) -> tuple[list[KeptPair], Cause | None]:
    """The pair of that name, or those kept of the cause, and the cause."""
    try:
        with PairReader(state / "pairs.db") as reader:
            if (found := reader.pair(name)) is not None:
                return [found], None
            causes = [known for route in reader.routes() for known in read_causes(reader, route)]
            named = [known for known in causes if known.cause.id == name]
            members = [pair for known in named for pair in examples(known)]
            kept = [pair for each in dict.fromkeys(members) if (pair := reader.pair(each)) is not None]
    except StoreError as exc:
        refuse(str(exc))
    if not kept and members:
        refuse(f"no pair of cause '{visible(name)}' is kept any more; the route's shadow.keep says how long they are")
    if not kept:
        refuse(f"there is no pair and no cause '{visible(name)[:100]}'; `fig shadow report` names pairs and causes")
    return kept, named[0].cause


def _document(name: str, replayed: Sequence[Replayed], cause: Cause | None) -> dict[str, Any]:
    return {
        "replayed": name,
        "members": cause.pairs if cause is not None else 1,
        "members_are_exact": cause.exact if cause is not None else True,
        "exit_code": exit_code(replayed),
        "sum": {str(result): sum(each.result is result for each in replayed) for result in Result},
        "pairs": [
            {
                "pair": each.pair,
                "result": str(each.result),
                "agrees": each.agrees,
                "reason": each.reason or None,
                "status": each.status or None,
                "differences": [
                    {
                        "kind": str(one.kind),
                        "sentence": sentence(one.kind, one.path),
                        "pointer": one.pointer,
                        "path": one.path,
                        "legacy": one.legacy,
                        "candidate": one.candidate,
                    }
                    for one in each.differences
                ],
            }
            for each in replayed
        ],
    }


def _rendered(pairs: Sequence[KeptPair], replayed: Sequence[Replayed], cause: Cause | None) -> RenderableType:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    asked = {each.pair.id: each.pair for each in pairs}
    for each in replayed:
        told = [f"{asked[each.pair].method} {asked[each.pair].target}  (pair {each.pair})", *_told(each)]
        style = "red" if each.result is Result.SAME and each.differences else _STYLES[each.result]
        table.add_row(Text(str(each.result), style), Text(visible(told[0]), overflow="fold"))
        for line in told[1:]:
            table.add_row("", Text(visible(line), "dim", overflow="fold"))
    counts = [f"{count:,} {result}" for result in Result if (count := sum(one.result is result for one in replayed))]
    agree = sum(each.agrees for each in replayed)
    total = f"{len(replayed):,} {'pair' if len(replayed) == 1 else 'pairs'}: {', '.join(counts)}; {agree:,} agree now"
    if cause is None or cause.pairs <= len(pairs):
        return Group(table, Text(total, "bold"))
    return Group(table, Text(total, "bold"), Text(_left_out(len(pairs), cause), overflow="fold"))


def _left_out(kept: int, cause: Cause) -> str:
    """That these are not all of the cause's pairs."""
    least = "" if cause.exact else "at least "
    are = "is" if kept == 1 else "are"
    return (
        f"{kept:,} of {least}{cause.pairs:,} pairs with this cause {are} kept; what became of the others is not known"
    )


def _told(replayed: Replayed) -> Iterator[str]:
    if replayed.reason:
        yield replayed.reason
    for each in replayed.differences[:_SHOWN_DIFFERENCES]:
        values = " | ".join(value if value is not None else "(none)" for value in (each.legacy, each.candidate))
        yield f"{sentence(each.kind, each.path)}: {values[:_SHOWN_VALUES]}"
    if len(replayed.differences) > _SHOWN_DIFFERENCES:
        yield f"and {len(replayed.differences) - _SHOWN_DIFFERENCES} more differences"
