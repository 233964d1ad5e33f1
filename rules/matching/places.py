"""Where the index has to look for the routes that may take a request: hosts and path patterns of a match. Pure.

A match without a host or path of its own borrows those of its `all` and `any`. What is found is always necessary and
often not enough: whatever the place does not answer is asked of the predicates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

from rules.match import EVERY_PATH, Match, split_port
from rules.matching.pattern import PathPattern, parse_pattern
from rules.matching.skeleton import Skeleton, skeleton

EVERYWHERE = parse_pattern(EVERY_PATH)
MOST = 1024
"""Places of one match; one that would need more (a hundred hosts and a hundred paths) is found by its hosts alone."""


class Place(NamedTuple):
    host: str | None
    """Without port; ``*.shop.example`` for a suffix; None for any host."""
    pattern: PathPattern
    stem: str = ""
    """With what the segment after the pattern's begins; ``""`` where nothing is asked of it."""

    @property
    def asks_no_path(self) -> bool:
        return self.pattern == EVERYWHERE and not self.stem


class Places(NamedTuple):
    all: Sequence[Place]
    """Every request that the match takes fits one of them."""
    answer_host: bool
    """Whether no request that fits can miss by its host."""
    answer_path: bool


def places(match: Match) -> Places:
    plain_hosts = all(isinstance(host, str) and split_port(host)[1] is None for host in match.host)
    plain_paths = all(isinstance(path, str) for path in match.path)
    fits = len(match.host or (None,)) * len(match.path) <= MOST
    answer_host = plain_hosts and (fits or 0 < len(match.host) <= MOST)
    return Places(_borrowed(match), answer_host, plain_paths and (fits or match.path == (EVERY_PATH,)))


def _borrowed(match: Match) -> list[Place]:
    found = _own(match)
    for each in match.all:
        found = _filled(found, _borrowed(each))
    if match.any:
        found = _filled(found, [place for each in match.any for place in _borrowed(each)])
    return found


def _own(match: Match) -> list[Place]:
    hosts: Sequence[str | None] = [split_port(host)[0] for host in match.host if isinstance(host, str)]
    if len(hosts) < len(match.host) or not match.host:  # an expression may match any host
        hosts = (None,)
    paths = [Skeleton(parse_pattern(path)) if isinstance(path, str) else skeleton(path.regex) for path in match.path]
    if len(hosts) * len(paths) > MOST:
        paths = [Skeleton(EVERYWHERE)]
    return _distinct(Place(host, *path) for host, path in product(hosts if len(hosts) <= MOST else (None,), paths))


def _filled(ours: list[Place], theirs: list[Place]) -> list[Place]:
    """Ours, where a request must fit one of theirs too: what we leave open is what they ask."""
    if all(place.host is not None and not place.asks_no_path for place in ours):
        return ours
    if len(ours) * len(theirs) > MOST:
        return ours
    return _distinct(
        Place(our.host or their.host, *(their if our.asks_no_path else our)[1:]) for our, their in product(ours, theirs)
    )


def _distinct(found: Iterable[Place]) -> list[Place]:
    return list(dict.fromkeys(found))
