"""Texts as automata: which texts satisfy several demands at once, and whether any does at all.

A demand on a text (a path pattern, a prefix, a regular expression) becomes a nondeterministic automaton (Thompson's
construction, Communications of the ACM 11(6), 1968). `strings` walks all of them side by side, each as the set of its
live places, so what is demanded and what is forbidden meet exactly: a walk that ends without a text is a proof.

Characters beyond ASCII are one symbol. An automaton takes at least what its demand takes; `exact` says that it takes
nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

BEYOND = 1 << 128
"""The symbol for every character beyond ASCII."""
EVERY = (BEYOND << 1) - 1
MOST_PLACES = 4000
"""Places of one automaton; ``(a{100}){100}`` has more."""
MOST_STEPS = 3000
"""Sets of places that one walk looks at, some tens of microseconds each."""

_LIKED = "xabcdefghijklmnopqrstuvwyz1234567890XABCDEFGHIJKLMNOPQRSTUVWYZ-_.~/"


def characters(text: str) -> int:
    """The set of the characters in `text`."""
    found = 0
    for character in text:
        found |= 1 << ord(character) if ord(character) < 128 else BEYOND
    return found


SENDABLE = characters("".join(map(chr, range(0x21, 0x7F))))
"""What a witness is written with: printable ASCII without the blank."""


class UnsureError(Exception):
    """The walk was given up before it was done, so that nothing is proven."""


class UnreadableError(Exception):
    """Something that has no automaton here, or one that would be too large."""


class Edge(Enum):
    """A place in the text rather than a character of it."""

    BEGIN = "begin"
    END = "end"


@dataclass(frozen=True, slots=True)
class Characters:
    """One character of a set."""

    allowed: int


@dataclass(frozen=True, slots=True)
class Chain:
    """One part after the other."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One part of several."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A part, `least` to `most` times; None for without end."""

    part: Part
    least: int
    most: int | None


Part: TypeAlias = "Characters | Chain | Choice | Repeat | Edge"

ANYTHING = Repeat(Characters(EVERY), 0, None)


def literal(text: str) -> Part:
    return Chain(tuple(Characters(characters(character)) for character in text))


class Automaton:
    """Places joined by characters and by jumps that take none. Begins at place 0, ends at `last`."""

    __slots__ = ("_jumps", "_steps", "exact", "last")

    def __init__(self, part: Part, exact: bool = True) -> None:
        """Raises UnreadableError where it would be too large."""
        self.exact = exact
        self._steps: list[tuple[int, int] | None] = []
        self._jumps: list[list[tuple[Edge | None, int]]] = []
        start = self._place()
        self.last = self._build(part, start)

    def _place(self) -> int:
        if len(self._jumps) >= MOST_PLACES:
            raise UnreadableError
        self._steps.append(None)
        self._jumps.append([])
        return len(self._jumps) - 1

    def _build(self, part: Part, start: int) -> int:
        """Adds `part` behind the place `start`, which has no way out yet; the place where it ends."""
        if isinstance(part, Characters):
            end = self._place()
            self._steps[start] = (part.allowed, end)
            return end
        if isinstance(part, Chain):
            for each in part.parts:
                start = self._build(each, start)
            return start
        end = self._place()
        if isinstance(part, Edge):
            self._jumps[start].append((part, end))
        elif isinstance(part, Choice):
            for each in part.parts:
                branch = self._place()
                self._jumps[start].append((None, branch))
                self._jumps[self._build(each, branch)].append((None, end))
        else:
            self._repeat(part, start, end)
        return end

    def _repeat(self, part: Repeat, start: int, end: int) -> None:
        for _ in range(part.least):
            start = self._build(part.part, start)
        if part.most is None:
            loop = self._place()
            inside = self._place()
            self._jumps[start].append((None, loop))
            self._jumps[loop] += [(None, inside), (None, end)]
            self._jumps[self._build(part.part, inside)].append((None, loop))
            return
        for _ in range(part.most - part.least):
            self._jumps[start].append((None, end))
            inside = self._place()
            self._jumps[start].append((None, inside))
            start = self._build(part.part, inside)
        self._jumps[start].append((None, end))

    def reached(self, places: frozenset[int], *edges: Edge) -> frozenset[int]:
        """With every place that jumps lead to, given at which edges of the text they are taken."""
        found = set(places)
        left = list(places)
        while left:
            for edge, to in self._jumps[left.pop()]:
                if to not in found and (edge is None or edge in edges):
                    found.add(to)
                    left.append(to)
        return frozenset(found)

    def sets(self, places: frozenset[int]) -> Iterator[int]:
        """The sets of characters that lead on from `places`."""
        for place in places:
            step = self._steps[place]
            if step is not None:
                yield step[0]

    def step(self, places: frozenset[int], character: int) -> frozenset[int]:
        """Where one character, given as a set of one, leads."""
        steps = (self._steps[place] for place in places)
        return self.reached(frozenset(step[1] for step in steps if step is not None and step[0] & character))

    def ends(self, places: frozenset[int], at_begin: bool) -> bool:
        """Whether a text may end in `places`."""
        edges = (Edge.BEGIN, Edge.END) if at_begin else (Edge.END,)
        return self.last in self.reached(places, *edges)


def strings(
    wanted: Sequence[Automaton], unwanted: Sequence[Automaton], alphabet: int = EVERY, most: int = MOST_STEPS
) -> Iterator[str]:
    """Texts of `alphabet` that all of `wanted` and none of `unwanted` take: shortest first, one for each way to end.

    Ends when there are no more; having yielded none is the proof that none exists, if each of `unwanted` is exact.
    Raises UnsureError after `most` steps.
    """
    first = tuple(each.reached(frozenset((0,)), Edge.BEGIN) for each in (*wanted, *unwanted))
    both = (*wanted, *unwanted)
    queue = deque([("", first)])
    seen = {first}
    steps = 0
    while queue:
        text, reached = queue.popleft()
        ends = [each.ends(places, not text) for each, places in zip(both, reached, strict=True)]
        if all(ends[: len(wanted)]) and not any(ends[len(wanted) :]):
            yield text
        for block in _blocks(both, reached, alphabet):
            character = _liked(block)
            after = tuple(
                each.step(places, 1 << min(ord(character), 128)) for each, places in zip(both, reached, strict=True)
            )
            if after in seen or not all(after[: len(wanted)]):
                continue
            steps += 1
            if steps > most:
                raise UnsureError
            seen.add(after)
            queue.append((text + character, after))


def _blocks(automata: Sequence[Automaton], reached: Sequence[frozenset[int]], alphabet: int) -> list[int]:
    """The alphabet in parts whose characters no automaton tells apart here, the liked ones first."""
    blocks = [alphabet]
    for found in {found for each, places in zip(automata, reached, strict=True) for found in each.sets(places)}:
        blocks = [part for block in blocks for part in (block & found, block & ~found) if part]
    return sorted(blocks, key=lambda block: _RANK[_liked(block)])


def _liked(block: int) -> str:
    for character in _LIKED:
        if block >> ord(character) & 1:
            return character
    lowest = (block & -block).bit_length() - 1
    return chr(lowest) if lowest < 128 else "\N{LATIN SMALL LETTER E WITH ACUTE}"


_RANK = {character: rank for rank, character in enumerate(dict.fromkeys(_LIKED))}
for _code in (*range(128), 0xE9):
    _RANK.setdefault(chr(_code), len(_RANK))
