"""What was written otherwise: edits that turn one version of a rules file into the other, as plain data.

``apply(compare(a, b), a.document()) == b.document()`` is the law. What an edit does to requests is
rules/changes/effects.py's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from rules.changes.edition import Edition, Plain
from rules.changes.order import longest_increasing
from rules.document import Route


class _Absent(Enum):
    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent.ABSENT
"""Stands for a key that is not there."""


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One key's value, before and after; ABSENT where the key is not there."""

    path: tuple[str, ...]
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Added:
    name: str
    index: int
    """Its place among the routes afterwards, from 0."""
    content: Plain


@dataclass(frozen=True, slots=True)
class Removed:
    name: str
    index: int
    """Its place among the routes before, from 0."""
    content: Plain


@dataclass(frozen=True, slots=True)
class Renamed:
    """The same match and sides under another name."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Moved:
    name: str
    """Its name afterwards."""
    before: int
    after: int
    """Its place among the routes afterwards, from 0."""


@dataclass(frozen=True, slots=True)
class Changed:
    name: str
    """Its name afterwards."""
    keys: tuple[KeyChange, ...]


@dataclass(frozen=True, slots=True)
class Edits:
    """Everything that differs; false when nothing does."""

    settings: tuple[KeyChange, ...] = ()
    """Outside of the routes."""
    removed: tuple[Removed, ...] = ()
    renamed: tuple[Renamed, ...] = ()
    changed: tuple[Changed, ...] = ()
    moved: tuple[Moved, ...] = ()
    """As few as explain the other order."""
    added: tuple[Added, ...] = ()

    def __bool__(self) -> bool:
        return any((self.settings, self.removed, self.renamed, self.changed, self.moved, self.added))


def compare(before: Edition, after: Edition) -> Edits:
    """Routes are found again by name, else by match and sides. Only those that differ are looked at in full."""
    first = {route.name: (index, route) for index, route in enumerate(before.rules.routes)}
    second = {route.name: (index, route) for index, route in enumerate(after.rules.routes)}
    gone = [each for name, each in first.items() if name not in second]
    come = [each for name, each in second.items() if name not in first]
    again = _found_again(gone, come)
    former = {name: name for name in second if name in first} | {name: earlier for earlier, name in again.items()}
    kept = [name for name in second if name in former]
    changed = []
    for name in kept:
        earlier, route = first[former[name]][1], second[name][1]
        if earlier == route and before.of_routes.get(former[name]) == after.of_routes.get(name):
            continue
        keys = tuple(differences(before.route(earlier) | {"name": name}, after.route(route)))
        if keys:
            changed.append(Changed(name, keys))
    places = [first[former[name]][0] for name in kept]
    still = set(longest_increasing(places))
    return Edits(
        tuple(differences(before.settings, after.settings)),
        tuple(Removed(route.name, index, before.route(route)) for index, route in gone if route.name not in again),
        tuple(Renamed(earlier, name) for earlier, name in again.items()),
        tuple(changed),
        tuple(Moved(kept[n], places[n], second[kept[n]][0]) for n in range(len(kept)) if n not in still),
        tuple(Added(route.name, index, after.route(route)) for index, route in come if route.name not in former),
    )


def _found_again(gone: list[tuple[int, Route]], come: list[tuple[int, Route]]) -> dict[str, str]:
    """Name before -> name after, of routes whose match and sides came back under another name."""
    waiting: dict[str, list[str]] = {}
    for _, route in gone:
        waiting.setdefault(_essence(route), []).append(route.name)
    found: dict[str, str] = {}
    for _, route in come:
        names = waiting.get(_essence(route))
        if names:
            found[names.pop(0)] = route.name
    return found


def _essence(route: Route) -> str:
    keys = {"match", "candidate", "legacy", "redirect", "respond"}
    return json.dumps(route.model_dump(mode="json", by_alias=True, exclude_defaults=True, include=keys), sort_keys=True)


def differences(before: Mapping[str, Any], after: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[KeyChange]:
    """Key by key, into mappings that stand on both sides; lists are compared whole."""
    for key in [*before, *(key for key in after if key not in before)]:
        one, other = before.get(key, ABSENT), after.get(key, ABSENT)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from differences(one, other, (*path, key))
        elif one != other or type(one) is not type(other):
            yield KeyChange((*path, key), one, other)


def apply(edits: Edits, document: Plain) -> Plain:
    """The document after the edits; the one given is left as it is."""
    found = deepcopy(document)
    routes = {route["name"]: route for route in found.pop("routes")}
    _set(found, edits.settings)
    for removed in edits.removed:
        del routes[removed.name]
    names = {renamed.before: renamed.after for renamed in edits.renamed}
    routes = {names.get(name, name): route | {"name": names.get(name, name)} for name, route in routes.items()}
    for changed in edits.changed:
        _set(routes[changed.name], changed.keys)
    places = {moved.after: routes.pop(moved.name) for moved in edits.moved}
    places |= {added.index: deepcopy(added.content) for added in edits.added}
    order = list(routes.values())
    for index in sorted(places):  # ascending, so that everything before a place is there already
        order.insert(index, places[index])
    return found | {"routes": order}


def _set(block: Plain, changes: tuple[KeyChange, ...]) -> None:
    for change in changes:
        inner = block
        for step in change.path[:-1]:
            inner = inner[step]
        if change.after is ABSENT:
            del inner[change.path[-1]]
        else:
            inner[change.path[-1]] = deepcopy(change.after)
