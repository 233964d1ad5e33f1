"""Where answers differ, as a tree of paths: what lies under one field stands together. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shadow.report.building import PlaceReport


@dataclass(frozen=True, slots=True)
class Branch:
    """A step of the path, or several where nothing turns off between them."""

    label: str
    """``/items/*``; of what is no JSON path (``status``, ``header:etag``) the path itself."""
    places: tuple[PlaceReport, ...]
    """What differs at this very path, most pairs first."""
    branches: tuple[Branch, ...]
    """What differs below it, most pairs first."""

    @property
    def pairs(self) -> int:
        """Pairs that differ here or below, at least: one pair may differ at several places, and counts once."""
        return max([*(each.place.pairs for each in self.places), *(each.pairs for each in self.branches)], default=0)

    @property
    def count(self) -> int:
        """Differences here and below."""
        return sum(each.place.count for each in self.places) + sum(each.count for each in self.branches)


def path_tree(places: Sequence[PlaceReport]) -> tuple[Branch, ...]:
    """The places of a route by their paths."""
    return _branches([(_steps(place.place.path), place) for place in places])


def _steps(path: str) -> tuple[str, ...]:
    return tuple(path.split("/")[1:]) if path.startswith("/") else (path,)


def _branches(below: Sequence[tuple[tuple[str, ...], PlaceReport]]) -> tuple[Branch, ...]:
    groups: dict[str, list[tuple[tuple[str, ...], PlaceReport]]] = {}
    for steps, place in below:
        # What is no JSON path has one step and no slash before it, so that a field `status` is not the status.
        name = f"/{steps[0]}" if place.place.path.startswith("/") else steps[0]
        groups.setdefault(name, []).append((steps[1:], place))
    return tuple(sorted((_branch(name, group) for name, group in groups.items()), key=lambda each: -each.pairs))


def _branch(label: str, group: Sequence[tuple[tuple[str, ...], PlaceReport]]) -> Branch:
    here = tuple(place for steps, place in group if not steps)
    branches = _branches([(steps, place) for steps, place in group if steps])
    if not here and len(branches) == 1:
        (only,) = branches
        return Branch(label + only.label, only.places, only.branches)
    return Branch(label, here, branches)
