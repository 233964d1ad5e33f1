"""The lines of a cart, as a client holds them: ``P-101.2~P-107.1`` is two of P-101 and one of P-107.

A cart lives in the shopper's own cookie (or query), not in a server: whichever system answers sees the same cart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

COOKIE = "pinnacle_cart"
MAX_LINES = 50
MAX_QUANTITY = 99

Lines = dict[str, int]
"""SKU -> quantity, in the order in which they were added."""


def parse(text: str) -> Lines:
    """The lines that `text` writes. Raises ValueError on anything else."""
    lines: Lines = {}
    for part in filter(None, text.split("~")):
        sku, dot, quantity = part.partition(".")
        if not dot:
            raise ValueError(f"a line is SKU.QUANTITY, not {part!r}")
        lines = add(lines, sku, quantity)
    return lines


def from_json(entries: object) -> Lines:
    """The lines of ``[{"sku": "P-101", "quantity": 2}]``. Raises ValueError on anything else."""
    if not isinstance(entries, Iterable) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ValueError('lines are a list of {"sku": ..., "quantity": ...}')
    lines: Lines = {}
    for entry in entries:
        lines = add(lines, entry.get("sku"), entry.get("quantity", 1))
    return lines


def add(lines: Lines, sku: object, quantity: object) -> Lines:
    """`lines` with `quantity` more of `sku`. Raises ValueError on a quantity or a number of lines out of bounds."""
    if not isinstance(sku, str) or not str(quantity).isdecimal() or int(str(quantity)) == 0:
        raise ValueError(f"not a SKU and a quantity: {sku!r}, {quantity!r}")
    more = lines | {sku: lines.get(sku, 0) + int(str(quantity))}
    if len(more) > MAX_LINES or more[sku] > MAX_QUANTITY:
        raise ValueError(f"a cart holds at most {MAX_LINES} lines of 1 to {MAX_QUANTITY} each")
    return more


def write(lines: Lines) -> str:
    """The text that `parse` reads."""
    return "~".join(f"{sku}.{quantity}" for sku, quantity in lines.items())
