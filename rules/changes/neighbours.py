"""Which routes might take a request that another match takes: by path, so that few of 100,000 have to be looked at.

An index that is asked with patterns, where the table's is asked with paths. It may name too many, never too few.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rules.match import EVERY_PATH, Match


class _Node:
    __slots__ = ("any", "here", "literal", "rest")

    def __init__(self) -> None:
        self.literal: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.here: list[int] = []
        self.rest: list[int] = []


class Neighbours:
    """The matches of a table, by number in file order."""

    def __init__(self, matches: Iterable[Match]) -> None:
        self._root = _Node()
        for number, match in enumerate(matches):
            for segments, rest in _patterns(match):
                node = self._root
                for segment in segments:
                    if segment is None:
                        node.any = node.any or _Node()
                        node = node.any
                    else:
                        node = node.literal.setdefault(segment, _Node())
                (node.rest if rest else node.here).append(number)

    def of(self, match: Match) -> list[int]:
        """Numbers, ascending, of the matches that may have a path in common with this one."""
        found: set[int] = set()
        for segments, rest in _patterns(match):
            _walk(self._root, segments, rest, 0, found)
        return sorted(found)

    def of_path(self, path: str) -> list[int]:
        """Numbers, ascending, of the matches that may take this path."""
        found: set[int] = set()
        _walk(self._root, path[1:].split("/"), False, 0, found)
        return sorted(found)


def _patterns(match: Match) -> list[tuple[list[str | None], bool]]:
    """The segments of every path, None for any one, and whether more may follow.

    As rules.matching.pattern.parse_pattern says it, but that takes 60 us a path, to check what was checked when
    rules were loaded.
    """
    return [_taken_apart(path if isinstance(path, str) else EVERY_PATH) for path in match.path]


def _taken_apart(path: str) -> tuple[list[str | None], bool]:
    parts = path[1:].split("/")
    rest = parts[-1] == "**"
    return [None if part == "*" or part[:1] == "{" else part for part in parts[: len(parts) - rest]], rest


def _walk(node: _Node, segments: Sequence[str | None], rest: bool, at: int, found: set[int]) -> None:
    """Nests as deep as the index does, which is pattern.LONGEST."""
    found.update(node.rest)
    if at == len(segments):
        if rest:
            _collect(node, found)
        else:
            found.update(node.here)
        return
    segment = segments[at]
    if segment is None:
        for literal, child in node.literal.items():
            if literal:
                _walk(child, segments, rest, at + 1, found)
    elif (known := node.literal.get(segment)) is not None:
        _walk(known, segments, rest, at + 1, found)
    if node.any is not None and segment != "":
        _walk(node.any, segments, rest, at + 1, found)


def _collect(node: _Node, found: set[int]) -> None:
    """Everything at and below the node."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        found.update(one.here)
        found.update(one.rest)
        waiting += one.literal.values()
        if one.any is not None:
            waiting.append(one.any)
