"""What is wrong with a rules file: where, what, and what to do. Every problem at once, never the first only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from heapq import nlargest
from itertools import pairwise


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file; line and column count from 1, as editors do."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One located problem, printed as ``fig.yaml:12:5: route 'orders': unknown key 'candidat'; did you mean ...?``."""

    place: Place
    message: str
    code: str
    route: str | None = None
    severity: Severity = Severity.ERROR
    witness: str | None = None
    """A command that shows it: ``fig rules explain GET http://shop.example/x``."""

    def __str__(self) -> str:
        route = f"route '{self.route}': " if self.route else ""
        level = "warning: " if self.severity is Severity.WARNING else ""
        return one_line(f"{self.place}: {level}{route}{self.message}")


def one_line(text: str) -> str:
    """The text with everything escaped that would end the line, steer a terminal or turn the direction of writing.

    A message quotes what a file says.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


class RulesError(Exception):
    """A rules file that cannot be used; carries every problem found in it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(p) for p in self.problems))


def suggestion(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the nearest known word, or ``""`` when nothing is near."""
    near = _nearest(word, tuple(known))
    return f"; did you mean '{near}'?" if near is not None else ""


_SHOWN = 20
"""Names that are listed."""


def meant(word: str, known: Iterable[str]) -> str:
    """As `suggestion`; where nothing is near, what there is: ``"; there are: a, b"``."""
    names = tuple(known)
    if not names:
        return "; there is none"
    more = f", and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return suggestion(word, names) or f"; there are: {', '.join(names[:_SHOWN])}{more}"


_MANY = 50
_TOO_MANY = 1_000
"""Among more names than this none is suggested: as many may be named wrongly, and each would be held against all."""


@lru_cache(maxsize=10_000)
def _nearest(word: str, known: tuple[str, ...]) -> str | None:
    if len(known) > _TOO_MANY:
        return None
    if len(known) > _MANY:
        own = _pairs(word)
        shared = [(len(own & pairs), name) for name, pairs in zip(known, _pairs_of_all(known), strict=True)]
        known = tuple(name for _, name in nlargest(5, shared, key=lambda each: each[0]))
    return next(iter(get_close_matches(word, known, n=1, cutoff=0.6)), None)


@lru_cache(maxsize=4)
def _pairs_of_all(known: tuple[str, ...]) -> tuple[frozenset[str], ...]:
    return tuple(_pairs(word) for word in known)


def _pairs(word: str) -> frozenset[str]:
    """Neighbouring letters: what two similar words share, and much cheaper to compare than they are."""
    return frozenset(map("".join, pairwise(f" {word} ")))
