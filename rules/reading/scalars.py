"""What a plain scalar of YAML means: YAML 1.2's core schema, and no more of it than a rules file needs."""

from __future__ import annotations

import re

_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18}|[0-9]{1,18})(?:[eE][-+]?[0-9]{1,2})?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def resolve(text: str) -> bool | int | float | str | None:
    """``true``, ``null``, ``12`` and ``1.5`` mean what they look like; numbers of absurd length stay text.

    ``no``, ``on``, ``1:30`` and ``2024-01-01`` are text too (in YAML 1.1 ``country: NO`` is false).
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "-+.0123456789":
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
