"""How an exported test of XML or HTML compares: trees of elements held against each other, under masks.

This file's code stands in such a test, below that of standalone.py and of the module of shadow.comparing that reads the
body, so it uses no more than they do. Without masks it decides as shadow.comparing does; what it calls missing or extra
among children of one element it finds from both ends and by name, and so it may name other places than fig.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from shadow.exporting.standalone import excuse, ignored, same

# --- embedded from here on


def document_differences(
    expected: Sequence[Any], actual: Sequence[Any], masks: Sequence[dict[str, Any]], above: str = ""
) -> Iterator[str]:
    """What differs below one element and no mask excuses, a line each."""
    steps, others = (list(places_of(children, above)) for children in (expected, actual))
    head = 0
    while head < min(len(expected), len(actual)) and alike(expected[head], actual[head]):
        head += 1
    tail = 0
    while tail < min(len(expected), len(actual)) - head and alike(expected[-1 - tail], actual[-1 - tail]):
        tail += 1
    went, came = list(range(head, len(expected) - tail)), list(range(head, len(actual) - tail))
    while went and came:
        one, other = expected[went[0]], actual[came[0]]
        if name_of(one) == name_of(other):
            yield from child_differences(one, other, masks, steps[went.pop(0)])
            came.pop(0)
        elif name_of(one) in [name_of(actual[index]) for index in came]:
            yield from stray(others[came.pop(0)], "extra", masks)
        else:
            yield from stray(steps[went.pop(0)], "missing", masks)
    for index in went:
        yield from stray(steps[index], "missing", masks)
    for index in came:
        yield from stray(others[index], "extra", masks)


def child_differences(expected: Any, actual: Any, masks: Sequence[dict[str, Any]], place: str) -> Iterator[str]:
    """Of two elements of one name, or of two texts."""
    if isinstance(expected, str) or isinstance(actual, str):
        if not same(expected, actual) and not excuse(place, expected, actual, masks):
            yield f"{place}: expected {expected!r}, got {actual!r}"
        return
    for name in [*expected.attributes, *(name for name in actual.attributes if name not in expected.attributes)]:
        at = f"{place}/@{step_of(name)}"
        one, other = expected.attributes.get(name), actual.attributes.get(name)
        if one is None or other is None:
            yield from stray(at, "missing" if other is None else "extra", masks)
        elif not same(one, other) and not excuse(at, one, other, masks):
            yield f"{at}: expected {one!r}, got {other!r}"
    yield from document_differences(expected.children, actual.children, masks, place)


def stray(place: str, what: str, masks: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not ignored(place, masks):
        yield f"{place}: is {what}"


def alike(one: Any, other: Any) -> bool:
    """Equal, where secrets of legacy's answer stand for any text."""
    if isinstance(one, str) or isinstance(other, str):
        return same(one, other)
    return (
        one.name == other.name
        and one.attributes.keys() == other.attributes.keys()
        and all(same(value, other.attributes[name]) for name, value in one.attributes.items())
        and len(one.children) == len(other.children)
        and all(map(alike, one.children, other.children))
    )


def name_of(child: Any) -> str:
    return "text()" if isinstance(child, str) else child.name


def step_of(name: str) -> str:
    """A name as a path has it, without its namespace."""
    return name.rpartition("}")[2].replace("~", "~0").replace("/", "~1")


def places_of(children: Sequence[Any], above: str) -> Iterator[str]:
    """``/p[2]`` for the second <p>."""
    seen: Counter[str] = Counter()
    for child in children:
        step = step_of(name_of(child))
        seen[step] += 1
        yield f"{above}/{step}[{seen[step]}]"
