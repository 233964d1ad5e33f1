"""`fig shadow backfill`: gives keys to the shadower, has it seed the candidate, and tells how far it is.

Where keys come from is this command's business: a file, an address, a query. What becomes of them is the shadower's, so
a command that is killed has lost nothing, and giving the same keys again does no harm.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer

from proxy.cli.admin import Admin, AdminOption, TokenOption
from proxy.cli.shadow.backfill_keys import Address, headers_of, of_address, of_file, of_query
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
    keys_at: Annotated[
        str, typer.Option(metavar="POINTER", help="Where they stand in its JSON: /items/*/id.", show_default=False)
    ] = "",
    keys_next: Annotated[
        str,
        typer.Option(
            metavar="POINTER",
            help="Where its JSON names the next page, or the {cursor} of --keys-url; else a Link header does.",
            show_default=False,
        ),
    ] = "",
    keys_header: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VARIABLE", help="Header for it, and the variable that holds its value.", show_default=False
        ),
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
    sources = [each for each in (keys, keys_url, keys_query) if each is not None]
    if len(sources) > 1 or (sources and (status or stop)) or (status and stop):
        refuse("give one of --keys, --keys-url, --keys-query, --status and --stop")
    if (keys_at or keys_next or keys_header) and keys_url is None:
        refuse("--keys-at, --keys-next and --keys-header say how --keys-url is read; give it too")
    for option, pointer in (("--keys-at", keys_at), ("--keys-next", keys_next)):
        if pointer and not pointer.startswith("/"):
            refuse(f"{option}: a JSON pointer begins with '/': /items/*/id")
    if stop:
        asking(lambda: control.command("backfill-stop", why, route=route))
    elif not status:
        if sources:
            if keys is not None:
                source = of_file(keys)
            elif keys_query is not None:
                source = of_query(*keys_query)
            else:
                source = of_address(Address(keys_url or "", keys_at, keys_next, headers_of(keys_header or ())))
            added, known = _give(control, route, source)
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
