"""`fig rules explain`: why a request goes where it goes, by a rules file, by a state folder, or by the running fig."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from proxy.cli.admin import Admin, AdminError, AdminOption, TokenOption
from proxy.cli.rules.reading import header_lines, refuse, table_of
from proxy.settings import DEFAULT_ADMIN, DEFAULT_RULES
from rules.asked import DEFAULT_CLIENT, RefusedError, ask
from rules.explain import explain
from rules.explain_text import told

Answer = dict[str, Any]


def explain_request(
    method: Annotated[str, typer.Argument(help="GET, POST, ...")],
    url: Annotated[str, typer.Argument(help="A URL, or a path with or without query.")],
    header: Annotated[list[str] | None, typer.Option("-H", "--header", help="'Name: value'; may be repeated.")] = None,
    unit: Annotated[
        str | None, typer.Option(help="Ask as this unit, however the route reads it.", show_default=False)
    ] = None,
    client: Annotated[str, typer.Option(help="The client's address, behind trusted proxies too.")] = DEFAULT_CLIENT,
    rules: Annotated[Path, typer.Option("-c", "--config", help="The rules file.", envvar="FIG_CONFIG")] = Path(
        DEFAULT_RULES
    ),
    state: Annotated[
        Path | None,
        typer.Option(
            help="State folder of a running fig: its rules, stages and shares instead of the file's.",
            show_default=False,
        ),
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Ask the running fig, by where its routes stand now.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Tell of each earlier route, however many.")] = False,
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which route takes a request, why not the earlier ones, which side answers, and what is changed."""
    lines = header_lines(header or [])
    if live:
        question = {"method": method, "url": url, "headers": lines, "client": client, "unit": unit, "all": every}
        answer = _ask_running(Admin(admin, token), question)
    else:
        answer = _ask_file(rules, state, method, url, lines, client, unit, every)
    text = answer.pop("text", [])
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    elif "refused" not in answer:
        typer.echo("\n".join(text))
    if "refused" in answer:
        refuse(f"fig answers {answer['refused']}: {answer['why']}")


def _ask_running(admin: Admin, question: Answer) -> Answer:
    try:
        answer: Answer = admin.post("/api/explain", question)
    except AdminError as exc:
        typer.echo(f"fig: {exc}", err=True)
        raise typer.Exit(exc.code) from exc
    return answer


def _ask_file(
    rules: Path,
    state: Path | None,
    method: str,
    url: str,
    lines: list[tuple[str, str]],
    client: str,
    unit: str | None,
    every: bool,
) -> Answer:
    try:
        request = ask(method, url, lines, client)
    except RefusedError as exc:
        return {"refused": exc.status, "why": str(exc)}
    except ValueError as exc:
        refuse(str(exc))
    return told(explain(table_of(rules, state), request, unit, "all" if every else "near"))
