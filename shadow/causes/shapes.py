"""Transforms that change what kind of value it is: number as text, true as 1, empty for null, a list around a value."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from shadow.comparing.masks import number
from shadow.comparing.values import Json, UnreadableError, kind_of, parse, same

_WORDS = {"true/false": ("true", "false"), "yes/no": ("yes", "no"), "y/n": ("y", "n"), "t/f": ("t", "f")}
_WORDS |= {"1/0": ("1", "0"), "on/off": ("on", "off")}
_LONGEST_JSON = 10_000


def shape_transforms(legacy: Json, candidate: Json) -> Iterator[str]:
    """Every transform between kinds of values that makes `candidate` out of `legacy`, two values that differ."""
    for kind, form in _written_as(legacy, candidate):
        yield f"{kind}_as_{form}"
    for kind, form in _written_as(candidate, legacy):
        yield f"{kind}_from_{form}"
    if isinstance(candidate, list) and len(candidate) == 1 and same(candidate[0], legacy):
        yield "wrapped"
    if isinstance(legacy, list) and len(legacy) == 1 and same(legacy[0], candidate):
        yield "unwrapped"
    if isinstance(candidate, dict) and len(candidate) == 1 and same(next(iter(candidate.values())), legacy):
        yield f"wrapped_in_object:{next(iter(candidate))[:50]}"
    if isinstance(legacy, dict) and len(legacy) == 1 and same(next(iter(legacy.values())), candidate):
        yield f"taken_out_of_object:{next(iter(legacy))[:50]}"
    if legacy is None:
        yield f"{empty}_for_null" if (empty := emptiness(candidate)) else "value_for_null"
    elif candidate is None:
        yield f"null_for_{empty}" if (empty := emptiness(legacy)) else "null_for_value"
    elif kind_of(legacy) != kind_of(candidate):
        one_empty, other_empty = emptiness(legacy), emptiness(candidate)
        if one_empty and other_empty:
            yield f"empty:{one_empty}>{other_empty}"
        yield f"type:{kind_of(legacy)}>{kind_of(candidate)}"


def emptiness(value: object) -> str:
    """Which kind of nothing a value is: ``empty_text``, ``_list``, ``_object``, ``zero``, ``false``; else ``""``."""
    if value is False:
        return "false"
    if isinstance(value, str) and not value.strip():
        return "empty_text"
    if value == [] and isinstance(value, list):
        return "empty_list"
    if value == {} and isinstance(value, dict):
        return "empty_object"
    return "zero" if isinstance(value, int | Decimal) and not isinstance(value, bool) and not value else ""


def _written_as(value: Json, form: Json) -> Iterator[tuple[str, str]]:
    """What kind of value `value` is, and as what kind `form` writes that very value."""
    if isinstance(value, bool):
        if isinstance(form, str):
            for words, (yes, no) in _WORDS.items():
                if form.lower() == (yes if value else no):
                    yield "boolean", f"text:{words}"
        elif isinstance(form, int | Decimal) and not isinstance(form, bool) and form == int(value):
            yield "boolean", "number"
    elif isinstance(value, int | Decimal):
        if isinstance(form, str) and number(form) == value:
            yield "number", "text"
        elif isinstance(form, str) and form.isdecimal() and len(form) <= 60 and int(form) == value:
            yield "number", "text_with_zeros"
        elif isinstance(form, str) and len(form) <= 60 and _ungrouped(form) == value:
            yield "number", "formatted_text"
    elif value is None:
        if isinstance(form, str) and form.lower() in ("null", "none", "nil"):
            yield "null", "text"
    elif isinstance(value, dict | list) and isinstance(form, str) and 2 <= len(form) <= _LONGEST_JSON:
        try:
            read = parse(form.encode("utf-8", "surrogatepass"))
        except UnreadableError:
            return
        if same(value, read):
            yield "json", "text"


def _ungrouped(text: str) -> Decimal | None:
    """The number that a text for people says: ``1,250.00``, ``1.250,00``, ``€ 12.50``, ``12.50 EUR``."""
    digits = text.strip(" €$£\u00a0").removesuffix("EUR").removesuffix("USD").strip(" \u00a0").replace("'", "")
    if "," in digits and "." in digits:
        grouping = "," if digits.rfind(",") < digits.rfind(".") else "."
        digits = digits.replace(grouping, "")
    return number(digits.replace(",", "."))
