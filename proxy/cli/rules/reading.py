"""What the commands on rules share: a rules file or a running fig's table, and a request as arguments describe it."""

from __future__ import annotations

from pathlib import Path

from proxy.cli.rules.screen import refuse as refuse
from proxy.publication import published
from proxy.rulebook import Rulebook, load
from rules.effective import Effective
from rules.problems import RulesError
from rules.table import Table, compile_table


def rulebook_of(path: Path) -> Rulebook:
    """The rules file or folder at `path`; prints its problems and exits 2 when it has any."""
    try:
        return load(path)
    except RulesError as exc:
        refuse(*map(str, exc.problems))


def table_of(rules: Path, state: Path | None = None) -> Table:
    """The table of a rules file, every route where the file says; or the one that a running fig has published."""
    if state is not None:
        return compile_table(effective_in(state))
    return compile_table(Effective(generation=1, rules=rulebook_of(rules).rules))


def effective_in(state: Path) -> Effective:
    """What a running fig has published in its state folder; exits 2 where nothing can be read."""
    try:
        effective = published(state)
    except (OSError, ValueError) as exc:
        refuse(f"{state} holds no effective table that this fig can read: {exc}")
    if effective is None:
        refuse(f"{state} holds no effective table; name the state folder of a running fig")
    return effective


def header_lines(given: list[str]) -> list[tuple[str, str]]:
    """(name, value) of each ``Name: value``; exits 2 for what is none, and does not say it: it may be a secret."""
    lines = []
    for number, line in enumerate(given, 1):
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            refuse(f"-H number {number} has no name and colon; write it like 'Name: value'")
        lines.append((name.strip(), value))
    return lines
