"""A legacy that never answers quite the same, drawn from a seed, and what samples of it come to."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shadow.noise.counts import PathCounts
from shadow.noise.evidence import Example, PathNoise
from shadow.noise.sampling import Found, Sample, Weighed, weigh
from shadow.pair import Pair
from shadow.pairs.kept import keep_difference
from shadow.spec import Comparison
from tests.fakes.pairs import answer, pair

Document = dict[str, Any]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Shop:
    """Answers for request `number` at `turn` (0 to 3, as a sample asks)."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def document(self, number: int, turn: int = 0) -> Document:
        chance = self._random
        items = [{"id": f"sku-{each}", "price": f"{each}.50"} for each in range(1, 6)]
        chance.shuffle(items)
        at = NOON + timedelta(seconds=number, milliseconds=turn * 40 + chance.randrange(30))
        return {
            "request": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "trace": f"{chance.getrandbits(128):032x}",
            "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "load": round(100 + chance.random(), 2),
            "tier": "silver" if chance.random() < 0.1 else "gold",
            "items": items,
            "total": 17.5,
        }

    def sample(self, number: int) -> Sample:
        legacy, before, candidate, after = (answer(self.document(number, turn)) for turn in range(4))
        return Sample(pair(legacy, candidate, number=number), before, after)

    def samples(self, count: int) -> list[Sample]:
        return [self.sample(number) for number in range(count)]


def planted(sample: Sample, document: Document) -> Sample:
    """The sample with another answer of the candidate."""
    return replace(sample, pair=replace(sample.pair, candidate=answer(document)))


def places(samples: Sequence[tuple[Sample, Weighed]], most: int = 100) -> tuple[PathNoise, ...]:
    """What a store would hold of them, with the first `most` examples of each path."""
    sums: dict[str, list[int]] = {}
    noise: dict[str, list[Example]] = {}
    candidate: dict[str, list[Example]] = {}
    for sample, weighed in samples:
        for path in {*weighed.before, *weighed.after, *weighed.candidate}:
            before, after, differs = (path in each for each in (weighed.before, weighed.after, weighed.candidate))
            once = (before, after, before or after, differs, after and not differs, differs and not after)
            tally = sums.setdefault(path, [0] * 6)
            for index, each in enumerate(once):
                tally[index] += each
            if found := weighed.after.get(path) or weighed.before.get(path):
                noise.setdefault(path, []).append(_example(found, sample.pair))
            if path in weighed.candidate:
                candidate.setdefault(path, []).append(_example(weighed.candidate[path], sample.pair))
    return tuple(
        PathNoise(
            path,
            PathCounts(len(samples), *tally),
            tuple(noise.get(path, ())[:most]),
            tuple(candidate.get(path, ())[:most]),
        )
        for path, tally in sums.items()
    )


def _example(found: Found, pair: Pair) -> Example:
    kept = keep_difference(found.difference)
    return Example(found.kind, pair.id, kept.legacy, kept.candidate)


def weighed(samples: Sequence[Sample]) -> list[tuple[Sample, Weighed]]:
    return [(sample, weigh(sample, Comparison())) for sample in samples]
