"""What the commands on rules share: a rules file or a running fig's table, and a request as arguments describe it."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import typer

from proxy.rulebook import Rulebook, load
from rules.asked import Asked, RefusedError, ask
from rules.effective import Effective
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
    """The request that the arguments describe; exits 2 for one that fig would refuse, or that is none."""
    lines = []
    for line in headers:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            refuse(f"-H '{name}': write it like 'Name: value'")
        lines.append((name.strip(), value))
    try:
        return ask(method, url, lines, client)
    except RefusedError as exc:
        refuse(f"fig answers {exc.status}: {exc}")
    except ValueError as exc:
        refuse(str(exc))
