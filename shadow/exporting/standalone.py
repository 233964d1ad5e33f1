"""How an exported test compares: an answer held against legacy's, under masks.

This file's code stands in every exported test, below the docstring, so it uses the standard library only. It decides
as shadow.comparing does (a test holds the two against each other), but locates less: lists without a mask are compared
item by item, where they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any

# --- embedded from here on

SECRET = re.compile(r"(?:fig|card|email|jwt|iban):[0-9a-f]{16}")
"""What stands where legacy's answer held a secret; the service's is not known, so any text will do."""
UUID = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-([0-9a-fA-F])[0-9a-fA-F]{3}-([0-9a-fA-F])[0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
)
HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT")


def differences(expected: Any, actual: Any, masks: Sequence[dict[str, Any]], place: str = "") -> Iterator[str]:
    """What differs and no mask excuses, a line each. Numbers that are no integers are Decimals."""
    if same(expected, actual):
        return
    if isinstance(expected, dict) and isinstance(actual, dict) and not excuse(place, expected, actual, masks):
        for key in [*expected, *(key for key in actual if key not in expected)]:
            below = f"{place}/{key.replace('~', '~0').replace('/', '~1')}"
            if key in expected and key in actual:
                yield from differences(expected[key], actual[key], masks, below)
            elif not ignored(below, masks):
                yield f"{below}: {'is missing' if key in expected else 'is extra'}"
    elif isinstance(expected, list) and isinstance(actual, list) and not excuse(place, expected, actual, masks):
        yield from list_differences(expected, actual, masks, place)
    elif not excuse(place, expected, actual, masks):
        yield f"{place or '(the whole body)'}: expected {expected!r}, got {actual!r}"


def text_differences(expected: str, actual: str, masks: Sequence[dict[str, Any]]) -> Iterator[str]:
    """By line, where they stand."""
    if not same(expected, actual) and not excuse("body", expected, actual, masks):
        left, right = expected.split("\n"), actual.split("\n")
        if len(left) != len(right):
            yield f"body: expected {len(left)} lines, got {len(right)}"
        for number, (one, other) in enumerate(zip(left, right, strict=False), 1):
            yield from differences(one, other, masks, f"line:{number}")


def list_differences(
    expected: list[Any], actual: list[Any], masks: Sequence[dict[str, Any]], place: str
) -> Iterator[str]:
    """Item by item, or in any order where a mask says so."""
    order = next((mask for mask in masks if mask["kind"] in ("any_order", "same_set") and covers(mask, place)), None)
    if order is None:
        for index in range(max(len(expected), len(actual))):
            below = f"{place}/{index}"
            if index < min(len(expected), len(actual)):
                yield from differences(expected[index], actual[index], masks, below)
            elif not ignored(below, masks):
                yield f"{below}: {'is missing' if index < len(expected) else 'is extra'}"
        return
    left = list(range(len(actual)))
    by = order["by"]
    for index, item in enumerate(expected):
        below = f"{place}/{index}"
        if by is None or not isinstance(item, dict):
            found = [at for at in left if not any(differences(item, actual[at], masks, below))]
        else:
            found = [at for at in left if isinstance(actual[at], dict) and same(item.get(by), actual[at].get(by))]
        if found:
            yield from differences(item, actual[found[0]], masks, below)
            # In a set an item may come any number of times.
            left = [at for at in left if at not in (found if order["kind"] == "same_set" else found[:1])]
        elif order["kind"] == "same_set" and any(same(item, one) for one in expected[:index]):
            continue
        elif not ignored(below, masks):
            yield f"{below}: is missing"
    for at in left:
        if not ignored(f"{place}/{at}", masks):
            yield f"{place}/{at}: is extra"


def same(expected: Any, actual: Any) -> bool:
    """Equal by value and type: true is not 1, and 1.0 is."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(same(value, actual[key]) for key, value in expected.items())
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(same, expected, actual))
    if isinstance(expected, str) and isinstance(actual, str) and SECRET.search(expected):
        return re.fullmatch(".*".join(map(re.escape, SECRET.split(expected))), actual, re.DOTALL) is not None
    number = (int, Decimal)
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, number) and isinstance(actual, number):
        return bool(expected == actual)
    return type(expected) is type(actual) and bool(expected == actual)


def covers(mask: dict[str, Any], place: str) -> bool:
    return re.fullmatch(mask["places"], place, re.DOTALL) is not None


def ignored(place: str, masks: Sequence[dict[str, Any]]) -> bool:
    return any(mask["kind"] == "ignore" and covers(mask, place) for mask in masks)


def excuse(place: str, expected: Any, actual: Any, masks: Sequence[dict[str, Any]]) -> bool:
    return any(covers(mask, place) and holds(mask, expected, actual) for mask in masks)


def holds(mask: dict[str, Any], expected: Any, actual: Any) -> bool:
    """Whether a mask's predicate holds of both values."""
    kind, pattern = mask["kind"], mask["pattern"]
    if pattern is not None and not all(matches(pattern, value) for value in (expected, actual)):
        return False
    if kind == "timestamp":
        return close_in_time(expected, actual, mask["seconds"])
    if kind == "number":
        return close_in_value(expected, actual, Decimal(mask["tolerance"]), mask["relative"])
    if kind == "uuid":
        return all(is_uuid(value, mask["version"]) for value in (expected, actual))
    return kind in ("matches", "ignore")


def matches(pattern: str, value: Any) -> bool:
    if isinstance(value, dict | list):
        return False
    text = value if isinstance(value, str) else {None: "null", True: "true", False: "false"}.get(value, str(value))
    return re.fullmatch(pattern, text) is not None


def is_uuid(value: Any, version: int | None) -> bool:
    found = UUID.fullmatch(value) if isinstance(value, str) else None
    if found is None or version is None:
        return found is not None
    return value == value.lower() and found[1] == str(version) and found[2] in "89ab"


def moment(value: Any) -> datetime | float | None:
    """A point in time: ISO 8601, an HTTP date, seconds or milliseconds since the epoch."""
    if isinstance(value, str):
        try:
            return parsedate_to_datetime(value) if HTTP_DATE.fullmatch(value) else datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return float(value) if 10**8 <= Decimal(value).copy_abs() < 10**14 else None
    return None


def close_in_time(expected: Any, actual: Any, seconds: float) -> bool:
    left, right = moment(expected), moment(actual)
    if isinstance(left, datetime) and isinstance(right, datetime):
        return (left.tzinfo is None) is (right.tzinfo is None) and abs((left - right).total_seconds()) <= seconds
    if isinstance(left, float) and isinstance(right, float):
        milliseconds = abs(left) >= 10**11
        return milliseconds is (abs(right) >= 10**11) and abs(left - right) <= seconds * (1000 if milliseconds else 1)
    return False


def close_in_value(expected: Any, actual: Any, tolerance: Decimal, relative: bool) -> bool:
    if isinstance(expected, str) is not isinstance(actual, str):
        return False
    try:
        left, right = (Decimal(value) for value in (expected, actual) if not isinstance(value, bool))
    except (InvalidOperation, TypeError, ValueError):
        return False
    if not (left.is_finite() and right.is_finite()):
        return False
    return abs(left - right) <= (tolerance * max(abs(left), abs(right)) if relative else tolerance)
