"""Kubernetes manifests as plain values that know their places, and which of their fields an import made use of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from rules.imports.draft import ImportFailed, Origin

LARGEST = 16 * 1024 * 1024
"""Bytes of a file."""
MOST_FIELDS = 200_000
DEEPEST = 64


class Field:
    """One value of a manifest; compared by identity. `used` is set by whoever carries what it says."""

    __slots__ = ("entries", "items", "origin", "path", "used", "value")

    def __init__(self, origin: Origin, path: str) -> None:
        self.origin = origin
        self.path = path
        self.used = False
        self.entries: dict[str, Field] = {}
        self.items: list[Field] = []
        self.value: object = None

    def get(self, *names: str) -> Field | None:
        """The field under these names; it, and those on the way, count as used."""
        field: Field | None = self
        for name in names:
            field = field.entries.get(name) if field is not None else None
            if field is not None:
                field.used = True
        return field

    def text(self, *names: str) -> str:
        """``""`` where it is none."""
        field = self.get(*names)
        return "" if field is None or field.value is None or field.value is True else str(field.value)

    def list(self, *names: str) -> list[Field]:
        field = self.get(*names)
        for item in field.items if field is not None else ():
            item.used = True
        return field.items if field is not None else []

    def use_all(self) -> None:
        for field in self.everything():
            field.used = True

    def everything(self) -> Iterator[Field]:
        yield self
        for field in (*self.entries.values(), *self.items):
            yield from field.everything()

    @property
    def is_leaf(self) -> bool:
        return not self.entries and not self.items

    def __bool__(self) -> bool:
        return True


def read_manifests(path: Path) -> list[Field]:
    """Every document of the file; items of a List count as documents. Raises ImportFailed."""
    try:
        if path.stat().st_size > LARGEST:
            raise ImportFailed(f"{path}: larger than {LARGEST // 1024**2} MB")
        text = path.read_text(encoding="utf-8")
        nodes = [node for node in yaml.compose_all(text, Loader=yaml.SafeLoader) if node is not None]
    except OSError as exc:
        raise ImportFailed(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    except UnicodeError as exc:
        raise ImportFailed(f"{path}: not UTF-8 text") from exc
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark is not None else str(path)
        raise ImportFailed(f"{place}: not YAML: {exc.problem or exc.context}") from exc
    except (yaml.YAMLError, RecursionError) as exc:
        why = "it is too deep" if isinstance(exc, RecursionError) else str(exc).partition("\n")[0]
        raise ImportFailed(f"{path}: not YAML that can be read: {why}") from exc
    reader = _Reader(str(path))
    documents = [reader.field(node) for node in nodes]
    return [
        inner for each in documents for inner in (each.list("items") if each.text("kind").endswith("List") else [each])
    ]


class _Reader:
    """Makes fields of nodes; an alias becomes a field of its own, so their number is bounded."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._count = 0

    def field(self, node: yaml.Node, path: str = "", depth: int = 0) -> Field:
        field = Field(Origin(self._file, node.start_mark.line + 1), path)
        self._count += 1
        if self._count > MOST_FIELDS:
            raise ImportFailed(f"{field.origin}: more than {MOST_FIELDS} values")
        if depth > DEEPEST:
            raise ImportFailed(f"{field.origin}: more than {DEEPEST} levels within one another")
        if isinstance(node, yaml.MappingNode):
            self._entries(field, node, depth)
        elif isinstance(node, yaml.SequenceNode):
            field.items = [self.field(item, f"{path}[{number}]", depth + 1) for number, item in enumerate(node.value)]
        elif isinstance(node, yaml.ScalarNode):
            field.value = None if node.tag == "tag:yaml.org,2002:null" else node.value
        return field

    def _entries(self, field: Field, node: yaml.MappingNode, depth: int) -> None:
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            origin = Origin(self._file, key.start_mark.line + 1)
            if name in field.entries:
                raise ImportFailed(f"{origin}: '{name:.80}' stands twice; remove one")
            inner = self.field(value, f"{field.path}.{name}" if field.path else name, depth + 1)
            inner.origin = origin
            field.entries[name] = inner
