"""Masks: predicates that excuse a difference. Compiled once per comparison, asked only where something differs.

A predicate must hold on both sides: `uuid` excuses two different UUIDs, never a UUID against null. A mask never hides
that a field is missing (only `ignore` does), and each counts what it excused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, DecimalException
from email.utils import parsedate_to_datetime
from typing import TypeAlias

from shadow.comparing.paths import compile_pattern
from shadow.comparing.values import Absent, Json, kind_of, written
from shadow.spec import OF_LISTS, Mask, MaskKind, compile_expression

Predicate: TypeAlias = "Callable[[Json | Absent, Json | Absent], bool]"

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UUID_OF = "[0-9a-f]{{8}}-[0-9a-f]{{4}}-{}[0-9a-f]{{3}}-[89ab][0-9a-f]{{3}}-[0-9a-f]{{12}}"
_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,6})?")
_EXACT = Context(prec=200, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""Enough for the difference of any two numbers that people tolerate a difference of; no exponent is too large."""


def moment(value: Json | Absent) -> datetime | float | None:
    """A point in time, or None: ISO 8601 text, an HTTP date, or seconds (10 digits) or milliseconds since the epoch."""
    if isinstance(value, str):
        try:
            return parsedate_to_datetime(value) if _HTTP_DATE.fullmatch(value) else datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return float(value) if 10**8 <= Decimal(value).copy_abs() < 10**14 else None
    return None


def close_in_time(a: Json | Absent, b: Json | Absent, seconds: float) -> bool:
    """Whether both are times of one form, at most `seconds` apart; with a zone and without one are two forms."""
    left, right = moment(a), moment(b)
    if isinstance(left, datetime) and isinstance(right, datetime):
        if (left.tzinfo is None) is not (right.tzinfo is None):
            return False
        return abs((left - right).total_seconds()) <= seconds
    if isinstance(left, float) and isinstance(right, float):
        milliseconds = abs(left) >= 10**11
        if milliseconds is not (abs(right) >= 10**11):
            return False
        return abs(left - right) <= seconds * (1000 if milliseconds else 1)
    return False


def number(value: Json | Absent) -> Decimal | None:
    """The number that a JSON number, or a string that is one, denotes; else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        return Decimal(value)
    if isinstance(value, str) and len(value) <= 100 and _NUMBER.fullmatch(value):
        return Decimal(value)
    return None


def close_in_value(a: Json | Absent, b: Json | Absent, tolerance: Decimal, relative: bool) -> bool:
    """Whether both are numbers (or both strings that are) at most `tolerance` apart, relative to the larger one."""
    left, right = number(a), number(b)
    if left is None or right is None or isinstance(a, str) is not isinstance(b, str):
        return False
    try:
        allowed = _EXACT.multiply(tolerance, max(left.copy_abs(), right.copy_abs())) if relative else tolerance
        return _EXACT.subtract(left, right).copy_abs() <= allowed
    except DecimalException:
        return False


def _uuid(version: int | None) -> Predicate:
    # RFC 9562 section 4: the version is the first digit of the third group, the variant that of the fourth (8 to b).
    places = _UUID if version is None else re.compile(_UUID_OF.format(version))

    def holds(a: Json | Absent, b: Json | Absent) -> bool:
        return isinstance(a, str) and isinstance(b, str) and bool(places.fullmatch(a) and places.fullmatch(b))

    return holds


def predicate(mask: Mask) -> Predicate:
    """What must hold of legacy's value and the candidate's for the mask to excuse that they differ."""
    holds = _predicate_of_kind(mask)
    if mask.pattern is None or mask.kind is MaskKind.MATCHES:
        return holds
    expression = compile_expression(mask.pattern)
    return lambda a, b: holds(a, b) and _matches(expression, a) and _matches(expression, b)


def _predicate_of_kind(mask: Mask) -> Predicate:
    match mask.kind:
        case MaskKind.TIMESTAMP:
            seconds = mask.seconds
            return lambda a, b: close_in_time(a, b, seconds)
        case MaskKind.NUMBER:
            tolerance = mask.tolerance
            return lambda a, b: close_in_value(a, b, tolerance.value, tolerance.relative)
        case MaskKind.UUID:
            return _uuid(mask.version)
        case MaskKind.MATCHES:
            expression = compile_expression(mask.pattern or "")
            return lambda a, b: kind_of(a) == kind_of(b) and _matches(expression, a) and _matches(expression, b)
        case MaskKind.IGNORE:
            return lambda a, b: True
        case MaskKind.ANY_ORDER | MaskKind.SAME_SET:
            return lambda a, b: False  # decides how a list is walked; excuses nothing by itself


def _matches(expression: object, value: Json | Absent) -> bool:
    if isinstance(value, Absent | list | dict):
        return False
    text = value if isinstance(value, str) else written(value)
    return expression.fullmatch(text.encode("utf-8", "surrogatepass")) is not None  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class CompiledMask:
    """A mask ready to be asked."""

    name: str
    places: re.Pattern[str]
    holds: Predicate
    of_list: bool
    """Whether it says how the items of a list are matched."""
    as_set: bool
    """Whether a list is excused that has the same items, however often each comes."""
    by: str | None


class Masks:
    """The masks of one comparison that are in force on one day."""

    def __init__(self, masks: Sequence[Mask], on: date | None = None) -> None:
        """`on` is the day (UTC) that `expires` is held against; None keeps every mask."""
        compiled = [
            CompiledMask(
                name=mask.name,
                places=compile_pattern(mask.path, below=mask.kind is MaskKind.IGNORE),
                holds=predicate(mask),
                of_list=mask.kind in OF_LISTS,
                as_set=mask.kind is MaskKind.SAME_SET,
                by=mask.by,
            )
            for mask in masks
            if on is None or not mask.is_expired(on)
        ]
        self._orders = [mask for mask in compiled if mask.of_list]
        self._excuses = [mask for mask in compiled if not mask.of_list]

    @property
    def reorder(self) -> bool:
        """Whether any list may come in any order."""
        return bool(self._orders)

    @property
    def excuse(self) -> bool:
        """Whether anything but an order can be excused."""
        return bool(self._excuses)

    def order(self, pointer: str) -> CompiledMask | None:
        """The mask that lets the list at `pointer` come in any order, or None."""
        return next((mask for mask in self._orders if mask.places.fullmatch(pointer)), None)

    def find(self, pointer: str, legacy: Json | Absent, candidate: Json | Absent) -> CompiledMask | None:
        """The first mask that excuses the difference at `pointer`, or None."""
        for mask in self._excuses:
            if mask.places.fullmatch(pointer) and mask.holds(legacy, candidate):
                return mask
        return None
