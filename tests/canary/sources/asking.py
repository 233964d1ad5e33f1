"""Gates over sources alone, for tests: two hours of numbers of both sides, and what a gate says of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from canary.evidence import Evidence
from canary.gate import judge
from canary.source_spec import Source
from canary.sources.collecting import collect
from canary.spec import Gate
from canary.verdict import Judgement

NOW = 1_700_000_010.0
SINCE = NOW - 7200
STEP = 30


def gate(**metric: Any) -> Gate:
    """A gate with one metric of kind query, of the source 'numbers'."""
    asked = {"name": "depth", "kind": "query", "source": "numbers", "margin": "10%"}
    return Gate.model_validate({"metrics": [asked | metric]})


def numbers(
    legacy: float = 40.0, candidate: float = 40.0, spread: float = 4.0, seed: int = 5
) -> Iterator[tuple[float, str, float]]:
    """(time, side, value): one a step and side, in the middle of the step."""
    chance = random.Random(seed)
    for number in range(int(SINCE // STEP), int(NOW // STEP) + 1):
        for side, mean in (("legacy", legacy), ("candidate", candidate)):
            yield number * STEP + STEP / 2, side, chance.gauss(mean, spread)


async def evidence_of(source: Source, asked: Gate, now: float = NOW) -> Evidence:
    return await collect("products", "storefront", asked, {"numbers": source}, SINCE, now)


async def judged(source: Source, asked: Gate, now: float = NOW) -> Judgement:
    return judge(asked, await evidence_of(source, asked, now), now)
