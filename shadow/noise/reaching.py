"""What a mask would excuse: kept pairs judged once more, with it and without. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from shadow.comparing.compare import compare
from shadow.comparing.differences import Difference, Outcome
from shadow.comparing.headers import url_of
from shadow.comparing.masks import Masks
from shadow.pairs.kept import KeptPair
from shadow.spec import Comparison, Mask, MaskKind

MOST_PAIRS = 500
"""Pairs that are judged again for one mask."""
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Excused:
    """A kept pair that the mask would excuse, and a difference of it."""

    pair: str
    method: str
    target: str
    difference: Difference


@dataclass(frozen=True, slots=True)
class Reach:
    """Of the kept pairs that differ where the mask looks."""

    pairs: int
    """Those judged again."""
    wholly: int
    """Those that would agree."""
    partly: int
    """Those that would differ in fewer places."""
    examples: tuple[Excused, ...]
    """Some of those that would agree."""
    remaining: tuple[Excused, ...]
    """Some that would still differ where the mask looks."""


def reach(mask: Mask, pairs: Sequence[KeptPair], comparison: Comparison) -> Reach:
    """Judge the pairs with the mask and without it. Times do not matter: no mask counts as expired.

    What was redacted is equal exactly where it was equal before, so such places differ or agree as they did; a
    predicate on their values excuses nothing here.
    """
    wider = comparison.model_copy(update={"masks": (*comparison.masks, mask)})
    looks = Masks((Mask(path=mask.path, kind=MaskKind.IGNORE),))
    wholly = partly = looked = 0
    examples: list[Excused] = []
    remaining: list[Excused] = []
    for kept in pairs[:MOST_PAIRS]:
        pair = kept.pair
        url = partial(url_of, pair)
        plain = compare(pair.legacy, pair.candidate, comparison, None, url)
        if plain.equal:
            continue
        looked += 1
        found = compare(pair.legacy, pair.candidate, wider, None, url)
        if found.equal:
            wholly += 1
            if len(examples) < SHOWN:
                examples.append(Excused(pair.id, pair.method, pair.target, plain.differences[0]))
            continue
        partly += len(found.differences) < len(plain.differences)
        left = _there(found, looks)
        if left is not None and len(remaining) < SHOWN:
            remaining.append(Excused(pair.id, pair.method, pair.target, left))
    return Reach(looked, wholly, partly, tuple(examples), tuple(remaining))


def _there(outcome: Outcome, looks: Masks) -> Difference | None:
    return next((each for each in outcome.differences if looks.find(each.pointer, each.legacy, each.candidate)), None)
