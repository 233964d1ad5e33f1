"""A trie of path segments, so that finding what may fit a path costs what the path costs.

Compiled from patterns, walked with segments; knows nothing of what lies at its ends. Where a literal and a wildcard
both fit, both are followed, because file order decides and not how exact a pattern is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Generic, TypeVar

from rules.matching.pattern import PathPattern

Item = TypeVar("Item")
_NOTHING: dict[str, Trie[object]] = {}
_NO_STEMS: dict[int, dict[str, Sequence[object]]] = {}
"""The literals and stems of a node that has none: most of 100,000 nodes, so they share it. Never written to."""


class Trie(Generic[Item]):
    """One node, and by its children the trie below it."""

    __slots__ = ("any", "here", "literal", "rest", "stems")

    def __init__(self) -> None:
        self.literal: dict[str, Trie[Item]] = _NOTHING  # type: ignore[assignment]
        self.any: Trie[Item] | None = None
        self.here: Sequence[Item] = ()
        """What was put where a pattern ends here."""
        self.rest: Sequence[Item] = ()
        """What was put where a pattern goes on with ``**`` from here."""
        self.stems: dict[int, dict[str, Sequence[Item]]] = _NO_STEMS  # type: ignore[assignment]
        """By length and text: what was put where the next segment begins so, and anything may follow."""

    def node(self, pattern: PathPattern) -> Trie[Item]:
        """The node where `pattern` ends, or where its ``**`` begins; made where there is none."""
        node = self
        for segment in pattern.segments:
            if segment is None:
                if node.any is None:
                    node.any = Trie()
                node = node.any
            else:
                child = node.literal.get(segment)
                if child is None:
                    if node.literal is _NOTHING:
                        node.literal = {}
                    child = node.literal[segment] = Trie()
                node = child
        return node

    def stemmed(self, stem: str) -> dict[str, Sequence[Item]]:
        """What was put at stems as long as `stem`, by their text; to be added to."""
        if self.stems is _NO_STEMS:
            self.stems = {}
        return self.stems.setdefault(len(stem), {})

    def find(self, segments: Sequence[str], position: int, found: list[Sequence[Item]]) -> None:
        """Append what was put at every pattern that fits `segments[position:]`.

        Hot: a plain loop while there is one way down, a call only where literal and wildcard part. The walk ends with
        the deepest pattern, whatever the length of the path.
        """
        node = self
        for at in range(position, len(segments)):
            segment = segments[at]
            if node.rest:
                found.append(node.rest)
            if node.stems:
                for length, by_text in node.stems.items():
                    items = by_text.get(segment[:length])
                    if items is not None:
                        found.append(items)
            child = node.literal.get(segment)
            wild = node.any
            if wild is None or not segment:
                if child is None:
                    return
                node = child
            elif child is None:
                node = wild
            else:
                child.find(segments, at + 1, found)
                node = wild
        if node.rest:
            found.append(node.rest)
        if node.here:
            found.append(node.here)

    def dissolve(self) -> Iterator[None]:
        """Take the trie apart, a piece at each step: 100,000 nodes that are freed at once stop everything else."""
        nodes: list[Trie[Item]] = [self]
        while nodes:
            node = nodes.pop()
            while node.literal:
                nodes.append(node.literal.popitem()[1])
                yield
            if node.any is not None:
                nodes.append(node.any)
                node.any = None
            items = [*node.here, *node.rest]
            node.here = node.rest = ()
            while node.stems:
                items.extend(chain.from_iterable(node.stems.popitem()[1].values()))
            while items:
                items.pop()
                yield
