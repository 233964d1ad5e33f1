"""What the commands on rules say: whatever a file, a name or an argument holds, it steers no terminal.

A reader that goes away (``| head``) takes nothing from the exit code; an output that takes nothing is told as such.
"""

from __future__ import annotations

import errno
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

_ADVICE = {
    errno.ENOENT: "; make its folder first",
    errno.ENOTDIR: "; make its folder first",
    errno.EISDIR: "; name a file in it",
    errno.EACCES: "; name one that this user may write",
    errno.EROFS: "; name one that this user may write",
}


class UnwritableError(ValueError):
    """A file that cannot be written: which, why, and what to do."""


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
    """The text as it is, but for letters that the output's encoding has not. Exits 2 where it cannot be written."""
    try:
        _echo(text, err)
    except BrokenPipeError:
        leave_the_rest(sys.stderr if err else sys.stdout)
    except OSError as exc:
        if err:
            raise typer.Exit(2) from exc  # there is nowhere to say it
        leave_the_rest(sys.stdout)
        refuse(f"the output cannot be written: {exc.strerror or exc}")


def _echo(text: str, err: bool) -> None:
    try:
        typer.echo(text, nl=False, err=err)
    except UnicodeEncodeError as exc:
        typer.echo(text.encode(exc.encoding, "backslashreplace").decode(exc.encoding), nl=False, err=err)


def save(path: Path, text: str) -> None:
    """The text as the whole file at `path`. Exits 2 where it cannot be written."""
    try:
        put(path, text)
    except UnwritableError as exc:
        refuse(str(exc))


def put(path: Path, text: str) -> None:
    """The text as the whole file at `path`; of names that are no text, what UTF-8 cannot hold is escaped. Raises
    UnwritableError."""
    try:
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as exc:
        why = f"{exc.strerror or exc}{_ADVICE.get(exc.errno or 0, '')}"
        raise UnwritableError(f"{path}: cannot be written: {why}") from exc


def refuse_one_file(junit: Path | None, markdown: Path | None) -> None:
    """Exits 2 where both reports are to be the same file: only the later one would be left."""
    if junit is None or markdown is None or os.path.realpath(junit) != os.path.realpath(markdown):
        return
    if junit.is_file() or not junit.exists():  # a device such as /dev/null may take both
        refuse(f"--junit and --markdown both name {junit}; give each a file of its own")


def leave_the_rest(stream: object) -> None:
    """Nobody reads any more, or nothing fits: what is still in the buffer goes nowhere, and so does what follows."""
    fileno = getattr(stream, "fileno", None)
    if fileno is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, fileno())
        os.close(nowhere)
