"""Texts with places to fill: ``/catalog/{id}``, ``/v2/{**}``, ``https://{host}``. Captures of the match fill them.

``{{`` and ``}}`` stand for the braces themselves. Templates are parsed when rules are loaded; filling one is joining
strings. What may be filled into a header line or a query is made safe here, whatever it was in the request.
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
_NOT_FOR_A_LINE = re.compile(r"[^\x20-\x7e]")
_NOT_FOR_A_PARAMETER = re.compile(r"[^!$%'()*,\-./0-9:;=?@A-Z_a-z~]")
_NOT_FOR_A_QUERY = re.compile(r"[^!$%&'()*+,\-./0-9:;=?@A-Z_a-z~\[\]{|}^`]")
_GROUP = re.compile(r"\\(.?)", re.DOTALL)


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass"))


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
        return "".join([literal + values.get(name, "") if name else literal for literal, name in self.parts])

    def fill_line(self, values: Mapping[str, str]) -> str:
        """For a header line: what is filled in has every byte that is not printable ASCII percent-encoded."""
        if len(self.parts) == 1:
            return self.parts[0][0]
        text = ""
        for literal, name in self.parts:
            value = values.get(name, "") if name else ""
            if not (value.isascii() and value.isprintable()):
                value = _NOT_FOR_A_LINE.sub(_escaped, value)
            text += literal + value
        return text

    def fill_query(self, values: Mapping[str, str]) -> str:
        """For a query: what is filled in cannot end its parameter or begin another, but ``{query}`` stays a query."""
        if len(self.parts) == 1:
            return self.parts[0][0]
        text = ""
        for literal, name in self.parts:
            forbidden = _NOT_FOR_A_QUERY if name == "query" else _NOT_FOR_A_PARAMETER
            text += literal + (forbidden.sub(_escaped, values.get(name, "")) if name else "")
        return text

    def split(self, mark: str) -> tuple[Template, Template | None]:
        """The templates before and after the first `mark` that is written out, one character; None without one."""
        for number, (literal, name) in enumerate(self.parts):
            before, found, after = literal.partition(mark)
            if found:
                return (
                    Template(self.text, (*self.parts[:number], (before, ""))),
                    Template(self.text, ((after, name), *self.parts[number + 1 :])),
                )
        return self, None


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


def parse_replacement(text: str) -> tuple[str | int, ...]:
    r"""What takes the place of a regex's finds: literals and numbers of groups, of ``/\1/items`` (``\\``: a backslash).

    Raises ValueError saying what is wrong and how to write it.
    """
    parts: list[str | int] = []
    at = 0
    for found in _GROUP.finditer(text):
        if found[1] != "\\" and not (found[1].isascii() and found[1].isdigit()):
            raise ValueError(rf"in '{text:.80}': '{found[0]}' names no group; write \1 for the first one")
        parts += [text[at : found.start()], "\\" if found[1] == "\\" else int(found[1])]
        at = found.end()
    return tuple(part for part in (*parts, text[at:]) if part != "")
