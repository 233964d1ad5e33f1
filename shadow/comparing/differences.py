"""What a comparison found. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shadow.comparing.values import Absent, Json


class DifferenceKind(StrEnum):
    """What is wrong at a place, in the words of the report."""

    NO_ANSWER = "no_answer"
    """One side did not answer; its value is the failure."""
    STATUS = "status"
    HEADER = "header"
    VALUE_CHANGED = "value_changed"
    TYPE_CHANGED = "type_changed"
    MISSING = "missing"
    """A field that legacy's answer has and the candidate's has not."""
    ADDED = "added"
    """A field that only the candidate's answer has."""
    ITEM_MISSING = "item_missing"
    """An item of a list (or a line of a text) that only legacy's answer has."""
    ITEM_ADDED = "item_added"
    UNPARSABLE = "unparsable"
    """A JSON body that one side cannot have read; the values say why."""
    BODY = "body"
    """Bytes that are neither JSON nor text: compared by length and hash."""
    NOT_LOCATED = "not_located"
    """Different, but not everything is located: the budget of the comparison, or of its list, was spent."""
    NOT_COMPARED = "not_compared"
    """Too large to have been captured in full, or the comparison failed: nobody can say that it is equal."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where a pair disagrees."""

    kind: DifferenceKind
    pointer: str
    """The one place (paths.py); in a list, the index is legacy's, but for an added item the candidate's."""
    path: str
    """The place with what varies replaced by ``*``: what differences are counted by."""
    legacy: Json | Absent
    candidate: Json | Absent


@dataclass(frozen=True, slots=True)
class Excused:
    """How many differences of a pair one mask excused."""

    mask: str
    """Its name (shadow.spec.Mask.name)."""
    count: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one comparison."""

    differences: tuple[Difference, ...] = ()
    """What no mask excused, at most shadow.comparing.compare.MOST_DIFFERENCES of them."""
    excused: tuple[Excused, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether nothing is left that differs."""
        return not self.differences
