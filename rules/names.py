"""The forms that names have in a rules file, and what every block of it is: frozen, unknown keys refused."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rules.quantities import Duration

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
"""RFC 9110 section 5.6.2, no longer than anyone needs."""
_LOWER_METHODS = frozenset({"get", "head", "post", "put", "patch", "delete", "options"})


_NO_NAMES = ("-", ".", "..")
"""In a path, dots are steps: nobody could ask the admin API for a route of that name."""


def _name(value: object) -> object:
    if isinstance(value, str) and (not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", value) or value in _NO_NAMES):
        raise ValueError(
            f"'{value:.80}' is not a name; use 1 to 64 letters, digits, '.', '_' or '-' (and not '-', '.' or '..')"
        )
    return value


def _field_name(value: object) -> object:
    if isinstance(value, str):
        if not TOKEN.fullmatch(value):
            raise ValueError(f"'{value:.80}' is not a header name")
        return value.lower()
    return value


def _cookie_name(value: object) -> object:
    if isinstance(value, str) and not TOKEN.fullmatch(value):
        raise ValueError(f"'{value:.80}' is not a cookie name")
    return value


def each_once(headers: object) -> object:
    """Of headers by name; raises ValueError for a name that comes twice. For a validator before pydantic's own."""
    lower = [str(name).lower() for name in headers] if isinstance(headers, dict) else []
    twice = next((name for name in lower if lower.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"names the header '{twice}' twice (letter case does not count); remove one")
    return headers


def _method(value: object) -> object:
    if isinstance(value, str):
        if value in _LOWER_METHODS:
            raise ValueError(f"methods are case-sensitive; write {value.upper()}")
        if not TOKEN.fullmatch(value):
            raise ValueError(f"'{value:.80}' is not a method")
    return value


def check_name(text: str) -> None:
    """Raises ValueError where `text` is no Name: for names that are keys of a block that somebody else reads."""
    _name(text)


Name = Annotated[str, BeforeValidator(_name)]
"""Of a service, a route, a group, an event: it names metrics, salts and files, so it is plain."""
FieldName = Annotated[str, BeforeValidator(_field_name)]
"""Of a header, in lower case."""
CookieName = Annotated[str, BeforeValidator(_cookie_name)]
Method = Annotated[str, BeforeValidator(_method)]
Positive = Annotated[Duration, Field(gt=0)]


class Block(BaseModel):
    """A mapping of the rules file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
