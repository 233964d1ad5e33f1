"""The tightest pattern that a handful of texts share: `[0-9a-f]{32}`, `req-[0-9]{8}`. Pure.

Texts are cut into runs of digits, of letters, and single other characters. Where all texts have the same runs, each run
is a literal if it never varies, else a class with its shortest and longest length; where they have not (hexadecimal
digits fall into runs at random), letters and digits together are one run, and then with what Base64 has besides. Texts
that agree on none of it have no shape.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = 200
"""Characters of a text that has a shape."""
MOST_RUNS = 40
"""Runs of a shape: prose has more, and no shape worth the name."""

_FINE = re.compile(r"[0-9]+|[A-Za-z]+|[^0-9A-Za-z]")
_COARSE = re.compile(r"[0-9A-Za-z]+|[^0-9A-Za-z]")
_BASE64 = re.compile(r"[0-9A-Za-z+/=_-]+|[^0-9A-Za-z+/=_-]")
"""RFC 4648 sections 4 and 5."""
_CLASSES = (
    *("[0-9]", "[0-9a-f]", "[0-9A-F]", "[a-z]", "[A-Z]", "[0-9a-z]", "[0-9A-Z]", "[A-Za-z]", "[0-9A-Za-z]"),
    *("[0-9A-Za-z_-]", "[0-9A-Za-z+/]", "[0-9A-Za-z+/=]", "[0-9A-Za-z+/=_-]"),
)
"""From tight to wide."""
_WORDS = frozenset(("[a-z]", "[A-Z]", "[A-Za-z]"))
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a handful of texts have in common."""

    pattern: str
    """An RE2 expression that matches each of them in full."""
    varying: int
    """Characters of the shortest text that may vary, but for runs of letters only: words are not drawn at random."""


def shape_of(texts: Sequence[str], digits_vary: bool = False) -> Shape | None:
    """The shape of all these texts, or None. With `digits_vary`, digits that were the same in all of them may differ
    in others all the same: the year of dates that were seen in one month."""
    if not texts or any(not text.isascii() or not text.isprintable() or len(text) > LONGEST for text in texts):
        return None
    for runs in (_FINE, _COARSE, _BASE64):
        columns = _columns(texts, runs)
        if columns is not None:
            return _shape(columns, digits_vary)
    return None


def _columns(texts: Sequence[str], runs: re.Pattern[str]) -> list[list[str]] | None:
    """Runs by their place, when every text has the same kinds of runs in the same order."""
    rows = [runs.findall(text) for text in texts]
    if len({len(row) for row in rows}) != 1 or not 0 < len(rows[0]) <= MOST_RUNS:
        return None
    columns = [list(column) for column in zip(*rows, strict=True)]
    alike = all(len({_kind(run, runs is _FINE) for run in column}) == 1 for column in columns)
    return columns if alike else None


def _kind(run: str, fine: bool) -> str:
    """What a run consists of; a single character that is in none stands for itself."""
    if fine and run.isdigit():
        return "digits"
    if fine and run.isalpha():
        return "letters"
    return "run" if len(run) > 1 or run.isalnum() else run


def _shape(columns: list[list[str]], digits_vary: bool) -> Shape:
    parts, varying = [], 0
    for column in columns:
        if len(set(column)) == 1 and not (digits_vary and column[0].isdigit()):
            parts.append(escape(column[0]))
            continue
        kind = next(each for each in _CLASSES if all(re.fullmatch(f"{each}+", run) for run in column))
        low, high = min(map(len, column)), max(map(len, column))
        parts.append(f"{kind}{{{low}}}" if low == high else f"{kind}{{{low},{high}}}")
        varying += 0 if kind in _WORDS else low
    return Shape("".join(parts), varying)


def escape(text: str) -> str:
    """A text as an RE2 expression that matches it and nothing else."""
    return _SPECIAL.sub(r"\\\g<0>", text)
