"""Differences in words for people who own a product, not a service."""

from __future__ import annotations

from shadow.comparing.differences import DifferenceKind

_SENTENCES = {
    DifferenceKind.NO_ANSWER: "one side gave no answer",
    DifferenceKind.STATUS: "the status differs",
    DifferenceKind.HEADER: "the header {name} differs",
    DifferenceKind.VALUE_CHANGED: "{name} has another value",
    DifferenceKind.TYPE_CHANGED: "{name} has another type",
    DifferenceKind.MISSING: "{name} is missing",
    DifferenceKind.ADDED: "{name} is extra",
    DifferenceKind.ITEM_MISSING: "{name} is missing",
    DifferenceKind.ITEM_ADDED: "{name} is extra",
    DifferenceKind.UNPARSABLE: "the candidate's or legacy's body cannot be read",
    DifferenceKind.BODY: "the bytes of the body differ",
    DifferenceKind.NOT_LOCATED: "{name} differs in more places than are listed",
    DifferenceKind.NOT_COMPARED: "the bodies could not be compared in full",
}
"""What is wrong with the candidate's answer, seen from legacy's."""


def sentence(kind: DifferenceKind, path: str) -> str:
    """One clause about the candidate's answer: ``/items/*/price has another value``."""
    item = kind in (DifferenceKind.ITEM_MISSING, DifferenceKind.ITEM_ADDED)
    name = path.removeprefix("header:") or "the whole body"
    if path.startswith("line:"):
        name = "a line of the text"
    elif path == "body":
        name = "the body"
    elif item and path.endswith("/*"):
        name = f"an item of {path[:-2] or 'the list'}"
    return _SENTENCES[kind].format(name=name)
