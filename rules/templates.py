"""Texts with places to fill: ``/catalog/{id}``, ``/v2/{**}``, ``https://{host}``. Captures of the match fill them.

``{{`` and ``}}`` stand for the braces themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

REST = "**"
"""The capture of what ``**`` took, with the slash before it: ``""``, ``/`` or ``/7/items``."""
VARIABLES = frozenset({"client", "host", "path", "query", "request_id", "route", "side"})
"""What may be filled in besides captures; no capture may have such a name where a template is filled."""

_PLACE = re.compile(r"\{\{|\}\}|/\{\*\*\}|\{([A-Za-z_][A-Za-z0-9_]{0,63}|\*\*)\}|[{}]")


@dataclass(frozen=True, slots=True)
class Template:
    text: str
    parts: tuple[tuple[str, str], ...]
    """(literal, the name of the place behind it or ``""``)."""

    @property
    def names(self) -> frozenset[str]:
        """What has to be filled in."""
        return frozenset(name for _, name in self.parts if name)

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with its places filled; a place without a value is left empty."""
        return "".join(literal + values.get(name, "") if name else literal for literal, name in self.parts)


def parse_template(text: str) -> Template:
    """Raises ValueError saying what is wrong and how to write it."""
    parts: list[tuple[str, str]] = []
    literal = ""
    at = 0
    for found in _PLACE.finditer(text):
        literal += text[at : found.start()]
        at = found.end()
        if found[0] in ("{{", "}}"):
            literal += found[0][0]
        elif found[0] in ("{", "}"):
            raise ValueError(f"in '{text:.80}' a brace stands alone; write {{name}}, or {found[0] * 2} for the brace")
        else:
            # The rest brings its own slash, so that /v2/{**} is /v2 for a path that ends before it.
            parts.append((literal, found[1] or REST))
            literal = ""
    parts.append((literal + text[at:], ""))
    return Template(text, tuple(parts))
