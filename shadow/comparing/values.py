"""JSON values, exactly: read without losing a digit, told apart by type, written in one canonical form.

Numbers are `int`, or `Decimal` where there is a fraction or exponent, so that no two different numbers become equal.
What "equal" means (the policy, RFC 8259 leaves it open):

- numbers are equal when they denote the same number: 1, 1.0 and 1e0 are, 0.1 and 0.10000000000000000001 are not,
  -0 is 0;
- `true` is not 1, `null` is not absent, "1" is not 1;
- strings are equal code point by code point: no Unicode normalisation, no trimming;
- objects are equal whatever the order of their keys; a key given twice makes a body unreadable (parsers disagree which
  value counts), as do NaN, Infinity and more than MAX_DEPTH levels.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

import msgspec

from shadow.comparing import exact
from shadow.comparing.exact import MAX_DEPTH

Json: TypeAlias = "bool | int | Decimal | str | list[Json] | dict[str, Json] | None"

_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
LONGEST_INT = 4300
"""Digits up to which a whole number is an `int`; CPython refuses to convert longer ones (CVE-2020-10735)."""


class UnreadableError(ValueError):
    """A body that is not JSON, or not JSON that everybody reads the same; the message says why."""


class Absent:
    """The value of a field that is not there; not the same as null."""

    _only: Absent | None = None

    def __new__(cls) -> Absent:
        cls._only = cls._only or super().__new__(cls)
        return cls._only

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent()


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise UnreadableError(f"the key {json.dumps(twice)} appears twice in one object")
    return found


def _constant(text: str) -> Json:
    raise UnreadableError(f"{text} is not JSON")


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text.lstrip("-")) <= LONGEST_INT else Decimal(text)


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=Decimal, parse_constant=_constant)
# Naming parse_int costs a third of the speed, so only a body with such a number pays for it.
_patient_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=Decimal, parse_constant=_constant, parse_int=_integer
)


def parse(body: bytes, shown: bool = False) -> Json:
    """The value of a JSON text in UTF-8. Raises UnreadableError, and nothing else, on any other bytes.

    `shown`: shadow.comparing.exact has shown already that it can read this text.
    """
    if exact.too_deep(body):
        raise UnreadableError(_TOO_DEEP)
    if shown or exact.is_exact(body):
        try:
            value: Json = exact.decode(body)
        except exact.REFUSALS:
            pass
        else:
            return value
    return _parse_patiently(body)


def _parse_patiently(body: bytes) -> Json:
    """By the standard library: what shadow.comparing.exact could not show to be exact, and why a text is no JSON."""
    try:
        text = body.decode()
    except UnicodeDecodeError as exc:
        raise UnreadableError(f"not UTF-8 at byte {exc.start}") from exc
    if not text.strip(" \t\r\n"):
        raise UnreadableError("the body is empty")
    try:
        return _decode(text)
    except InvalidOperation:
        raise UnreadableError("a number has an exponent beyond what can be compared") from None
    except json.JSONDecodeError as exc:
        raise UnreadableError(f"not JSON at line {exc.lineno}, column {exc.colno}: {exc.msg}") from exc


def _decode(text: str) -> Json:
    try:
        return _loads(_decoder, text)
    except (UnreadableError, json.JSONDecodeError):
        raise
    except ValueError:  # a whole number of more than 4,300 digits
        return _loads(_patient_decoder, text)


def _loads(decoder: json.JSONDecoder, text: str) -> Json:
    value: Json = decoder.decode(text)
    return value


def kind_of(value: Json | Absent) -> str:
    """The JSON type: ``object``, ``list``, ``string``, ``number``, ``boolean``, ``null``; ``absent`` for no value."""
    return _KINDS[type(value)]


_KINDS: dict[type, str] = {
    dict: "object",
    list: "list",
    str: "string",
    int: "number",
    Decimal: "number",
    bool: "boolean",
    type(None): "null",
    Absent: "absent",
}


def same(a: Json, b: Json) -> bool:
    """Whether both are the same value under the policy above. Hot: most values that are compared are the same."""
    if a != b:  # to Python true is 1 and otherwise values are equal as they are here
        return False
    kind = type(a)
    if kind is dict or kind is list:
        try:
            if exact.encode(a) == exact.encode(b):
                return True
        except exact.REFUSALS:
            pass  # a lone surrogate has no bytes
        return _same(a, b)
    return _KINDS[kind] == _KINDS[type(b)]


def _same(a: Json, b: Json) -> bool:
    """Value by value: where the same number is written in two ways, and where true stands against 1."""
    kind = type(a)
    if kind is dict:
        if type(b) is not dict or len(a) != len(b):  # type: ignore[arg-type]
            return False
        return all(key in b and _same(value, b[key]) for key, value in a.items())  # type: ignore[union-attr]
    if kind is list:
        if type(b) is not list or len(a) != len(b):  # type: ignore[arg-type]
            return False
        return all(map(_same, a, b))  # type: ignore[arg-type]
    return _KINDS[kind] == _KINDS[type(b)] and a == b


def canonical(value: Json) -> str:
    """One text per value: equal exactly when `same` says so. Keys sorted, no blanks, one form per number."""
    try:
        text = exact.encode(value).decode()
        if _MAYBE_DECIMAL.search(text):
            text = exact.encode(_normal(value)).decode()
    except exact.REFUSALS:
        return _canonical(value)
    return text


_MAYBE_DECIMAL = re.compile(r"\d[.eE]|-0|\d{4000}")


def _normal(value: Json) -> object:
    """The same value with every number in its one form."""
    if isinstance(value, dict):
        return {key: _normal(item) for key, item in value.items()}
    if isinstance(value, list):
        return list(map(_normal, value))
    return msgspec.Raw(_canonical_number(value).encode()) if isinstance(value, Decimal) else value


def _canonical(value: Json) -> str:
    """The same for values with lone surrogates, of which UTF-8 knows nothing: they stay escapes."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_canonical(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_canonical, value)) + "]"
    if isinstance(value, Decimal):
        return _canonical_number(value)
    return json.dumps(value)


def _canonical_number(value: Decimal) -> str:
    """Digits without trailing zeros, then the exponent; as a plain whole number where `int` would be one."""
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)  # parse() makes finite decimals only
    if not value:
        return "0"
    text = "".join(map(str, digits)).lstrip("0")
    stripped = text.rstrip("0")
    exponent += len(text) - len(stripped)
    minus = "-" if sign else ""
    if exponent >= 0 and len(stripped) + exponent <= LONGEST_INT:
        return minus + stripped + "0" * exponent
    return f"{minus}{stripped}e{exponent}"


def written(value: Json | Absent) -> str:
    """JSON text for people and for the store: keys in their order, numbers with the digits they came with."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(key)}: {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Decimal | Absent):
        return str(value)
    return json.dumps(value)


def _quoted(text: str) -> str:
    """Readable beyond ASCII, but a lone surrogate stays an escape: UTF-8 has no bytes for it."""
    quoted = json.dumps(text, ensure_ascii=False)
    return json.dumps(text) if _SURROGATE.search(quoted) else quoted


_SURROGATE = re.compile("[\ud800-\udfff]")
