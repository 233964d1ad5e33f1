"""`fig shadow causes` and `fig shadow acknowledge`: what many differences have in common, and that somebody knows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from proxy.cli.admin import Admin, AdminError, AdminOption, TokenOption
from proxy.cli.shadow.reading import StateOption, refuse, state_folder, visible
from proxy.settings import DEFAULT_ADMIN, DEFAULT_STATE
from rules.problems import suggestion
from shadow.causes.naming import sentence
from shadow.causes.states import Known, State
from shadow.pairs.cause_reader import read_causes
from shadow.pairs.reader import PairReader
from shadow.pairs.tables import StoreError
from shadow.report.document import cause_document

_STYLES = {State.NEW: "bold red", State.CAME_BACK: "bold red", State.ACKNOWLEDGED: "yellow", State.FIXED: "green"}
_OPEN = (State.NEW, State.CAME_BACK)
_SHOWN = 50
"""Causes of a route that are shown in a terminal."""

Causes = Mapping[str, Sequence[Known]]
"""By route."""


def list_causes(
    route: Annotated[str | None, typer.Argument(help="Only this route.", show_default=False)] = None,
    state: StateOption = Path(DEFAULT_STATE),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    markdown: Annotated[
        Path | None, typer.Option(help="Also write them into this file, as Markdown.", show_default=False)
    ] = None,
) -> None:
    """Say what the differences of a route have in common, and what became of each cause.

    Exit 0: none that is new or came back; 1: there are some; 2: nothing to read; 3: no pair was compared yet.
    """
    found, pairs = _read(state_folder(state), route)
    if markdown is not None:
        try:
            markdown.write_text("\n".join(_markdown(found)) + "\n", encoding="utf-8")
        except OSError as exc:
            refuse(f"{markdown}: cannot be written: {exc.strerror}")
    if as_json:
        document = [
            {"route": name, "causes": [cause_document(known) for known in causes]} for name, causes in found.items()
        ]
        typer.echo(json.dumps({"routes": document}, indent=2))
    else:
        Console(soft_wrap=False, highlight=False).print(_rendered(found))
    if not pairs:
        raise typer.Exit(3)
    raise typer.Exit(1 if any(known.state in _OPEN for causes in found.values() for known in causes) else 0)


def acknowledge_cause(
    cause: Annotated[str, typer.Argument(help="The cause's id, or how it begins.", show_default=False)],
    why: Annotated[str, typer.Option(help="What is known of it; others will read this.")] = "",
    forget: Annotated[bool, typer.Option("--forget", help="Take an acknowledgement back.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """Say that a cause is known, and why it is there. Its differences count as before: no certificate passes for it.

    Exit 0: noted; 1: refused, for the reason that is printed; 2: control cannot be asked.
    """
    body = {"arguments": {"cause": cause}, "why": why}
    try:
        noted = Admin(admin, token).post(f"/api/shadow/cause-{'forget' if forget else 'acknowledge'}", body)
    except AdminError as exc:
        typer.echo(f"fig: {exc}", err=True)
        raise typer.Exit(exc.code) from exc
    if as_json:
        typer.echo(json.dumps(noted))
        return
    done = "is no longer acknowledged" if forget else "is acknowledged; its differences count as before"
    typer.echo(f"cause {noted['cause']} of route {noted['route']} {done}")


def _read(state: Path, route: str | None) -> tuple[Causes, int]:
    """The causes by route, and the pairs that were compared in their current windows."""
    try:
        with PairReader(state / "pairs.db") as reader:
            routes = reader.routes()
            if route is not None and route not in routes:
                hint = suggestion(route, routes) or f"; there are: {', '.join(routes[:_SHOWN]) or 'none'}"
                refuse(f"no pairs of a route '{visible(route)}'{hint}")
            chosen = routes if route is None else (route,)
            found = {name: read_causes(reader, name) for name in chosen}
            return found, sum(window.pairs for name in chosen for window in reader.windows(name)[:1])
    except StoreError as exc:
        refuse(str(exc))


def _rendered(found: Causes) -> RenderableType:
    parts: list[RenderableType] = []
    for route, causes in found.items():
        told = f"{len(causes)} cause{'s' if len(causes) != 1 else ''}" if causes else "no differences"
        parts.append(Text.assemble((visible(route), "bold"), f"  {told}"))
        for known in causes[:_SHOWN]:
            parts.append(Padding(_cause(known), (0, 0, 0, 2)))
        if len(causes) > _SHOWN:
            parts.append(Text(f"  and {len(causes) - _SHOWN} more; --json shows all", "dim"))
    return Group(*parts) if parts else Text("Nothing was compared yet.")


def _cause(known: Known) -> RenderableType:
    head = Text.assemble((known.cause.id, "dim"), "  ", (str(known.state), _STYLES[known.state]), overflow="fold")
    if known.why:
        head.append(f"  ({visible(known.why)})")
    told = Text(visible(sentence(known.cause, known.window.pairs)), overflow="fold")
    seen = Text(f"first seen {_when(known.first)}, last {_when(known.last)}", "dim")
    rest = [
        Text(f"at {visible(each.path)} {each.of - each.count:,} differences are left to other causes", "dim")
        for each in known.cause.at[:3]
        if each.of > each.count
    ]
    return Group(head, Padding(Group(told, seen, *rest), (0, 0, 0, 4)))


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _markdown(found: Causes) -> Iterator[str]:
    for route, causes in found.items():
        yield f"## {_cell(route)}\n"
        if not causes:
            yield "No differences.\n"
            continue
        yield "| cause | state | what | first seen | last seen |"
        yield "| --- | --- | --- | --- | --- |"
        for known in causes:
            why = f": {known.why}" if known.why else ""
            told = sentence(known.cause, known.window.pairs)
            cells = (f"`{known.cause.id}`", f"{known.state}{why}", told, _when(known.first), _when(known.last))
            yield f"| {' | '.join(map(_cell, cells))} |"
        yield ""


def _cell(text: str) -> str:
    """As text of a table's cell: what a service answered makes no markup."""
    return visible(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
