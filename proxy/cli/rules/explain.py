"""`fig rules explain`: why a request goes where it goes, by a rules file, by a state folder, or by the running fig."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from proxy.cli.admin import Admin, AdminError, AdminOption, TokenOption
from proxy.cli.figures import position
from proxy.cli.rules.access_lines import find
from proxy.cli.rules.reading import header_lines, table_of
from proxy.cli.rules.screen import refuse, tell, write
from proxy.settings import DEFAULT_ADMIN, DEFAULT_RULES
from rules.asked import DEFAULT_CLIENT, RefusedError, ask
from rules.explaining.explain import explain
from rules.explaining.logged import Line, retell
from rules.explaining.text import told

Answer = dict[str, Any]
PATIENCE = 60.0
"""Seconds: the first question after a reload of 100,000 routes has control compile them, which takes it ten."""


def explain_request(
    method: Annotated[str, typer.Argument(help="GET, POST, ...", show_default=False)] = "",
    url: Annotated[str, typer.Argument(help="A URL, or a path with or without query.", show_default=False)] = "",
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
    log: Annotated[
        Path | None,
        typer.Option(
            help="fig's access log (also .gz; - for standard input): explain a request in it.", show_default=False
        ),
    ] = None,
    request_id: Annotated[str, typer.Option("--id", help="The X-Request-Id of that request.", show_default=False)] = "",
    every: Annotated[bool, typer.Option("--all", help="Tell of each earlier route, however many.")] = False,
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which route takes a request, why not the earlier ones, which side answers, and what is changed."""
    if live and state is not None:
        refuse("--live asks the running fig, --state its folder; give one of them")
    if request_id and log is None:
        refuse("--id goes with --log FILE: the access log in which the request stands")
    running = Admin(admin, token, PATIENCE) if live else None
    if log is not None:
        answer = _explain_logged(
            log,
            request_id,
            running,
            rules,
            state,
            bool(method or url or header or unit or every) or client != DEFAULT_CLIENT,
        )
    elif not method or not url:
        refuse("say which request: METHOD and URL, or --log FILE and --id REQUEST_ID")
    else:
        lines = header_lines(header or [])
        question = {"method": method, "url": url, "headers": lines, "client": client, "unit": unit, "all": every}
        answer = _ask(running, question) if running is not None else _ask_file(rules, state, question)
    text = answer.pop("text", [])
    if as_json:
        write(json.dumps(answer, indent=2) + "\n")
    elif "refused" not in answer:
        tell(*text)
    if "refused" in answer:
        refuse(f"fig answers {answer['refused']}: {answer['why']}")


def _ask(running: Admin, question: Answer) -> Answer:
    try:
        answer: Answer = running.post("/api/explain", question)
    except AdminError as exc:
        _fail(exc)
    return answer


def _fail(exc: AdminError) -> NoReturn:
    tell(f"fig: {exc}", err=True)
    raise typer.Exit(exc.code) from exc


def _ask_file(rules: Path, state: Path | None, question: Answer) -> Answer:
    try:
        request = ask(question["method"], question["url"], question["headers"], question["client"])
    except RefusedError as exc:
        return {"refused": exc.status, "why": str(exc)}
    except ValueError as exc:
        refuse(str(exc))
    table = table_of(rules, state)
    try:
        return told(explain(table, request, question["unit"], "all" if question["all"] else "near"))
    except ValueError as exc:
        refuse(str(exc))


def _explain_logged(
    log: Path, request_id: str, running: Admin | None, rules: Path, state: Path | None, is_twofold: bool
) -> Answer:
    """What happened to a request in the log, and why. Exits 1 when it is not there."""
    if not request_id or is_twofold:
        refuse("--log goes with --id REQUEST_ID alone: the log says what the request was")
    try:
        found = find(log, request_id)
    except OSError as exc:
        refuse(f"{log}: cannot be read: {exc.strerror or exc}")
    except (EOFError, zlib.error) as exc:
        refuse(f"{log}: cannot be read to its end: {exc}")
    if not found:
        hint = "fig logs each exchange that failed, 1 % of the good ones, and none that it refused before a route"
        tell(f"{log} holds no exchange with the id '{request_id:.200}'; {hint}", err=True)
        raise typer.Exit(1)
    line = found[-1]
    if running is None:
        answer = retell(table_of(rules, state), line).as_json()
    else:
        answer = _ask(running, {"logged": line.model_dump(mode="json")})
        answer["moves_since"] = moves = _moves_since(running, line)
        answer["text"] += [f"    since then: {move}" for move in moves]
    answer["found"] = len(found)
    if len(found) > 1:
        answer["text"].insert(0, f"{len(found)} exchanges had this id; the last of them:")
    return answer


def _moves_since(running: Admin, line: Line) -> list[str]:
    """What moved the route after the table that decided, oldest first."""
    try:
        entries = running.get("/api/history", route=line.route, limit="100")["history"]
    except AdminError as exc:
        _fail(exc)
    moves = [entry for entry in entries if entry["generation"] > line.generation and entry["before"] != entry["after"]]
    return [
        f"{position(move['before'])} -> {position(move['after'])} by {move['actor']} (generation {move['generation']})"
        for move in sorted(moves, key=lambda move: int(move["generation"]))
    ]
