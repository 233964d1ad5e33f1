"""Answers of a megabyte that are made to be hard to compare: JSON lists, and documents of HTML and XML. Data only."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from shadow.comparing.trees import MOST_NODES
from shadow.spec import Comparison

Hostile = dict[str, tuple[str, bytes, bytes, Comparison]]
"""What it is -> content type, both bodies, the masks."""

JSON, HTML, XML = "application/json", "text/html; charset=utf-8", "application/xml"
PLAIN = Comparison()
ANY_ORDER = Comparison.model_validate({"masks": [{"path": "/**", "kind": "any_order"}]})


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def lists() -> Hostile:
    alike = [
        {"n": number, "name": "an item that is like all the others", "tags": ["a", "b"]} for number in range(14_000)
    ]
    changed = [{**item, "name": "an item that is like all the rest"} for item in alike]
    chance = Random(1)
    shuffled = changed[:]
    chance.shuffle(shuffled)
    bits = [[chance.randrange(2) for _ in range(500_000 - less)] for less in (0, 1)]
    found = {
        "items nearly alike, reversed": (alike, alike[::-1], PLAIN),
        "items nearly alike, reversed, one less": (alike, alike[:0:-1], PLAIN),
        "every item changed and shuffled, any order": (alike, shuffled, ANY_ORDER),
        "half a million of two values, one less": (bits[0], bits[1], PLAIN),
        "150 levels of lists": (_nested(150, 1), _nested(150, 2), PLAIN),
        "150 levels of lists, one less on each": (_nested(150, 1), _nested(150, 2, 1), PLAIN),
        "150 levels of lists, any order": (_nested(150, 1), _nested(150, 2), ANY_ORDER),
    }
    return {name: (JSON, compact(a), compact(b), masks) for name, (a, b, masks) in found.items()}


def _nested(levels: int, leaf: int, less: int = 0) -> Any:
    value: Any = leaf
    for _ in range(levels):
        value = [value, *range(1_500 - less)]
    return value


def documents() -> Hostile:
    parts = MOST_NODES - 2_000
    """Elements and texts, just few enough to be read."""
    rows = [f'<div class="row" id="r{row}"><p>Item <b>{row}</b> costs {row}</p></div>' for row in range(13_500)]
    other = [*rows[:6_000], '<div class="row" id="r6000"><p>Item <b>x</b> costs 6000</p></div>', *rows[6_001:]]
    items = [f'<li id="{item}">{item}' for item in range(parts // 2)]
    levels = ["<div>" + "<b>bold</b>" * count for count in (450, 449) for _ in range(100)]
    records = [f'<item n="{n}"><name>{n}</name><price>{n}.50</price></item>' for n in range(17_000)]
    leaves = [f"<leaf>{n} of many</leaf>" for n in range(parts // 2)]
    found: dict[str, tuple[str, list[str], list[str], Callable[[str], str]]] = {
        "HTML, a page with one text changed": (HTML, rows, other, "<html><body>{}</body></html>".format),
        "HTML, a list reversed": (HTML, items, items[::-1], "<ul>{}</ul>".format),
        "HTML, a list reversed, one less": (HTML, items, items[:0:-1], "<ul>{}</ul>".format),
        "HTML, 100 levels, one less on each": (HTML, levels[:100], levels[100:], str),
        "HTML, 30 attributes changed in each element": (HTML, *(_attributes(4_500, each) for each in "vw"), str),
        "HTML, tags that never end": (HTML, ["<a b="] * 200_000, ["<a c="] * 200_000, str),
        "HTML, end tags of what is not open": (
            HTML,
            ["<b></x>"] * 199 + ["</x>"] * 240_000,
            ["<b>"] * 199 + ["x"],
            str,
        ),
        "XML, the first record gone, an empty one added": (XML, records, [*records[1:], "<item/>"], "<r>{}</r>".format),
        "XML, a list reversed": (XML, leaves, leaves[::-1], "<r>{}</r>".format),
        "XML, a list reversed, one less": (XML, leaves, leaves[:0:-1], "<r>{}</r>".format),
        "XML, 60,000 attributes changed": (XML, *(_attributes(2_000, each, '"') for each in "vw"), "<r>{}</r>".format),
    }
    return {
        name: (kind, whole("".join(a)).encode(), whole("".join(b)).encode(), PLAIN)
        for name, (kind, a, b, whole) in found.items()
    }


def _attributes(elements: int, value: str, quote: str = "") -> list[str]:
    attributes = " ".join(f"k{number}={quote}{value}{number}{quote}" for number in range(30))
    return [f"<a {attributes}>t</a>"] * elements
