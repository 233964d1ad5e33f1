"""Members of causes to count, made in one line each."""

from __future__ import annotations

from shadow.causes.signature import Member
from shadow.causes.transforms import fitting
from shadow.comparing.differences import Difference, DifferenceKind
from shadow.comparing.values import Absent, Json


def kind_of(legacy: Json | Absent, candidate: Json | Absent) -> DifferenceKind:
    if isinstance(legacy, Absent):
        return DifferenceKind.ADDED
    return DifferenceKind.MISSING if isinstance(candidate, Absent) else DifferenceKind.VALUE_CHANGED


def member(path: str, legacy: Json | Absent, candidate: Json | Absent) -> Member:
    """A difference at one place, of whatever kind its values make it."""
    difference = Difference(kind_of(legacy, candidate), path, path, legacy, candidate)
    return Member(difference, fitting(difference))
