"""Where a gate and its metrics stand in a rules file, for CI servers that show a verdict beside the line it is about.

The file is read as it lies there: variables that are not set here, and errors elsewhere in it, hide no place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from rules.problems import Place
from rules.reading.checks import text_of
from rules.reading.nodes import Mapping as Block
from rules.reading.nodes import Sequence
from rules.reading.source import read


@dataclass(frozen=True, slots=True)
class Places:
    """What could be found; files are named as a repository's are."""

    gate: Place | None = None
    metrics: Mapping[str, Place] = field(default_factory=dict)

    def of(self, metric: str) -> Place | None:
        return self.metrics.get(metric, self.gate)


def places_of(rules: Path, gate: str, top: str = "") -> Places:
    """Of the gate with that name in the file, or folder, at `rules`. Files below the folder `top` are named from
    there."""
    root = read(rules).root
    gates = root.get("gates") if root is not None else None
    key, found = (gates.key(gate), gates.get(gate)) if isinstance(gates, Block) else (None, None)
    metrics = found.get("metrics") if isinstance(found, Block) else None
    named = {
        text_of(name): _from(top, name.place)
        for metric in (metrics.items if isinstance(metrics, Sequence) else ())
        if isinstance(metric, Block) and (name := metric.get("name")) is not None
    }
    return Places(_from(top, key.place) if key is not None else None, named)


def _from(top: str, place: Place) -> Place:
    if not top:
        return place
    relative = os.path.relpath(os.path.realpath(place.file), os.path.realpath(top))
    return place if relative.startswith("..") else replace(place, file=relative)
