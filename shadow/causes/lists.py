"""What happened to a whole list: another order, a part of it, other items. One cause instead of many below it.

Items are told apart by their text (`repr`, which is C and takes 20 us for 5 KB): two that say the same in another order
of keys count as two, so a list is never called reordered wrongly, only sometimes not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from shadow.comparing.values import Json

MOST_ITEMS = 2_000
"""Items of a list that is looked at."""


def list_transform(legacy: Sequence[Json], candidate: Sequence[Json], paged: bool) -> str:
    """The one transform that makes the candidate's list out of legacy's, or ``""``.

    `paged` says whether the request asked for a part of something longer, by page, offset or cursor.
    """
    if max(len(legacy), len(candidate)) > MOST_ITEMS or legacy == candidate or not legacy:
        return ""
    if not candidate:
        return "list_empty"
    a, b = list(map(repr, legacy)), list(map(repr, candidate))
    if len(a) == len(b):
        return _same_length(a, b, paged)
    return _shorter(a, b) if len(b) < len(a) else _longer(a, b)


def _same_length(a: list[str], b: list[str], paged: bool) -> str:
    if sorted(a) == sorted(b):
        return "reversed" if a == b[::-1] else "reordered"
    # Off by a few: a window of the same size that begins elsewhere. Half of it must overlap to call it that.
    for by in range(1, len(a) // 2 + 1):
        if a[by:] == b[:-by]:
            return f"starts_later:{by}"
        if a[:-by] == b[by:]:
            return f"starts_earlier:{by}"
    return "other_page" if paged and len(a) > 1 and not set(a) & set(b) else ""


def _shorter(a: list[str], b: list[str]) -> str:
    missing = len(a) - len(b)
    if a[:-missing] == b:
        return "last_missing" if missing == 1 else f"cut_to:{len(b)}"
    if a[missing:] == b:
        return "first_missing" if missing == 1 else f"starts_later:{missing}"
    return "items_missing" if _contains(a, b) else ""


def _longer(a: list[str], b: list[str]) -> str:
    if not _contains(b, a):
        return ""
    surplus = Counter(b) - Counter(a)
    return "twice" if surplus.keys() <= set(a) else "items_added"


def _contains(larger: list[str], smaller: list[str]) -> bool:
    """Whether the smaller one is the larger one with items left out, in whatever order."""
    return not Counter(smaller) - Counter(larger)
