"""What a state folder says about noise: rates and verdicts by path, and masks suggested. Read in one snapshot each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shadow.noise.counts import PathCounts
from shadow.noise.evidence import Example, PathNoise
from shadow.noise.rates import PathVerdict, Rate, judge_path, rate
from shadow.noise.suggesting import Advice, advise
from shadow.pairs.kept import KeptPair, Window
from shadow.pairs.noise_store import NoiseReader
from shadow.pairs.reader import PairReader
from shadow.spec import Comparison

SAMPLES = 50
"""Kept pairs that are read for one place."""
MOST_PAIRS = 500
"""Kept pairs that one suggestion is tried on."""


@dataclass(frozen=True, slots=True)
class PathReport:
    """One path at which legacy, or the candidate, did not answer what legacy answered first."""

    path: str
    noise: Rate
    """Samples in which legacy's last answer differs from its first."""
    at_once: Rate
    """The same of legacy's second answer, which came sooner: what drifts shows less here."""
    difference: Rate
    """Samples in which the candidate's answer differs from legacy's first."""
    wide: Rate | None
    """All pairs of the window that differ there; None where they cannot be held against samples."""
    verdict: PathVerdict


@dataclass(frozen=True, slots=True)
class RouteNoise:
    """What samples say of one route, in its current window."""

    route: str
    asked: int
    """Samples: reads of which legacy was asked again."""
    first: float
    """Seconds since the epoch, as `last`; 0 without samples."""
    last: float
    pairs: int
    paths: tuple[PathReport, ...]
    """Beyond noise first, then by how often the candidate differs."""


_FIRST = (PathVerdict.BEYOND, PathVerdict.TOO_FEW, PathVerdict.EXPLAINED, PathVerdict.NO_DIFFERENCE)


def read_noise(path: Path, route: str) -> RouteNoise:
    """Rates and verdicts of a route, from pairs.db. Raises StoreError."""
    with PairReader(path) as pairs, NoiseReader(path) as reader:
        asked, first, last = reader.asked(route)
        found = {place.path: place for place in reader.places(route)}
        window = next(iter(pairs.windows(route)), None)
        differing = _differing(pairs, window)
    wide = _comparable(window, found)
    reports = [
        _report(name, found.get(name), asked, (differing.get(name, 0), window.pairs) if wide and window else None)
        for name in (found if not wide else {**found, **dict.fromkeys(differing)})
    ]
    reports.sort(key=lambda each: (_FIRST.index(each.verdict), -each.difference.value, each.path))
    return RouteNoise(route, asked, first, last, window.pairs if window else 0, tuple(reports))


def _differing(pairs: PairReader, window: Window | None) -> dict[str, int]:
    """Pairs of the window that differ at each path. A pair may differ there in two ways, so at most this many."""
    found: dict[str, int] = {}
    if window is not None:
        for place in pairs.places(window):
            found[place.path] = min(window.pairs, found.get(place.path, 0) + place.pairs)
    return found


def _comparable(window: Window | None, found: dict[str, PathNoise]) -> bool:
    """Whether all pairs of the window are reads, told by the same paths as samples: no list comes in another order."""
    if window is None or window.writes:
        return False
    return not any(each.is_order for place in found.values() for each in (*place.noise, *place.candidate))


def _report(name: str, place: PathNoise | None, asked: int, wide: tuple[int, int] | None) -> PathReport:
    counts = place.counts if place is not None else PathCounts(asked, 0, 0, 0, 0, 0, 0)
    return PathReport(
        name,
        rate(counts.after, asked),
        rate(counts.before, asked),
        rate(counts.differing, asked),
        rate(*wide) if wide is not None else None,
        judge_path(counts, wide),
    )


def read_advice(path: Path, route: str, comparison: Comparison) -> Advice:
    """Masks that the samples and pairs of a route suggest; `comparison` is how it is compared. Raises StoreError."""
    with PairReader(path) as pairs, NoiseReader(path) as reader:
        places = reader.places(route)
        window = next(iter(pairs.windows(route)), None)
        return advise(places, _without_noise(pairs, window), lambda name: _kept(pairs, window, name), comparison)


def _without_noise(pairs: PairReader, window: Window | None) -> tuple[PathNoise, ...]:
    """The places where kept pairs differ, with what they have there."""
    if window is None:
        return ()
    found: dict[str, list[Example]] = {}
    for place in pairs.places(window):
        for kept in pairs.samples(window, place, SAMPLES):
            found.setdefault(place.path, []).extend(
                Example(str(each.kind), kept.pair.id, each.legacy, each.candidate)
                for each in kept.differences
                if each.path == place.path and each.kind == place.kind
            )
    return tuple(
        PathNoise(name, PathCounts(0, 0, 0, 0, len(examples), 0, 0), (), tuple(examples))
        for name, examples in found.items()
    )


def _kept(pairs: PairReader, window: Window | None, path: str) -> list[KeptPair]:
    """Kept pairs that differ at the path or below it, each once."""
    found: dict[str, KeptPair] = {}
    for place in pairs.places(window) if window is not None else ():
        if place.path == path or place.path.startswith(f"{path}/"):
            for kept in pairs.samples(window, place, SAMPLES) if window is not None else ():
                found.setdefault(kept.pair.id, kept)
        if len(found) >= MOST_PAIRS:
            break
    return list(found.values())[:MOST_PAIRS]
