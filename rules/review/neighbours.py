"""Which earlier routes may take requests of a later one: found by host and path, so that few pairs are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from rules.match import Match
from rules.matching.pattern import PathPattern
from rules.matching.places import places
from rules.matching.trie import Trie

Node = Trie[int]


class Neighbours:
    """Routes by the places where they may be found."""

    def __init__(self) -> None:
        self.visited = 0
        """Nodes, and routes with a rest that were found there, in all."""
        self.is_cut = False
        """Whether one walk was broken off."""
        self._hosts: dict[str | None, Node] = {}
        self._below: dict[str, list[str]] = {}
        """By the end of a host (``.shop.example``), the hosts and suffixes that have it."""

    def add(self, number: int, match: Match) -> None:
        for host, pattern, _ in places(match).all:
            if host not in self._hosts:
                self._hosts[host] = Trie()
                if host is not None:
                    for end in _ends(host):
                        self._below.setdefault(end, []).append(host)
            node = self._hosts[host].node(pattern)
            if pattern.rest:
                node.rest = _with(node.rest, number)
            else:
                node.here = _with(node.here, number)

    def meeting(self, match: Match, but_within: bool, most: int) -> Iterator[int]:
        """Numbers, some perhaps twice, of routes whose places and those of `match` have a request in common.

        `but_within`: without those whose paths all lie within a path of `match`. Ends after `most` visits.
        """
        last = self.visited + most
        for host, pattern, _ in places(match).all:
            for other in self._meeting_hosts(host):
                yield from self._meeting_paths(self._hosts[other], pattern, but_within, last)

    def _meeting_hosts(self, host: str | None) -> list[str | None]:
        if host is None:
            return list(self._hosts)
        found: list[str | None] = [None, host, *(f"*{end}" for end in _ends(host))]
        if host.startswith("*"):
            found += self._below.get(host[1:], ())
        return [each for each in dict.fromkeys(found) if each in self._hosts]

    def _meeting_paths(self, root: Node, pattern: PathPattern, but_within: bool, last: int) -> Iterator[int]:
        segments, rest = pattern.segments, pattern.rest
        stack: list[tuple[Node, int, bool]] = [(root, 0, True)]
        while stack:
            if self.visited >= last:
                self.is_cut = True
                return
            node, at, within = stack.pop()
            self.visited += 1 + len(node.rest)
            leaves_out = but_within and within and at >= len(segments)
            if not (leaves_out and rest):
                yield from node.rest
            if at >= len(segments):
                if not leaves_out and (rest or at == len(segments)):
                    yield from node.here
                if rest and not leaves_out:
                    stack += [(child, at + 1, within) for child in _children(node)]
                continue
            wanted = segments[at]
            if wanted is None:
                stack += [(child, at + 1, within) for child in _children(node, but="")]
                continue
            child = node.literal.get(wanted)
            if child is not None:
                stack.append((child, at + 1, within))
            if node.any is not None and wanted:
                stack.append((node.any, at + 1, False))


def _children(node: Node, but: str | None = None) -> Iterator[Node]:
    if node.any is not None:
        yield node.any
    yield from (child for segment, child in node.literal.items() if segment != but)


def _with(numbers: object, number: int) -> list[int]:
    """The list with one more; a node's is a tuple while it is empty."""
    if not numbers:
        return [number]
    found = cast(list[int], numbers)
    found.append(number)
    return found


def _ends(host: str) -> Iterator[str]:
    """``.shop.example`` and ``.example`` of ``www.shop.example``; of a suffix also none that is its own."""
    dot = host.find(".", 1 if not host.startswith("*") else 2)
    while dot >= 0:
        yield host[dot:]
        dot = host.find(".", dot + 1)
