"""From a path to one located tree: reads the file, or the files of a folder, and puts them together.

A folder is read as if it were one file: its ``*.yaml`` in the order of their names, then those of ``routes/``. Routes
follow one another in that order; the other keys may stand in any of the files, but each service, gate, ... in one only.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rules.nodes import LARGEST_FILE, Mapping, Node, Scalar, Sequence, parse
from rules.problems import Place, Problem

_LISTS = ("routes",)
_MAPPINGS = ("services", "comparisons", "gates", "events")


def files_of(path: Path) -> list[Path]:
    """The files that `path` stands for, in the order in which they are read."""
    if not path.is_dir():
        return [path]
    folders = [path, path / "routes"]
    return [file for folder in folders for file in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])]


def read(path: Path) -> tuple[Mapping | None, list[Problem]]:
    """The root mapping of everything that `path` stands for; None when nothing could be read as one."""
    files = files_of(path)
    if not files:
        return None, [Problem(Place(str(path), 1, 1), "the folder holds no *.yaml file", "empty")]
    problems: list[Problem] = []
    roots: list[Mapping] = []
    for file in files:
        root, found = _read_one(file)
        problems += found
        if isinstance(root, Mapping):
            roots.append(root)
        elif root is not None:
            message = "a rules file is a mapping; it begins with 'version: 1'"
            problems.append(Problem(root.place, message, "wrong-type"))
    if len(roots) < len(files):
        return None, problems  # what a file that cannot be read would have defined would only be missed elsewhere
    merged, found = _merge(roots) if len(roots) > 1 else (roots[0], [])
    return merged, problems + found


def _read_one(file: Path) -> tuple[Node | None, list[Problem]]:
    name = str(file)
    try:
        if file.stat().st_size > LARGEST_FILE:
            return None, [Problem(Place(name, 1, 1), "the file is larger than 64 MB; split it into a folder", "yaml")]
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as exc:
        return None, [Problem(Place(name, 1, 1), f"cannot be read: {exc.strerror or exc}", "unreadable")]
    except UnicodeDecodeError as exc:
        before = exc.object[: exc.start]
        place = Place(name, before.count(b"\n") + 1, exc.start - before.rfind(b"\n"))
        return None, [Problem(place, "not UTF-8 text; save the file as UTF-8", "yaml")]
    return parse(text, name)


def _merge(roots: Iterable[Mapping]) -> tuple[Mapping, list[Problem]]:
    merged: dict[str, tuple[Scalar, Node]] = {}
    problems: list[Problem] = []
    first: Mapping | None = None
    for root in roots:
        first = first or root
        for key, value in root.entries:
            name = str(key.value)
            if name not in merged:
                merged[name] = (key, value)
                continue
            before = merged[name][1]
            if name in _LISTS and isinstance(before, Sequence) and isinstance(value, Sequence):
                merged[name] = (merged[name][0], before._replace(items=before.items + value.items))
            elif name in _MAPPINGS and isinstance(before, Mapping) and isinstance(value, Mapping):
                for inner, _ in value.entries:
                    if before.get(str(inner.value)) is not None:
                        problems.append(_twice(str(inner.value), inner.place, before.key(str(inner.value))))
                merged[name] = (merged[name][0], before._replace(entries=before.entries + value.entries))
            else:
                problems.append(_twice(name, key.place, merged[name][0]))
    assert first is not None
    return first._replace(entries=tuple(merged.values())), problems


def _twice(name: str, place: Place, first: Scalar | None) -> Problem:
    where = f" (first at {first.place})" if first is not None else ""
    return Problem(place, f"duplicate key '{name}'{where}; remove one of them", "duplicate-key")
