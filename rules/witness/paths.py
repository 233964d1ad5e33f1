"""Paths that satisfy what is asked of them, or the proof that none does.

Patterns alone are solved segment by segment. That is exact: where any path is taken by the wanted patterns and by none
of the others, so is the one of the same length whose free segments are words that no pattern names, and a path longer
than every pattern is taken by the same patterns as any that is longer still. Expressions are left to the automata.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import count, islice, product

from rules.match import Expression
from rules.matching.path import normalise
from rules.matching.pattern import PathPattern, parse_pattern
from rules.matching.predicates import PathPredicate
from rules.witness.automaton import (
    ANYTHING,
    EVERY,
    Automaton,
    Chain,
    Characters,
    Choice,
    Part,
    Repeat,
    UnreadableError,
    characters,
    literal,
)
from rules.witness.expression import parts_of
from rules.witness.solved import PLAIN, Solved, fitting, solve_texts

PathTexts = tuple[str | Expression, ...]

_MOST_MEETINGS = 200
"""Patterns that are made of one pattern of each list; each list is short, and few are asked at once."""
_FILLERS = ("x", "7", "y", "v1")
_SLASH = characters("/")
_SEGMENT = Repeat(Characters(EVERY & ~_SLASH), 1, None)
_NORMAL = Automaton(
    Choice(
        (
            literal("/"),
            Chain((Repeat(Chain((literal("/"), _SEGMENT)), 1, None), Repeat(literal("/"), 0, 1))),
        )
    )
)
"""The shape of every normalised path; which characters it holds is left to `normalise`."""


@lru_cache(maxsize=8192)
def solve_paths(wanted: tuple[PathTexts, ...], unwanted: tuple[PathTexts, ...]) -> Solved[str]:
    asked = [(PathPredicate(each), True) for each in wanted] + [(PathPredicate(each), False) for each in unwanted]

    def fits(path: str) -> bool:
        request = replace(PLAIN, path=path)
        return normalise(path) == path and all(predicate.holds(request) is holds for predicate, holds in asked)

    # OPTIONS * has no path to show, but where it is taken, it is not proven that nothing is.
    asterisk = replace(PLAIN, path="*")
    takes_asterisk = all(predicate.holds(asterisk) is holds for predicate, holds in asked)
    others = [parse_pattern(path) for paths in unwanted for path in paths if isinstance(path, str)]
    patterned = [paths for paths in wanted if all(isinstance(path, str) for path in paths)]
    met, all_met = _meetings(patterned)
    plain = _plain_paths(met, others)
    if len(patterned) == len(wanted) and all(isinstance(path, str) for paths in unwanted for path in paths):
        values = fitting(plain, fits)
        return Solved(values, impossible=all_met and not values and not takes_asterisk)
    found = solve_texts(
        plain,
        [_NORMAL, *(_automaton(paths) for paths in wanted)],
        [_automaton(paths) for paths in unwanted],
        fits,
    )
    return Solved(found.values, impossible=found.impossible and not takes_asterisk)


def meet_patterns(one: PathPattern, other: PathPattern) -> PathPattern | None:
    """The pattern of the paths that both take; None when there is none."""
    if len(one.segments) > len(other.segments):
        one, other = other, one
    if not one.rest and len(one.segments) < len(other.segments):
        return None
    segments: list[str | None] = []
    for mine, theirs in zip(one.segments, other.segments, strict=False):
        if mine is None or theirs is None:
            found = mine if theirs is None else theirs
            if found == "":
                return None  # a free segment is never empty
            segments.append(found)
        elif mine == theirs:
            segments.append(mine)
        else:
            return None
    segments += other.segments[len(one.segments) :]
    text = "".join("/" + ("*" if segment is None else segment) for segment in segments)
    rest = other.rest and (one.rest or len(one.segments) > len(other.segments))
    if len(one.segments) == len(other.segments):
        rest = one.rest and other.rest
    return PathPattern(text + "/**" if rest else text, tuple(segments), (), rest)


def _meetings(lists: Sequence[PathTexts]) -> tuple[list[PathPattern], bool]:
    """What one pattern of each list, for every choice, has in common; and whether that is all."""
    found: dict[str, PathPattern] = {"/**": parse_pattern("/**")}
    for paths in lists:
        patterns = [parse_pattern(path) for path in paths if isinstance(path, str)]
        both = (meet_patterns(one, other) for one, other in product(found.values(), patterns))
        kept = list(islice((each for each in both if each is not None), _MOST_MEETINGS + 1))
        found = {each.text: each for each in kept}
        if len(kept) > _MOST_MEETINGS:
            return list(found.values()), False
    return list(found.values()), True


def _plain_paths(met: Iterable[PathPattern], others: Sequence[PathPattern]) -> Iterator[str]:
    """For each pattern: every length that matters, its free segments filled with words that no other pattern names."""
    met = list(met)
    named = {segment for pattern in (*met, *others) for segment in pattern.segments}
    words = [word for word in _FILLERS if word not in named]
    words.append(next(word for number in count(1) if (word := f"x{number}") not in named))
    longest = max((len(pattern.segments) for pattern in others), default=0)
    for word in (words[0], *words[1:], *_FILLERS):
        for pattern in met:
            filled = [word if segment is None else segment for segment in pattern.segments]
            if not pattern.rest:
                yield "/" + "/".join(filled)
                continue
            further = max(longest - len(filled), 0) + 2
            for more in (1, 0, *range(2, further + 1)):
                yield "/" + "/".join([*filled, *[word] * more])
                if more:
                    yield "/" + "/".join([*filled, *[word] * (more - 1), ""])


@lru_cache(maxsize=4096)
def _automaton(paths: PathTexts) -> Automaton | None:
    parts: list[Part] = []
    exact = True
    for path in paths:
        if isinstance(path, Expression):
            read = parts_of(path.regex)
            if read is None:
                return None
            parts.append(read[0])
            exact = exact and read[1]
        else:
            parts.append(_part_of(parse_pattern(path)))
    try:
        return Automaton(Choice(tuple(parts)), exact)
    except UnreadableError:
        return None


def _part_of(pattern: PathPattern) -> Part:
    segments: list[Part] = []
    for segment in pattern.segments:
        segments += [literal("/"), _SEGMENT if segment is None else literal(segment)]
    if not pattern.rest:
        return Chain(tuple(segments))
    if not segments:
        return Chain((literal("/"), ANYTHING))
    return Chain((*segments, Repeat(Chain((literal("/"), ANYTHING)), 0, 1)))
