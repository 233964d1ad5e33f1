"""`fig rules fmt`: rules files in the canonical order and layout, comments kept, written whole or not at all."""

from __future__ import annotations

import difflib
import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.rules.screen import refuse, tell, write
from proxy.rulebook import FILE
from proxy.settings import DEFAULT_RULES
from rules.layout.canonical import canonical
from rules.problems import Problem, RulesError
from rules.reading.source import files_of, read_text

_PATHS = Annotated[
    list[Path] | None, typer.Argument(help="Rules files, or folders of them; else the file of FIG_CONFIG.")
]


def format_rules(
    paths: _PATHS = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 and name the files to change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; print what would change.")] = False,
) -> None:
    """Put keys in the order of the reference and indent by two spaces; routes, lists and comments stay as they are."""
    changed = refused = False
    for file in _files(paths or [Path(os.environ.get("FIG_CONFIG", DEFAULT_RULES))]):
        try:
            before, after = _laid_out(file)
            if before == after:
                continue
            changed = True
            if diff:
                write(_difference(file, before, after))
            elif check:
                tell(f"would change {file}")
            else:
                _write(file, after)
                tell(f"changed {file}")
        except RulesError as exc:
            refused = True
            tell(*map(str, exc.problems), err=True)
    raise typer.Exit(2 if refused else 1 if changed and check else 0)


def _files(paths: list[Path]) -> list[Path]:
    try:
        found = [file for path in paths for file in files_of(path)]
    except OSError as exc:
        refuse(f"{exc.filename}: cannot be read: {exc.strerror}")
    if not found:
        refuse(f"{paths[0]}: the folder holds no *.yaml file")
    return found


def _laid_out(file: Path) -> tuple[str, str]:
    """The file's text as it is, and as it is to be. Raises RulesError."""
    text = read_text(file)
    if isinstance(text, Problem):
        raise RulesError([text])
    return text, canonical(text, str(file), FILE)


def _difference(file: Path, before: str, after: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), str(file), f"{file} (canonical)"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _write(file: Path, text: str) -> None:
    """Put `text` in the file's place, whole or not at all; its permissions stay, and a link still leads to it."""
    place = file.resolve()
    descriptor, scratch = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as written:
            os.fchmod(written.fileno(), place.stat().st_mode & 0o7777)
            written.write(text)
            written.flush()
            os.fsync(written.fileno())
        Path(scratch).replace(place)
    except OSError as exc:
        Path(scratch).unlink(missing_ok=True)
        refuse(f"{file}: cannot be written: {exc.strerror}")
