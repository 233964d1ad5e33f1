"""The canonical order of keys: that of the models' fields, found by walking annotations beside a file's values.

Keys are put in order by moving their pieces of the text: in a block the lines of a key, with the comments above it; in
braces what stands between two commas.
"""

from __future__ import annotations

import re
import types
import typing
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel

from rules.layout.spans import Span, Spans
from rules.reading.nodes import Plain

MERGE = "<<"


class Forms(NamedTuple):
    """What may stand at one place of a file."""

    models: tuple[type[BaseModel], ...] = ()
    """A mapping that one of these reads."""
    values: tuple[Any, ...] = ()
    """A mapping with names for keys: the annotations of its values."""
    items: tuple[Any, ...] = ()
    """A list: the annotations of its items."""


_KNOWN: dict[tuple[int, ...], tuple[tuple[Any, ...], Forms]] = {}
"""By the identities of annotations, which are kept alive here; there are as many as the grammar has places."""


def order_keys(text: str, spans: Spans, model: type[BaseModel]) -> str:
    """The text, whose spans these are, with every mapping's keys in order, where that does not change what it says."""
    return _Ordering(text, spans).text(model)


def sort_keys(value: Plain, forms: Forms) -> Plain:
    """Plain data with the keys of every mapping in order, those of names as they stand."""
    if isinstance(value, list):
        return [sort_keys(item, forms_of(forms.items)) for item in value]
    if not isinstance(value, dict):
        return value
    forms = _of_mapping(forms)
    keys = list(value)
    return {keys[at]: sort_keys(value[keys[at]], forms_of(_inside(forms, keys[at]))) for at in _in_order(keys, forms)}


def forms_of(annotations: Iterable[Any]) -> Forms:
    """The forms of everything that these annotations allow."""
    wanted = tuple(annotations)
    known = _KNOWN.get(tuple(map(id, wanted)))
    if known is not None:
        return known[1]
    models: list[type[BaseModel]] = []
    values: list[Any] = []
    items: list[Any] = []
    left = list(wanted)
    while left:
        annotation = left.pop(0)
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is Annotated:
            left.append(arguments[0])
        elif origin in (typing.Union, types.UnionType):
            left += arguments
        elif origin is dict:
            values.append(arguments[1])
        elif origin in (tuple, list, set, frozenset):
            items += [each for each in arguments if each is not ...]
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
            models.append(annotation)
    found = Forms(tuple(dict.fromkeys(models)), tuple(values), tuple(items))
    _KNOWN[tuple(map(id, wanted))] = wanted, found
    return found


def _of_mapping(forms: Forms) -> Forms:
    """One mapping may stand for a list of one."""
    return forms if forms.models or forms.values else forms_of(forms.items)


def _inside(forms: Forms, key: str) -> list[Any]:
    """The annotations of what stands under `key` of a mapping of these forms."""
    fields = [field for model in forms.models for field in model.model_fields.items()]
    return [*(info.annotation for name, info in fields if key == (info.alias or name)), *forms.values]


def _in_order(keys: list[str], forms: Forms) -> list[int]:
    """The indices of `keys` in canonical order; a merge key stands first, unknown ones last as they stood.

    Names are never put in order.
    """
    if not forms.models or forms.values:
        return list(range(len(keys)))
    names = [MERGE, *(info.alias or name for model in forms.models for name, info in model.model_fields.items())]
    ranks = {name: rank for rank, name in enumerate(dict.fromkeys(names))}
    return sorted(range(len(keys)), key=lambda index: (ranks.get(keys[index], len(ranks)), index))


_COMMENT_LINE = re.compile(r"([ \t]*)#[^\n]*(?:\n|\Z)")
_BLANK_LINE = re.compile(r"[ \t]*\n")


class _Ordering:
    def __init__(self, text: str, spans: Spans) -> None:
        self._text = text
        self._root = spans.root
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]
        """Where each line begins."""
        self._comments = [at for at, _ in spans.comments]
        names = Counter(span.anchor for span in spans.root.walk() if span.anchor)
        self._twofold = {name for name, count in names.items() if count > 1}

    def text(self, model: type[BaseModel]) -> str:
        return self._piece(0, len(self._text), self._root, forms_of([model]))

    def _piece(self, start: int, end: int, span: Span, forms: Forms) -> str:
        """``text[start:end]``, which holds `span`, with everything in the span in order."""
        pieces: list[str] = []
        for mapping, its_forms in self._mappings(span, forms):
            first, last = self._extent(mapping)
            pieces += [self._text[start:first], self._mapping(mapping, its_forms, first, last)]
            start = last
        return "".join([*pieces, self._text[start:end]])

    def _mappings(self, span: Span, forms: Forms) -> list[tuple[Span, Forms]]:
        """The outermost mappings in a node whose keys are to move."""
        if span.is_sequence:
            its_forms = forms_of(forms.items)
            return [each for item in span.children for each in self._mappings(item, its_forms)]
        if not span.is_mapping:
            return []
        forms = _of_mapping(forms)
        if self._is_to_move(span, forms):
            return [(span, forms)]
        return [each for key, value in span.entries for each in self._mappings(value, self._under(forms, key))]

    def _under(self, forms: Forms, key: Span) -> Forms:
        return forms_of(_inside(forms, self._name(key)))

    def _name(self, key: Span) -> str:
        return self._text[key.start : key.end].strip("'\"")

    def _is_to_move(self, span: Span, forms: Forms) -> bool:
        order = _in_order([self._name(key) for key, _ in span.entries], forms)
        keys = [key for key, _ in span.entries]
        if order == sorted(order) or any(key.children or key.anchor or key.alias for key in keys):
            return False
        if self._anchors_forbid(span, order):
            return False
        if span.is_flow:
            # A comment among the values in braces has no key that it surely belongs to.
            at = bisect_right(self._comments, span.start)
            in_braces = "{" in self._text[span.start : keys[0].start]
            return in_braces and not (at < len(self._comments) and self._comments[at] < span.end)
        before = [self._text[self._line_start(key.start) : key.start] for key in keys]
        return not before[0].strip(" -") and not any(each.strip(" ") for each in before[1:])

    def _anchors_forbid(self, span: Span, order: list[int]) -> bool:
        """An anchor must stand above its aliases."""
        parts = [(place, part) for place, index in enumerate(order) for part in span.entries[index]]
        defined = {node.anchor: place for place, part in parts for node in part.walk() if node.anchor}
        if self._twofold & set(defined):
            return True
        return any(defined.get(node.alias, -1) > place for place, part in parts for node in part.walk() if node.alias)

    def _mapping(self, span: Span, forms: Forms, first: int, last: int) -> str:
        """``text[first:last]``, the extent of a mapping, with its keys in order, and those within its values."""
        order = _in_order([self._name(key) for key, _ in span.entries], forms)
        entries = span.entries
        if span.is_flow:
            ends = [max(key.end, value.end) for key, value in entries]
            pieces = [
                self._piece(key.start, end, value, self._under(forms, key))
                for (key, value), end in zip(entries, ends, strict=True)
            ]
            between = [self._text[end : key.start] for end, (key, _) in zip(ends, entries[1:], strict=False)]
            moved = "".join(pieces[index] + gap for index, gap in zip(order, [*between, ""], strict=True))
            return self._text[first : entries[0][0].start] + moved + self._text[ends[-1] : last]
        line = self._line_start(span.start)
        dashes = self._text[line : span.start] if "-" in self._text[line : span.start] else ""
        starts = [span.start if dashes else first, *(self._lead(span, at) for at in range(1, len(entries)))]
        pieces = [
            self._piece(start, end, value, self._under(forms, key))
            for (key, value), (start, end) in zip(entries, pairwise([*starts, last]), strict=True)
        ]
        pieces = [piece if piece.endswith("\n") else piece + "\n" for piece in pieces]
        if dashes and order[0] != 0:
            pieces[0] = " " * span.column + pieces[0]
        chosen = [pieces[index] for index in order]
        if order[0] != 0:
            chosen[0] = self._first(chosen[0], dashes, span.column)
        elif dashes:
            chosen[0] = dashes + chosen[0]
        return "".join(chosen)

    @staticmethod
    def _first(piece: str, dashes: str, column: int) -> str:
        """A piece that comes to stand first: without blank lines, its comments above the dashes of the list item."""
        while blank := _BLANK_LINE.match(piece):
            piece = piece[blank.end() :]
        if not dashes:
            return piece
        above = ""
        while (found := _COMMENT_LINE.match(piece)) or (found := _BLANK_LINE.match(piece)):
            above += dashes[: len(dashes) - len(dashes.lstrip(" "))] + found[0].lstrip(" ")
            piece = piece[found.end() :]
        return above + dashes + piece[column:]

    def _extent(self, span: Span) -> tuple[int, int]:
        """Where the pieces of a mapping begin and end: comments above belong to it, and deeper ones below."""
        if span.is_flow:
            return span.start, span.end
        line = self._line_start(span.start)
        has_dashes = "-" in self._text[line : span.start]
        first = line if span is self._root or has_dashes else self._up(line, 0, None)
        last = at = self._line_after(span.end)
        while found := _COMMENT_LINE.match(self._text, at) or _BLANK_LINE.match(self._text, at):
            if found.re is _COMMENT_LINE:
                if len(found[1]) <= span.column:
                    break
                last = found.end()
            at = found.end()
            if at >= len(self._text):
                break
        return first, last

    def _lead(self, span: Span, at: int) -> int:
        """Where the piece of an entry begins: with the comments above its key, but for those that stand deeper."""
        key, before = span.entries[at][0], span.entries[at - 1]
        floor = self._line_after(max(before[0].end, before[1].end))
        return self._up(self._line_start(key.start), floor, span.column)

    def _up(self, line: int, floor: int, column: int | None) -> int:
        """The first of the comment and blank lines right above `line`, from `floor` on, none deeper than `column`."""
        while line > floor:
            above = self._line_start(line - 1)
            comment = _COMMENT_LINE.match(self._text, above)
            is_lead = comment is not None and (column is None or len(comment[1]) <= column)
            if not is_lead and not _BLANK_LINE.match(self._text, above):
                break
            line = above
        return line

    def _line_start(self, at: int) -> int:
        return self._lines[bisect_right(self._lines, at) - 1]

    def _line_after(self, at: int) -> int:
        """The line after the one in which something ends; the text of a block ends where the next line begins."""
        line = bisect_right(self._lines, at) - 1
        if self._lines[line] == at and at > 0:
            return at
        return self._lines[line + 1] if line + 1 < len(self._lines) else len(self._text)
