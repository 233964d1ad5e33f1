"""Differences made: what the comparison found, applied to legacy's value, must give the candidate's."""

from __future__ import annotations

import copy
from typing import Any

from shadow.comparing.differences import Difference, DifferenceKind

GONE = {DifferenceKind.MISSING, DifferenceKind.ITEM_MISSING}
CAME = {DifferenceKind.ADDED, DifferenceKind.ITEM_ADDED}


def apply(differences: tuple[Difference, ...], document: Any) -> Any:
    """The document with every difference made, the deepest first: the indexes of what lies above are legacy's.

    At one level changes first, then what is gone (from the back), then what came (from the front).
    """
    root = {"": copy.deepcopy(document)}
    for each in sorted(differences, key=_turn):
        parent, key = _place(root, each.pointer)
        if each.kind in GONE:
            del parent[key]
        elif each.kind is DifferenceKind.ITEM_ADDED:
            parent.insert(key, each.candidate)
        else:
            parent[key] = each.candidate
    return root[""]


def _turn(each: Difference) -> tuple[int, int, int]:
    last = each.pointer.rsplit("/", 1)[-1]
    index = int(last) if last.isdecimal() else 0
    turn = 1 if each.kind in GONE else 2 if each.kind in CAME else 0
    return -each.pointer.count("/"), turn, -index if turn == 1 else index


def _place(root: dict[str, Any], pointer: str) -> tuple[Any, Any]:
    here: Any = root
    key: Any = ""
    for token in pointer.split("/")[1:]:
        here = here[key]
        key = int(token) if isinstance(here, list) else token.replace("~1", "/").replace("~0", "~")
    return here, key
