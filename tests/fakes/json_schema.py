"""As much of JSON Schema (2020-12) as the schema of rules files uses; a keyword that it does not know is an error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}
_SAYS_NOTHING = {"$defs", "$schema", "title", "description", "default", "examples", "type"}


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any], path: str = "") -> Iterator[str]:
    """Where and why a value does not validate; nothing when it does."""
    if "type" in schema and not _is_of(value, schema["type"]):
        yield f"{path}: not of type {schema['type']}"
        return
    for keyword, wanted in schema.items():
        if keyword not in _SAYS_NOTHING:
            yield from _KEYWORDS[keyword](value, wanted, schema, root, path)


def _is_of(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind])


def _any_of(value: Any, wanted: Any, _schema: Any, root: Any, path: str) -> Iterator[str]:
    found = [list(faults(value, each, root, path)) for each in wanted]
    if all(found):
        yield f"{path}: none of its forms: {min(found, key=len)}"


def _reference(value: Any, wanted: str, _schema: Any, root: Any, path: str) -> Iterator[str]:
    yield from faults(value, root["$defs"][wanted.removeprefix("#/$defs/")], root, path)


def _properties(value: Any, wanted: Any, _schema: Any, root: Any, path: str) -> Iterator[str]:
    for key, inner in value.items() if isinstance(value, dict) else ():
        if key in wanted:
            yield from faults(inner, wanted[key], root, f"{path}/{key}")


def _additional(value: Any, wanted: Any, schema: Any, root: Any, path: str) -> Iterator[str]:
    for key, inner in value.items() if isinstance(value, dict) else ():
        if key in schema.get("properties", {}) or wanted is True:
            continue
        if wanted is False:
            yield f"{path}/{key}: unknown"
        else:
            yield from faults(inner, wanted, root, f"{path}/{key}")


def _items(value: Any, wanted: Any, _schema: Any, root: Any, path: str) -> Iterator[str]:
    for index, item in enumerate(value if isinstance(value, list) else ()):
        yield from faults(item, wanted, root, f"{path}/{index}")


def _required(value: Any, wanted: Any, _schema: Any, _root: Any, path: str) -> Iterator[str]:
    yield from (f"{path}/{key}: missing" for key in wanted if isinstance(value, dict) and key not in value)


def _says(holds: Any, what: str) -> Any:
    def check(value: Any, wanted: Any, _schema: Any, _root: Any, path: str) -> Iterator[str]:
        if not holds(value, wanted):
            yield f"{path}: {what} {wanted}"

    return check


def _number(holds: Any) -> Any:
    return lambda value, wanted: isinstance(value, bool) or not isinstance(value, (int, float)) or holds(value, wanted)


def _sized(kind: type, holds: Any) -> Any:
    return lambda value, wanted: not isinstance(value, kind) or holds(len(value), wanted)


_KEYWORDS = {
    "$ref": _reference,
    "anyOf": _any_of,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "required": _required,
    "enum": _says(lambda value, wanted: value in wanted, "not one of"),
    "const": _says(lambda value, wanted: value == wanted, "not"),
    "pattern": _says(lambda value, wanted: not isinstance(value, str) or re.search(wanted, value), "not like"),
    "minimum": _says(_number(lambda value, wanted: value >= wanted), "less than"),
    "maximum": _says(_number(lambda value, wanted: value <= wanted), "more than"),
    "exclusiveMinimum": _says(_number(lambda value, wanted: value > wanted), "not more than"),
    "exclusiveMaximum": _says(_number(lambda value, wanted: value < wanted), "not less than"),
    "maxLength": _says(_sized(str, lambda length, wanted: length <= wanted), "longer than"),
    "minLength": _says(_sized(str, lambda length, wanted: length >= wanted), "shorter than"),
    "minItems": _says(_sized(list, lambda length, wanted: length >= wanted), "fewer than"),
    "maxItems": _says(_sized(list, lambda length, wanted: length <= wanted), "more than"),
}
