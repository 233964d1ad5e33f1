"""One pair for people's eyes: request, timing, headers and bodies side by side, and the course of its key. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shadow.comparing.aligned import Fold, Mark, Row, side_by_side
from shadow.journal.key_history import KeyWrite
from shadow.pairs.kept import KeptPair

_LONGEST_LINE = 2_000
"""Characters of a line that are shown; a body may be one line of 128 KB."""


@dataclass(frozen=True, slots=True)
class HeaderRow:
    """One header of both answers; None where one side has not sent it."""

    name: str
    legacy: str | None
    candidate: str | None
    mark: Mark
    """EXCUSED: it differs, and nobody asked for it to be the same."""


@dataclass(frozen=True, slots=True)
class PairView:
    """Everything of a pair that is shown."""

    kept: KeptPair
    headers: tuple[HeaderRow, ...]
    rows: tuple[Row | Fold, ...]
    """The bodies."""
    history: tuple[KeyWrite, ...]
    """Writes of the same key, in order; empty for a read."""

    @property
    def slower(self) -> float | None:
        """Seconds that the candidate took longer than legacy; None where one of them did not answer."""
        pair = self.kept.pair
        if pair.legacy.failure or pair.candidate.failure:
            return None
        return pair.candidate.seconds - pair.legacy.seconds

    @property
    def size(self) -> int:
        """Characters, about."""
        inside = (row for each in self.rows for row in (each.rows if isinstance(each, Fold) else (each,)))
        return 2_000 + sum(60 + len(row.legacy or "") + len(row.candidate or "") for row in inside)


def view(kept: KeptPair, history: Sequence[KeyWrite] = ()) -> PairView:
    """A kept pair as it is shown."""
    rows = tuple(
        Fold(tuple(map(_short, each.rows))) if isinstance(each, Fold) else _short(each) for each in side_by_side(kept)
    )
    return PairView(kept, _headers(kept), rows, tuple(history))


def _headers(kept: KeptPair) -> tuple[HeaderRow, ...]:
    legacy, candidate = kept.pair.legacy, kept.pair.candidate
    differing = {each.pointer for each in kept.differences}
    names = dict.fromkeys(name.lower() for name, _ in (*legacy.headers, *candidate.headers))
    rows = []
    for name in names:
        left, right = (", ".join(answer.values(name)) or None for answer in (legacy, candidate))
        if f"header:{name}" in differing:
            mark = Mark.MISSING if right is None else Mark.ADDED if left is None else Mark.CHANGED
        else:
            mark = Mark.SAME if left == right else Mark.EXCUSED
        rows.append(HeaderRow(name, left, right, mark))
    order = [Mark.CHANGED, Mark.MISSING, Mark.ADDED, Mark.EXCUSED, Mark.SAME]
    return tuple(sorted(rows, key=lambda row: (order.index(row.mark), row.name)))


def _short(row: Row) -> Row:
    return Row(_cut(row.legacy, row.candidate), _cut(row.candidate, row.legacy), row.mark)


def _cut(line: str | None, other: str | None) -> str | None:
    """A line that is too long, as the part of it around what differs from the other side's."""
    if line is None or len(line) <= _LONGEST_LINE:
        return line
    start = max(0, len(parts(line, other or "")[0]) - 200)
    end = start + _LONGEST_LINE
    return ("…" if start else "") + line[start:end] + ("…" if end < len(line) else "")


def parts(line: str, other: str) -> tuple[str, str, str]:
    """A line as what it begins with like the other one, what is its own, and what it ends with like the other one."""
    shorter = min(len(line), len(other))
    head = next((at for at in range(shorter) if line[at] != other[at]), shorter)
    tail = next((at for at in range(shorter - head) if line[-1 - at] != other[-1 - at]), shorter - head)
    return line[:head], line[head : len(line) - tail], line[len(line) - tail :]
