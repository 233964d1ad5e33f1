"""From a path to one located tree: reads the file, or the files of a folder, and puts them together.

A folder is read as if it were one file: its ``*.yaml`` in the order of their names, then those of ``routes/``. Names
that begin with a dot are left out, because editors keep such files, and so are tests, ``*.test.yaml``. Routes follow
one another in that order; the other keys may stand in any of the files, but each service, gate, ... in one only.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from rules.problems import Place, Problem
from rules.reading.nodes import LARGEST_FILE, TOO_LARGE, Mapping, Node, Parsed, Scalar, Sequence, parse_text
from rules.reading.variables import Variables

MOST_FILES = 10_000
"""Files of one folder."""
LARGEST_FOLDER = 256 * 1024 * 1024
"""Characters of all files of a folder together: each becomes some ten times as many bytes of tree."""
TESTS = (".test.yaml", ".test.yml")
"""How names of files end that hold no rules but tests of them (rules/expecting/expectations.py)."""
_LISTS = ("routes",)
_MAPPINGS = ("services", "comparisons", "gates", "events", "probes", "sources", "webhooks", "notify", "slo")


class Source(NamedTuple):
    """What could be read of a path."""

    root: Mapping | None
    problems: list[Problem]
    whole: bool
    """Everything was read: what is not in `root` is nowhere."""


def files_of(path: Path) -> list[Path]:
    """The files that `path` stands for, in the order in which they are read. Raises OSError."""
    if not path.is_dir():
        return [path]
    routes = path / "routes"
    return [*_yaml_in(path), *(_yaml_in(routes) if routes.is_dir() else ())]


def _yaml_in(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix in (".yaml", ".yml") and not file.name.startswith(".") and not file.name.endswith(TESTS)
    )


def read(path: Path, variables: Variables | None = None) -> Source:
    """The root mapping of everything that `path` stands for, as far as it can be read."""
    try:
        files = files_of(path)
    except OSError as exc:
        return Source(None, [_unreadable(str(exc.filename or path), exc)], whole=False)
    if not files:
        return Source(None, [Problem(Place(str(path), 1, 1), "the folder holds no *.yaml file", "empty")], whole=False)
    if len(files) > MOST_FILES:
        message = f"the folder holds more than {MOST_FILES:,} files; put more routes into each"
        return Source(None, [Problem(Place(str(path), 1, 1), message, "yaml")], whole=False)
    problems: list[Problem] = []
    roots: list[Mapping] = []
    whole = True
    size = 0
    for file in files:
        text = read_text(file)
        size += len(text) if isinstance(text, str) else 0
        if size > LARGEST_FOLDER:
            message = f"the files up to here are together longer than {LARGEST_FOLDER:,} characters; write fewer routes"
            return Source(None, [*problems, Problem(Place(str(file), 1, 1), message, "yaml")], whole=False)
        parsed = _parsed(text, file, variables)
        problems += parsed.problems
        whole = whole and parsed.whole and parsed.root is not None
        if isinstance(parsed.root, Mapping):
            roots.append(parsed.root)
        elif parsed.root is not None:
            message = "a rules file is a mapping; it begins with 'version: 1'"
            problems.append(Problem(parsed.root.place, message, "wrong-type"))
            whole = False
    if not roots:
        return Source(None, problems, whole=False)
    merged, found = _merge(roots) if len(roots) > 1 else (roots[0], [])
    return Source(merged, problems + found, whole)


def read_text(file: Path, most: int = LARGEST_FILE, too_large: str = TOO_LARGE) -> str | Problem:
    """The text of one file, or why there is none. Nothing but a regular file is read, and that to `most` bytes only."""
    name = str(file)
    try:
        # Without O_NONBLOCK, opening a FIFO would wait until somebody writes to it.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            message = "cannot be read: it is no regular file, but a folder, a device or a pipe"
            return Problem(Place(name, 1, 1), message, "unreadable")
        with os.fdopen(descriptor, "rb") as opened:
            content = opened.read(most + 1)
    except OSError as exc:
        return _unreadable(name, exc)
    if len(content) > most:
        return Problem(Place(name, 1, 1), too_large, "yaml")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        before = exc.object[: exc.start]
        place = Place(name, before.count(b"\n") + 1, exc.start - before.rfind(b"\n"))
        return Problem(place, "not UTF-8 text; save the file as UTF-8", "yaml")


def _parsed(text: str | Problem, file: Path, variables: Variables | None) -> Parsed:
    return Parsed(None, [text], whole=False) if isinstance(text, Problem) else parse_text(text, str(file), variables)


def _unreadable(name: str, exc: OSError) -> Problem:
    leads_nowhere = isinstance(exc, FileNotFoundError) and Path(name).is_symlink()
    hint = " (a symbolic link that leads nowhere)" if leads_nowhere else ""
    return Problem(Place(name, 1, 1), f"cannot be read: {exc.strerror or exc}{hint}", "unreadable")


def _merge(roots: Iterable[Mapping]) -> tuple[Mapping, list[Problem]]:
    """One root of several; each pair of files may grow long, so lists are gathered and joined once."""
    problems: list[Problem] = []
    gathered: dict[str, tuple[Scalar, list[Node]]] = {}
    first: Mapping | None = None
    for root in roots:
        first = first or root
        for key, value in root.entries:
            name = str(key.value)
            found = gathered.setdefault(name, (key, []))
            before = found[1][0] if found[1] else None
            together = (name in _LISTS and isinstance(value, Sequence) and isinstance(before, Sequence)) or (
                name in _MAPPINGS and isinstance(value, Mapping) and isinstance(before, Mapping)
            )
            if before is None or together:
                found[1].append(value)
            else:
                problems.append(_twice(name, key.place, found[0]))
    assert first is not None
    entries = tuple((key, _joined(values, problems)) for key, values in gathered.values())
    return first._replace(entries=entries), problems


def _joined(values: list[Node], problems: list[Problem]) -> Node:
    head = values[0]
    if len(values) == 1 or isinstance(head, Scalar):
        return head
    if isinstance(head, Sequence):
        return head._replace(
            items=tuple(item for value in values if isinstance(value, Sequence) for item in value.items)
        )
    entries: dict[str, tuple[Scalar, Node]] = {}
    for value in values:
        for key, inner in value.entries if isinstance(value, Mapping) else ():
            name = str(key.value)
            if name in entries:
                problems.append(_twice(name, key.place, entries[name][0]))
            else:
                entries[name] = (key, inner)
    return head._replace(entries=tuple(entries.values()))


def _twice(name: str, place: Place, first: Scalar) -> Problem:
    return Problem(place, f"duplicate key '{name}' (first at {first.place}); remove one of them", "duplicate-key")
