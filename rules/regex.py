"""Regular expressions: RE2 only, whose time is linear in the text whatever the pattern (google-re2)."""

from __future__ import annotations

from typing import Any

import re2


def compile_regex(pattern: str) -> Any:
    """The compiled expression. Raises ValueError saying what is wrong with it."""
    options = re2.Options()
    options.log_errors = False  # it would write its complaint to stderr; we say it ourselves, with its place
    try:
        return re2.compile(pattern, options)
    except re2.error as exc:
        why = exc.args[0].decode() if exc.args and isinstance(exc.args[0], bytes) else exc
        raise ValueError(f"not a regular expression (RE2): {why}") from exc
    except UnicodeEncodeError as exc:
        raise ValueError("not a regular expression: it holds half of a surrogate pair, which is no character") from exc


def full_match(expression: Any, text: str) -> bool:
    """Whether the compiled expression matches the whole text. Never raises."""
    try:
        return expression.fullmatch(text) is not None
    except UnicodeEncodeError:  # a lone surrogate is no text; RE2 cannot be asked about it
        return False
