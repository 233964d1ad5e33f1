"""Canonical indentation: two spaces a level, also for the dashes of a list; comments go along with what they stand at.

Lines are shifted as wholes, so that what stands in them does not change. The text of a block (``|``) is shifted with
its key, and lines within quotes or braces with the line in which those begin.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from rules.layout.spans import Span, Spans

STEP = 2
"""Spaces of a level."""
_COMMENT = re.compile(r"( *)#")


@dataclass(frozen=True, slots=True)
class _Start:
    """A line with which a key or list item begins."""

    columns: tuple[tuple[int, int], ...]
    """(as it is, as it is to be) of the first dash or key, and of every dash or key behind it in the line."""
    skip: int
    """Characters of the line that make room for `prefix`."""
    prefix: str


def indented(text: str, spans: Spans) -> str:
    """The text, whose spans these are, with canonical indentation, without blank lines in a row or at either end."""
    return _Indentation(text, spans).text()


class _Indentation:
    def __init__(self, text: str, spans: Spans) -> None:
        self._lines = text.split("\n")
        self._offsets = [0]
        for line in self._lines:
            self._offsets.append(self._offsets[-1] + len(line) + 1)
        self._starts: dict[int, _Start] = {}
        self._continues: dict[int, int] = {}
        """Lines within a value that began in an earlier line: by how many columns they move."""
        self._walk(spans.root, 0)
        self._below: list[_Start | None] = [None]
        """For each line what begins after it next; filled from the end."""
        for number in range(len(self._lines) - 1, 0, -1):
            self._below.append(self._starts.get(number, self._below[-1]))
        self._below.reverse()

    def text(self) -> str:
        found: list[str] = []
        above: list[tuple[int, int]] = []
        """The columns in which something stands above, outermost first: as they were, and as they are."""
        in_value = 0
        """How many of `found`, from the first on, end with a line within a value: those are not ours to take away."""
        for number, line in enumerate(self._lines):
            start = self._starts.get(number)
            if start is not None:
                found.append((start.prefix + line[start.skip :]).rstrip())
                above = [each for each in above if each[0] < start.columns[0][0]] + list(start.columns)
            elif number in self._continues:
                found.append(_shifted(line, self._continues[number]))
                in_value = len(found)
            elif not line.strip():
                if found and (found[-1] or in_value == len(found)):
                    found.append("")
            elif comment := _COMMENT.match(line):
                column = self._column_of_comment(len(comment[1]), number, above)
                found.append(" " * column + line[comment.end() - 1 :].rstrip())
            else:  # a document's marker, or a value in braces as the whole file
                found.append(line.rstrip())
        while len(found) > in_value and not found[-1]:
            found.pop()
        ends_in_value = len(self._lines) - 1 in self._continues
        return "\n".join(found) + ("" if ends_in_value else "\n")

    def _column_of_comment(self, column: int, number: int, above: list[tuple[int, int]]) -> int:
        """Where a comment goes: with the line below it if it stands as deep, else with what is as deep above it."""
        below = self._below[number]
        places = dict(above) | dict(below.columns[:1] if below is not None else ((0, 0),))
        if column in places:
            return places[column]
        shallower = [place for place in places.items() if place[0] < column]
        if not shallower:
            return column
        was, is_now = max(shallower)
        return is_now + column - was

    def _walk(self, span: Span, column: int) -> None:
        """Note the lines of a node that is to stand in `column`."""
        if span.is_flow or not (span.is_mapping or span.is_sequence):
            return
        heads = self._dashes(span) if span.is_sequence else [key.start for key, _ in span.entries]
        for head, parts in zip(heads, _parts(span), strict=True):
            self._begin(head, column)
            for part in parts:
                is_block = (part.is_mapping or part.is_sequence) and not part.is_flow
                if is_block:
                    self._walk(part, column + STEP)
                else:
                    self._continue(part, column - span.column)

    def _begin(self, head: int, column: int) -> None:
        number = self._line_of(head)
        line, at = self._lines[number], head - self._offsets[number]
        before = line[:at]
        width = 2 if line[at : at + 1] == "-" and line[at + 1 : at + 2] in ("", " ", "\t") else 0
        gap = len(line) - at - 1 - len(line[at + 1 :].lstrip(" ")) if width else 0
        known = self._starts.get(number)
        if before.strip(" ") and known is None:
            return  # behind '? ', ': ' or a marker: it stays where it is
        columns = (*(known.columns if known is not None else ()), (at, column))
        prefix = " " * column if known is None else known.prefix
        skip = at
        if width and line[at + 1 :].strip():
            prefix, skip = prefix + "- ", at + 1 + gap
        elif width:
            prefix, skip = prefix + "-", len(line)
        self._starts[number] = _Start(columns, skip, prefix)

    def _continue(self, span: Span, by: int) -> None:
        last = self._line_of(span.end)
        if span.is_block_text and span.end == self._offsets[last] and last > 0:
            last -= 1
        for number in range(self._line_of(span.start) + 1, last + 1):
            self._continues[number] = by

    def _dashes(self, span: Span) -> list[int]:
        """Where the dash of each item of a block list stands."""
        found = [span.start]
        for item in span.children[:-1]:
            number = self._line_of(item.end)
            number += self._offsets[number] != item.end  # the text of a block ends where the next line begins
            while not self._is_dash(number, span.column):
                number += 1  # comments and blank lines
            found.append(self._offsets[number] + span.column)
        return found

    def _is_dash(self, number: int, column: int) -> bool:
        line = self._lines[number]
        return line[:column].strip(" ") == "" and line[column : column + 1] == "-"

    def _line_of(self, at: int) -> int:
        return min(bisect_right(self._offsets, at) - 1, len(self._lines) - 1)


def _parts(span: Span) -> list[tuple[Span, ...]]:
    return [(item,) for item in span.children] if span.is_sequence else list(span.entries)


def _shifted(line: str, by: int) -> str:
    if by >= 0:
        return " " * by + line if line.strip() else line
    spaces = len(line) - len(line.lstrip(" "))
    return line[min(-by, spaces) :]
