"""Where every part of a YAML text stands in it: what canonical.py moves. Knows positions, and no values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from rules.reading.nodes import events_of

_COMMENT = re.compile(r"(?:(?<=[\s,\[\]{}])|^)#[^\n]*", re.MULTILINE)
_FIRST_DASH = re.compile(r"^( *)-", re.MULTILINE)


@dataclass(slots=True)
class Span:
    """One node: characters ``start`` to ``end`` of the text; a block collection ends with its last child."""

    start: int
    end: int
    column: int
    """From 0."""
    children: list[Span] = field(default_factory=list)
    """Of a mapping key, value, key, value...; of a sequence its items."""
    is_mapping: bool = False
    is_sequence: bool = False
    is_flow: bool = False
    is_block_text: bool = False
    """A scalar in one of the forms ``|`` and ``>``."""
    anchor: str = ""
    alias: str = ""

    @property
    def entries(self) -> list[tuple[Span, Span]]:
        return list(zip(self.children[::2], self.children[1::2], strict=True))

    def walk(self) -> Iterator[Span]:
        """Itself and everything in it, in the order of the text."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Spans:
    root: Span
    comments: list[tuple[int, str]]
    """(where it begins, the comment) of each, in the order of the text."""


def spans_of(text: str) -> Spans:
    """The spans of a text that is one YAML document. Raises yaml.YAMLError otherwise."""
    opened: list[Span] = []
    root: Span | None = None
    comments: list[tuple[int, str]] = []
    reached = 0
    for event in events_of(text):
        if event.start_mark is None or event.end_mark is None:
            continue
        start, end = event.start_mark.index, event.end_mark.index
        if start > reached and text.find("#", reached, start) >= 0:
            comments += _comments(text, reached, start)
        reached = max(reached, end)
        if isinstance(event, yaml.CollectionEndEvent):
            done = opened.pop()
            if done.is_flow:
                done.end = end
            else:
                done.end = max((child.end for child in done.children), default=done.end)
                _begin_at_first(done, text)
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        span = Span(start, end, event.start_mark.column)
        if isinstance(event, yaml.AliasEvent):
            span.alias = event.anchor or ""
        else:
            span.anchor = event.anchor or ""
        if opened:
            opened[-1].children.append(span)
        else:
            root = span
        if isinstance(event, yaml.CollectionStartEvent):
            span.is_mapping = isinstance(event, yaml.MappingStartEvent)
            span.is_sequence = not span.is_mapping
            span.is_flow = bool(event.flow_style)
            opened.append(span)
        elif isinstance(event, yaml.ScalarEvent) and event.style in ("|", ">"):
            span.is_block_text = True
            heading = text.find("\n", start, end)
            comments += _comments(text, start, heading if heading >= 0 else end)
            if "+" not in text[start:heading].partition("#")[0]:
                span.end = _without_blank_lines(text, max(heading, start), end)
    comments += _comments(text, reached, len(text))
    if root is None:
        raise yaml.YAMLError("the text holds no document")
    return Spans(root, comments)


def _without_blank_lines(text: str, start: int, end: int) -> int:
    """Where the last line of a block's text ends that is not blank; only ``|+`` keeps those after it."""
    content = text[start:end].rstrip(" \n")
    last = text.find("\n", start + len(content), end)
    return last + 1 if last >= 0 else end


def _begin_at_first(span: Span, text: str) -> None:
    """A block begins where its first key or dash stands, not at an anchor in the line above."""
    if span.is_mapping:
        first = span.children[0]
        span.start, span.column = first.start, first.column
    elif not text.startswith("-", span.start):
        dash = _FIRST_DASH.search(text, span.start)
        assert dash is not None
        span.start, span.column = dash.end() - 1, len(dash[1])


def _comments(text: str, start: int, end: int) -> list[tuple[int, str]]:
    """Those between two nodes; what separates nodes holds no ``#`` but that of a comment."""
    return [(found.start(), found[0].rstrip()) for found in _COMMENT.finditer(text, start, end)]


def ends_in_block_text(spans: Spans) -> bool:
    """Whether the last value has the form ``|`` or ``>``: then a line end at the end of the file is part of it."""
    last = spans.root
    while last.children:
        last = last.children[-1]
    return last.is_block_text
