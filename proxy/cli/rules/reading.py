"""What the commands on rules share: a rules file or a running fig's table, and a request as arguments describe it."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import typer

from proxy.rulebook import Rulebook, load
from rules.asked import Asked
from rules.effective import Effective
from rules.match import split_port
from rules.path import normalise, why_refused
from rules.problems import RulesError
from rules.table import Table, compile_table


def refuse(message: str) -> NoReturn:
    """Say what is wrong with what was asked for, and exit 2."""
    typer.echo(message, err=True)
    raise typer.Exit(2)


def rulebook_of(path: Path) -> Rulebook:
    """The rules file or folder at `path`; prints its problems and exits 2 when it has any."""
    try:
        return load(path)
    except RulesError as exc:
        refuse("\n".join(str(problem) for problem in exc.problems))


def table_of(rules: Path, state: Path | None = None) -> Table:
    """The table of a rules file, every route where the file says; or the one that a running fig has published."""
    if state is not None:
        try:
            return compile_table(Effective.decode((state / "effective.json").read_bytes()))
        except (OSError, ValueError) as exc:
            refuse(f"{state} holds no effective table that this fig can read: {exc}")
    return compile_table(Effective(generation=1, rules=rulebook_of(rules).rules))


def asked(method: str, url: str, headers: list[str], client: str) -> Asked:
    """The request that the arguments describe; a URL beyond ASCII is taken as a browser would send it."""
    encoded = "".join(chr(byte) for byte in url.encode())
    try:
        parts = urlsplit(encoded if "://" in encoded else "")
    except ValueError as exc:
        refuse(f"'{url}' is no URL ({exc}); write it like http://shop:8080/api/products, or only its path")
    target = encoded if "://" not in encoded else encoded.split("://", 1)[1].removeprefix(parts.netloc)
    raw, _, query = target.partition("#")[0].partition("?")
    raw = raw or "/"
    path = normalise(raw)
    if path is None:
        refuse(f"fig answers 400: the path {raw} is refused, because {why_refused(raw)}")
    values: dict[str, list[str]] = {}
    for line in headers:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            refuse(f"-H '{line}': write it like 'Name: value'")
        values.setdefault(name.strip().lower(), []).append(value.strip())
    host, port = split_port(values.get("host", [parts.netloc.rpartition("@")[2] or "localhost"])[0].lower())
    return Asked(method, host, path, query, client, port or 80, headers=values)
