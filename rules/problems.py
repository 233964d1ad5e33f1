"""What is wrong with a rules file: where, what, and what to do. Every problem at once, never the first only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum


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
        return f"{self.place}: {level}{route}{self.message}"


class RulesError(Exception):
    """A rules file that cannot be used; carries every problem found in it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(p) for p in self.problems))


def suggestion(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the nearest known word, or ``""`` when nothing is near."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
