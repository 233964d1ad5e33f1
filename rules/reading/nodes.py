"""YAML text to a tree of located nodes: what stands where, duplicates refused, aliases bounded. Knows YAML, and no key.

The tree is built from PyYAML's events (libyaml's where it is there), never by constructing objects, so nothing that a
file says is run. What plain scalars mean is scalars.py's, what variables hold variables.py's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import yaml

from rules.problems import Place, Problem
from rules.reading.scalars import resolve
from rules.reading.variables import VariableError, Variables

DEEPEST = 100
"""Levels of nesting. The grammar needs a dozen; deeper files would exhaust the stack of whatever walks them."""
LARGEST_FILE = 64 * 1024 * 1024
"""Bytes."""
TOO_LARGE = "the file is larger than 64 MB; split it into a folder"
ALIAS_ALLOWANCE = 50_000
ALIAS_FACTOR = 10
ALIAS_MOST = 5_000_000
"""Aliases may bring in ALIAS_ALLOWANCE nodes, and ALIAS_FACTOR for each node that is written out, but never more than
ALIAS_MOST: ten lines of anchors ("billion laughs") otherwise expand into more than any machine holds."""
_LONG_TEXT = 100
"""Characters of a text that count as one more value when an alias repeats it."""
_MOST_TEXTS = 10_000
"""Distinct short texts that a composer keeps one of each of."""

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
        for name, value in self.entries:  # plain loops: checks ask a million times of a large file
            if name[0] == key:
                return value
        return None

    def key(self, key: str) -> Scalar | None:
        """The key itself, for its place."""
        for name, _ in self.entries:
            if name[0] == key:
                return name
        return None

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


class Parsed(NamedTuple):
    """What could be read of a text."""

    root: Node | None
    """None when the text holds nothing; what stands before the place where reading stopped when it is not `whole`."""
    problems: list[Problem]
    whole: bool
    """Read to its end: what is not in `root` is not in the text."""


def plain(node: Node) -> Plain:
    """The values alone, as JSON knows them."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {str(key.value): plain(value) for key, value in node.entries}


def parse(text: str, file: str, variables: Variables | None = None) -> tuple[Node | None, list[Problem]]:
    """The root node of the one document in `text`, and every problem found; None when the text is no YAML or empty.

    Variables are filled in from `variables`, and left as they are written without them.
    """
    parsed = parse_text(text, file, variables)
    return parsed.root if parsed.whole else None, parsed.problems


def parse_text(text: str, file: str, variables: Variables | None = None) -> Parsed:
    """As `parse`; where the text is no YAML from some place on, what stands before it."""
    if len(text) > LARGEST_FILE:
        return Parsed(None, [Problem(Place(file, 1, 1), TOO_LARGE, "yaml")], whole=False)
    composer = _Composer(file, variables)
    problems = composer.problems
    try:
        composer.take(events_of(text))
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)
        problems.append(Problem(place, f"{_syntax(exc, text, place)}; nothing after this place was checked", "yaml"))
    except yaml.YAMLError as exc:  # a character that YAML does not allow, such as NUL
        problems.append(Problem(_character(text, file), f"not YAML: {exc}".splitlines()[0], "yaml"))
    except _StopError:
        pass
    else:
        if composer.root is None and not problems:
            composer.problem(
                1, 1, "the file is empty; begin with 'version: 1', 'services' and 'legacy', or remove it", "empty"
            )
        return Parsed(composer.root, problems, whole=True)
    return Parsed(composer.so_far(), problems, whole=False)


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def events_of(text: str) -> Iterator[yaml.Event]:
    loader = _LOADER(text)
    try:
        while (event := loader.get_event()) is not None:
            yield event
    finally:
        loader.dispose()


def _syntax(exc: yaml.MarkedYAMLError, text: str, place: Place) -> str:
    lines = text.splitlines()
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    if "\t" in line[: place.column]:
        return "a tab cannot indent YAML; use spaces"
    context = f" {exc.context}" if exc.context else ""
    braces = ""
    if "flow" in context:
        braces = "; a path with braces needs quotes here" if "/{" in line else ""
        braces = "; a variable within {} or [] needs quotes, or a line of its own" if "${" in line else braces
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

    __slots__ = ("anchor", "column", "height", "is_mapping", "items", "line", "size")

    def __init__(self, event: yaml.CollectionStartEvent, is_mapping: bool) -> None:
        self.anchor: str | None = event.anchor
        self.line, self.column = _position(event)
        self.is_mapping = is_mapping
        self.items: list[Node] = []
        self.size = 1
        self.height = 1
        """Levels of nesting from this one down."""

    @property
    def awaits_key(self) -> bool:
        return self.is_mapping and len(self.items) % 2 == 0


class _Composer:
    """Takes events, builds nodes. Keeps its own stack, so that depth is a problem to report and not a crash."""

    def __init__(self, file: str, variables: Variables | None) -> None:
        self.file = file
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._variables = variables
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int, int]] = {}
        """By name: what stands there, its size and its height."""
        self._texts: dict[str, str] = {}
        """Short texts by themselves: a large file says ``methods`` and ``GET`` a hundred thousand times."""
        self._line = 0
        self._written = 0
        self._aliased = 0
        self._documents = 0

    def problem(self, line: int, column: int, message: str, code: str) -> None:
        self.problems.append(Problem(Place(self.file, line, column), message, code))

    def take(self, events: Iterator[yaml.Event]) -> None:
        for event in events:
            if isinstance(event, yaml.ScalarEvent):
                scalar = self._scalar(event)
                value = scalar.value
                size = 1 + len(value) // _LONG_TEXT if isinstance(value, str) else 1
                self._written += size
                self._add(scalar, size, event.anchor)
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                self._begin(event, isinstance(event, yaml.MappingStartEvent))
            elif isinstance(event, yaml.CollectionEndEvent):
                done = self._open.pop()
                self._written += 1
                self._add(self._collection(done), done.size, done.anchor, done.height)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                self._documents += 1
                if self._documents == 2:
                    self.problem(*_position(event), "a second document; a rules file holds one (remove '---')", "yaml")
                    raise _StopError

    def so_far(self) -> Node | None:
        """What stands before the place where reading stopped: whole entries, and whole items of the last one."""
        if not self._open:
            return self.root
        root = self._open[0]
        if not root.is_mapping:
            return None
        if not root.awaits_key:
            inner = self._open[1] if len(self._open) > 1 else None
            if inner is None:
                root.items.pop()
            else:
                if inner.is_mapping and not inner.awaits_key:
                    inner.items.pop()
                root.items.append(self._collection(inner))
        return self._collection(root)

    def _begin(self, event: yaml.CollectionStartEvent, is_mapping: bool) -> None:
        if len(self._open) >= DEEPEST:
            self.problem(*_position(event), f"nested more than {DEEPEST} levels deep", "yaml")
            raise _StopError
        if event.tag is not None:
            self._refuse_tag(event)
        self._open.append(_Open(event, is_mapping))

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        line, column = _position(event)
        if line == self._line:
            line = self._line  # one number for all that stands in the line, not one each
        else:
            self._line = line
        text: str = event.value
        is_plain = not event.style and event.tag is None  # libyaml says '', PyYAML's own parser None
        if event.tag is not None and event.tag != "tag:yaml.org,2002:str":
            self._refuse_tag(event)
        is_value = not (self._open and self._open[-1].awaits_key)
        if "${" in text and is_value and self._variables is not None:
            text, is_plain = self._filled(self._variables, text, is_plain, Place(self.file, line, column))
        elif len(text) < 40:
            known = self._texts.get(text)
            if known is not None:
                text = known
            elif len(self._texts) < _MOST_TEXTS:
                self._texts[text] = text
        return Scalar(resolve(text) if is_plain else text, self.file, line, column)

    def _filled(self, variables: Variables, text: str, is_plain: bool, place: Place) -> tuple[str, bool]:
        """The value with its variables, and whether it still is a plain scalar: ``${N}`` may be a number."""
        try:
            return variables.fill(text, place, is_plain), is_plain
        except VariableError as exc:
            self.problems.append(Problem(place, str(exc), "variable"))
            return "", False  # no text that other checks would find fault with a second time

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        self.problem(*_position(event), f"the tag '{event.tag}' is not used here; remove it", "yaml")

    def _alias(self, event: yaml.AliasEvent) -> None:
        line, column = _position(event)
        name = event.anchor
        if name not in self._anchors:
            inside = any(collection.anchor == name for collection in self._open)
            why = "stands inside what it names" if inside else "names no anchor above it"
            self.problem(line, column, f"the alias '*{name}' {why}", "yaml")
            self._add(Scalar(None, self.file, line, column), 1, None)
            return
        node, size, height = self._anchors[name]
        self._written += 1
        self._aliased += size
        if self._aliased > min(ALIAS_MOST, ALIAS_ALLOWANCE + ALIAS_FACTOR * self._written):
            self.problem(line, column, f"aliases expand to more than {self._aliased:,} values; write them out", "yaml")
            raise _StopError
        if len(self._open) + height > DEEPEST:
            self.problem(line, column, f"with what '*{name}' names, nested more than {DEEPEST} levels deep", "yaml")
            raise _StopError
        self._add(node, size, None, height)

    def _add(self, node: Node, size: int, anchor: str | None, height: int = 0) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, size, height)
        if self._open:
            above = self._open[-1]
            above.items.append(node)
            above.size += size
            if height >= above.height:
                above.height = height + 1
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
                entries[name] = (key if key.value is name else key._replace(value=name), value)
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
