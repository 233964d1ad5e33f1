"""The index of the compiled table: routes by host and by path segment, so that a decision costs what its path costs.

Compiled from patterns, walked with segments; knows routes only as things with an index. Where a literal and a wildcard
both fit, both are followed, because file order decides and not how exact a pattern is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from rules.pattern import PathPattern


class Indexed(Protocol):
    @property
    def index(self) -> int: ...


Entry = TypeVar("Entry", bound=Indexed)


class Trie(Generic[Entry]):
    """One node, and by its children the trie below it."""

    __slots__ = ("any", "here", "literal", "rest")

    def __init__(self) -> None:
        self.literal: dict[str, Trie[Entry]] = {}
        self.any: Trie[Entry] | None = None
        self.here: list[Entry] = []
        """Entries whose pattern ends here, in file order."""
        self.rest: list[Entry] = []
        """Entries whose pattern goes on with ``**`` from here, in file order."""

    def add(self, pattern: PathPattern, entry: Entry) -> None:
        """Entries are added in file order."""
        node = self
        for segment in pattern.segments:
            if segment is None:
                if node.any is None:
                    node.any = Trie()
                node = node.any
            else:
                child = node.literal.get(segment)
                if child is None:
                    child = node.literal[segment] = Trie()
                node = child
        (node.rest if pattern.rest else node.here).append(entry)

    def find(self, segments: Sequence[str], position: int, found: list[list[Entry]]) -> None:
        """Append every list of entries that fit `segments[position:]`; each list is in file order.

        Hot: a plain loop while there is one way down, a call only where literal and wildcard part. The walk ends with
        the deepest pattern, whatever the length of the path.
        """
        node = self
        for at in range(position, len(segments)):
            segment = segments[at]
            if node.rest:
                found.append(node.rest)
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
