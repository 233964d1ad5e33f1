"""`fig shadow backfill`: gives keys to the shadower, has it seed the candidate, and tells how far it is.

Where keys come from is this command's business: a file, an address, a query. What becomes of them is the shadower's, so
a command that is killed has lost nothing, and giving the same keys again does no harm.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from proxy.cli.admin import Admin, AdminOption, TokenOption
from proxy.cli.shadow.reading import asking, refuse, visible
from proxy.settings import DEFAULT_ADMIN

AT_ONCE = 200
"""Keys in one command: with the longest keys less than control takes in one body."""
BATCH_CHARACTERS = 20_000
LOOK_EVERY = 0.5


def backfill_route(
    route: Annotated[str, typer.Argument(help="The route; its shadow.backfill says how a key is read and written.")],
    keys: Annotated[
        str | None, typer.Option(help="File with a key in each line; - for standard input.", show_default=False)
    ] = None,
    keys_url: Annotated[
        str | None,
        typer.Option(help="Address that answers with a key in each line, or a JSON list of keys.", show_default=False),
    ] = None,
    keys_query: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="URL SQL", help="Database (SQLAlchemy's URL) and query: the first column.", show_default=False
        ),
    ] = None,
    rate: Annotated[int, typer.Option(help="Keys a second.", min=1, max=10_000)] = 50,
    wait: Annotated[bool, typer.Option(help="Wait until it is through.")] = True,
    status: Annotated[bool, typer.Option("--status", help="Only say how far it is.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop it; started again, it goes on.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    why: Annotated[str, typer.Option(help="Reason, for the history.", show_default=False)] = "",
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """Give the candidate what legacy held before the first copy, key by key; without keys, go on with those given.

    A key that the candidate has, or that has had a write since the journal began, is left alone.

    Exit 0: every key is with the candidate; 1: some failed; 2: it cannot be done; 3: it is not through yet.
    """
    control = Admin(admin, token)
    sources = [source for source in (keys, keys_url, keys_query) if source is not None]
    if len(sources) > 1 or (sources and (status or stop)) or (status and stop):
        refuse("give one of --keys, --keys-url, --keys-query, --status and --stop")
    if stop:
        asking(lambda: control.command("backfill-stop", why, route=route))
    elif not status:
        if sources:
            added, known = _give(control, route, _keys(keys, keys_url, keys_query))
            typer.echo(f"{added} keys given, {known} were known", err=True)
        asking(lambda: control.command("backfill-start", why, route=route, rate=rate))
    found = _look(control, route)
    while found["running"] and wait and not status:
        time.sleep(LOOK_EVERY)
        found = _look(control, route)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        _print(found)
    raise typer.Exit(_exit_code(found))


def _look(control: Admin, route: str) -> dict[str, Any]:
    found: dict[str, Any] = asking(lambda: control.command("backfill-status", route=route))
    return found


def _exit_code(found: dict[str, Any]) -> int:
    if found["counts"]["failed"]:
        return 1
    return 3 if found["unseeded"] else 0


def _give(control: Admin, route: str, keys: Iterable[str]) -> tuple[int, int]:
    """How many were new, and how many were known."""
    added = known = 0
    for batch in _batches(keys):
        done = asking(lambda batch=batch: control.command("backfill-add", route=route, keys=batch))  # type: ignore[misc]
        added, known = added + done["added"], known + done["known"]
    return added, known


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for key in keys:
        if batch and (len(batch) == AT_ONCE or size + len(key) > BATCH_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(key)
        size += len(key)
    if batch:
        yield batch


def _keys(file: str | None, url: str | None, query: tuple[str, str] | None) -> Iterator[str]:
    """One at a time, without blank lines. A source that cannot be read ends the command."""
    try:
        if file is not None:
            with nullcontext(sys.stdin) if file == "-" else Path(file).open(encoding="utf-8") as stream:
                yield from _lines(stream)
        elif url is not None:
            yield from _of_address(url)
        elif query is not None:
            yield from _of_query(*query)
    except (OSError, UnicodeDecodeError) as exc:
        refuse(f"{file}: cannot be read ({exc})")


def _lines(lines: Iterable[str]) -> Iterator[str]:
    return (key for line in lines if (key := line.strip()))


def _of_address(url: str) -> Iterator[str]:
    try:
        answer = httpx.get(url, timeout=60, trust_env=False).raise_for_status()
    except httpx.HTTPError as exc:
        refuse(f"{url}: {exc}")
    if "json" not in answer.headers.get("content-type", ""):
        yield from _lines(answer.text.splitlines())
        return
    try:
        found = answer.json()
    except ValueError as exc:
        refuse(f"{url}: is no JSON ({exc})")
    if not isinstance(found, list) or not all(isinstance(each, str | int) for each in found):
        refuse(f"{url}: is to answer with a JSON list of texts or whole numbers, or with a key in each line")
    yield from map(str, found)


def _of_query(url: str, sql: str) -> Iterator[str]:
    from sqlalchemy import create_engine, text  # here, so that no other command waits for it
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with create_engine(url).connect().execution_options(stream_results=True) as connection:
            yield from (str(row[0]) for row in connection.execute(text(sql)) if row[0] is not None)
    except (SQLAlchemyError, ImportError) as exc:
        refuse(f"--keys-query: {str(exc).splitlines()[0]}")


_WORDS = {
    "seeded": "given to the candidate",
    "held": "with the candidate already",
    "copied": "left to their copies",
    "gone": "not with legacy any more",
    "failed": "failed",
    "pending": "still to come",
}


def _print(found: dict[str, Any]) -> None:
    counts = found["counts"]
    told = ", ".join(f"{counts[seed]} {words}" for seed, words in _WORDS.items() if counts[seed])
    typer.echo(f"{visible(found['route'])}: {told or 'no keys were given'}{' (running)' if found['running'] else ''}")
    for each in itertools.islice(found["failed"], 20):
        typer.echo(f"  {visible(each['key'])}: {visible(each['reason'])}")
    if counts["failed"] > 20:
        typer.echo("  ... (--json has up to 100 of them)")
