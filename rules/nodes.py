"""YAML text to a tree of located nodes: what stands where, duplicates refused, aliases bounded. Knows YAML, and no key.

The tree is built from PyYAML's events (libyaml's where it is there), never by constructing objects, so nothing that a
file says is run. Plain scalars follow YAML 1.2's core schema: ``true``, ``null``, ``12`` and ``1.5`` mean what they
look like, and ``no``, ``on``, ``1:30`` and ``2024-01-01`` are text (in YAML 1.1 ``country: NO`` is false).
"""

from __future__ import annotations

import re
from typing import NamedTuple, TypeAlias

import yaml

from rules.problems import Place, Problem

DEEPEST = 100
"""Levels of nesting. The grammar needs 8; deeper files would exhaust the stack of whatever walks them."""
LARGEST_FILE = 64 * 1024 * 1024
"""Characters."""
ALIAS_ALLOWANCE = 50_000
ALIAS_FACTOR = 10
"""Aliases may bring in ALIAS_ALLOWANCE nodes, and ALIAS_FACTOR for each node that is written out: ten lines of
anchors ("billion laughs") otherwise expand into more than any machine holds."""

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"


class Scalar(NamedTuple):
    value: bool | int | float | str | None
    file: str
    line: int
    column: int

    @property
    def place(self) -> Place:
        return Place(self.file, self.line, self.column)


class Mapping(NamedTuple):
    entries: tuple[tuple[Scalar, Node], ...]
    """Keys are text and unique; merge keys (``<<``) are already resolved."""
    file: str
    line: int
    column: int

    @property
    def place(self) -> Place:
        return Place(self.file, self.line, self.column)

    def get(self, key: str) -> Node | None:
        """The value of `key`, or None when it is absent."""
        return next((value for name, value in self.entries if name.value == key), None)

    def key(self, key: str) -> Scalar | None:
        """The key itself, for its place."""
        return next((name for name, _ in self.entries if name.value == key), None)

    def without(self, *keys: str) -> Mapping:
        """The same mapping without `keys`."""
        return self._replace(entries=tuple(entry for entry in self.entries if entry[0].value not in keys))


class Sequence(NamedTuple):
    items: tuple[Node, ...]
    file: str
    line: int
    column: int

    @property
    def place(self) -> Place:
        return Place(self.file, self.line, self.column)


Node: TypeAlias = Scalar | Mapping | Sequence


def plain(node: Node) -> Plain:
    """The values alone, as JSON knows them."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {str(key.value): plain(value) for key, value in node.entries}


def parse(text: str, file: str) -> tuple[Node | None, list[Problem]]:
    """The root node of the one document in `text`, and every problem found; None when the text is no YAML or empty."""
    if len(text) > LARGEST_FILE:
        return None, [Problem(Place(file, 1, 1), "the file is larger than 64 MB; split it into a folder", "yaml")]
    composer = _Composer(file)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            composer.take(event)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)
        return None, [*composer.problems, Problem(place, _syntax(exc, text, place), "yaml")]
    except yaml.YAMLError as exc:  # a character that YAML does not allow, such as NUL
        return None, [*composer.problems, Problem(_character(text, file), f"not YAML: {exc}".splitlines()[0], "yaml")]
    except _StopError:
        return None, composer.problems
    if composer.root is None and not composer.problems:
        composer.problem(
            1, 1, "the file is empty; begin with 'version: 1', 'services' and 'legacy', or remove it", "empty"
        )
    return composer.root, composer.problems


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18}|[0-9]{1,18})(?:[eE][-+]?[0-9]{1,2})?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def _resolve(text: str) -> bool | int | float | str | None:
    """What a plain scalar means in YAML 1.2's core schema; numbers of absurd length stay text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _syntax(exc: yaml.MarkedYAMLError, text: str, place: Place) -> str:
    lines = text.splitlines()
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    if "\t" in line[: place.column]:
        return "a tab cannot indent YAML; use spaces"
    context = f" {exc.context}" if exc.context else ""
    braces = "; a path with braces needs quotes here" if "flow" in context and "/{" in line else ""
    return f"not YAML: {exc.problem or 'cannot be read'}{context}{braces}"


def _character(text: str, file: str) -> Place:
    found = re.search(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
    before = text[: found.start()] if found else ""
    return Place(file, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


def _position(event: yaml.Event) -> tuple[int, int]:
    """Line and column from 1."""
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


class _StopError(Exception):
    """The file is not worth reading on; the problem that says why is already noted."""


class _Open:
    """A collection whose end has not come yet."""

    __slots__ = ("anchor", "column", "is_mapping", "items", "line", "size")

    def __init__(self, event: yaml.CollectionStartEvent, is_mapping: bool) -> None:
        self.anchor: str | None = event.anchor
        self.line, self.column = _position(event)
        self.is_mapping = is_mapping
        self.items: list[Node] = []
        self.size = 1


class _Composer:
    """Takes events, builds nodes. Keeps its own stack, so that depth is a problem to report and not a crash."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._written = 0
        self._aliased = 0
        self._documents = 0

    def problem(self, line: int, column: int, message: str, code: str) -> None:
        self.problems.append(Problem(Place(self.file, line, column), message, code))

    def take(self, event: yaml.Event) -> None:
        line, column = _position(event)
        if isinstance(event, yaml.ScalarEvent):
            self._add(self._scalar(event, line, column), 1, event.anchor)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            if len(self._open) >= DEEPEST:
                self.problem(line, column, f"nested more than {DEEPEST} levels deep", "yaml")
                raise _StopError
            if event.tag is not None:
                self._refuse_tag(event.tag, line, column)
            self._open.append(_Open(event, isinstance(event, yaml.MappingStartEvent)))
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self._open.pop()
            self._add(self._collection(done), done.size, done.anchor)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event, line, column)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents == 2:
                self.problem(line, column, "a second document; a rules file holds one (remove '---')", "yaml")
                raise _StopError

    def _scalar(self, event: yaml.ScalarEvent, line: int, column: int) -> Scalar:
        text: str = event.value
        if event.tag is not None and event.tag != "tag:yaml.org,2002:str":
            self._refuse_tag(event.tag, line, column)
        is_plain = not event.style and event.tag is None  # libyaml says '', PyYAML's own parser None
        value = _resolve(text) if is_plain else text
        return Scalar(value, self.file, line, column)

    def _refuse_tag(self, tag: str, line: int, column: int) -> None:
        self.problem(line, column, f"the tag '{tag}' is not used here; remove it", "yaml")

    def _alias(self, event: yaml.AliasEvent, line: int, column: int) -> None:
        name = event.anchor
        if name not in self._anchors:
            inside = any(collection.anchor == name for collection in self._open)
            why = "stands inside what it names" if inside else "names no anchor above it"
            self.problem(line, column, f"the alias '*{name}' {why}", "yaml")
            self._add(Scalar(None, self.file, line, column), 1, None)
            return
        node, size = self._anchors[name]
        self._aliased += size
        if self._aliased > ALIAS_ALLOWANCE + ALIAS_FACTOR * self._written:
            self.problem(line, column, f"aliases expand to more than {self._aliased:,} values; write them out", "yaml")
            raise _StopError
        self._add(node, size, None)

    def _add(self, node: Node, size: int, anchor: str | None) -> None:
        self._written += 1
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        if self._open:
            self._open[-1].items.append(node)
            self._open[-1].size += size
        else:
            empty = isinstance(node, Scalar) and node.value is None
            self.root = None if empty else node

    def _collection(self, done: _Open) -> Node:
        if not done.is_mapping:
            return Sequence(tuple(done.items), self.file, done.line, done.column)
        entries: dict[str, tuple[Scalar, Node]] = {}
        merged: list[Node] = []
        for key, value in zip(done.items[::2], done.items[1::2], strict=True):
            if not isinstance(key, Scalar):
                self.problem(key.line, key.column, "a key must be text, not a list or a mapping", "yaml")
                continue
            name = key.value if isinstance(key.value, str) else _key_text(key.value)
            if name == "<<":
                merged.extend(value.items if isinstance(value, Sequence) else (value,))
            elif name in entries:
                first = entries[name][0].line
                message = f"duplicate key '{name}' (first in line {first}); remove one of them"
                self.problem(key.line, key.column, message, "duplicate-key")
            else:
                entries[name] = (key._replace(value=name), value)
        for source in merged:
            if isinstance(source, Mapping):
                for key, value in source.entries:
                    entries.setdefault(str(key.value), (key, value))
            else:
                self.problem(source.line, source.column, "'<<' merges mappings only", "yaml")
        return Mapping(tuple(entries.values()), self.file, done.line, done.column)


def _key_text(value: bool | int | float | None) -> str:
    """How a key that is no text reads; all keys of the grammar are text, so this only names it in a problem."""
    return "null" if value is None else str(value).lower()
