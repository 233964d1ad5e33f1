"""One pair for people's eyes: request, timing, headers and bodies side by side, and the course of its key. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from shadow.comparing.aligned import Fold, Mark, Row, side_by_side
from shadow.comparing.paths import escape
from shadow.journal.key_history import KeyWrite
from shadow.pairs.kept import KeptPair

_LONGEST_LINE = 2_000
"""Characters of a line that are shown; a body may be one line of 128 KB."""

_LONGEST_WORD = 40
"""Characters of a word that is marked as a whole."""


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
    # A cookie's place goes on behind its name: header:set-cookie/SID/path.
    differing = {"/".join(each.pointer.split("/")[:2]) for each in kept.differences}
    names = dict.fromkeys(name.lower() for name, _ in (*legacy.headers, *candidate.headers))
    rows: list[HeaderRow] = []
    for name in names:
        if name == "set-cookie":
            rows += _cookies(legacy.values(name), candidate.values(name), differing)
            continue
        left, right = (", ".join(answer.values(name)) or None for answer in (legacy, candidate))
        rows.append(HeaderRow(name, left, right, _mark(left, right, f"header:{name}" in differing)))
    order = [Mark.CHANGED, Mark.MISSING, Mark.ADDED, Mark.EXCUSED, Mark.SAME]
    return tuple(sorted(rows, key=lambda row: (order.index(row.mark), row.name)))


def _mark(left: str | None, right: str | None, is_difference: bool) -> Mark:
    if not is_difference:
        return Mark.SAME if left == right else Mark.EXCUSED
    return Mark.MISSING if right is None else Mark.ADDED if left is None else Mark.CHANGED


def _cookies(legacy: Sequence[str], candidate: Sequence[str], differing: Collection[str]) -> Iterator[HeaderRow]:
    """A row for each cookie, for each counts on its own; several of one name are told apart by domain and path."""
    left, right = ({_identity(line): line for line in lines} for lines in (legacy, candidate))
    for identity in left | right:
        one, other = left.get(identity), right.get(identity)
        mark = _mark(one, other, f"header:set-cookie/{escape(identity[0])}" in differing)
        yield HeaderRow("set-cookie", one, other, mark)


def _identity(line: str) -> tuple[str, str, str]:
    first, *rest = (part.strip() for part in line.split(";"))
    attributes = {key.strip().lower(): value.strip() for key, _, value in (part.partition("=") for part in rest)}
    return first.partition("=")[0].strip(), attributes.get("domain", ""), attributes.get("path", "")


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
    """A line as what it begins with like the other one, what is its own, and what it ends with like the other one.

    Of a word or a number that differs, all is its own unless it is very long: of 54.42 and 5442 people see two
    numbers, and not a point.
    """
    shorter = min(len(line), len(other))
    head = next((at for at in range(shorter) if line[at] != other[at]), shorter)
    tail = next((at for at in range(shorter - head) if line[-1 - at] != other[-1 - at]), shorter - head)
    before = next((cut for cut in range(_LONGEST_WORD) if not _in_words(line, head - cut, other, head - cut)), 0)
    ends = len(line) - tail, len(other) - tail
    after = next((cut for cut in range(_LONGEST_WORD) if not _in_words(line, ends[0] + cut, other, ends[1] + cut)), 0)
    head, tail = head - before, tail - after
    return line[:head], line[head : len(line) - tail], line[len(line) - tail :]


def _in_words(line: str, at: int, other: str, there: int) -> bool:
    """Whether a place lies inside of a word or number, in one line or the other."""
    return _in_word(line, at) or _in_word(other, there)


def _in_word(line: str, at: int) -> bool:
    return 0 < at < len(line) and _is_of_word(line[at - 1]) and _is_of_word(line[at])


def _is_of_word(character: str) -> bool:
    return character.isalnum() or character in "._"
