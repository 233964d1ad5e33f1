"""What the commands on rules say: whatever a file, a name or an argument holds, it steers no terminal.

A reader that goes away (``| head``) takes nothing from the exit code; an output that takes nothing is told as such.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import NoReturn

import typer
from rich.text import Text

from proxy.cli.figures import wide_console
from rules.problems import one_line


def tell(*lines: str, err: bool = False) -> None:
    """Each in a line of its own, on standard output or standard error. Exits 2 where they cannot be written."""
    write("".join(f"{one_line(line)}\n" for line in lines), err=err)


def refuse(*lines: str) -> NoReturn:
    """Say what is wrong with what was asked for, and exit 2."""
    tell(*lines, err=True)
    raise typer.Exit(2)


def show(lines: Iterable[Text]) -> None:
    """Lines with colours, where the terminal has them; none is broken however narrow it is."""
    console = wide_console()  # which asks standard output for its colours and width
    console.file = told = StringIO()
    for line in lines:
        parts = line.plain.split("\n")
        is_plain = all(map(str.isprintable, parts))
        console.print(line if is_plain else Text("\n".join(map(one_line, parts))), soft_wrap=True)
    write(told.getvalue())


def write(text: str, *, err: bool = False) -> None:
    """The text as it is. Exits 2 where it cannot be written."""
    try:
        typer.echo(text, nl=False, err=err)
    except BrokenPipeError:
        leave_the_rest(sys.stderr if err else sys.stdout)
    except OSError as exc:
        if err:
            raise typer.Exit(2) from exc  # there is nowhere to say it
        leave_the_rest(sys.stdout)
        refuse(f"the output cannot be written: {exc.strerror or exc}")


def save(path: Path, text: str) -> None:
    """The text as the whole file at `path`. Exits 2 where it cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        refuse(f"{path}: cannot be written: {exc.strerror or exc}")


def leave_the_rest(stream: object) -> None:
    """Nobody reads any more, or nothing fits: what is still in the buffer goes nowhere, and so does what follows."""
    fileno = getattr(stream, "fileno", None)
    if fileno is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, fileno())
        os.close(nowhere)
