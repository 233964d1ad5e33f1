"""JSON drawn at random to be awkward, spelled in every way that JSON allows, and the plainest reading of it.

Draws come from a `random.Random`, which hypothesis can supply too; benchmarks/comparing.py draws a million of them.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

TEXTS = (
    "",
    "a",
    "b",
    "true",
    "1",
    "\u00e9",
    "e\u0301",
    "\ud800",
    "\udc00",
    "\U0001f600",
    '"',
    "\\",
    '\\"',
    "/",
    "~0",
    "\u2028",
)
KEYS = ("a", "b", "id", "", "~1", "/", "1", "\u00e9", "e\u0301", "\ud800", '"', "\\")
WHOLE = (0, 1, -1, 2, 9, 10, 100, 2**53, 2**53 + 1, 2**63, 2**64, 10**30)
BROKEN = ("0.1", "0.10000000000000000001", "0.5", "1e400", "1e-400", "0.00001", "1.5e3", "9007199254740993.5", "-2.50")


def drawn_value(chance: Random, levels: int = 3) -> Any:
    """A value; objects and lists at most `levels` deep."""
    kind = chance.randrange(9 if levels else 5)
    if kind == 0:
        return chance.choice((None, True, False))
    if kind == 1:
        return chance.choice(WHOLE)
    if kind == 2:
        return Decimal(chance.choice(BROKEN))
    if kind in (3, 4):
        return chance.choice(TEXTS)
    if kind in (5, 6):
        return {chance.choice(KEYS): drawn_value(chance, levels - 1) for _ in range(chance.randrange(4))}
    if kind == 7:  # many items of few values, so that there is much to align
        return [chance.choice((0, 1, True, "a", Decimal("1.0"))) for _ in range(chance.randrange(9))]
    return [drawn_value(chance, levels - 1) for _ in range(chance.randrange(6))]


def changed(value: Any, chance: Random) -> Any:
    """A copy with one to three changes anywhere in it."""
    root = [copy.deepcopy(value)]
    for _ in range(chance.randrange(1, 4)):
        node: Any = root
        key: Any = 0
        while isinstance(node[key], dict | list) and node[key] and chance.random() < 0.8:
            node = node[key]
            key = chance.choice(list(node)) if isinstance(node, dict) else chance.randrange(len(node))
        _change(node, key, root, chance)
    return root[0]


def _change(node: Any, key: Any, root: Any, chance: Random) -> None:
    deed = chance.randrange(4)
    if node is root or deed == 0:
        node[key] = drawn_value(chance, 2)
    elif deed == 1:
        del node[key]
    elif isinstance(node, dict):
        node[chance.choice(KEYS)] = drawn_value(chance, 1)
    elif deed == 2:
        node.insert(key, drawn_value(chance, 1))
    else:
        node.append(node.pop(key))


def spelled(value: Any, chance: Random, twice: bool = False) -> str:
    """The value as JSON text, each part in one of its many spellings; with `twice`, some objects repeat a key."""
    if isinstance(value, dict):
        members = list(value.items())
        chance.shuffle(members)
        texts = [f"{_string(key, chance)}{_blank(chance)}:{spelled(item, chance, twice)}" for key, item in members]
        if twice and texts and chance.random() < 0.5:
            texts.insert(chance.randrange(len(texts) + 1), chance.choice(texts))
        return _blank(chance) + "{" + f"{_blank(chance)},".join(texts) + "}" + _blank(chance)
    if isinstance(value, list):
        return "[" + f",{_blank(chance)}".join(spelled(item, chance, twice) for item in value) + _blank(chance) + "]"
    if isinstance(value, str):
        return _string(value, chance)
    if isinstance(value, bool) or value is None:
        return json.dumps(value) + _blank(chance)
    return _blank(chance) + _number(Decimal(value), chance)


def _blank(chance: Random) -> str:
    return chance.choice(("", "", "", " ", "\n", "\t "))


def _string(text: str, chance: Random) -> str:
    def character(each: str) -> str:
        if "\ud800" <= each <= "\udfff" or each < " ":
            return f"\\u{ord(each):04x}"
        if chance.random() < 0.3:
            return json.dumps(each)[1:-1]
        if chance.random() < 0.1 and ord(each) < 0x10000:
            return f"\\u{ord(each):04X}"
        return "\\" + each if each in '"\\' or (each == "/" and chance.random() < 0.5) else each

    return '"' + "".join(map(character, text)) + '"'


def _number(value: Decimal, chance: Random) -> str:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits)).lstrip("0")
    if not text:
        return chance.choice(("0", "-0", "0.0", "-0.00", "0e7", "0E-7"))
    minus = "-" * sign
    spelling = chance.randrange(4)
    if spelling == 0:
        zeros = chance.randrange(3)
        return f"{minus}{text}{'0' * zeros}{chance.choice('eE')}{exponent - zeros:+d}"
    if spelling == 1 and len(text) > 1:
        return f"{minus}{text[0]}.{text[1:]}e{exponent + len(text) - 1}"
    if exponent == 0:
        return minus + text + chance.choice(("", "", ".0", ".00"))
    if -30 < exponent < 0:
        padded = text.rjust(1 - exponent, "0")
        return f"{minus}{padded[:exponent]}.{padded[exponent:]}{'0' * chance.randrange(2)}"
    return f"{minus}{text}e{exponent}"


def plain(text: str) -> Any:
    """The plainest reading of a JSON text, as values that are `==` exactly when they are the same.

    None where a key is repeated.

    By the standard library alone, which shares nothing with fig's but the meaning.
    """
    repeated = []

    def members(pairs: list[tuple[str, Any]]) -> Any:
        found = dict(pairs)
        if len(found) != len(pairs):
            repeated.append(True)
        return ("object", tuple(sorted((key.encode("utf-16", "surrogatepass"), item) for key, item in found.items())))

    decoder: Callable[[str], Any] = json.JSONDecoder(
        object_pairs_hook=members, parse_float=_digits, parse_int=_digits
    ).decode
    value = _tagged(decoder(text))
    return None if repeated else value


def _tagged(value: Any) -> Any:
    if isinstance(value, list):
        return ("list", tuple(map(_tagged, value)))
    if isinstance(value, tuple) and value[0] == "object":
        return ("object", tuple((key, _tagged(item)) for key, item in value[1]))
    return value if isinstance(value, tuple) else (type(value).__name__, value)


def _digits(text: str) -> tuple[str, int, str, int]:
    """A number as sign, digits and exponent, without zeros at either end."""
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)
    shown = "".join(map(str, digits)).lstrip("0")
    stripped = shown.rstrip("0")
    if not stripped:
        return ("number", 0, "", 0)
    return ("number", sign, stripped, exponent + len(shown) - len(stripped))
