"""Two documents of elements (XML, HTML) side by side: every place where their trees disagree. Pure.

Places are written as XPath has them, with every position given: `/html[1]/body[1]/p[2]/text()[1]` is a text,
`/catalog[1]/item[3]/@price` an attribute. A position counts the elements of that name (or the texts) among their
siblings, from 1; it is legacy's, but of an element that only the candidate has it is the candidate's. Children are
aligned as the items of lists are (walk.py): equal ones first, then those of one name, what is left over is
missing or was added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from shadow.comparing.alignment import align, gaps
from shadow.comparing.differences import DifferenceKind
from shadow.comparing.findings import Findings
from shadow.comparing.paths import escape
from shadow.comparing.reorder import BudgetSpentError
from shadow.comparing.values import ABSENT, Absent
from shadow.comparing.walk import CHARACTERS_PER_STEP, Budget

DEEPEST = 200
"""Levels of elements that are read, as shadow.comparing.values has it for JSON."""
MOST_NODES = 100_000
"""Elements and texts of one document that are read; a document of more is compared as text."""

Child: TypeAlias = "Element | str"
Key: TypeAlias = int | str
"""What stands for a child: equal exactly for children that are. A text stands for itself."""

NOTHING: dict[str, str] = {}
"""The attributes of every element without any: nobody may write into it."""


@dataclass(slots=True)
class Element:
    """An element with what it holds, in order; its texts never stand side by side."""

    name: str
    """In HTML in lower case; in XML ``{namespace}local`` where there is a namespace."""
    attributes: dict[str, str] = field(default_factory=dict)
    children: Sequence[Child] = ()
    key: int = -1
    """The same for elements that are equal, and for no others. Given by Keys."""


_Numbered: TypeAlias = tuple[str, tuple[tuple[str, str], ...], tuple[Key, ...]]
"""Name, attributes in order, and the keys of the children."""


class Keys:
    """Numbers the elements of both documents, equal ones alike."""

    __slots__ = ("_elements", "_known", "_written")

    def __init__(self) -> None:
        self._known: dict[_Numbered, int] = {}
        self._elements: list[_Numbered] = []
        self._written: dict[int, str] = {}

    def give(self, element: Element) -> None:
        """Number an element that is complete, after all that it holds."""
        attributes = element.attributes
        lines = tuple(sorted(attributes.items())) if attributes else ()
        known = self._known
        element.key = known.setdefault((element.name, lines, tuple(map(_key, element.children))), len(known))

    def written(self, key: Key) -> str:
        """A text for a child, of an element a digest, that does not depend on which elements were numbered first."""
        if isinstance(key, str):
            return f"'{key}"
        if len(self._elements) < len(self._known):
            self._elements = list(self._known)
        if key not in self._written:
            name, attributes, children = self._elements[key]
            text = repr((name, attributes, [*map(self.written, children)])).encode("utf-8", "surrogatepass")
            self._written[key] = hashlib.blake2b(text, digest_size=16).hexdigest()
        return self._written[key]


def _key(child: Child) -> Key:
    return child if type(child) is str else child.key  # type: ignore[union-attr]


def compare_trees(legacy: Sequence[Child], candidate: Sequence[Child], keys: Keys, findings: Findings) -> None:
    """Find every difference between two documents, given as what stands at their top, numbered by `keys`."""
    _Trees(keys, findings).children(legacy, candidate)


class _Trees:
    """One comparison; `steps` lead to the element at hand."""

    def __init__(self, keys: Keys, findings: Findings) -> None:
        self._findings = findings
        self._budget = Budget()
        self._written = keys.written
        self._steps: list[tuple[str, int]] = []

    def children(self, a: Sequence[Child], b: Sequence[Child]) -> None:
        one, other = list(map(_key, a)), list(map(_key, b))
        if one == other:
            return
        places, others = _places(a), _places(b)
        try:
            anchors = self._align(one, other)
            found = [(went, came, self._kin(a, b, went, came)) for went, came in gaps(anchors, len(a), len(b))]
            count, rows = len(found), iter(found)
        except BudgetSpentError:
            if len(a) != len(b):
                left_size, right_size = (f"{len(side)} elements and texts" for side in (a, b))
                self._found(DifferenceKind.NOT_LOCATED, left_size, right_size)
                return
            # By position is a true account of as many children, if perhaps not the shortest.
            apart = [index for index, (mine, its) in enumerate(zip(one, other, strict=True)) if mine != its]
            count, rows = len(apart), (_standing(a[index], b[index], index) for index in apart)
        for number, (went, came, kin) in enumerate(rows):
            if self._findings.full:
                self._findings.add_more(count - number)
                return
            for left, right in kin:
                self._pair(a[went[left]], b[came[right]], places[went[left]])
            for index in _without(went, (left for left, _ in kin)):
                self._found(DifferenceKind.ITEM_MISSING, markup(a[index]), ABSENT, places[index])
            for index in _without(came, (right for _, right in kin)):
                self._found(DifferenceKind.ITEM_ADDED, ABSENT, markup(b[index]), others[index])

    def _kin(self, a: Sequence[Child], b: Sequence[Child], went: range, came: range) -> list[tuple[int, int]]:
        """What lies between two equal children: elements of one name go together, and texts do."""
        return self._align([_name(a[index]) for index in went], [_name(b[index]) for index in came])

    def _align(self, a: Sequence[Key], b: Sequence[Key]) -> list[tuple[int, int]]:
        if len(a) == len(b) == 1:
            return [(0, 0)] if a == b else []
        for side in (a, b):
            self._budget.spend(sum(len(key) for key in side if type(key) is str) // CHARACTERS_PER_STEP)
        return align(a, b, self._budget.spend, None, self._written)

    def _pair(self, a: Child, b: Child, step: tuple[str, int]) -> None:
        if not isinstance(a, Element) or not isinstance(b, Element):
            self._found(DifferenceKind.VALUE_CHANGED, markup(a), markup(b), step)
            return
        self._steps.append(step)
        for name in a.attributes | b.attributes if a.attributes != b.attributes else ():
            one, other = a.attributes.get(name, ABSENT), b.attributes.get(name, ABSENT)
            if one != other:
                kind = DifferenceKind.VALUE_CHANGED
                if isinstance(one, Absent) or isinstance(other, Absent):
                    kind = DifferenceKind.ADDED if isinstance(one, Absent) else DifferenceKind.MISSING
                self._found(kind, one, other, (f"@{_local(name)}", 0))
        self.children(a.children, b.children)
        self._steps.pop()

    def _found(self, kind: DifferenceKind, a: str | Absent, b: str | Absent, *below: tuple[str, int]) -> None:
        steps = [*self._steps, *below]
        pointer = "".join(f"/{escape(name)}[{place}]" if place else f"/{escape(name)}" for name, place in steps)
        path = "".join(f"/{escape(name)}[*]" if place else f"/{escape(name)}" for name, place in steps)
        self._findings.add(kind, pointer, path, a, b)


_Row: TypeAlias = tuple[range, range, list[tuple[int, int]]]
"""Children of both sides that do not agree, and which of them go together."""


def _standing(a: Child, b: Child, place: int) -> _Row:
    here = range(place, place + 1)
    return here, here, [(0, 0)] if _name(a) == _name(b) else []


def _name(child: Child) -> str:
    return child.name if isinstance(child, Element) else "text()"


def _local(name: str) -> str:
    """A name without its namespace: what people write in a path."""
    return name.rpartition("}")[2]


def _places(children: Sequence[Child]) -> list[tuple[str, int]]:
    """The step to each child: its name, and its position among those of that name, from 1."""
    seen: dict[str, int] = {}
    steps = []
    for child in children:
        name = "text()" if type(child) is str else _local(child.name)  # type: ignore[union-attr]
        seen[name] = place = seen.get(name, 0) + 1
        steps.append((name, place))
    return steps


def _without(places: range, taken: Iterable[int]) -> list[int]:
    gone = set(taken)
    return [place for index, place in enumerate(places) if index not in gone]


def markup(child: Child) -> str:
    """A child as a person reads it: the text itself, or the element in markup."""
    if isinstance(child, str):
        return child
    attributes = "".join(f' {name}="{value}"' for name, value in child.attributes.items())
    inner = "".join(map(markup, child.children))
    return f"<{child.name}{attributes}>{inner}</{child.name}>" if inner else f"<{child.name}{attributes}/>"
