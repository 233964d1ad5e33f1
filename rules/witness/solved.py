"""What a part of a request can be, given what is asked of it: some plain values, or the proof that there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from rules.asked import Asked
from rules.witness.automaton import EVERY, SENDABLE, Automaton, UnsureError, strings

PLAIN = Asked("GET", "example.test", "/", client="192.0.2.1")
"""What a request is where nothing is asked of it (names and addresses that RFC 6761 and RFC 5737 keep for this)."""
ENOUGH = 4
"""Values that are looked for: one to be a witness, the others for samples that differ."""
_MOST_TRIES = 60

Value = TypeVar("Value")


class Solved(NamedTuple, Generic[Value]):
    values: tuple[Value, ...]
    """At most ENOUGH, the plainest first; each satisfies everything that is asked."""
    impossible: bool = False
    """It is proven that no value does; without values and without proof nothing is known."""


def fitting(candidates: Iterable[Value], fits: Callable[[Value], bool]) -> tuple[Value, ...]:
    """The first few candidates that fit, each once; no more are asked for than that takes."""
    found: list[Value] = []
    for value in candidates:
        if value not in found and fits(value):
            found.append(value)
            if len(found) == ENOUGH:
                break
    return tuple(found)


def solve_texts(
    plain: Iterable[str],
    wanted: Sequence[Automaton | None],
    unwanted: Sequence[Automaton | None],
    fits: Callable[[str], bool],
) -> Solved[str]:
    """Texts that fit: some `plain` one first, else what the automata find together. None stands for an unread one."""
    values = fitting(plain, fits)
    if values:
        return Solved(values)
    # Unread automata are left out, so texts come that do not fit, but none that fits is missed.
    read = [each for each in wanted if each is not None]
    try:
        found = islice(strings(read, [each for each in unwanted if each is not None], SENDABLE), _MOST_TRIES)
        values = fitting(found, fits)
        if values:
            return Solved(values)
        certain = [each for each in unwanted if each is not None and each.exact]
        return Solved((), impossible=_is_empty(strings(read, certain, EVERY)))
    except UnsureError:
        return Solved(())


def _is_empty(texts: Iterator[str]) -> bool:
    return next(texts, None) is None
