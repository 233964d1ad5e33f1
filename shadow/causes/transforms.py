"""Which transforms fit one difference, and in which order of preference they explain many.

A transform is a short text: its name, and after colons its parameters, so that two differences have the same cause only
when the very same parameters fit both. What fits does not depend on any other difference, so each is looked at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from shadow.causes.numbers import number_transforms
from shadow.causes.shapes import emptiness, shape_transforms
from shadow.causes.texts import text_transforms
from shadow.causes.times import epoch_transforms, time_transforms
from shadow.comparing.differences import Difference, DifferenceKind
from shadow.comparing.masks import number
from shadow.comparing.values import Absent, Json

MOST_FITTING = 40
"""Transforms noted of one difference, the preferred ones; only contrived values have more."""


class Tier(IntEnum):
    """How much a transform explains; a lower tier wins whatever a higher one counts."""

    STRUCTURE = 0
    """Of a whole list or object: one cause in place of many differences below it."""
    EXACT = 1
    """Gives the candidate's value from legacy's, to the last character."""
    COMMON = 2
    """Not of one difference, but what all of a place have in common (shadow.causes.common)."""
    CLASS = 3
    """Says what kind of thing happened, and not which value follows."""


PREFERENCE: dict[Tier, tuple[str, ...]] = {
    Tier.STRUCTURE: (
        "renamed",
        "moved",
        "swapped",
        "reordered",
        "reversed",
        "starts_later",
        "starts_earlier",
        "first_missing",
        "last_missing",
        "cut_to",
        "items_missing",
        "items_added",
        "twice",
        "other_page",
        "list_empty",
    ),
    Tier.EXACT: (
        "float_noise",
        "scale",
        "sign",
        "round",
        "unrounded",
        "last_digit",
        "plus",
        "boolean_as_text",
        "boolean_as_number",
        "boolean_from_text",
        "boolean_from_number",
        "number_as_text",
        "number_from_text",
        "number_as_formatted_text",
        "number_from_formatted_text",
        "number_as_text_with_zeros",
        "number_from_text_with_zeros",
        "number_form",
        "zeros_dropped",
        "zeros_added",
        "epoch",
        "from_epoch",
        "zone",
        "zone_relabelled",
        "zone_dropped",
        "zone_added",
        "zone_dropped_in_utc",
        "zone_added_to_utc",
        "clock",
        "day",
        "date_form",
        "fraction_dropped",
        "time_dropped",
        "midnight",
        "trimmed",
        "padded",
        "collapsed",
        "blanks_around",
        "line_ends",
        "blanks",
        "case",
        "unicode",
        "accents_dropped",
        "encoding",
        "letters_lost",
        "escaped",
        "unescaped",
        "tags_removed",
        "base64",
        "scheme",
        "host",
        "made_relative",
        "made_absolute",
        "truncated",
        "truncated_with_dots",
        "null_as_text",
        "null_from_text",
        "json_as_text",
        "json_from_text",
        "wrapped",
        "unwrapped",
        "wrapped_in_object",
        "taken_out_of_object",
        "absent_for_null",
        "absent_for_empty_text",
        "absent_for_empty_list",
        "absent_for_empty_object",
        "null_for_absent",
        "empty_text_for_absent",
        "empty_list_for_absent",
        "empty_object_for_absent",
        "null_for_empty_text",
        "null_for_empty_list",
        "null_for_empty_object",
        "null_for_zero",
        "null_for_false",
        "empty_text_for_null",
        "empty_list_for_null",
        "empty_object_for_null",
        "zero_for_null",
        "false_for_null",
        "empty",
        "status",
        "no_answer",
        "no_answer_of_legacy",
        "not_readable",
        "not_readable_of_legacy",
    ),
    Tier.COMMON: ("constant", "drift", "offset", "factor", "mapping"),
    Tier.CLASS: (
        "missing",
        "added",
        "item_missing",
        "item_added",
        "null_for_value",
        "value_for_null",
        "time_added",
        "type",
        "bytes",
        "not_located",
        "not_compared",
        "changed",
    ),
}
"""The simplest explanation first; of two that explain equally many, the earlier wins."""

_RANKS = {name: (tier, rank) for tier, names in PREFERENCE.items() for rank, name in enumerate(names)}
_ROUNDING_RANKS = {"half_up": 0, "half_even": 1, "down": 2, "up": 3}

BY_PLACE = frozenset(
    (*PREFERENCE[Tier.CLASS], "status", "no_answer", "no_answer_of_legacy", "constant", "drift", "mapping")
)
"""What is a cause of its own at each place: that two fields are missing has no common reason that could be seen."""


OF_LISTS = frozenset(PREFERENCE[Tier.STRUCTURE]) - {"renamed", "moved", "swapped"}
"""Transforms that name the path of their list behind an ``@``: ``cut_to:20@/items``."""


def name_of(transform: str) -> str:
    """``scale`` of ``scale:100``."""
    name = transform.partition(":")[0]
    short = name.partition("@")[0]
    return short if short in OF_LISTS else name


def parameters_of(transform: str) -> str:
    """``100`` of ``scale:100``, ``20`` of ``cut_to:20@/items``."""
    parameters = transform.partition(":")[2]
    return parameters.partition("@")[0] if name_of(transform) in OF_LISTS else parameters


def list_of(transform: str) -> str:
    """The path of the list that a transform is of: ``/items``; ``""`` is the whole body."""
    return transform.partition("@")[2]


@dataclass(frozen=True, slots=True, order=True)
class Rank:
    """Where a transform stands in the order of preference."""

    tier: Tier
    place: int
    detail: int
    text: str


def rank(transform: str) -> Rank:
    """Lower ranks are preferred. A transform that is not listed is the last of its kind."""
    tier, place = _RANKS.get(name_of(transform), (Tier.CLASS, len(_RANKS)))
    detail = _ROUNDING_RANKS.get(transform.rpartition(":")[2], 0)
    return Rank(tier, place, detail, transform)


_BY_KIND = {
    DifferenceKind.BODY: "bytes",
    DifferenceKind.NOT_LOCATED: "not_located",
    DifferenceKind.NOT_COMPARED: "not_compared",
    DifferenceKind.ITEM_MISSING: "item_missing",
    DifferenceKind.ITEM_ADDED: "item_added",
}


def fitting(difference: Difference) -> tuple[str, ...]:
    """The transforms that make the candidate's value out of legacy's at this one place; the preferred first."""
    kind, legacy, candidate = difference.kind, difference.legacy, difference.candidate
    match kind:
        case DifferenceKind.STATUS:
            return (f"status:{legacy}>{candidate}",)
        case DifferenceKind.NO_ANSWER:
            side, told = ("no_answer", candidate) if isinstance(candidate, str) else ("no_answer_of_legacy", legacy)
            return (f"{side}:{str(told).removeprefix('no answer: ')[:50]}",)
        case DifferenceKind.UNPARSABLE:
            return ("not_readable_of_legacy" if str(candidate).startswith("a readable ") else "not_readable",)
        case DifferenceKind.MISSING:
            return (*_nothing("absent_for_{}", legacy), "missing")
        case DifferenceKind.ADDED:
            return (*_nothing("{}_for_absent", candidate), "added")
    if kind in _BY_KIND:
        return (_BY_KIND[kind],)
    if isinstance(legacy, Absent):
        return (*_nothing("{}_for_absent", candidate), "added")
    if isinstance(candidate, Absent):
        return (*_nothing("absent_for_{}", legacy), "missing")
    return (*value_transforms(legacy, candidate), "changed")


def _nothing(pattern: str, value: Json | Absent) -> tuple[str, ...]:
    """Which kind of nothing stands against a field that is not there, if it is one."""
    nothing = "null" if value is None else emptiness(value)
    return (pattern.format(nothing),) if nothing in _EMPTY else ()


_EMPTY = frozenset(("null", "empty_text", "empty_list", "empty_object"))


def value_transforms(legacy: Json, candidate: Json) -> tuple[str, ...]:
    """The transforms that make one value out of the other, two values that differ; at most MOST_FITTING."""
    found: list[str] = []
    if isinstance(legacy, str) and isinstance(candidate, str):
        found.extend(time_transforms(legacy, candidate))
        found.extend(text_transforms(legacy, candidate))
        a, b = number(legacy), number(candidate)
        if a is not None and b is not None:  # numbers in texts
            found.extend(number_transforms(a, b) if a != b else ("number_form",))
    elif _is_number(legacy) and _is_number(candidate):
        found.extend(number_transforms(Decimal(legacy), Decimal(candidate)))  # type: ignore[arg-type]
    else:
        found.extend(epoch_transforms(legacy, candidate))
        found.extend(shape_transforms(legacy, candidate))
        if not found or name_of(found[0]) == "type":
            a, b = number(legacy), number(candidate)
            if a is not None and b is not None and a != b:  # "12.50" and 1250: both at once
                found.extend(f"{each}:and_type" for each in number_transforms(a, b))
    if len(found) > 1:
        found.sort(key=rank)
    return tuple(found[:MOST_FITTING])


def _is_number(value: Json) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)
